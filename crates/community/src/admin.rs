//! The tables of this crate for the admin panel.

use guildhall_kernel::admin::Model;

use crate::entity::{
    attachment, ban, bookmark, comment, comment_like, course, draft, enrolment, event, follow, group, group_course,
    invite, join_request, lesson, lesson_progress, link_preview, membership, mention, moderation, poll, poll_option,
    poll_vote, post, post_tag, reaction, report, rsvp, section,
};

/// Private posts are for their authors alone.
const NOT_PRIVATE: &str = "visibility <> 'private'";
const PRIVATE_OF_USER: &str = "author_id = $1 AND visibility = 'private'";

/// What belongs to a private post is as private.
const OF_SHARED_POST: &str =
    "EXISTS (SELECT 1 FROM community_post p WHERE p.id = post_id AND p.visibility <> 'private')";

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(group::Entity, "group")
            .list(&["name", "category", "is_private", "member_count", "post_count", "created_at"])
            .search(&["name_key", "slug"])
            .filters(&["category", "is_private", "is_listed", "is_corporate_group", "created_at"])
            .guarded(),
        Model::new(membership::Entity, "membership")
            .list(&["group_id", "user_id", "role", "joined_at"])
            .filters(&["group_id", "user_id", "role"]),
        Model::new(join_request::Entity, "join request")
            .list(&["group_id", "user_id", "status", "created_at"])
            .filters(&["group_id", "user_id", "status"]),
        Model::new(invite::Entity, "invite")
            .without(&["token_hash"])
            .list(&["group_id", "user_id", "email_key", "status", "uses", "expires_at"])
            .search(&["email_key"])
            .filters(&["group_id", "user_id", "status"]),
        Model::new(ban::Entity, "ban")
            .list(&["group_id", "user_id", "until", "reason"])
            .filters(&["group_id", "user_id"]),
        Model::new(moderation::Entity, "moderation log entry")
            .list(&["at", "group_id", "actor_id", "action", "subject_id", "target"])
            .filters(&["group_id", "actor_id"]),
        Model::new(follow::Entity, "follow")
            .list(&["follower_id", "followed_id", "created_at"])
            .filters(&["follower_id", "followed_id"]),
        Model::new(post::Entity, "post")
            .list(&["title", "group_id", "author_id", "visibility", "is_approved", "comment_count", "created_at"])
            .search(&["search_text"])
            .filters(&["group_id", "author_id", "visibility", "category", "is_approved", "is_pinned"])
            .visible(NOT_PRIVATE)
            .removed_with_user(PRIVATE_OF_USER),
        Model::new(post_tag::Entity, "tag")
            .list(&["tag", "post_id"])
            .search(&["tag"])
            .filters(&["post_id"])
            .visible(OF_SHARED_POST),
        Model::new(attachment::Entity, "attachment")
            .list(&["name", "content_type", "size", "post_id"])
            .filters(&["post_id"])
            .visible(OF_SHARED_POST),
        Model::new(link_preview::Entity, "link preview")
            .list(&["url", "title", "attempts", "next_at"])
            .filters(&["post_id"])
            .visible(OF_SHARED_POST),
        Model::new(poll::Entity, "poll").list(&["post_id", "is_multiple", "closes_at"]).visible(OF_SHARED_POST),
        Model::new(poll_option::Entity, "poll option")
            .list(&["post_id", "position", "text", "votes"])
            .visible(OF_SHARED_POST),
        Model::new(poll_vote::Entity, "vote")
            .list(&["post_id", "position", "user_id"])
            .filters(&["post_id"])
            .visible(OF_SHARED_POST),
        Model::new(reaction::Entity, "reaction")
            .list(&["post_id", "user_id", "kind", "created_at"])
            .filters(&["user_id"]),
        Model::new(bookmark::Entity, "bookmark")
            .list(&["user_id", "post_id", "created_at"])
            .filters(&["user_id"])
            .deletable(),
        Model::new(comment::Entity, "comment")
            .list(&["content", "post_id", "author_id", "is_deleted", "like_count", "created_at"])
            .filters(&["post_id", "author_id"])
            .visible(OF_SHARED_POST),
        Model::new(comment_like::Entity, "comment like").list(&["comment_id", "user_id", "created_at"]),
        Model::new(mention::Entity, "mention")
            .list(&["post_id", "comment_id", "user_id", "created_at"])
            .filters(&["user_id"]),
        Model::new(report::Entity, "report")
            .list(&["status", "group_id", "post_id", "comment_id", "reason", "created_at"])
            .filters(&["status", "group_id"]),
        Model::new(draft::Entity, "draft")
            .without(&["body"])
            .list(&["author_id", "group_id", "updated_at"])
            .filters(&["author_id"]),
        Model::new(course::Entity, "course")
            .list(&["title", "author_id", "is_public", "lesson_count", "created_at"])
            .search(&["title"])
            .filters(&["author_id", "is_public"]),
        Model::new(group_course::Entity, "group course")
            .list(&["group_id", "course_id", "position"])
            .filters(&["group_id", "course_id"]),
        Model::new(section::Entity, "section").list(&["title", "course_id", "position"]).filters(&["course_id"]),
        Model::new(lesson::Entity, "lesson")
            .list(&["title", "course_id", "section_id", "position"])
            .filters(&["course_id", "section_id"]),
        Model::new(enrolment::Entity, "enrolment")
            .list(&["course_id", "user_id", "created_at", "completed_at"])
            .filters(&["course_id", "user_id"]),
        Model::new(lesson_progress::Entity, "lesson progress")
            .list(&["lesson_id", "user_id", "completed_at"])
            .filters(&["user_id"]),
        Model::new(event::Entity, "event")
            .list(&["title", "group_id", "starts_at", "capacity", "going_count", "is_cancelled"])
            .search(&["title"])
            .filters(&["group_id", "is_cancelled"]),
        Model::new(rsvp::Entity, "RSVP")
            .list(&["event_id", "user_id", "status", "since"])
            .filters(&["event_id", "status"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("community_", with_people_table, admin()).await;
    }
}

//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items beside the structs")]

pub(crate) mod attachment;
pub(crate) mod ban;
pub(crate) mod bookmark;
pub(crate) mod comment;
pub(crate) mod comment_like;
pub(crate) mod course;
pub(crate) mod draft;
pub(crate) mod enrolment;
pub(crate) mod event;
pub(crate) mod follow;
pub(crate) mod group;
pub(crate) mod group_course;
pub(crate) mod invite;
pub(crate) mod join_request;
pub(crate) mod lesson;
pub(crate) mod lesson_progress;
pub(crate) mod link_preview;
pub(crate) mod membership;
pub(crate) mod mention;
pub(crate) mod moderation;
pub(crate) mod poll;
pub(crate) mod poll_option;
pub(crate) mod poll_vote;
pub(crate) mod post;
pub(crate) mod post_tag;
pub(crate) mod reaction;
pub(crate) mod report;
pub(crate) mod rsvp;
pub(crate) mod section;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn migrations_match_the_entities() {
        let tables = vec![
            table(attachment::Entity),
            table(ban::Entity),
            table(bookmark::Entity),
            table(comment::Entity),
            table(comment_like::Entity),
            table(course::Entity),
            table(draft::Entity),
            table(enrolment::Entity),
            table(event::Entity),
            table(follow::Entity),
            table(group::Entity),
            table(group_course::Entity),
            table(invite::Entity),
            table(join_request::Entity),
            table(lesson::Entity),
            table(lesson_progress::Entity),
            table(link_preview::Entity),
            table(membership::Entity),
            table(mention::Entity),
            table(moderation::Entity),
            table(poll::Entity),
            table(poll_option::Entity),
            table(poll_vote::Entity),
            table(post::Entity),
            table(post_tag::Entity),
            table(reaction::Entity),
            table(report::Entity),
            table(rsvp::Entity),
            table(section::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("community_", tables, with_people_table, snapshots).await;
    }
}

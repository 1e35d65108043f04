//! The events of this crate.

use guildhall_kernel::{UserId, define_events};

use crate::{
    entity::membership::Role,
    id::{CommentId, GroupId, InviteId, PostId, ReportId, RequestId},
};

fn group(id: GroupId) -> String {
    format!("community/group/{id}")
}

fn post(id: PostId) -> String {
    format!("community/post/{id}")
}

define_events! {
    /// A group was created.
    GroupCreated("community.group_created", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The user who created it and owns it.
        creator: UserId,
    }
    /// The properties of a group were changed.
    GroupChanged("community.group_changed", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The user who changed it.
        actor: UserId,
        /// Whether it was public before and is private now. Events of earlier versions do not say it, and count as if.
        #[serde(default = "possibly")]
        became_private: bool,
    }
    /// A group was deleted, with its posts and memberships.
    GroupDeleted("community.group_deleted", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The user who deleted it.
        actor: UserId,
    }
    /// A user became a member of a group.
    MemberJoined("community.member_joined", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The new member.
        user: UserId,
        /// The moderator who approved the request to join, if there was one.
        approved_by: Option<UserId>,
    }
    /// A member left a group.
    MemberLeft("community.member_left", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The former member.
        user: UserId,
    }
    /// A member was removed from a group.
    MemberRemoved("community.member_removed", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The former member.
        user: UserId,
        /// The moderator who removed them.
        actor: UserId,
    }
    /// A member got another role.
    RoleChanged("community.role_changed", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The member.
        user: UserId,
        /// Their role now.
        role: Role,
        /// The user who changed it.
        actor: UserId,
    }
    /// A user requested to join a group.
    JoinRequested("community.join_requested", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The request.
        request: RequestId,
        /// The user.
        user: UserId,
    }
    /// A request to join was approved or denied.
    JoinRequestDecided("community.join_request_decided", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The request.
        request: RequestId,
        /// The user who asked to join.
        user: UserId,
        /// Whether it was approved.
        is_approved: bool,
        /// The moderator who decided.
        actor: UserId,
    }
    /// Somebody was invited to a group.
    UserInvited("community.user_invited", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The invite.
        invite: InviteId,
        /// The invited user; `None` for an invite by email address or by link.
        user: Option<UserId>,
        /// The user who invited them.
        actor: UserId,
    }
    /// A user was banned from a group.
    UserBanned("community.user_banned", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The user.
        user: UserId,
        /// The moderator who banned them.
        actor: UserId,
    }
    /// A ban was lifted.
    UserUnbanned("community.user_unbanned", |event| group(event.group)) {
        /// The group.
        group: GroupId,
        /// The user.
        user: UserId,
        /// The moderator who lifted the ban.
        actor: UserId,
    }
    /// A post was created. If it is not approved, only its author and moderators can read it.
    PostCreated("community.post_created", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The group that it is in, if any.
        group: Option<GroupId>,
        /// The author.
        author: UserId,
        /// Whether others can read it already.
        is_approved: bool,
    }
    /// A post was changed.
    PostChanged("community.post_changed", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The user who changed it.
        actor: UserId,
    }
    /// A post that was held for review was approved.
    PostApproved("community.post_approved", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The group that it is in.
        group: GroupId,
        /// The author, unless the account was deleted.
        author: Option<UserId>,
        /// The moderator who approved it.
        actor: UserId,
    }
    /// A post was deleted, with its comments.
    PostDeleted("community.post_deleted", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The author, unless the account was deleted.
        author: Option<UserId>,
        /// The user who deleted it.
        actor: UserId,
    }
    /// A comment was created.
    CommentCreated("community.comment_created", |event| post(event.post)) {
        /// The comment.
        comment: CommentId,
        /// The post.
        post: PostId,
        /// The comment that it replies to, if any.
        parent: Option<CommentId>,
        /// The author.
        author: UserId,
    }
    /// A comment was changed.
    CommentChanged("community.comment_changed", |event| post(event.post)) {
        /// The comment.
        comment: CommentId,
        /// The post.
        post: PostId,
    }
    /// A comment was deleted.
    CommentDeleted("community.comment_deleted", |event| post(event.post)) {
        /// The comment.
        comment: CommentId,
        /// The post.
        post: PostId,
        /// The author, unless the account was deleted.
        author: Option<UserId>,
        /// The user who deleted it.
        actor: UserId,
    }
    /// A user was mentioned in a post or a comment that they can read.
    UserMentioned("community.user_mentioned", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The comment, if it was one.
        comment: Option<CommentId>,
        /// The user.
        user: UserId,
    }
    /// A user reacted to a post, or changed their reaction.
    ReactionSet("community.reaction_set", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The user.
        user: UserId,
        /// The kind of reaction.
        kind: String,
    }
    /// A user removed their reaction.
    ReactionRemoved("community.reaction_removed", |event| post(event.post)) {
        /// The post.
        post: PostId,
        /// The user.
        user: UserId,
    }
    /// A post or a comment was reported.
    ContentReported("community.content_reported", |event| post(event.post)) {
        /// The report.
        report: ReportId,
        /// The group of the post, if any.
        group: Option<GroupId>,
        /// The post.
        post: PostId,
        /// The comment, if it was one.
        comment: Option<CommentId>,
        /// The user who reported it.
        reporter: UserId,
    }
    /// The reports of a post or a comment were decided.
    ReportDecided("community.report_decided", |event| post(event.post)) {
        /// One of the reports.
        report: ReportId,
        /// The post.
        post: PostId,
        /// The comment, if it was one.
        comment: Option<CommentId>,
        /// Whether the reports were upheld.
        is_upheld: bool,
        /// The moderator who decided.
        actor: UserId,
    }
}

fn possibly() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_an_earlier_version_stored_may_have_made_the_group_private() {
        let stored: GroupChanged = serde_json::from_str(r#"{"group": 1, "actor": 1}"#).unwrap();
        assert!(stored.became_private);
    }
}

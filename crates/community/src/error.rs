use guildhall_kernel::{self as kernel, Kind};
use sea_orm::DbErr;

use crate::id::{CommentId, CourseId, EventId, GroupId, PostId};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such group, or it is not visible to the caller.
    #[error("Group {0} does not exist.")]
    GroupNotFound(GroupId),
    /// No such post, or it is not visible to the caller.
    #[error("Post {0} does not exist.")]
    PostNotFound(PostId),
    /// No such comment, or it is not visible to the caller.
    #[error("Comment {0} does not exist.")]
    CommentNotFound(CommentId),
    /// No such course, or it is not visible to the caller.
    #[error("Course {0} does not exist.")]
    CourseNotFound(CourseId),
    /// No such event, or it is not visible to the caller.
    #[error("Event {0} does not exist.")]
    EventNotFound(EventId),
    /// Something else does not exist or is not visible to the caller; the text names what, such as `invite`.
    #[error("The {0} does not exist.")]
    NotFound(&'static str),
    /// The request is anonymous, and the settings do not allow public reading.
    #[error("Authentication credentials were not provided.")]
    NotAuthenticated,
    /// The caller may see the group but is not a member.
    #[error("Only members of the group can do this.")]
    NotMember,
    /// The caller is a member of the group but not a moderator.
    #[error("Only moderators of the group can do this.")]
    NotModerator,
    /// The caller may see the group but is not its owner.
    #[error("Only the owner of the group or staff can do this.")]
    NotGroupOwner,
    /// The caller may see it but is not its author.
    #[error("Only the author can do this.")]
    NotAuthor,
    /// Only teachers and staff create courses.
    #[error("Only teachers and staff can create courses.")]
    NotTeacher,
    /// Only staff can do this.
    #[error("Only staff can do this.")]
    NotStaff,
    /// The caller is banned from the group.
    #[error("You are banned from this group.")]
    Banned,
    /// The group has reached its maximum number of members.
    #[error("The group is full.")]
    GroupFull,
    /// The last moderator cannot leave while there are other members.
    #[error("You are the last moderator. Promote another member before you leave.")]
    LastModerator,
    /// The owner can be neither removed nor demoted.
    #[error("The owner cannot be removed or demoted. Transfer the ownership of the group first.")]
    OwnerStays,
    /// A moderator cannot moderate another moderator.
    #[error("Only the owner of the group can do this to a moderator.")]
    NotAbovePeer,
    /// The target of the operation is not a member.
    #[error("This person is not a member of the group.")]
    NotInGroup,
    /// The invite can no longer be used; the text is the reason: `revoked`, `expired` or `used up`.
    #[error("The invite is {0}.")]
    InviteSpent(&'static str),
    /// The invite is for somebody else, or for an email address that the caller has not verified.
    #[error("The invite is for somebody else, or for an email address that you have not verified.")]
    InviteForOther,
    /// Too many invitations by email in one day.
    #[error("Too many invitations by email. Try again later.")]
    TooManyInvites,
    /// The request, report or post has already been decided.
    #[error("This has already been decided.")]
    AlreadyDecided,
    /// Only moderators post in this group.
    #[error("Only moderators can post in this group.")]
    PostingClosed,
    /// A moderator has closed the discussion.
    #[error("The discussion of this post is closed.")]
    PostLocked,
    /// The poll has ended.
    #[error("The poll is closed.")]
    PollClosed,
    /// The event has been cancelled.
    #[error("The event has been cancelled.")]
    EventCancelled,
    /// Lessons are for enrolled learners.
    #[error("Enrol in the course first.")]
    NotEnrolled,
    /// Invalid input, or another error of the kernel.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// A database error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

kernel::domain_error!(Error);

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (kind, code) = match error {
            Error::GroupNotFound(_) => (Kind::NotFound, "group_not_found"),
            Error::PostNotFound(_) => (Kind::NotFound, "post_not_found"),
            Error::CommentNotFound(_) => (Kind::NotFound, "comment_not_found"),
            Error::CourseNotFound(_) => (Kind::NotFound, "course_not_found"),
            Error::EventNotFound(_) => (Kind::NotFound, "event_not_found"),
            Error::NotFound(_) => (Kind::NotFound, "not_found"),
            Error::NotAuthenticated => (Kind::Unauthenticated, "not_authenticated"),
            Error::NotMember => (Kind::Forbidden, "not_member"),
            Error::NotModerator => (Kind::Forbidden, "not_moderator"),
            Error::NotGroupOwner => (Kind::Forbidden, "not_group_owner"),
            Error::NotAuthor => (Kind::Forbidden, "not_author"),
            Error::NotTeacher => (Kind::Forbidden, "not_teacher"),
            Error::NotStaff => (Kind::Forbidden, "not_staff"),
            Error::Banned => (Kind::Forbidden, "banned"),
            Error::GroupFull => (Kind::Conflict, "group_full"),
            Error::LastModerator => (Kind::Conflict, "last_moderator"),
            Error::OwnerStays => (Kind::Invalid, "owner_stays"),
            Error::NotAbovePeer => (Kind::Forbidden, "not_above_peer"),
            Error::NotInGroup => (Kind::Invalid, "not_in_group"),
            Error::InviteSpent(_) => (Kind::Invalid, "invite_spent"),
            Error::InviteForOther => (Kind::Forbidden, "invite_for_other"),
            Error::TooManyInvites => (Kind::TooMany, "too_many_invites"),
            Error::AlreadyDecided => (Kind::Conflict, "already_decided"),
            Error::PostingClosed => (Kind::Forbidden, "posting_closed"),
            Error::PostLocked => (Kind::Forbidden, "post_locked"),
            Error::PollClosed => (Kind::Conflict, "poll_closed"),
            Error::EventCancelled => (Kind::Conflict, "event_cancelled"),
            Error::NotEnrolled => (Kind::Forbidden, "not_enrolled"),
            Error::Kernel(error) => return error,
            Error::Database(cause) => return cause.into(),
        };
        Self::new(kind, code, detail)
    }
}

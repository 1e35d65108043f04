use guildhall_kernel::{self as kernel, Kind, db::Failure};
use sea_orm::DbErr;

use crate::{CommentId, CourseId, EventId, GroupId, PostId};

/// What the community refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such group, or the caller may not know of it.
    #[error("Group {0} does not exist.")]
    GroupNotFound(GroupId),
    /// No such post, or the caller may not know of it.
    #[error("Post {0} does not exist.")]
    PostNotFound(PostId),
    /// No such comment, or the caller may not know of it.
    #[error("Comment {0} does not exist.")]
    CommentNotFound(CommentId),
    /// No such course, or the caller may not know of it.
    #[error("Course {0} does not exist.")]
    CourseNotFound(CourseId),
    /// No such event, or the caller may not know of it.
    #[error("Event {0} does not exist.")]
    EventNotFound(EventId),
    /// Something else that is not there, or that the caller may not know of: what it is, in a word or two.
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    /// Nobody is signed in, and the settings let nobody read without.
    #[error("Authentication credentials were not provided.")]
    NotAuthenticated,
    /// The caller sees the group but is not in it.
    #[error("Only members of the group may do that.")]
    NotMember,
    /// The caller is in the group but does not look after it.
    #[error("Only moderators of the group may do that.")]
    NotModerator,
    /// The caller sees the group but does not own it.
    #[error("Only the owner of the group or staff may do that.")]
    NotGroupOwner,
    /// The caller sees it, but it is somebody else's.
    #[error("Only whoever made it may do that.")]
    NotAuthor,
    /// Courses are made by teachers and staff.
    #[error("Only teachers and staff make courses.")]
    NotTeacher,
    /// Only staff may do that.
    #[error("Only staff may do that.")]
    NotStaff,
    /// The caller may not be in the group, for a time or for good.
    #[error("You may not be in this group.")]
    Banned,
    /// The group takes no more members.
    #[error("The group is full.")]
    GroupFull,
    /// The last moderator cannot leave while others are in the group.
    #[error("You are the last moderator: make somebody else one before you leave.")]
    LastModerator,
    /// The owner can be neither removed nor demoted.
    #[error("The owner of the group stays: hand the group over first.")]
    OwnerStays,
    /// Moderators do not decide about one another.
    #[error("Only the owner of the group decides about its moderators.")]
    NotAbovePeer,
    /// What is done to a member needs one.
    #[error("That person is not in the group.")]
    NotInGroup,
    /// An invite that nobody can use any more; which of the reasons it is.
    #[error("The invite is {0}.")]
    InviteSpent(&'static str),
    /// An invite for somebody else, or for an address that is not known to be the caller's.
    #[error("The invite is for somebody else, or for an address that you have not verified.")]
    InviteForOther,
    /// Too many invitations by mail in a day.
    #[error("That is enough invitations by mail for a day.")]
    TooManyInvites,
    /// A request, report or post that somebody has decided about.
    #[error("Somebody has decided about it already.")]
    AlreadyDecided,
    /// Only moderators post in this group.
    #[error("Only moderators post in this group.")]
    PostingClosed,
    /// A moderator has ended the discussion.
    #[error("The discussion of this post is closed.")]
    PostLocked,
    /// The poll takes no more votes.
    #[error("The poll is closed.")]
    PollClosed,
    /// The event does not take place.
    #[error("The event was cancelled.")]
    EventCancelled,
    /// Lessons are for those who take the course.
    #[error("Enrol in the course first.")]
    NotEnrolled,
    /// The input is wrong, or the kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What is wrong with one field of an input.
    pub(crate) fn field(name: &'static str, message: impl Into<String>) -> Self {
        Self::Kernel(kernel::Error::field(name, message))
    }
}

impl From<garde::Report> for Error {
    fn from(report: garde::Report) -> Self {
        Self::Kernel(report.into())
    }
}

impl Failure for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(cause) => Some(cause),
            Self::Kernel(error) => error.database(),
            _ => None,
        }
    }
}

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

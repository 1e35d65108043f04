use guildhall_kernel::{self as kernel, Kind};
use sea_orm::{DbErr, SqlErr};

use crate::id::{ConversationId, MessageId};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user, or they are not active.
    #[error("The user does not exist.")]
    UserNotFound,
    /// No such conversation, or the caller is not part of it.
    #[error("Conversation {0} does not exist.")]
    ConversationNotFound(ConversationId),
    /// No such message, or the caller may not read it.
    #[error("Message {0} does not exist.")]
    MessageNotFound(MessageId),
    /// Something else does not exist; the text names what, such as `request`.
    #[error("The {0} does not exist.")]
    NotFound(&'static str),
    /// One of the two has blocked the other. It is not said who.
    #[error("You cannot send messages to this person.")]
    Blocked,
    /// The same client id was used for another message.
    #[error("This client_id was already used for another message.")]
    IdempotencyMismatch,
    /// Only the sender can do this.
    #[error("Only the sender can do this.")]
    NotSender,
    /// Only the owner of the group can do this.
    #[error("Only the owner of the group can do this.")]
    NotOwner,
    /// Only staff can do this.
    #[error("Only staff can do this.")]
    NotStaff,
    /// This is not possible in a conversation of two.
    #[error("This is only possible in a group.")]
    NotGroup,
    /// The message is too old to be changed.
    #[error("The message can no longer be changed.")]
    TooLate,
    /// The message was deleted, or the server wrote it.
    #[error("This message cannot be changed.")]
    NotChangeable,
    /// The group has reached its maximum number of members.
    #[error("The group is full.")]
    GroupFull,
    /// The target of the operation is not a member.
    #[error("This person is not a member of the group.")]
    NotInGroup,
    /// A change without any field that can be changed.
    #[error("The body contains no field that can be changed.")]
    NothingToChange,
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

impl Error {
    /// Whether a concurrent transaction has stored the same.
    pub(crate) fn is_duplicate(&self) -> bool {
        let Self::Database(cause) = self else { return false };
        matches!(cause.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (kind, code) = match error {
            Error::UserNotFound => (Kind::NotFound, "user_not_found"),
            Error::ConversationNotFound(_) => (Kind::NotFound, "conversation_not_found"),
            Error::MessageNotFound(_) => (Kind::NotFound, "message_not_found"),
            Error::NotFound(_) => (Kind::NotFound, "not_found"),
            Error::Blocked => (Kind::Forbidden, "blocked"),
            Error::IdempotencyMismatch => (Kind::Conflict, "idempotency_mismatch"),
            Error::NotSender => (Kind::Forbidden, "not_sender"),
            Error::NotOwner => (Kind::Forbidden, "not_owner"),
            Error::NotStaff => (Kind::Forbidden, "not_staff"),
            Error::NotGroup => (Kind::Invalid, "not_group"),
            Error::TooLate => (Kind::Conflict, "too_late"),
            Error::NotChangeable => (Kind::Conflict, "not_changeable"),
            Error::GroupFull => (Kind::Conflict, "group_full"),
            Error::NotInGroup => (Kind::Invalid, "not_in_group"),
            Error::NothingToChange => (Kind::Invalid, "invalid"),
            Error::Kernel(error) => return error,
            Error::Database(cause) => return cause.into(),
        };
        Self::new(kind, code, detail)
    }
}

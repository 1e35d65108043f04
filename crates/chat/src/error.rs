use std::time::Duration;

use guildhall_kernel::{self as kernel, Kind};
use sea_orm::{DbErr, SqlErr};

use crate::id::{MessageId, RoomId};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such room, or the caller may not know of it.
    #[error("Room {0} does not exist.")]
    RoomNotFound(RoomId),
    /// No such message, or the caller may not read it.
    #[error("Message {0} does not exist.")]
    MessageNotFound(MessageId),
    /// No such user, or they are not active.
    #[error("The user does not exist.")]
    UserNotFound,
    /// Something else does not exist; the text names what, such as `request`.
    #[error("The {0} does not exist.")]
    NotFound(&'static str),
    /// Only teachers and superusers open rooms.
    #[error("Only teachers can open rooms.")]
    MayNotOpenRooms,
    /// Only those who take part can do this.
    #[error("Only participants of the room can do this.")]
    NotParticipant,
    /// Only the host can do this.
    #[error("Only the host of the room can do this.")]
    NotHost,
    /// Only the host and the co-hosts can do this.
    #[error("Only the host and co-hosts of the room can do this.")]
    NotModerator,
    /// Only the sender can do this.
    #[error("Only the sender can do this.")]
    NotSender,
    /// The caller was removed and may not ask to join again.
    #[error("You were removed from this room. Its host can invite you.")]
    Removed,
    /// The host cannot be removed, muted or replaced by themselves.
    #[error("This is not possible with the host of the room.")]
    IsHost,
    /// The room is closed.
    #[error("The room is closed.")]
    RoomClosed,
    /// The room has reached its maximum number of participants.
    #[error("The room is full.")]
    RoomFull,
    /// The caller or target takes part already.
    #[error("This person is a participant already.")]
    AlreadyParticipant,
    /// Too many requests to join wait for a decision.
    #[error("Too many people are waiting to join this room.")]
    TooManyRequests,
    /// A refused request can be repeated only after a while.
    #[error("Your request was refused. Try again later.")]
    RequestedTooSoon(Duration),
    /// The caller was muted.
    #[error("You cannot send messages to this room at the moment.")]
    Muted,
    /// The room is in slow mode.
    #[error("This room is in slow mode. Wait before you send another message.")]
    SlowMode(Duration),
    /// The room does not allow files.
    #[error("This room does not allow files.")]
    FilesNotAllowed,
    /// The same client id was used for another message.
    #[error("This client_id was already used for another message.")]
    IdempotencyMismatch,
    /// The message is too old to be changed.
    #[error("The message can no longer be changed.")]
    TooLate,
    /// The message was deleted, or the server wrote it.
    #[error("This message cannot be changed.")]
    NotChangeable,
    /// The room has as many co-hosts as it may have.
    #[error("A room can have at most {0} co-hosts.")]
    TooManyCohosts(i64),
    /// Too many messages are pinned.
    #[error("At most {0} messages can be pinned.")]
    TooManyPins(i64),
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
            Error::RoomNotFound(_) => (Kind::NotFound, "room_not_found"),
            Error::MessageNotFound(_) => (Kind::NotFound, "message_not_found"),
            Error::UserNotFound => (Kind::NotFound, "user_not_found"),
            Error::NotFound(_) => (Kind::NotFound, "not_found"),
            Error::MayNotOpenRooms => (Kind::Forbidden, "not_a_teacher"),
            Error::NotParticipant => (Kind::Forbidden, "not_participant"),
            Error::NotHost => (Kind::Forbidden, "not_host"),
            Error::NotModerator => (Kind::Forbidden, "not_moderator"),
            Error::NotSender => (Kind::Forbidden, "not_sender"),
            Error::Removed => (Kind::Forbidden, "removed"),
            Error::IsHost => (Kind::Invalid, "is_host"),
            Error::RoomClosed => (Kind::Conflict, "room_closed"),
            Error::RoomFull => (Kind::Conflict, "room_full"),
            Error::AlreadyParticipant => (Kind::Conflict, "already_participant"),
            Error::TooManyRequests => (Kind::Conflict, "too_many_requests"),
            Error::RequestedTooSoon(wait) => {
                return Self::new(Kind::TooMany, "requested_too_soon", detail).retry_after(wait);
            }
            Error::Muted => (Kind::Forbidden, "muted"),
            Error::SlowMode(wait) => return Self::new(Kind::TooMany, "slow_mode", detail).retry_after(wait),
            Error::FilesNotAllowed => (Kind::Forbidden, "files_not_allowed"),
            Error::IdempotencyMismatch => (Kind::Conflict, "idempotency_mismatch"),
            Error::TooLate => (Kind::Conflict, "too_late"),
            Error::NotChangeable => (Kind::Conflict, "not_changeable"),
            Error::TooManyCohosts(_) => (Kind::Conflict, "too_many_cohosts"),
            Error::TooManyPins(_) => (Kind::Conflict, "too_many_pins"),
            Error::Kernel(error) => return error,
            Error::Database(cause) => return cause.into(),
        };
        Self::new(kind, code, detail)
    }
}

use guildhall_kernel::{self as kernel, Kind, UserId, db::Failure};
use sea_orm::DbErr;

use crate::UserTokenId;

/// What accounts and tokens refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name or the password is wrong, or the account may not sign in: never told which.
    #[error("No active account found with the given credentials.")]
    InvalidCredentials,
    /// The token is forged, malformed, of another kind, or its session has ended.
    #[error("{0}")]
    TokenNotValid(&'static str),
    /// The token was valid once.
    #[error("Token is expired.")]
    TokenExpired,
    /// The holder of a well-signed token may no longer sign in.
    #[error("User inactive or deleted.")]
    UserInactive,
    /// A refresh token was used a second time; its session has been ended.
    #[error("The refresh token was used before. The session has been ended; sign in again.")]
    TokenReused,
    /// Somebody has this name, in some spelling.
    #[error("A user with that username already exists.")]
    UsernameTaken,
    /// Another account has verified this address.
    #[error("Another account has verified that address.")]
    EmailTaken,
    /// No such user, or not for this caller.
    #[error("User {0} does not exist.")]
    UserNotFound(UserId),
    /// No such user.
    #[error("There is no user called {0:?}.")]
    NoSuchName(String),
    /// No such token, or another person's.
    #[error("Token {0} does not exist.")]
    UserTokenNotFound(UserTokenId),
    /// Only staff may do that.
    #[error("Only staff may do that.")]
    NotStaff,
    /// Only a superuser may do that to a superuser.
    #[error("Only a superuser may do that to a superuser.")]
    NotSuperuser,
    /// Without a superuser nobody could make one.
    #[error("This is the last superuser.")]
    LastSuperuser,
    /// The input is wrong, or the database or the kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<garde::Report> for Error {
    fn from(report: garde::Report) -> Self {
        Self::Kernel(report.into())
    }
}

impl Failure for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::InvalidCredentials => Self::new(Kind::Unauthenticated, "invalid_credentials", detail),
            Error::TokenNotValid(_) => Self::new(Kind::Unauthenticated, "token_not_valid", detail),
            Error::TokenExpired => Self::new(Kind::Unauthenticated, "token_expired", detail),
            Error::UserInactive => Self::new(Kind::Unauthenticated, "user_inactive", detail),
            Error::TokenReused => Self::new(Kind::Unauthenticated, "token_reused", detail),
            Error::UsernameTaken => Self::new(Kind::Conflict, "username_taken", detail),
            Error::EmailTaken => Self::new(Kind::Conflict, "email_taken", detail),
            Error::UserNotFound(_) | Error::NoSuchName(_) => Self::new(Kind::NotFound, "user_not_found", detail),
            Error::UserTokenNotFound(_) => Self::new(Kind::NotFound, "token_not_found", detail),
            Error::NotStaff => Self::new(Kind::Forbidden, "not_staff", detail),
            Error::NotSuperuser => Self::new(Kind::Forbidden, "not_superuser", detail),
            Error::LastSuperuser => Self::new(Kind::Conflict, "last_superuser", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

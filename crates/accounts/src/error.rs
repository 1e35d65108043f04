use std::time::Duration;

use guildhall_kernel::{self as kernel, Blocker, Kind, SessionId, UserId, db::Failure};
use sea_orm::DbErr;

use crate::{UserTokenId, throttle::throttled};

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
    /// No such session, or another person's.
    #[error("Session {0} does not exist.")]
    SessionNotFound(SessionId),
    /// The password was right; a code is asked for besides.
    #[error("A second factor is needed.")]
    SecondFactorRequired {
        /// For the second step.
        token: Unprinted,
    },
    /// The code is wrong, or was used before.
    #[error("The code is wrong or was used before.")]
    WrongCode,
    /// A second factor is set up already.
    #[error("A second factor is set up already. Remove it first.")]
    SecondFactorExists,
    /// There is no second factor, or none that waits to be confirmed.
    #[error("There is no second factor to be confirmed or removed.")]
    NoSecondFactor,
    /// The password has to be shown again before something that an attacker would do first.
    #[error("Show your password again: POST /api/auth/step-up/.")]
    StepUpRequired,
    /// Too much has failed; wait so long.
    #[error("Too many failed attempts. Try again later.")]
    Throttled(Duration),
    /// The link or token has been used, has expired, or was never made.
    #[error("Invalid or expired token.")]
    UsedToken,
    /// The password of the account is another one.
    #[error("Wrong password.")]
    WrongPassword {
        /// The field that it stood in.
        field: &'static str,
    },
    /// Things of this person keep the account from being removed.
    #[error("Things of this person have to go to somebody else first.")]
    Protected(Vec<Blocker>),
    /// Nobody can take over from themselves, nor can who is not there.
    #[error("Must be another active user.")]
    UnfitHeir,
    /// Only staff may do that.
    #[error("Only staff may do that.")]
    NotStaff,
    /// Only a superuser gives or takes the high roles, and looks after those who have them.
    #[error("Only a superuser may do that.")]
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

/// A secret on its way to a client, which is never printed.
#[derive(Clone)]
pub struct Unprinted(pub String);

impl std::fmt::Debug for Unprinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
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
            Self::Kernel(error) => error.database(),
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
            Error::SessionNotFound(_) => Self::new(Kind::NotFound, "session_not_found", detail),
            Error::SecondFactorRequired { token } => Self::new(Kind::Unauthenticated, "mfa_required", detail)
                .with("mfa_token", token.0)
                .with("methods", vec!["totp", "recovery_code"]),
            Error::WrongCode => Self::field("code", detail),
            Error::SecondFactorExists => Self::new(Kind::Conflict, "second_factor_exists", detail),
            Error::NoSecondFactor => Self::new(Kind::NotFound, "no_second_factor", detail),
            Error::StepUpRequired => Self::new(Kind::Forbidden, "step_up_required", detail),
            Error::Throttled(wait) => throttled(wait),
            Error::UsedToken => Self::field("token", detail),
            Error::WrongPassword { field } => Self::field(field, detail),
            Error::Protected(blockers) => {
                let blockers = serde_json::to_value(blockers).unwrap_or_default();
                Self::new(Kind::Conflict, "protected", detail).with("blockers", blockers)
            }
            Error::UnfitHeir => Self::field("reassign_to", detail),
            Error::NotStaff => Self::new(Kind::Forbidden, "not_staff", detail),
            Error::NotSuperuser => Self::new(Kind::Forbidden, "not_superuser", detail),
            Error::LastSuperuser => Self::new(Kind::Conflict, "last_superuser", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

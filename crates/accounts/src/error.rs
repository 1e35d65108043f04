use std::time::Duration;

use guildhall_kernel::{self as kernel, Blocker, Kind, SessionId, UserId};
use sea_orm::DbErr;
use secrecy::{ExposeSecret, SecretString};

use crate::{id::UserTokenId, throttle::throttled};

/// The errors of this crate's services.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The username or password is wrong, or the account is deactivated. Never discloses which.
    #[error("No active account found with the given credentials.")]
    InvalidCredentials,
    /// The token is forged, malformed or of the wrong type, or its session has ended.
    #[error("{0}")]
    TokenNotValid(&'static str),
    /// The token has expired.
    #[error("Token is expired.")]
    TokenExpired,
    /// The owner of a valid token has been deactivated.
    #[error("User inactive or deleted.")]
    UserInactive,
    /// A refresh token was reused; its session has been ended.
    #[error("The refresh token has already been used. The session has ended; sign in again.")]
    TokenReused,
    /// The username, in this or an equivalent spelling, is taken.
    #[error("A user with that username already exists.")]
    UsernameTaken,
    /// Another account has verified this email address.
    #[error("Another account has already verified that email address.")]
    EmailTaken,
    /// No such user, or not visible to this caller.
    #[error("User {0} does not exist.")]
    UserNotFound(UserId),
    /// No user has this username or verified email address.
    #[error("User {0:?} does not exist.")]
    UsernameNotFound(String),
    /// No such token, or another user's.
    #[error("Token {0} does not exist.")]
    UserTokenNotFound(UserTokenId),
    /// No such session, or another user's.
    #[error("Session {0} does not exist.")]
    SessionNotFound(SessionId),
    /// The password is correct, but the second factor is required.
    #[error("A second factor is required.")]
    SecondFactorRequired {
        /// The token for the second step.
        token: SecretString,
    },
    /// The code is wrong or has already been used.
    #[error("The code is wrong or has already been used.")]
    WrongCode,
    /// A second factor is already set up.
    #[error("A second factor is already set up. Remove it first.")]
    SecondFactorExists,
    /// There is no second factor, or none to confirm.
    #[error("There is no second factor to confirm or remove.")]
    NoSecondFactor,
    /// The operation requires that the password was confirmed recently.
    #[error("Confirm your password first: POST /api/auth/step-up/.")]
    StepUpRequired,
    /// Too many failed attempts; contains the time to wait.
    #[error("Too many failed attempts. Try again later.")]
    Throttled(Duration),
    /// The link or token is unknown, expired or already used.
    #[error("Invalid or expired token.")]
    InvalidOneTimeToken,
    /// The password is wrong.
    #[error("Wrong password.")]
    WrongPassword {
        /// The request field that contained it.
        field: &'static str,
    },
    /// Blockers prevent the user from being deleted.
    #[error("The user owns data that has to be reassigned first.")]
    Protected(Vec<Blocker>),
    /// The successor is the user themselves, or is not an active user.
    #[error("Must be another active user.")]
    InvalidSuccessor,
    /// The operation is limited to staff.
    #[error("Only staff can do that.")]
    NotStaff,
    /// Only a superuser can grant or revoke `staff` and `superuser`, and manage users who have them.
    #[error("Only a superuser can do that.")]
    NotSuperuser,
    /// The last superuser cannot be removed, since nobody could then appoint one.
    #[error("This is the last superuser.")]
    LastSuperuser,
    /// There is an active superuser already.
    #[error("There is a superuser already.")]
    AlreadySetUp,
    /// Invalid input, or another error from the kernel.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// A database error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

kernel::domain_error!(Error);

impl Error {
    /// The session of a token has ended.
    pub(crate) const SESSION_ENDED: Self = Self::TokenNotValid("The session has ended.");
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
            Error::UserNotFound(_) | Error::UsernameNotFound(_) => Self::new(Kind::NotFound, "user_not_found", detail),
            Error::UserTokenNotFound(_) => Self::new(Kind::NotFound, "token_not_found", detail),
            Error::SessionNotFound(_) => Self::new(Kind::NotFound, "session_not_found", detail),
            Error::SecondFactorRequired { token } => Self::new(Kind::Unauthenticated, "mfa_required", detail)
                .with("mfa_token", token.expose_secret())
                .with("methods", vec!["totp", "recovery_code"]),
            Error::WrongCode => Self::field("code", detail),
            Error::SecondFactorExists => Self::new(Kind::Conflict, "second_factor_exists", detail),
            Error::NoSecondFactor => Self::new(Kind::NotFound, "no_second_factor", detail),
            Error::StepUpRequired => Self::new(Kind::Forbidden, "step_up_required", detail),
            Error::Throttled(wait) => throttled(wait),
            Error::InvalidOneTimeToken => Self::field("token", detail),
            Error::WrongPassword { field } => Self::field(field, detail),
            Error::Protected(blockers) => {
                let blockers = serde_json::to_value(blockers).unwrap_or_default();
                Self::new(Kind::Conflict, "protected", detail).with("blockers", blockers)
            }
            Error::InvalidSuccessor => Self::field("reassign_to", detail),
            Error::NotStaff => Self::new(Kind::Forbidden, "not_staff", detail),
            Error::NotSuperuser => Self::new(Kind::Forbidden, "not_superuser", detail),
            Error::LastSuperuser => Self::new(Kind::Conflict, "last_superuser", detail),
            Error::AlreadySetUp => Self::new(Kind::Conflict, "already_set_up", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_contain_the_token_for_the_second_step() {
        let error = Error::SecondFactorRequired { token: "abc-DEF".into() };
        let text = format!("{error:?} {error}");
        assert!(text.contains("SecondFactorRequired") && !text.contains("abc-DEF"), "{text}");
        let problem = kernel::Error::from(error);
        assert_eq!(problem.extension("mfa_token"), Some(&"abc-DEF".into()));
        assert!(!format!("{problem:?} {problem}").contains("abc-DEF"));
    }
}

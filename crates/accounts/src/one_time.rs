//! One-time tokens: links in emails, the step between password and second factor, WebSocket tickets.
//! Each is stored as a hash, bound to one purpose, expires, and is invalidated when the account's
//! `auth_epoch` changes.

use std::time::Duration;

use guildhall_kernel::Timestamp;
use secrecy::SecretString;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    VerifyEmail,
    ChangeEmail,
    ResetPassword,
    SecondFactor,
    Socket,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::ResetPassword => "reset_password",
            Self::SecondFactor => "second_factor",
            Self::Socket => "socket",
        }
    }

    pub(crate) fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::VerifyEmail => 3 * 24 * 3600,
            Self::ChangeEmail | Self::ResetPassword => 3600,
            Self::SecondFactor => 5 * 60,
            Self::Socket => 30,
        })
    }
}

/// A new token. Only its hash is stored.
#[derive(Debug)]
pub(crate) struct OneTimeToken {
    pub(crate) token: SecretString,
    pub(crate) expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_contain_the_token() {
        let link = OneTimeToken { token: "abc-DEF".into(), expires_at: Timestamp::EPOCH };
        let text = format!("{link:?}");
        assert!(text.contains("expires_at") && !text.contains("abc-DEF"), "{text}");
    }
}

//! Why a socket is closed.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use serde_json::json;

/// Why a socket is closed. The codes are those of the API description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// There are no credentials, or they are not valid.
    NotAuthenticated,
    /// The credentials have expired: refresh them and reconnect.
    Expired,
    /// The session has ended.
    Revoked,
    /// The user may not follow the stream, or no longer.
    NotAllowed,
    /// What the stream is about does not exist.
    NotFound,
    /// What the stream is about was closed.
    Gone,
    /// The client does not read fast enough.
    TooSlow,
    /// The user has opened more sockets.
    Replaced,
    /// The client sends too much.
    Flooding,
    /// The client sends what is not understood.
    Protocol,
    /// The client sent a binary frame.
    Binary,
    /// The client sent a frame over the limit.
    TooLarge,
    /// The client sent a text frame that is not UTF-8.
    NotText,
    /// The client violates RFC 6455.
    NotWebSocket,
    /// The client is silent.
    Silent,
    /// The server stops.
    Restart,
    /// Something failed.
    Internal,
}

impl Close {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::NotAuthenticated | Self::Expired | Self::Revoked => 4401,
            Self::NotAllowed => 4403,
            Self::NotFound => 4404,
            Self::TooSlow => 4408,
            Self::Replaced => 4409,
            Self::Gone => 4410,
            Self::Flooding => 4429,
            Self::Protocol => 4400,
            Self::Binary => 1003,
            Self::TooLarge => 1009,
            Self::NotText => 1007,
            Self::NotWebSocket => 1002,
            Self::Silent => 1001,
            Self::Restart => 1012,
            Self::Internal => 1011,
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not_authenticated",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::Gone => "closed",
            Self::TooSlow => "too_slow",
            Self::Replaced => "replaced",
            Self::Flooding => "flooding",
            Self::Protocol => "protocol",
            Self::Binary => "binary",
            Self::TooLarge => "too_large",
            Self::NotText => "not_text",
            Self::NotWebSocket => "protocol_error",
            Self::Silent => "silent",
            Self::Restart => "restart",
            Self::Internal => "internal",
        }
    }

    /// The frames that close the socket: what the client should know, and the close frame.
    pub(crate) fn frames(self, retry_after: Option<Duration>) -> [Message; 2] {
        let mut bye = json!({ "type": "bye", "code": self.code(), "reason": self.reason() });
        if let Some(delay) = retry_after {
            bye["retry_after_ms"] = json!(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        }
        let close = CloseFrame { code: self.code(), reason: self.reason().into() };
        [Message::Text(bye.to_string().into()), Message::Close(Some(close))]
    }
}

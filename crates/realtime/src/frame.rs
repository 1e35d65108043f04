//! Events as they are sent to clients.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;

use crate::StreamName;

/// The number of an event in its stream, from 1 without gaps.
pub type Seq = i64;

/// Orders what is published of a stream: of two versions of one value, the larger is the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64, pub i64);

/// What an event is about, so that its content can be erased together with that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The stream of what it belongs to: the conversation of a message. It need not be the stream of the event.
    pub subject: StreamName,
    /// Its number there.
    pub no: i64,
}

/// An event of a stream, encoded once for all sockets.
#[derive(Debug)]
pub struct Frame {
    /// The number in the stream.
    pub seq: Seq,
    /// The user who may not receive any later event of the stream. For an event after which access is checked, the only
    /// user whose access is.
    pub removes: Option<UserId>,
    /// Whether it is the last event of the stream.
    pub closes: bool,
    /// The JSON object, without its number.
    body: Utf8Bytes,
    numbered: OnceLock<Utf8Bytes>,
    named: OnceLock<Utf8Bytes>,
}

impl Frame {
    /// The event with this number. `body` is a JSON object.
    pub fn new(seq: Seq, body: impl Into<Utf8Bytes>, removes: Option<UserId>) -> Arc<Self> {
        let (numbered, named) = (OnceLock::new(), OnceLock::new());
        let body = body.into();
        let closes = body.starts_with(CLOSING);
        Arc::new(Self { seq, removes, closes, body, numbered, named })
    }

    /// Whether the access of a user has to be checked again before they get a later event.
    pub(crate) fn checks(&self, user: UserId) -> bool {
        match self.body.as_str() {
            UNREADABLE => true,
            CHECK => self.removes.is_none_or(|checked| checked == user),
            _ => false,
        }
    }

    /// Whether a user may not receive any later event of the stream, whatever a check of their access says.
    pub(crate) fn ends_access_of(&self, user: UserId) -> bool {
        self.removes == Some(user) && self.body.as_str() != CHECK
    }

    /// What a user gets instead of an event that they may no longer see.
    pub(crate) fn hidden(&self) -> Arc<Self> {
        Self::new(self.seq, HIDDEN, self.removes)
    }

    /// The JSON object, as it was stored.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The event with its number, for a socket with one stream.
    pub(crate) fn numbered(&self) -> Utf8Bytes {
        self.numbered.get_or_init(|| with_members(&format!("\"seq\":{}", self.seq), &self.body).into()).clone()
    }

    /// The event with its number and the name of its stream, for a socket with several streams.
    pub(crate) fn named(&self, stream: &StreamName) -> Utf8Bytes {
        let members = || format!("\"stream\":\"{stream}\",\"seq\":{}", self.seq);
        self.named.get_or_init(|| with_members(&members(), &self.body).into()).clone()
    }
}

/// The JSON object of an event after which access is checked again. Only the whole text has that meaning.
pub(crate) const CHECK: &str = r#"{"type":"access_changed"}"#;
/// The JSON object that stands for a stored event whose key the process does not have. What it would have ended is
/// unknown, so access is checked again.
pub(crate) const UNREADABLE: &str = r#"{"type":"unreadable"}"#;
/// The JSON object that stands for an event which a user may no longer see, or whose content was erased. Equal to the one
/// in `keys.rs`.
pub(crate) const HIDDEN: &str = r#"{"type":"hidden"}"#;

/// How the JSON of the last event of a stream begins. It is a part of the event, so that it reaches all processes.
const CLOSING: &str = "{\"closes\":true";

/// The JSON object of an event, as the last one of its stream.
pub(crate) fn closing(object: &str) -> String {
    with_members("\"closes\":true", object)
}

/// Adds members to the begin of a JSON object.
fn with_members(members: &str, object: &str) -> String {
    let rest = object.trim_start().strip_prefix('{').unwrap_or("}").trim_start();
    let separator = if rest.starts_with('}') { "" } else { "," };
    format!("{{{members}{separator}{rest}")
}

/// A JSON object with the name of a stream, for a socket with several streams.
pub(crate) fn with_stream(stream: &StreamName, object: &str) -> Utf8Bytes {
    with_members(&format!("\"stream\":\"{stream}\""), object).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_checked_after_an_event_that_cannot_be_read() {
        let checks = |body: &'static str| Frame::new(1, body, None).checks(UserId(5));
        assert!(checks(UNREADABLE) && checks(CHECK) && !checks(HIDDEN));
    }

    #[test]
    fn a_check_of_one_user_ends_nothing_by_itself() {
        let (check, removal) = (Frame::new(1, CHECK, Some(UserId(5))), Frame::new(2, "{}", Some(UserId(5))));
        assert!(check.checks(UserId(5)) && !check.checks(UserId(6)));
        assert!(!check.ends_access_of(UserId(5)) && !removal.checks(UserId(5)));
        assert!(removal.ends_access_of(UserId(5)) && !removal.ends_access_of(UserId(6)));
    }

    #[test]
    fn the_number_and_the_stream_are_members_of_the_object() {
        let stream: StreamName = "room/7".parse().unwrap();
        let frame = Frame::new(3, r#"{"type":"message"}"#, None);
        assert_eq!(frame.numbered().as_str(), r#"{"seq":3,"type":"message"}"#);
        assert_eq!(frame.named(&stream).as_str(), r#"{"stream":"room/7","seq":3,"type":"message"}"#);
        assert_eq!(Frame::new(3, "{}", None).numbered().as_str(), r#"{"seq":3}"#);
        assert!(!frame.closes && Frame::new(4, closing(r#"{"type":"closed"}"#), None).closes);
        assert_eq!(with_stream(&stream, r#"{"type":"typing"}"#).as_str(), r#"{"stream":"room/7","type":"typing"}"#);
    }
}

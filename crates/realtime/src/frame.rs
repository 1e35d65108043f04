//! Events as they are sent to clients.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;

use crate::StreamName;

/// The number of an event in its stream, from 1 without gaps.
pub type Seq = i64;

/// An event of a stream, encoded once for all sockets.
#[derive(Debug)]
pub struct Frame {
    /// The number in the stream.
    pub seq: Seq,
    /// The user who may not receive any later event of the stream.
    pub removes: Option<UserId>,
    /// The JSON object, without its number.
    body: Utf8Bytes,
    numbered: OnceLock<Utf8Bytes>,
    named: OnceLock<Utf8Bytes>,
}

impl Frame {
    /// The event with this number. `body` is a JSON object.
    pub fn new(seq: Seq, body: impl Into<Utf8Bytes>, removes: Option<UserId>) -> Arc<Self> {
        let (numbered, named) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { seq, removes, body: body.into(), numbered, named })
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
    fn the_number_and_the_stream_are_members_of_the_object() {
        let stream: StreamName = "room/7".parse().unwrap();
        let frame = Frame::new(3, r#"{"type":"message"}"#, None);
        assert_eq!(frame.numbered().as_str(), r#"{"seq":3,"type":"message"}"#);
        assert_eq!(frame.named(&stream).as_str(), r#"{"stream":"room/7","seq":3,"type":"message"}"#);
        assert_eq!(Frame::new(3, "{}", None).numbered().as_str(), r#"{"seq":3}"#);
        assert_eq!(with_stream(&stream, r#"{"type":"typing"}"#).as_str(), r#"{"stream":"room/7","type":"typing"}"#);
    }
}

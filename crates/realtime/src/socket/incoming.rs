//! What clients send.

use guildhall_kernel::{Error, Kind, Result, idempotency::is_client_id};
use serde_json::Value;

use crate::{Command, Position, StreamName};

/// The maximum number of levels of objects and lists in a frame.
const MAX_DEPTH: u32 = 16;

/// A frame of a client.
pub(crate) struct Incoming {
    pub(crate) kind: String,
    /// The client's own id of the frame, which the reply repeats.
    pub(crate) client_id: Option<String>,
    pub(crate) token: Option<String>,
    /// All members but the type.
    pub(crate) command: Command,
}

fn invalid(code: &'static str, detail: &'static str) -> Error {
    Error::new(Kind::Invalid, code, detail)
}

/// Whether a value has at most so many levels of objects and lists.
fn is_within(value: &Value, levels: u32) -> bool {
    let is_inner_within = |value| is_within(value, levels - 1);
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(is_inner_within),
        Value::Object(members) => levels > 0 && members.values().all(is_inner_within),
        _ => true,
    }
}

impl Incoming {
    /// Reads a frame. `{"message": "hi"}` is the short form of `{"type": "message", "content": "hi"}`, and
    /// `chat_message` means `message`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Ok(Value::Object(mut command)) = serde_json::from_str(text) else {
            return Err(invalid("bad_frame", "A frame must be a JSON object."));
        };
        if command.values().any(|value| !is_within(value, MAX_DEPTH - 1)) {
            return Err(invalid("bad_frame", "A frame must not be nested deeper than 16 levels."));
        }
        let kind = match command.remove("type") {
            Some(Value::String(kind)) if kind == "chat_message" => "message".to_owned(),
            Some(Value::String(kind)) => kind,
            None if command.contains_key("message") => "message".to_owned(),
            _ => return Err(invalid("bad_frame", "A frame must have a type.")),
        };
        if kind == "message"
            && !command.contains_key("content")
            && let Some(content) = command.remove("message")
        {
            command.insert("content".to_owned(), content);
        }
        let client_id = match command.get("client_id") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if is_client_id(id) => Some(id.clone()),
            Some(_) => {
                return Err(invalid("bad_client_id", "client_id must be 1 to 64 ASCII letters, digits, _ or -."));
            }
        };
        let token = match command.remove("token") {
            Some(Value::String(token)) => Some(token),
            _ => None,
        };
        Ok(Self { kind, client_id, token, command })
    }

    /// The stream that the frame is about.
    pub(crate) fn stream(&self) -> Result<StreamName> {
        let name = self.command.get("stream").and_then(Value::as_str);
        let stream = name.and_then(|name| name.parse().ok());
        stream.ok_or_else(|| invalid("bad_stream", "stream must be a kind and ids, like room/7."))
    }

    /// Where a subscription should begin.
    pub(crate) fn position(&self) -> Result<Position> {
        let number = |name: &'static str| match self.command.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_i64().filter(|number| *number >= 0) {
                Some(number) => Ok(Some(number)),
                None => Err(Error::field(name, "Must be a whole number from 0.")),
            },
        };
        Ok(Position { after: number("after")?, epoch: number("epoch")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_forms_are_messages() {
        for text in [
            r#"{"type":"message","content":"hi"}"#,
            r#"{"type":"chat_message","content":"hi"}"#,
            r#"{"message":"hi"}"#,
            r#"{"type":"message","message":"hi"}"#,
        ] {
            let incoming = Incoming::parse(text).unwrap();
            assert_eq!((incoming.kind.as_str(), &incoming.command["content"]), ("message", &"hi".into()), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_frame_is_an_error() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        for text in ["", "hi", "[]", "3", "{}", r#"{"type":7}"#, r#"{"content":"hi"}"#, &deep] {
            assert_eq!(Incoming::parse(text).err().unwrap().code(), "bad_frame", "{text:.20}");
        }
        let nested = |levels: usize| {
            Incoming::parse(&format!("{{\"type\":\"a\",\"b\":{}1{}}}", "[".repeat(levels), "]".repeat(levels)))
        };
        assert!(nested(15).is_ok());
        assert_eq!(nested(16).err().unwrap().code(), "bad_frame");
        for id in ["\"\"", "\"a b\"", "7", "\"é\"", &format!("\"{}\"", "a".repeat(65))] {
            let text = format!(r#"{{"type":"message","client_id":{id}}}"#);
            assert_eq!(Incoming::parse(&text).err().unwrap().code(), "bad_client_id", "{id}");
        }
    }

    #[test]
    fn a_position_is_a_whole_number() {
        let of = |text: &str| Incoming::parse(text).unwrap().position();
        assert_eq!(of(r#"{"type":"subscribe"}"#).unwrap(), Position::default());
        assert_eq!(of(r#"{"type":"subscribe","after":7}"#).unwrap().after, Some(7));
        for bad in ["-1", "1.5", "\"7\"", "true", "1e30"] {
            assert!(of(&format!(r#"{{"type":"subscribe","after":{bad}}}"#)).is_err(), "{bad}");
        }
    }
}

//! The check of an exported room, without its server.

use std::{
    collections::HashSet,
    io::{self, BufRead, Read},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    canonical, chain, content_hash,
    export::{ExportEvent, ExportHeader, FORMAT},
};
use crate::id::RoomId;

/// The longest line, in bytes: a content has at most 10,000 characters, each of which is at most six bytes of JSON.
const MAX_LINE: u64 = 256 * 1024;

/// What a valid export contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedExport {
    /// The room.
    pub room_id: RoomId,
    /// Its name, which the hashes do not cover.
    pub name: String,
    /// The number of events.
    pub events: i64,
    /// The number of contents that are there, and match their hashes.
    pub contents: u64,
    /// The number of contents whose messages were deleted, as events of the export say.
    pub deleted: usize,
    /// The hash of the last event. If it is the one that the server reports, nothing is missing.
    pub last_hash: String,
}

/// Why an export is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidExport {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line has another form, or is too long.
    #[error("line {0} is not a line of an exported room")]
    Malformed(u64),
    /// It has another format.
    #[error("the format is not {FORMAT}")]
    Format,
    /// An event is missing, or is not in its place.
    #[error("event {0} is missing or not in its place")]
    Missing(i64),
    /// An event is not the one whose hash is in the chain.
    #[error("event {0} was changed: its hash does not match")]
    Changed(i64),
    /// A content is not the one that was written.
    #[error("the content of event {0} was changed: its hash does not match")]
    ContentChanged(i64),
    /// Contents are missing although no event deletes their messages: so many, and the first of them is that of this
    /// event. They were removed from the export, or the messages were deleted after its last event.
    #[error(
        "missing contents: {0}, the first at event {1}; no event deletes their messages \
         (a deletion after the end of the export can cause this)"
    )]
    ContentMissing(usize, i64),
    /// The last hash is not the one in the first line.
    #[error("the last hash is not that of the first line")]
    LastHash,
}

/// Checks that an export is complete and unchanged.
///
/// # Errors
/// If it is not, or cannot be read.
pub fn verify_export(reader: impl BufRead) -> Result<VerifiedExport, InvalidExport> {
    let mut lines = Lines { reader, number: 0 };
    let header: ExportHeader = lines.next()?.ok_or(InvalidExport::Malformed(1))?;
    if header.format != FORMAT {
        return Err(InvalidExport::Format);
    }
    let (mut seq, mut hash) = (0, String::new());
    let mut contents = 0;
    // The events without their contents with their messages, and the messages that were deleted.
    let (mut absent, mut deleted) = (Vec::new(), HashSet::new());
    while let Some(event) = lines.next::<ExportEvent>()? {
        seq += 1;
        let is_in_place = event.seq == seq
            && event.record.get("seq") == Some(&Value::from(seq))
            && event.record.get("room") == Some(&Value::from(header.room_id.0));
        if !is_in_place {
            return Err(InvalidExport::Missing(seq));
        }
        hash = chain(&hash, &canonical(&event.record));
        if hash != event.hash {
            return Err(InvalidExport::Changed(seq));
        }
        let message = event.record.get("message").and_then(Value::as_i64);
        if event.record.get("type").and_then(Value::as_str) == Some("message_deleted") {
            deleted.extend(message);
        }
        let expected = event.record.get("content_hash").and_then(Value::as_str);
        match (expected, &event.content) {
            (Some(expected), Some(content)) => {
                let salt = event.salt.as_deref().unwrap_or_default();
                if content_hash(salt, content.as_bytes()) != expected {
                    return Err(InvalidExport::ContentChanged(seq));
                }
                contents += 1;
            }
            (Some(_), None) => absent.push((seq, message)),
            (None, Some(_)) => return Err(InvalidExport::ContentChanged(seq)),
            (None, None) => {}
        }
    }
    if seq != header.last_seq {
        return Err(InvalidExport::Missing(seq + 1));
    }
    if hash != header.last_hash {
        return Err(InvalidExport::LastHash);
    }
    let is_deleted = |message: &Option<i64>| message.is_some_and(|message| deleted.contains(&message));
    let missing: Vec<i64> = absent.iter().filter(|(_, message)| !is_deleted(message)).map(|(seq, _)| *seq).collect();
    if let Some(first) = missing.first() {
        return Err(InvalidExport::ContentMissing(missing.len(), *first));
    }
    Ok(VerifiedExport {
        room_id: header.room_id,
        name: header.name,
        events: seq,
        contents,
        deleted: absent.len(),
        last_hash: hash,
    })
}

/// The lines of an export.
struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, InvalidExport> {
        self.number += 1;
        let mut line = Vec::new();
        let length = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        let parsed = serde_json::from_slice(&line).ok();
        let parsed = parsed.filter(|_| line.ends_with(b"\n"));
        parsed.map(Some).ok_or(InvalidExport::Malformed(self.number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An export of a room with a message, its deletion and another message.
    fn export() -> Vec<Value> {
        let records = [
            json!({"room": 3, "seq": 1, "type": "message", "message": 7, "content_hash": content_hash("s", b"gone")}),
            json!({"room": 3, "seq": 2, "type": "message_deleted", "message": 7}),
            json!({
                "room": 3, "seq": 3, "type": "message", "message": 8,
                "content_hash": content_hash("t", "hé".as_bytes()),
            }),
        ];
        let mut hash = String::new();
        let mut lines = vec![Value::Null];
        for (seq, record) in (1..).zip(records) {
            hash = chain(&hash, &canonical(&record));
            lines.push(json!({"seq": seq, "hash": hash, "record": record}));
        }
        lines[3]["content"] = "hé".into();
        lines[3]["salt"] = "t".into();
        lines[0] = json!({
            "format": FORMAT, "room_id": 3, "name": "den", "last_seq": 3, "last_hash": hash,
            "exported_at": "2025-01-04T10:30:00.000000Z",
        });
        lines
    }

    fn verify(lines: &[Value]) -> Result<VerifiedExport, InvalidExport> {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        verify_export(text.as_bytes())
    }

    #[test]
    fn an_unchanged_export_is_valid() {
        let verified = verify(&export()).unwrap();
        assert_eq!((verified.events, verified.contents, verified.deleted), (3, 1, 1));
    }

    #[test]
    fn every_change_is_found() {
        let changed = |change: fn(&mut Vec<Value>)| {
            let mut lines = export();
            change(&mut lines);
            verify(&lines).unwrap_err().to_string()
        };
        assert_eq!(changed(|lines| drop(lines.remove(2))), "event 2 is missing or not in its place");
        assert_eq!(changed(|lines| drop(lines.pop())), "event 3 is missing or not in its place");
        assert_eq!(changed(|lines| lines.swap(1, 2)), "event 1 is missing or not in its place");
        let hash = "event 2 was changed: its hash does not match";
        assert_eq!(changed(|lines| lines[2]["record"]["actor"] = 7.into()), hash);
        let content = "the content of event 3 was changed: its hash does not match";
        assert_eq!(changed(|lines| lines[3]["content"] = "hi".into()), content);
        let missing = changed(|lines| drop(lines[3].as_object_mut().unwrap().remove("content")));
        assert!(missing.starts_with("missing contents: 1, the first at event 3"), "{missing}");
        assert_eq!(changed(|lines| lines[0]["last_hash"] = "x".into()), "the last hash is not that of the first line");
        assert_eq!(changed(|lines| lines[0]["format"] = "x".into()), format!("the format is not {FORMAT}"));
        assert_eq!(changed(|lines| lines[1] = "x".into()), "line 2 is not a line of an exported room");
    }

    #[test]
    fn what_is_no_export_is_malformed() {
        for text in ["", "x", "{}\n", &"x".repeat(300_000)] {
            assert!(matches!(verify_export(text.as_bytes()), Err(InvalidExport::Malformed(1))), "{text:.10}");
        }
    }
}

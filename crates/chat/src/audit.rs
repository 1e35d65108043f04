//! The chain of hashes over the events of a room, and the check of an exported room.
//!
//! The hash of an event is SHA-256 over the hash of the event before it and the event's record, so that no event can be
//! changed, left out or inserted without changing all later hashes. A record contains the hash of a content instead of
//! the content, so that the chain stays valid when a message is deleted.

mod export;
mod verify;

pub use export::{ExportEvent, ExportHeader, FORMAT};
pub use verify::{InvalidExport, VerifiedExport, verify_export};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// JSON with the members of objects in the order of their names, and without white space (RFC 8785, for texts, whole
/// numbers and what consists of them).
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let members =
                sorted.into_iter().map(|(name, value)| format!("{}:{}", Value::from(&**name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The hash of an event: over the hash of the one before it, which is empty for the first one, and its record.
pub(crate) fn chain(previous: &str, record: &str) -> String {
    hash([previous.as_bytes(), record.as_bytes()])
}

/// The hash of a content, which its random salt keeps from being guessed.
pub(crate) fn content_hash(salt: &str, content: &[u8]) -> String {
    hash([salt.as_bytes(), content])
}

fn hash(parts: [&[u8]; 2]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_members() {
        let value = json!({"b": [1, {"z": null, "a": "\"é\n"}], "a": true});
        assert_eq!(canonical(&value), r#"{"a":true,"b":[1,{"a":"\"é\n","z":null}]}"#);
    }

    #[test]
    fn a_hash_depends_on_the_one_before_it() {
        assert_eq!(chain("", "").len(), 64);
        assert_ne!(chain("a", "x"), chain("b", "x"));
        assert_ne!(content_hash("a", b"x"), content_hash("b", b"x"));
    }
}

//! What people have written, as it is stored.

use std::fmt;

use guildhall_kernel::{
    Timestamp, UserId,
    cipher::{KeyRing, Sealed, Unreadable},
};

use crate::{error::Result, id::ConversationId};

/// The content of a message, or of a revision of it, as it is stored. It is encrypted for its conversation, number and
/// time, so that the database cannot pass it off as another message or revision. A revision takes over the stored
/// content of its message.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) text: String,
    pub(crate) key_id: Option<String>,
}

/// The message that a content belongs to, and when it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) conversation: ConversationId,
    pub(crate) no: i64,
    pub(crate) written_at: Timestamp,
}

// Equal to the `context` in `sql/keys.rs`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conversation, no, written_at } = self;
        write!(f, "messaging_message.content/{conversation}/{no}/{}", written_at.unix_micros())
    }
}

impl Content {
    /// The content as it is to be stored.
    pub(crate) fn seal(keys: &KeyRing, text: &str, place: Place) -> Result<Self> {
        let Sealed { text, key_id } = keys.seal(text.to_owned(), place)?;
        Ok(Self { text, key_id })
    }

    /// The text that was written.
    pub(crate) fn open(self, keys: &KeyRing, place: Place) -> Result<String, Unreadable> {
        keys.open(self.text, self.key_id.as_deref(), place).inspect_err(|cause| warn(&place, *cause))
    }
}

/// A draft as it is to be stored.
pub(crate) fn seal_draft(keys: &KeyRing, text: String, conversation: ConversationId, user: UserId) -> Result<Sealed> {
    Ok(keys.seal(text, draft_place(conversation, user))?)
}

/// The draft of a user; `None` if it cannot be read.
pub(crate) fn open_draft(
    keys: &KeyRing,
    text: String,
    key_id: Option<&str>,
    conversation: ConversationId,
    user: UserId,
) -> Option<String> {
    let place = draft_place(conversation, user);
    keys.open(text, key_id, &place).inspect_err(|cause| warn(&place, *cause)).ok()
}

// Equal to the `context` in `sql/keys.rs`.
fn draft_place(conversation: ConversationId, user: UserId) -> String {
    format!("messaging_member.draft/{conversation}/{user}")
}

/// Missing keys are reported when the server starts, and by `doctor`.
fn warn(place: &impl fmt::Display, cause: Unreadable) {
    if cause == Unreadable::Damaged {
        tracing::error!(%place, "an encrypted text is damaged, or belongs to another row");
    }
}

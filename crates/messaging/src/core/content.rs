//! The encryption of what people have written.

use std::fmt;

use guildhall_kernel::{
    Timestamp, UserId,
    cipher::{KeyRing, Unreadable},
};

use crate::id::ConversationId;

/// What the content of a message, or of a revision of it, is encrypted for: its conversation, number and time, so that
/// the database cannot pass it off as another message or revision. A revision takes over the stored content of its
/// message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageContext {
    pub(crate) conversation: ConversationId,
    pub(crate) no: i64,
    pub(crate) written_at: Timestamp,
}

// Equal to the `context` in `sql/keys.rs`.
impl fmt::Display for MessageContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { conversation, no, written_at } = self;
        write!(f, "messaging_message.content/{conversation}/{no}/{}", written_at.unix_micros())
    }
}

/// What the draft of a user is encrypted for.
// Equal to the `context` in `sql/keys.rs`.
pub(crate) fn draft_context(conversation: ConversationId, user: UserId) -> String {
    format!("messaging_member.draft/{conversation}/{user}")
}

/// A stored text as it was written. Logs a text that is damaged; missing keys are reported when the server starts, and
/// by `doctor`.
pub(crate) fn open(
    keys: &KeyRing,
    text: String,
    key_id: Option<&str>,
    context: impl fmt::Display,
) -> Result<String, Unreadable> {
    keys.open(text, key_id, &context).inspect_err(|cause| {
        if *cause == Unreadable::Damaged {
            tracing::error!(%context, "an encrypted text is damaged, or belongs to another row");
        }
    })
}

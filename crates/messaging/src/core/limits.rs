//! Limits on how much a user sends, in this process.

use std::{num::NonZeroU32, time::Duration};

use guildhall_kernel::{KeyedLimiter, UserId};

use crate::{error::Result, id::ConversationId, settings::Settings};

/// How often the others are notified that a user is typing.
const TYPING_INTERVAL: Duration = Duration::from_secs(3);

/// A user in a conversation, and whether they have begun or stopped typing.
type Typing = (UserId, ConversationId, bool);

/// The rate limiters.
pub(crate) struct Limits {
    sends: Option<KeyedLimiter<UserId>>,
    typing: Option<KeyedLimiter<Typing>>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let burst = NonZeroU32::new(settings.send_burst);
        let per_second = NonZeroU32::new(settings.sends_per_second);
        let sends = per_second.zip(burst).map(|(per_second, burst)| KeyedLimiter::per_second(per_second, burst));
        Self { sends, typing: KeyedLimiter::once_in(TYPING_INTERVAL) }
    }

    /// Counts a message, an edit or a reaction of a user, each of which is stored for all members; 429 above the limit.
    pub(crate) fn count_send(&self, user: UserId) -> Result<()> {
        let Some(sends) = &self.sends else { return Ok(()) };
        Ok(sends.count(&user, "Too many messages, edits or reactions in a short time. Try again later.")?)
    }

    /// Whether the others are notified now that a user has begun or stopped typing.
    pub(crate) fn allow_typing(&self, user: UserId, conversation: ConversationId, is_on: bool) -> bool {
        self.typing.as_ref().is_none_or(|typing| typing.check(&(user, conversation, is_on)).is_ok())
    }
}

//! Limits on how much a user sends, in this process.

use std::{num::NonZeroU32, time::Duration};

use guildhall_kernel::{KeyedLimiter, UserId};

use crate::{error::Result, id::RoomId, settings::Settings};

/// How often it is published that a user is typing.
const TYPING_INTERVAL: Duration = Duration::from_secs(3);

/// A user in a room.
type Place = (UserId, RoomId);

/// The rate limiters.
pub(crate) struct Limits {
    sends: Option<KeyedLimiter<Place>>,
    typing: Option<KeyedLimiter<Place>>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let burst = NonZeroU32::new(settings.send_burst);
        let per_second = NonZeroU32::new(settings.sends_per_second);
        let sends = per_second.zip(burst).map(|(per_second, burst)| KeyedLimiter::per_second(per_second, burst));
        Self { sends, typing: KeyedLimiter::once_in(TYPING_INTERVAL) }
    }

    /// Counts what a user sends to a room; 429 above the limit.
    pub(crate) fn count_send(&self, user: UserId, room: RoomId) -> Result<()> {
        let Some(sends) = &self.sends else { return Ok(()) };
        Ok(sends.count(&(user, room), "Too many messages in a short time. Try again later.")?)
    }

    /// Whether it is published now that a user is typing.
    pub(crate) fn allow_typing(&self, user: UserId, room: RoomId) -> bool {
        self.typing.as_ref().is_none_or(|typing| typing.check(&(user, room)).is_ok())
    }
}

//! Limits on how much a user sends, in this process.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock as _};
use guildhall_kernel::{self as kernel, Kind, UserId};

use crate::{
    error::{Error, Result},
    id::ConversationId,
    settings::Settings,
};

/// The number of keys in a limiter above which idle ones are dropped.
const MAX_TRACKED: usize = 10_000;
/// How often the others are told that a user is typing.
const TYPING_INTERVAL: Duration = Duration::from_secs(3);

/// A user in a conversation, and whether they have begun or stopped typing.
type Typing = (UserId, ConversationId, bool);

/// The rate limiters.
pub(crate) struct Limits {
    sends: Option<DefaultKeyedRateLimiter<UserId>>,
    typing: Option<DefaultKeyedRateLimiter<Typing>>,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let burst = NonZeroU32::new(settings.send_burst);
        let per_second = NonZeroU32::new(settings.sends_per_second);
        let sends = per_second.zip(burst).map(|(per_second, burst)| Quota::per_second(per_second).allow_burst(burst));
        Self {
            sends: sends.map(DefaultKeyedRateLimiter::keyed),
            typing: Quota::with_period(TYPING_INTERVAL).map(DefaultKeyedRateLimiter::keyed),
        }
    }

    /// Counts a message of a user; 429 above the limit.
    pub(crate) fn count_send(&self, user: UserId) -> Result<()> {
        let Some(sends) = &self.sends else { return Ok(()) };
        if sends.len() > MAX_TRACKED {
            sends.retain_recent();
        }
        sends.check_key(&user).map_err(|not_until| {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            let detail = "Too many messages in a short time. Try again later.";
            let error = kernel::Error::new(Kind::TooMany, "rate_limited", detail);
            Error::Kernel(error.retry_after(wait.max(Duration::from_secs(1))))
        })
    }

    /// Whether the others are told now that a user has begun or stopped typing.
    pub(crate) fn allow_typing(&self, user: UserId, conversation: ConversationId, is_on: bool) -> bool {
        let Some(typing) = &self.typing else { return true };
        if typing.len() > MAX_TRACKED {
            typing.retain_recent();
        }
        typing.check_key(&(user, conversation, is_on)).is_ok()
    }
}

//! Throttling of failed attempts and rate limits. Counters are stored in the database, so that they
//! survive restarts and are shared by all nodes.
//!
//! Failures are counted in three ways, none of which reveals whether an account exists:
//!
//! - per account and network: after 5 failures each further one doubles the wait, from one second up
//!   to 15 minutes;
//! - per network: 30 failures in ten minutes, across all accounts. Users who are signed in or have signed in from
//!   the network before are exempt, so that a few guesses do not lock out everybody else there;
//! - per account: after 100 consecutive failures (NIST SP 800-63B-4 §3.2.2) only networks from which the
//!   owner has signed in before can try. An attacker therefore cannot lock out the owner on a known network;
//!   elsewhere the owner can reset the password.
//!
//! Successful operations that cost a password hash or send an email are rate-limited: registrations and password reset
//! requests per network, sign-ins per user. All numbers are settings ([`AccountLimits`]).

use std::time::Duration;

use guildhall_kernel::{Kind, Origin, Timestamp, UserId, secret::Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{AccountLimits, entity::throttle};

/// Tolerated clock skew between nodes. Counters from further in the future were written by a wrong clock.
pub(crate) const SKEW: Duration = Duration::from_secs(60);
/// The pause before the next email to an address: (emails sent so far, pause).
pub(crate) const EMAIL_PAUSES: [(i64, Duration); 4] = [
    (1, Duration::from_secs(60)),
    (2, Duration::from_secs(5 * 60)),
    (3, Duration::from_secs(15 * 60)),
    (4, Duration::from_secs(60 * 60)),
];

/// What an attempt is made against.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The username or email address as it was entered. A counter shared by both would reveal that they
    /// belong to the same account.
    Name(&'a str),
    /// The password of a signed-in user.
    User(UserId),
    /// The second factor of an account.
    SecondFactor(UserId),
}

impl Target<'_> {
    fn account(self) -> String {
        match self {
            Self::Name(name) => format!("name {name}"),
            Self::User(user) => format!("user {user}"),
            Self::SecondFactor(user) => format!("second factor {user}"),
        }
    }
}

/// Decides which attempts have to wait. The counters are read and written in `sql/throttle.rs`.
pub(crate) struct Throttle {
    key: Secret,
    pub(crate) enabled: bool,
    pub(crate) limits: AccountLimits,
}

/// An operation whose rate is limited.
#[derive(Clone, Copy)]
pub(crate) enum RateLimit {
    /// A registration from the network of the request.
    Registration,
    /// A password reset request from the network of the request.
    Reset,
    /// A sign-in of a user.
    SignIn(UserId),
}

/// An attempt to enter a password or code.
#[derive(Clone)]
pub(crate) struct Attempt {
    /// The account that it is made against, if any.
    pub(crate) user: Option<UserId>,
    is_signed_in: bool,
    pub(crate) network: Vec<u8>,
    /// Account and network, network, account.
    pub(crate) buckets: [Vec<u8>; 3],
}

impl Throttle {
    pub(crate) fn new(key: Secret, enabled: bool, limits: AccountLimits) -> Self {
        Self { key, enabled, limits }
    }

    /// The key of a counter.
    pub(crate) fn bucket(&self, parts: &[&str]) -> Vec<u8> {
        // HMAC accepts keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return Vec::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().to_vec()
    }

    /// An attempt from the network of the current request; `user` is the account that the target belongs to, if any.
    pub(crate) fn attempt(&self, target: Target<'_>, user: Option<UserId>) -> Attempt {
        let [pair, account] = self.own_buckets(target);
        let buckets = [pair, self.bucket(&["network", &Origin::current().network()]), account];
        let is_signed_in = matches!(target, Target::User(_));
        Attempt { user, is_signed_in, network: self.network(), buckets }
    }

    /// The counters of a target that a success resets: from the network of the current request, and overall.
    pub(crate) fn own_buckets(&self, target: Target<'_>) -> [Vec<u8>; 2] {
        let account = target.account();
        [self.bucket(&["pair", &account, &Origin::current().network()]), self.bucket(&["account", &account])]
    }

    /// The network of the current request, as it is stored with the users that are known there.
    pub(crate) fn network(&self) -> Vec<u8> {
        self.bucket(&["known", &Origin::current().network()])
    }

    /// How long the attempt has to wait because of this counter.
    pub(crate) fn required_wait(
        &self,
        attempt: &Attempt,
        is_known: bool,
        count: &throttle::Model,
        now: Timestamp,
    ) -> Option<Duration> {
        let limits = &self.limits;
        if count.updated_at > now + SKEW {
            return None;
        }
        let [pair, network, account] = &attempt.buckets;
        let (until, longest) = match &count.bucket {
            bucket if bucket == pair && count.failures >= i64::from(limits.free_failures) => {
                let doublings = u32::try_from(count.failures - i64::from(limits.free_failures)).unwrap_or(u32::MAX);
                let wait = Duration::from_secs(2_u64.saturating_pow(doublings)).min(limits.longest_wait());
                (count.updated_at + wait, wait)
            }
            bucket if bucket == network && count.failures >= i64::from(limits.failures_per_network) => {
                if is_known || attempt.is_signed_in {
                    return None;
                }
                (count.forgotten_at, limits.network_window())
            }
            bucket if bucket == account && count.failures >= i64::from(limits.failures_per_account) && !is_known => {
                (now + limits.longest_wait(), limits.longest_wait())
            }
            _ => return None,
        };
        Some(until.since(now).min(longest)).filter(|wait| !wait.is_zero())
    }
}

/// How long to wait for the next email to an address.
pub(crate) fn email_wait(count: &throttle::Model, now: Timestamp) -> Duration {
    let pauses = EMAIL_PAUSES.iter().filter(|(sent, _)| count.failures >= *sent).map(|(_, pause)| *pause);
    let pause = pauses.max().unwrap_or_default();
    (count.updated_at + pause).since(now).min(pause)
}

/// 429 with the time to wait.
pub(crate) fn throttled(wait: Duration) -> guildhall_kernel::Error {
    let detail = "Too many attempts. Try again later.";
    guildhall_kernel::Error::new(Kind::TooMany, "throttled", detail).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_emails_grows_up_to_an_hour() {
        let sent_at = Timestamp::EPOCH;
        let wait = |sent: i64, elapsed: u64| {
            let count =
                throttle::Model { bucket: Vec::new(), failures: sent, updated_at: sent_at, forgotten_at: sent_at };
            email_wait(&count, sent_at + Duration::from_secs(elapsed)).as_secs()
        };
        assert_eq!([wait(1, 0), wait(2, 0), wait(3, 0), wait(4, 0), wait(9, 0)], [60, 300, 900, 3600, 3600]);
        assert_eq!([wait(1, 59), wait(1, 60), wait(4, 3000)], [1, 0, 600]);
    }
}

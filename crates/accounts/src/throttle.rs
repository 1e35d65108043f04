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

use guildhall_kernel::{Kind, Origin, Timestamp, UserId, mail::address_key, secret::Secret};
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use sha2::Sha256;

use crate::{
    AccountLimits, Error, Result,
    entity::{known_network, throttle, user},
    one_time::Purpose,
};

/// Tolerated clock skew between nodes. Counters from further in the future were written by a wrong clock.
const SKEW: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The pause before the next email to an address: (emails sent so far, minutes).
const EMAIL_PAUSES: [(i64, u64); 4] = [(1, 1), (2, 5), (3, 15), (4, 60)];
/// How long failures of an account and emails to an address are counted after the last one.
const RETENTION: Duration = Duration::from_secs(24 * 3600);

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

pub(crate) struct Throttle {
    key: Secret,
    enabled: bool,
    limits: AccountLimits,
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
    user: Option<UserId>,
    is_signed_in: bool,
    network: Vec<u8>,
    /// Account and network, network, account.
    buckets: [Vec<u8>; 3],
}

impl Throttle {
    pub(crate) fn new(key: Secret, enabled: bool, limits: AccountLimits) -> Self {
        Self { key, enabled, limits }
    }

    fn bucket(&self, parts: &[&str]) -> Vec<u8> {
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
        let origin = Origin::current().network();
        let account = target.account();
        let buckets = [
            self.bucket(&["pair", &account, &origin]),
            self.bucket(&["network", &origin]),
            self.bucket(&["account", &account]),
        ];
        let is_signed_in = matches!(target, Target::User(_));
        Attempt { user, is_signed_in, network: self.bucket(&["known", &origin]), buckets }
    }

    /// Checks that an attempt is allowed now.
    ///
    /// # Errors
    /// 429 `throttled` with the time to wait, after too many failures.
    pub(crate) async fn check(&self, conn: &impl ConnectionTrait, attempt: &Attempt, now: Timestamp) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let is_known = self.is_known(conn, attempt).await?;
        let counts = throttle::Entity::find()
            .filter(throttle::Column::Bucket.is_in(attempt.buckets.clone()))
            .filter(throttle::COLUMN.forgotten_at.gt(now))
            .all(conn)
            .await?;
        let waits = counts.iter().filter_map(|count| required_wait(&self.limits, attempt, is_known, count, now));
        waits.max().map_or(Ok(()), |wait| Err(Error::Throttled(wait)))
    }

    /// Whether the user has signed in from this network before. Also queried if there is no such user, so
    /// that the timing is the same.
    async fn is_known(&self, conn: &impl ConnectionTrait, attempt: &Attempt) -> Result<bool, DbErr> {
        let key = (attempt.user.unwrap_or(UserId(0)), attempt.network.clone());
        Ok(known_network::Entity::find_by_id(key).one(conn).await?.is_some())
    }

    /// Counts a failed attempt.
    pub(crate) async fn record_failure(
        &self,
        conn: &impl ConnectionTrait,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        if !self.enabled {
            return Ok(());
        }
        let [pair, network, account] = &attempt.buckets;
        let mut sliding = vec![pair];
        if !self.is_known(conn, attempt).await? {
            sliding.push(account);
        }
        // Sorted, so that concurrent transactions lock rows in the same order and cannot deadlock.
        sliding.sort();
        let row = |bucket: &Vec<u8>, window: Duration| throttle::ActiveModel {
            bucket: Set(bucket.clone()),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + window),
        };
        let rows = sliding.into_iter().map(|bucket| row(bucket, RETENTION));
        let on_conflict = increment(now, RETENTION, true);
        throttle::Entity::insert_many(rows).on_conflict(on_conflict).exec_without_returning(conn).await?;
        let window = self.limits.network_window();
        let row = row(network, window);
        throttle::Entity::insert(row).on_conflict(increment(now, window, false)).exec_without_returning(conn).await?;
        Ok(())
    }

    /// Counts an operation and checks its rate; the limit holds for concurrent requests as well.
    ///
    /// # Errors
    /// 429 `throttled` with the time to wait, above the limit.
    pub(crate) async fn check_rate(
        &self,
        conn: &impl ConnectionTrait,
        operation: RateLimit,
        now: Timestamp,
    ) -> Result<()> {
        let origin = Origin::current();
        let (name, subject, limit) = match operation {
            RateLimit::Registration => ("registrations", origin.network(), self.limits.registrations_per_hour),
            RateLimit::Reset => ("resets", origin.network(), self.limits.resets_per_hour),
            RateLimit::SignIn(user) => ("sign-ins", user.to_string(), self.limits.sign_ins_per_hour),
        };
        // Calls from within the process have no network.
        if !self.enabled || (origin.ip.is_none() && !matches!(operation, RateLimit::SignIn(_))) {
            return Ok(());
        }
        let bucket = self.bucket(&[name, &subject]);
        let row = throttle::ActiveModel {
            bucket: Set(bucket.clone()),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + HOUR),
        };
        let mut on_conflict = increment(now, HOUR, false);
        let old = |column| Expr::col((throttle::Entity, column));
        on_conflict.action_and_where(old(throttle::Column::Failures).lt(i64::from(limit)).or(is_expired(now, HOUR)));
        if throttle::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(conn).await? == 1 {
            return Ok(());
        }
        let count = throttle::Entity::find_by_id(bucket).one(conn).await?;
        Err(Error::Throttled(count.map_or(HOUR, |count| count.forgotten_at.since(now)).min(HOUR)))
    }

    /// Whether an email for this purpose can be sent to an address now, for any account. Counts it if so;
    /// of any number of concurrent requests one succeeds.
    ///
    /// The pause grows with each email, so that nobody can flood a mailbox. It never exceeds an hour, so
    /// that nobody can block an address from receiving emails. The counter belongs to the address and
    /// remains when an account is deleted.
    pub(crate) async fn allow_email(
        &self,
        conn: &impl ConnectionTrait,
        purpose: Purpose,
        email_key: &str,
        now: Timestamp,
    ) -> Result<bool, DbErr> {
        if !self.enabled {
            return Ok(true);
        }
        let row = throttle::ActiveModel {
            bucket: Set(self.bucket(&["emails", purpose.as_str(), email_key])),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + RETENTION),
        };
        let old = |column| Expr::col((throttle::Entity, column));
        let pauses_over = EMAIL_PAUSES.into_iter().map(|(sent, minutes)| {
            let sent_fewer = old(throttle::Column::Failures).lt(sent);
            sent_fewer.or(old(throttle::Column::UpdatedAt).lte(now - Duration::from_secs(minutes * 60)))
        });
        let mut on_conflict = increment(now, RETENTION, true);
        on_conflict.action_and_where(pauses_over.fold(Expr::val(true), ExprTrait::and).or(is_expired(now, RETENTION)));
        let counted = throttle::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(conn).await?;
        Ok(counted == 1)
    }

    /// Resets the failures of these targets, from the current network and overall.
    pub(crate) async fn reset(&self, conn: &impl ConnectionTrait, targets: &[Target<'_>]) -> Result<(), DbErr> {
        let buckets = targets.iter().flat_map(|target| {
            let [pair, _, account] = self.attempt(*target, None).buckets;
            [pair, account]
        });
        let delete = throttle::Entity::delete_many().filter(throttle::Column::Bucket.is_in(buckets));
        delete.exec(conn).await.map(|_| ())
    }

    /// Records that a user has entered the correct password: resets their failures, by username and email
    /// address, and remembers the network. Failures of the second factor are kept.
    pub(crate) async fn record_success(
        &self,
        conn: &impl ConnectionTrait,
        user: &user::Model,
        now: Timestamp,
    ) -> Result<(), DbErr> {
        if !self.enabled {
            return Ok(());
        }
        let name = address_key(&user.username);
        let targets = [Target::Name(&name), Target::Name(&user.email_key), Target::User(user.id)];
        self.reset(conn, &targets).await?;
        let row = known_network::ActiveModel {
            user_id: Set(user.id),
            network: Set(self.attempt(Target::User(user.id), None).network),
            last_seen_at: Set(now),
        };
        let mut on_conflict = OnConflict::columns([known_network::Column::UserId, known_network::Column::Network]);
        on_conflict.update_column(known_network::Column::LastSeenAt);
        known_network::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(conn).await.map(|_| ())
    }
}

/// How long the attempt has to wait because of this counter.
fn required_wait(
    limits: &AccountLimits,
    attempt: &Attempt,
    is_known: bool,
    count: &throttle::Model,
    now: Timestamp,
) -> Option<Duration> {
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

/// Whether a counter with this window has expired, or was written by a clock that was ahead.
fn is_expired(now: Timestamp, window: Duration) -> Expr {
    let old = |column| Expr::col((throttle::Entity, column));
    let over = old(throttle::Column::ForgottenAt).lte(now);
    over.or(old(throttle::Column::ForgottenAt).gt(now + window + SKEW))
}

/// Increments a counter, or restarts it at 1 if it has expired. With `sliding`, each increment also extends its window.
fn increment(now: Timestamp, window: Duration, sliding: bool) -> OnConflict {
    let old = |column| Expr::col((throttle::Entity, column));
    let expired = || is_expired(now, window);
    let new = Expr::col((sea_orm::sea_query::Alias::new("excluded"), throttle::Column::ForgottenAt));
    let current = if sliding { new.clone() } else { old(throttle::Column::ForgottenAt) };
    let failures = Expr::case(expired(), Expr::val(1)).finally(old(throttle::Column::Failures).add(1));
    let forgotten_at = Expr::case(expired(), new).finally(current);
    let mut conflict = OnConflict::column(throttle::Column::Bucket);
    conflict
        .value(throttle::Column::Failures, failures)
        .value(throttle::Column::ForgottenAt, forgotten_at)
        .value(throttle::Column::UpdatedAt, Expr::value(now));
    conflict
}

/// 429 with the time to wait.
pub(crate) fn throttled(wait: Duration) -> guildhall_kernel::Error {
    let detail = "Too many attempts. Try again later.";
    guildhall_kernel::Error::new(Kind::TooMany, "throttled", detail).retry_after(wait)
}

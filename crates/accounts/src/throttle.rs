//! Counting failures, so that nobody can guess for long: in the database, where a restart does not
//! forget them and every node sees them.
//!
//! Three counts, by what was tried and from where, none of which shows whether an account exists:
//!
//! - an account from one network: after 5 failures each one more doubles the wait, from a second up
//!   to a quarter of an hour;
//! - a network: 30 failures in ten minutes, whatever accounts. It does not hold for people who are signed in, or have
//!   signed in from there before: a few guesses must not lock their neighbours out;
//! - an account from everywhere: after 100 failures in a row (NIST SP 800-63B-4 §3.2.2) only networks
//!   from which the owner has signed in before are let try. Whoever attacks an account therefore
//!   locks out themselves and not its owner at home; on a journey the owner asks for a new password.
//!
//! And what costs a password hash, or sends an email, without having failed: registrations and requests for a new
//! password by network, sign-ins by person. The numbers are settings ([`AccountLimits`]).

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

/// What a clock may be ahead of another: a count that seems to come from further ahead was made by one that was wrong.
const SKEW: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// After so many letters to an address, the pause until the next one, in minutes.
const PAUSES: [(i64, u64); 4] = [(1, 1), (2, 5), (3, 15), (4, 60)];
/// Without another one for so long, an account's failures, or the letters to an address, are forgotten.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// Whose secret is being tried.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// Of whoever has this name or address, by what was typed: a count that both shared would tell that
    /// they are one person's.
    Name(&'a str),
    /// Of somebody who is signed in.
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

/// What is limited although nothing has failed.
#[derive(Clone, Copy)]
pub(crate) enum Counted {
    /// A registration from the network of the request.
    Registration,
    /// A request for a new password from the network of the request.
    Reset,
    /// Somebody signs in.
    SignIn(UserId),
}

/// Somebody tries a secret.
#[derive(Clone)]
pub(crate) struct Attempt {
    user: Option<UserId>,
    is_signed_in: bool,
    network: Vec<u8>,
    /// The account from this network, the network, the account.
    buckets: [Vec<u8>; 3],
}

impl Throttle {
    pub(crate) fn new(key: Secret, enabled: bool, limits: AccountLimits) -> Self {
        Self { key, enabled, limits }
    }

    fn bucket(&self, parts: &[&str]) -> Vec<u8> {
        // A key of this length always fits.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return Vec::new() };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().to_vec()
    }

    /// Somebody wants to try. `user` is who they would be, if anybody.
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

    /// Refuses with 429 `throttled` and the time to wait where too much has failed before.
    pub(crate) async fn admit(&self, conn: &impl ConnectionTrait, attempt: &Attempt, now: Timestamp) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let known = self.is_known(conn, attempt).await?;
        let counts = throttle::Entity::find()
            .filter(throttle::Column::Bucket.is_in(attempt.buckets.clone()))
            .filter(throttle::COLUMN.forgotten_at.gt(now))
            .all(conn)
            .await?;
        let waits = counts.iter().filter_map(|count| wait(&self.limits, attempt, known, count, now));
        waits.max().map_or(Ok(()), |wait| Err(Error::Throttled(wait)))
    }

    /// Has whoever it would be signed in from this network before? Looked for in vain where there is no
    /// such person, so that it takes as long.
    async fn is_known(&self, conn: &impl ConnectionTrait, attempt: &Attempt) -> Result<bool, DbErr> {
        let key = (attempt.user.unwrap_or(UserId(0)), attempt.network.clone());
        Ok(known_network::Entity::find_by_id(key).one(conn).await?.is_some())
    }

    /// Counts a failure.
    pub(crate) async fn fail(
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
        // One order for all, or two of them could wait for each other.
        sliding.sort();
        let row = |bucket: &Vec<u8>, life: Duration| throttle::ActiveModel {
            bucket: Set(bucket.clone()),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + life),
        };
        let rows = sliding.into_iter().map(|bucket| row(bucket, MEMORY));
        let count = count_on(now, MEMORY, true);
        throttle::Entity::insert_many(rows).on_conflict(count).exec_without_returning(conn).await?;
        let window = self.limits.network_window();
        let row = row(network, window);
        throttle::Entity::insert(row).on_conflict(count_on(now, window, false)).exec_without_returning(conn).await?;
        Ok(())
    }

    /// Counts something that is about to be done; of any number that ask at once, only so many may.
    ///
    /// # Errors
    /// 429 `throttled` with the time to wait, beyond the limit.
    pub(crate) async fn count(&self, conn: &impl ConnectionTrait, what: Counted, now: Timestamp) -> Result<()> {
        let origin = Origin::current();
        let (name, whose, limit) = match what {
            Counted::Registration => ("registrations", origin.network(), self.limits.registrations_per_hour),
            Counted::Reset => ("resets", origin.network(), self.limits.resets_per_hour),
            Counted::SignIn(user) => ("sign-ins", user.to_string(), self.limits.sign_ins_per_hour),
        };
        // Whoever calls from within the process has no network.
        if !self.enabled || (origin.ip.is_none() && !matches!(what, Counted::SignIn(_))) {
            return Ok(());
        }
        let bucket = self.bucket(&[name, &whose]);
        let row = throttle::ActiveModel {
            bucket: Set(bucket.clone()),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + HOUR),
        };
        let mut counted = count_on(now, HOUR, false);
        let old = |column| Expr::col((throttle::Entity, column));
        counted.action_and_where(old(throttle::Column::Failures).lt(i64::from(limit)).or(is_forgotten(now, HOUR)));
        if throttle::Entity::insert(row).on_conflict(counted).exec_without_returning(conn).await? == 1 {
            return Ok(());
        }
        let full = throttle::Entity::find_by_id(bucket).one(conn).await?;
        Err(Error::Throttled(full.map_or(HOUR, |full| full.forgotten_at.since(now)).min(HOUR)))
    }

    /// May another letter of this kind be sent to an address, whichever account it is for? Counts it if
    /// so: of any number that ask at once, one may.
    ///
    /// The more were sent, the longer the pause, or anybody could fill somebody's mailbox. It never grows
    /// beyond an hour, or anybody could keep somebody from ever getting one. The count is of the address
    /// and outlives the accounts that it was used for.
    pub(crate) async fn may_send(
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
            bucket: Set(self.bucket(&["letters", purpose.as_str(), email_key])),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + MEMORY),
        };
        let old = |column| Expr::col((throttle::Entity, column));
        let rested = PAUSES.into_iter().map(|(sent, minutes)| {
            let fewer = old(throttle::Column::Failures).lt(sent);
            fewer.or(old(throttle::Column::UpdatedAt).lte(now - Duration::from_secs(minutes * 60)))
        });
        let mut counted = count_on(now, MEMORY, true);
        counted.action_and_where(rested.fold(Expr::val(true), ExprTrait::and).or(is_forgotten(now, MEMORY)));
        let sent = throttle::Entity::insert(row).on_conflict(counted).exec_without_returning(conn).await?;
        Ok(sent == 1)
    }

    /// Forgets what has failed for these, from here and altogether.
    pub(crate) async fn forget(&self, conn: &impl ConnectionTrait, targets: &[Target<'_>]) -> Result<(), DbErr> {
        let forgotten = targets.iter().flat_map(|target| {
            let [pair, _, account] = self.attempt(*target, None).buckets;
            [pair, account]
        });
        let forgotten = throttle::Entity::delete_many().filter(throttle::Column::Bucket.is_in(forgotten));
        forgotten.exec(conn).await.map(|_| ())
    }

    /// Somebody has shown the password: forgets what has failed for them, by whichever name, and
    /// remembers the network. Guesses at a second factor stay counted.
    pub(crate) async fn succeed(
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
        self.forget(conn, &targets).await?;
        let row = known_network::ActiveModel {
            user_id: Set(user.id),
            network: Set(self.attempt(Target::User(user.id), None).network),
            last_seen_at: Set(now),
        };
        let mut seen = OnConflict::columns([known_network::Column::UserId, known_network::Column::Network]);
        seen.update_column(known_network::Column::LastSeenAt);
        known_network::Entity::insert(row).on_conflict(seen).exec_without_returning(conn).await.map(|_| ())
    }
}

/// How long the next attempt has to wait for this count.
fn wait(
    limits: &AccountLimits,
    attempt: &Attempt,
    known: bool,
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
            if known || attempt.is_signed_in {
                return None;
            }
            (count.forgotten_at, limits.network_window())
        }
        bucket if bucket == account && count.failures >= i64::from(limits.failures_per_account) && !known => {
            (now + limits.longest_wait(), limits.longest_wait())
        }
        _ => return None,
    };
    Some(until.since(now).min(longest)).filter(|wait| !wait.is_zero())
}

/// Is a count over that lives so long? Also one that was made by a clock that was ahead.
fn is_forgotten(now: Timestamp, life: Duration) -> Expr {
    let old = |column| Expr::col((throttle::Entity, column));
    let over = old(throttle::Column::ForgottenAt).lte(now);
    over.or(old(throttle::Column::ForgottenAt).gt(now + life + SKEW))
}

/// One more, or the first one after the earlier ones have been forgotten. A count that slides is forgotten later with
/// each.
fn count_on(now: Timestamp, life: Duration, slides: bool) -> OnConflict {
    let old = |column| Expr::col((throttle::Entity, column));
    let forgotten = || is_forgotten(now, life);
    let new = Expr::col((sea_orm::sea_query::Alias::new("excluded"), throttle::Column::ForgottenAt));
    let keep = if slides { new.clone() } else { old(throttle::Column::ForgottenAt) };
    let failures = Expr::case(forgotten(), Expr::val(1)).finally(old(throttle::Column::Failures).add(1));
    let forgotten_at = Expr::case(forgotten(), new).finally(keep);
    let mut conflict = OnConflict::column(throttle::Column::Bucket);
    conflict
        .value(throttle::Column::Failures, failures)
        .value(throttle::Column::ForgottenAt, forgotten_at)
        .value(throttle::Column::UpdatedAt, Expr::value(now));
    conflict
}

/// 429 for whoever has to wait.
pub(crate) fn throttled(wait: Duration) -> guildhall_kernel::Error {
    let detail = "Too many attempts. Try again later.";
    guildhall_kernel::Error::new(Kind::TooMany, "throttled", detail).retry_after(wait)
}

//! The stored counters of failures, operations and emails.

use std::time::Duration;

use guildhall_kernel::{
    Origin, Timestamp, UserId,
    db::{Pipeline, Tx},
    mail::address_key,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set,
    sea_query::{Alias, Expr, ExprTrait, OnConflict},
};

use crate::{
    Error, Result,
    entity::{known_network, throttle, user},
    one_time::Purpose,
    throttle::{Attempt, EMAIL_PAUSES, RateLimit, SKEW, Target, Throttle, email_wait},
};

const HOUR: Duration = Duration::from_secs(3600);
/// How long failures of an account and emails to an address are counted after the last one.
const RETENTION: Duration = Duration::from_secs(24 * 3600);

impl Throttle {
    /// Checks that an attempt is allowed now.
    ///
    /// # Errors
    /// 429 `throttled` with the time to wait, after too many failures.
    pub(super) async fn check(&self, conn: &Pipeline<'_>, attempt: &Attempt, now: Timestamp) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let counts = throttle::Entity::find()
            .filter(throttle::Column::Bucket.is_in(attempt.buckets.clone()))
            .filter(throttle::COLUMN.forgotten_at.gt(now));
        let (is_known, counts) = tokio::try_join!(self.is_known(conn, attempt), counts.all(conn))?;
        let waits = counts.iter().filter_map(|count| self.required_wait(attempt, is_known, count, now));
        waits.max().map_or(Ok(()), |wait| Err(Error::Throttled(wait)))
    }

    /// Whether the user has signed in from this network before. Also queried if there is no such user, so
    /// that the timing is the same.
    async fn is_known(&self, conn: &impl ConnectionTrait, attempt: &Attempt) -> Result<bool, DbErr> {
        let key = (attempt.user.unwrap_or(UserId(0)), attempt.network.clone());
        Ok(known_network::Entity::find_by_id(key).one(conn).await?.is_some())
    }

    /// Counts a failed attempt.
    pub(super) async fn record_failure(&self, tx: &Tx, attempt: &Attempt, now: Timestamp) -> Result<(), DbErr> {
        if !self.enabled {
            return Ok(());
        }
        let [pair, network, account] = &attempt.buckets;
        let mut sliding = vec![pair];
        if !self.is_known(tx, attempt).await? {
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
        let conn = &tx.deferred();
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
    pub(super) async fn check_rate(
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

    /// Counts an email for this purpose to an address, for any account, or returns how long to wait for the next one.
    /// Of any number of concurrent requests one succeeds.
    ///
    /// The pause grows with each email, so that nobody can flood a mailbox. It never exceeds an hour, so
    /// that nobody can block an address from receiving emails. The counter belongs to the address and
    /// remains when an account is deleted.
    pub(super) async fn count_email(
        &self,
        conn: &impl ConnectionTrait,
        purpose: Purpose,
        email_key: &str,
        now: Timestamp,
    ) -> Result<Option<Duration>, DbErr> {
        if !self.enabled {
            return Ok(None);
        }
        let bucket = self.bucket(&["emails", purpose.as_str(), email_key]);
        let row = throttle::ActiveModel {
            bucket: Set(bucket.clone()),
            failures: Set(1),
            updated_at: Set(now),
            forgotten_at: Set(now + RETENTION),
        };
        let old = |column| Expr::col((throttle::Entity, column));
        let pauses_over = EMAIL_PAUSES.into_iter().map(|(sent, pause)| {
            let sent_fewer = old(throttle::Column::Failures).lt(sent);
            sent_fewer.or(old(throttle::Column::UpdatedAt).lte(now - pause))
        });
        let mut on_conflict = increment(now, RETENTION, true);
        on_conflict.action_and_where(pauses_over.fold(Expr::val(true), ExprTrait::and).or(is_expired(now, RETENTION)));
        if throttle::Entity::insert(row).on_conflict(on_conflict).exec_without_returning(conn).await? == 1 {
            return Ok(None);
        }
        let count = throttle::Entity::find_by_id(bucket).one(conn).await?;
        Ok(Some(count.map(|count| email_wait(&count, now)).unwrap_or_default()))
    }

    /// Resets the failures of these targets, from the current network and overall.
    pub(super) async fn reset(&self, tx: &Tx, targets: &[Target<'_>]) -> Result<(), DbErr> {
        let buckets = targets.iter().flat_map(|target| self.own_buckets(*target));
        let delete = throttle::Entity::delete_many().filter(throttle::Column::Bucket.is_in(buckets));
        delete.exec(&tx.deferred()).await.map(|_| ())
    }

    /// Records that a user has entered the correct password: resets their failures, by username and email
    /// address, and remembers the network. Failures of the second factor are kept.
    pub(super) async fn record_success(&self, tx: &Tx, user: &user::Model, now: Timestamp) -> Result<(), DbErr> {
        if !self.enabled {
            return Ok(());
        }
        let name = address_key(&user.username);
        let targets = [Target::Name(&name), Target::Name(&user.email_key), Target::User(user.id)];
        self.reset(tx, &targets).await?;
        let row =
            known_network::ActiveModel { user_id: Set(user.id), network: Set(self.network()), last_seen_at: Set(now) };
        let mut on_conflict = OnConflict::columns([known_network::Column::UserId, known_network::Column::Network]);
        on_conflict.update_column(known_network::Column::LastSeenAt);
        let insert = known_network::Entity::insert(row).on_conflict(on_conflict);
        insert.exec_without_returning(&tx.deferred()).await.map(|_| ())
    }
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
    let new = Expr::col((Alias::new("excluded"), throttle::Column::ForgottenAt));
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

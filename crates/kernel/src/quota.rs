//! Quotas per user and period: bytes uploaded, groups created. Usage is counted in the database, so a quota holds
//! across nodes and restarts.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use crate::{Error, Kind, Result, Timestamp, UserId, db, entity::usage};

/// Adds to the usage of the current period if it stays within the limit; starts a new period if the old one is over. A
/// period that starts in the future was written by a clock that was ahead, and counts as over.
const CONSUME: &str = "INSERT INTO kernel_usage (user_id, kind, since, amount) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (user_id, kind) DO UPDATE SET \
     amount = CASE WHEN kernel_usage.since BETWEEN $5 AND $3 THEN kernel_usage.amount ELSE 0 END + excluded.amount, \
     since = CASE WHEN kernel_usage.since BETWEEN $5 AND $3 THEN kernel_usage.since ELSE excluded.since END \
     WHERE kernel_usage.since NOT BETWEEN $5 AND $3 OR kernel_usage.amount + excluded.amount <= $6";

/// A limit on what one user consumes in a period that begins with the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    kind: &'static str,
    /// `None` means no limit.
    limit: Option<u64>,
    period: Duration,
}

impl Quota {
    /// A limit per period. `kind` is stored with the usage and must never change.
    pub const fn new(kind: &'static str, limit: u64, period: Duration) -> Self {
        Self { kind, limit: Some(limit), period }
    }

    /// A limit per day.
    pub const fn per_day(kind: &'static str, limit: u64) -> Self {
        Self::new(kind, limit, Duration::from_secs(24 * 3600))
    }

    /// No limit.
    pub const fn unlimited() -> Self {
        Self { kind: "", limit: None, period: Duration::ZERO }
    }

    /// Consumes a part of the quota, in the transaction of the operation.
    ///
    /// # Errors
    /// 429 `quota_exceeded` with the time until the period ends, if not enough is left.
    pub async fn consume(&self, conn: &impl ConnectionTrait, user: UserId, amount: u64, now: Timestamp) -> Result<()> {
        let Some(limit) = self.limit else { return Ok(()) };
        if amount <= limit {
            let oldest_start = now - self.period;
            let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
            let values = [
                user.into(),
                self.kind.into(),
                now.into(),
                signed(amount).into(),
                oldest_start.into(),
                signed(limit).into(),
            ];
            if db::execute(conn, CONSUME, values).await? == 1 {
                return Ok(());
            }
        }
        Err(self.exceeded(conn, user, now).await?)
    }

    async fn exceeded(&self, conn: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<Error, DbErr> {
        let row = usage::Entity::find_by_id((user, self.kind.to_owned())).one(conn).await?;
        let wait = row.map_or(self.period, |row| (row.since + self.period).since(now)).min(self.period);
        let detail = format!("You have reached your limit of {}. Try again later.", self.kind.replace('_', " "));
        Ok(Error::new(Kind::TooMany, "quota_exceeded", detail).retry_after(wait))
    }
}

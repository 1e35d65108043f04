//! How much of something a person may use up in a period: bytes of uploads, new groups. Counted in the database, so
//! that it holds across nodes and restarts.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Statement};

use crate::{Error, Kind, Result, Timestamp, UserId, entity::usage};

/// Counts where the period is not over and there is room, and begins a new period where it is. One that seems to
/// begin later than now was counted by a clock that was ahead.
const TAKE: &str = "INSERT INTO kernel_usage (user_id, kind, since, amount) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (user_id, kind) DO UPDATE SET \
     amount = CASE WHEN kernel_usage.since BETWEEN $5 AND $3 THEN kernel_usage.amount ELSE 0 END + excluded.amount, \
     since = CASE WHEN kernel_usage.since BETWEEN $5 AND $3 THEN kernel_usage.since ELSE excluded.since END \
     WHERE kernel_usage.since NOT BETWEEN $5 AND $3 OR kernel_usage.amount + excluded.amount <= $6";

/// A limit on what one person uses up in a period that begins with the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    kind: &'static str,
    /// None where there is no limit.
    limit: Option<u64>,
    period: Duration,
}

impl Quota {
    /// So much of something in a period. `kind` is what it is kept by, and never changes.
    pub const fn new(kind: &'static str, limit: u64, period: Duration) -> Self {
        Self { kind, limit: Some(limit), period }
    }

    /// So much of something in a day.
    pub const fn per_day(kind: &'static str, limit: u64) -> Self {
        Self::new(kind, limit, Duration::from_secs(24 * 3600))
    }

    /// No limit.
    pub const fn unlimited() -> Self {
        Self { kind: "", limit: None, period: Duration::ZERO }
    }

    /// Counts what a person is about to use, in the transaction that uses it.
    ///
    /// # Errors
    /// 429 `quota_exceeded` with the time until the period is over, where there is not so much left.
    pub async fn take(&self, conn: &impl ConnectionTrait, user: UserId, amount: u64, now: Timestamp) -> Result<()> {
        let Some(limit) = self.limit else { return Ok(()) };
        if amount <= limit {
            let begun = now - self.period;
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let values =
                [user.into(), self.kind.into(), now.into(), count(amount).into(), begun.into(), count(limit).into()];
            let taken = conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), TAKE, values));
            if taken.await?.rows_affected() == 1 {
                return Ok(());
            }
        }
        Err(self.exceeded(conn, user, now).await?)
    }

    async fn exceeded(&self, conn: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<Error, DbErr> {
        let row = usage::Entity::find_by_id((user, self.kind.to_owned())).one(conn).await?;
        let wait = row.map_or(self.period, |row| (row.since + self.period).since(now)).min(self.period);
        let detail = format!("Your limit of {} is used up for now. Try again later.", self.kind.replace('_', " "));
        Ok(Error::new(Kind::TooMany, "quota_exceeded", detail).retry_after(wait))
    }
}

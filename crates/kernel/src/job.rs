//! Periodic jobs. Each run is done by one node of those on a database.

mod state;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use sea_orm::{DbErr, EntityTrait, QueryFilter, Set, TryInsertResult, sea_query::Expr};
use tokio::time::timeout;

use crate::{Clock, Db, Error, Result, Timestamp, entity::job};

pub use state::{JobState, run_soon, states};

/// How long a job may run before another node tries it.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// The delay after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// How long a job may run; shorter than the lease, so that two nodes never run it at the same time.
const MAX_RUN: Duration = Duration::from_secs(14 * 60);

/// A periodic job. It must be idempotent, since a run may be repeated.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// The name: `accounts.prune`. Stored, so it never changes.
    fn name(&self) -> &'static str;
    /// The interval.
    fn interval(&self) -> Duration;
    /// Runs the job once.
    async fn run(&self) -> Result<()>;
}

/// Runs the jobs of an installation.
#[derive(Clone)]
pub struct Jobs {
    db: Db,
    clock: Clock,
    all: Vec<Arc<dyn Job>>,
}

impl Jobs {
    /// The runner of these jobs, with their state in the database.
    pub fn new(db: Db, clock: Clock, jobs: Vec<Arc<dyn Job>>) -> Self {
        Self { db, clock, all: jobs }
    }

    /// Runs the due jobs concurrently and returns how many were run. A failure is stored, and the job is retried soon.
    pub async fn run_due(&self) -> Result<u64> {
        let rows = job::Entity::find().all(self.db.conn()).await?;
        let runs = self.all.iter().map(|job| {
            let row = rows.iter().find(|row| row.name == job.name());
            self.run_if_due(&**job, row)
        });
        let outcomes: Vec<Result<bool>> = join_all(runs).await;
        let mut run = 0;
        for outcome in outcomes {
            run += u64::from(outcome?);
        }
        Ok(run)
    }

    async fn run_if_due(&self, job: &dyn Job, row: Option<&job::Model>) -> Result<bool> {
        let now = self.clock.now();
        // A time beyond the longest delay was written by a clock that was ahead.
        let max_delay = LEASE.max(job.interval());
        let is_due = row.is_none_or(|row| row.next_at <= now || row.next_at > now + max_delay);
        if !is_due || !self.lease(job.name(), row, now).await? {
            return Ok(false);
        }
        let outcome = timeout(MAX_RUN, job.run()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::unavailable("the job took too long")));
        if let Err(error) = &outcome {
            tracing::error!(job = job.name(), %error, "a job failed");
        }
        self.store_outcome(job, outcome).await?;
        Ok(true)
    }

    /// Leases a job; returns `false` if another node has leased it.
    async fn lease(&self, name: &'static str, row: Option<&job::Model>, now: Timestamp) -> Result<bool, DbErr> {
        let previous = row.map(|row| row.next_at);
        self.db
            .write(|tx| async move {
                let Some(previous) = previous else {
                    let row = job::ActiveModel {
                        name: Set(name.to_owned()),
                        next_at: Set(now + LEASE),
                        last_run_at: Set(Some(now)),
                        last_error: Set(None),
                    };
                    let insert = job::Entity::insert(row).on_conflict_do_nothing();
                    let result = insert.exec_without_returning(&tx).await?;
                    return Ok(matches!(result, TryInsertResult::Inserted(1)));
                };
                let update = job::Entity::update_many()
                    .col_expr(job::Column::NextAt, Expr::value(now + LEASE))
                    .col_expr(job::Column::LastRunAt, Expr::value(now))
                    .filter(job::COLUMN.name.eq(name))
                    .filter(job::COLUMN.next_at.eq(previous));
                Ok(update.exec(&tx).await?.rows_affected == 1)
            })
            .await
    }

    async fn store_outcome(&self, job: &dyn Job, outcome: Result<()>) -> Result<(), DbErr> {
        let delay = if outcome.is_ok() { job.interval() } else { RETRY_DELAY.min(job.interval()) };
        let (name, next_at) = (job.name(), self.clock.now() + delay);
        let error = outcome.err().map(|error| error.to_string());
        let error = &error;
        self.db
            .write(|tx| async move {
                job::Entity::update_many()
                    .col_expr(job::Column::NextAt, Expr::value(next_at))
                    .col_expr(job::Column::LastError, Expr::value(error.clone()))
                    .filter(job::COLUMN.name.eq(name))
                    .exec(&tx)
                    .await
                    .map(|_| ())
            })
            .await
    }
}

//! Work that comes again and again. Of several nodes on one database one does it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use sea_orm::{DbErr, EntityTrait, QueryFilter, Set, TryInsertResult, sea_query::Expr};
use tokio::time::timeout;

use crate::{Clock, Db, Error, Result, Timestamp, entity::job};

/// How long a job may run before another node tries it.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a job may run; shorter than the lease, or two nodes would do it at once.
const LONGEST_RUN: Duration = Duration::from_secs(14 * 60);

/// Work that is done again and again. It may be done twice, and must not mind.
#[async_trait]
pub trait Job: Send + Sync + 'static {
    /// What it is called: `accounts.prune`. Never changes.
    fn name(&self) -> &'static str;
    /// How much later it is due again.
    fn every(&self) -> Duration;
    /// Does it once.
    async fn run(&self) -> Result<()>;
}

/// The jobs of an installation.
#[derive(Clone)]
pub struct Jobs {
    db: Db,
    clock: Clock,
    all: Vec<Arc<dyn Job>>,
}

impl Jobs {
    /// The jobs, with the state that the database has of them.
    pub fn new(db: Db, clock: Clock, jobs: Vec<Arc<dyn Job>>) -> Self {
        Self { db, clock, all: jobs }
    }

    /// Does what is due, each job beside the others; gives how many jobs that were. A failure is noted, and the job
    /// is tried again soon.
    pub async fn run_due(&self) -> Result<u64> {
        let known = job::Entity::find().all(self.db.conn()).await?;
        let all = self.all.iter().map(|work| {
            let row = known.iter().find(|row| row.name == work.name());
            self.run_if_due(&**work, row)
        });
        let outcomes: Vec<Result<bool>> = join_all(all).await;
        let mut done = 0;
        for outcome in outcomes {
            done += u64::from(outcome?);
        }
        Ok(done)
    }

    async fn run_if_due(&self, work: &dyn Job, row: Option<&job::Model>) -> Result<bool> {
        let now = self.clock.now();
        // Further ahead than it is ever put off: a clock was ahead when it was.
        let longest = LEASE.max(work.every());
        let is_due = row.is_none_or(|row| row.next_at <= now || row.next_at > now + longest);
        if !is_due || !self.take(work.name(), row, now).await? {
            return Ok(false);
        }
        let outcome = timeout(LONGEST_RUN, work.run()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::unavailable("it did not come to an end in time")));
        if let Err(error) = &outcome {
            tracing::error!(job = work.name(), %error, "a job failed");
        }
        self.note(work, outcome).await?;
        Ok(true)
    }

    async fn take(&self, name: &'static str, row: Option<&job::Model>, now: Timestamp) -> Result<bool, DbErr> {
        let before = row.map(|row| row.next_at);
        self.db
            .write(|tx| async move {
                let Some(before) = before else {
                    let row = job::ActiveModel {
                        name: Set(name.to_owned()),
                        next_at: Set(now + LEASE),
                        last_run_at: Set(Some(now)),
                        last_error: Set(None),
                    };
                    let made = job::Entity::insert(row).on_conflict_do_nothing();
                    let made = made.exec_without_returning(tx.conn()).await?;
                    return Ok(matches!(made, TryInsertResult::Inserted(1)));
                };
                let taken = job::Entity::update_many()
                    .col_expr(job::Column::NextAt, Expr::value(now + LEASE))
                    .col_expr(job::Column::LastRunAt, Expr::value(now))
                    .filter(job::COLUMN.name.eq(name))
                    .filter(job::COLUMN.next_at.eq(before));
                Ok(taken.exec(tx.conn()).await?.rows_affected == 1)
            })
            .await
    }

    async fn note(&self, work: &dyn Job, outcome: Result<()>) -> Result<(), DbErr> {
        let pause = if outcome.is_ok() { work.every() } else { PAUSE.min(work.every()) };
        let (name, next) = (work.name(), self.clock.now() + pause);
        let error = outcome.err().map(|error| error.to_string());
        let error = &error;
        self.db
            .write(|tx| async move {
                job::Entity::update_many()
                    .col_expr(job::Column::NextAt, Expr::value(next))
                    .col_expr(job::Column::LastError, Expr::value(error.clone()))
                    .filter(job::COLUMN.name.eq(name))
                    .exec(tx.conn())
                    .await
                    .map(|_| ())
            })
            .await
    }
}

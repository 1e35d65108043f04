//! The state of jobs, for staff.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};

use super::LEASE;
use crate::{Caller, Db, Error, Kind, Result, Timestamp, audit::AuditEvent, entity::job};

/// The state of a job.
#[derive(Clone, Debug)]
pub struct JobState {
    /// The name.
    pub name: String,
    /// When it runs next.
    pub next_at: Timestamp,
    /// When it ran last.
    pub last_run_at: Option<Timestamp>,
    /// The error of the last run.
    pub last_error: Option<String>,
}

/// The jobs that have run at least once, by name.
pub async fn states(conn: &impl ConnectionTrait) -> Result<Vec<JobState>, DbErr> {
    let rows = job::Entity::find().order_by_asc(job::Column::Name).all(conn).await?;
    let state = |row: job::Model| JobState {
        name: row.name,
        next_at: row.next_at,
        last_run_at: row.last_run_at,
        last_error: row.last_error,
    };
    Ok(rows.into_iter().map(state).collect())
}

/// Makes a job due.
///
/// # Errors
/// 404 if there is no such job; 409 if it is running.
pub async fn run_soon(db: &Db, caller: &Caller, name: &str, now: Timestamp) -> Result<()> {
    let is_running = || Error::new(Kind::Conflict, "job_running", "The job is running.");
    db.write(|tx| async move {
        let row = job::Entity::find_by_id(name).one(&tx).await?;
        let row = row.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?;
        if row.next_at <= now {
            return Ok(());
        }
        // A lease is recorded like this; another run would be at the same time.
        if row.last_run_at.is_some_and(|at| at + LEASE == row.next_at) {
            return Err(is_running());
        }
        let update = job::Entity::update_many()
            .col_expr(job::Column::NextAt, Expr::value(now))
            .filter(job::COLUMN.name.eq(name))
            .filter(job::COLUMN.next_at.eq(row.next_at));
        if update.exec(&tx).await?.rows_affected == 0 {
            return Err(is_running());
        }
        let event = AuditEvent::new("kernel.run_soon").by(caller);
        Ok(event.of("kernel", format!("kernel/job/{name}")).record(&tx, now).await?)
    })
    .await
}

//! Tasks that become due.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{Timestamp, db, job::Job};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockType},
};

use crate::{Error, Result, SqlTasks, core::scope::TASK_TARGET_IS_LIVE, entity::task, event::TaskDue};

/// How often due tasks are looked up.
const INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of tasks per transaction.
const BATCH: u64 = 100;
/// Tasks that have been due for longer are not announced, for instance after the server was stopped.
const MAX_AGE: Duration = Duration::from_secs(3 * 24 * 3600);

/// The job that announces due tasks.
pub(crate) struct DueTasks(pub(crate) SqlTasks);

/// The open tasks that have become due and were not announced, up to a batch.
fn due_tasks(now: Timestamp) -> Select<task::Entity> {
    task::Entity::find()
        // The text of the partial index: with bound values the planner could not use it.
        .filter(Expr::cust("deals_task.due_at IS NOT NULL AND deals_task.done_at IS NULL"))
        .filter(Expr::cust("deals_task.announced_due_at IS DISTINCT FROM deals_task.due_at"))
        .filter(Expr::cust(TASK_TARGET_IS_LIVE))
        .filter(task::COLUMN.due_at.lte(now))
        .filter(task::COLUMN.due_at.gt(now - MAX_AGE))
        .order_by_asc(task::Column::DueAt)
        .limit(BATCH)
}

impl SqlTasks {
    /// Emits [`TaskDue`] for the open tasks that have become due, once for each due time; returns their number. A due
    /// time is a moment, so that it comes at the same time in all time zones.
    pub async fn announce_due_tasks(&self) -> Result<u64> {
        let mut announced = 0;
        loop {
            let due = &due_tasks(self.core.now());
            let found = &due.clone().all(self.core.db.conn()).await?;
            if found.is_empty() {
                return Ok(announced);
            }
            let batch = self.core.db.write(|tx| async move {
                // Only one of several servers announces a task.
                let still_due = due.clone().filter(task::COLUMN.id.is_in(found.iter().map(|task| task.id)));
                db::lock_rows(&tx, || still_due.clone(), LockType::NoKeyUpdate).await?;
                let still_due = still_due.all(&tx).await?;
                task::Entity::update_many()
                    .col_expr(task::Column::AnnouncedDueAt, Expr::col(task::Column::DueAt))
                    .filter(task::COLUMN.id.is_in(still_due.iter().map(|task| task.id)))
                    .exec(&tx)
                    .await?;
                for row in &still_due {
                    let Some(due_at) = row.due_at else { continue };
                    let (organization_id, task, assignee) = (row.org_id, row.id, row.assignee_id);
                    tx.emit(&TaskDue { organization_id, task, assignee, due_at }).await?;
                }
                Ok::<_, Error>(still_due.len() as u64)
            });
            announced += batch.await?;
        }
    }
}

#[async_trait]
impl Job for DueTasks {
    fn name(&self) -> &'static str {
        "deals.due_tasks"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        self.0.announce_due_tasks().await?;
        Ok(())
    }
}

//! Reminders of tasks.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{UserId, job::Job, mail::EmailTemplate, outbox::Unsolicited};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use crate::{
    Error, MemberId, MemberStatus, Result, SqlSales,
    core::{access::TASK_TARGET_IS_LIVE, lock_as},
    entity::{member, organization, task},
};

/// How often due reminders are looked up.
const INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of reminders per transaction.
const BATCH: u64 = 100;
/// Delivery of a reminder is given up after this time.
const MAX_AGE: Duration = Duration::from_secs(3 * 24 * 3600);

impl SqlSales {
    /// Sends the due reminders of tasks by email, and returns the number of emails. Assignees without an email address
    /// get none.
    pub async fn remind(&self) -> Result<u64> {
        let mut reminded = 0;
        loop {
            let now = self.core.now();
            let due = || {
                task::Entity::find()
                    // The text of the partial index: with bound values the planner could not use it.
                    .filter(Expr::cust("deals_task.remind_at IS NOT NULL AND deals_task.done_at IS NULL"))
                    .filter(Expr::cust("NOT deals_task.is_reminded"))
                    .filter(Expr::cust(TASK_TARGET_IS_LIVE))
                    .filter(task::COLUMN.remind_at.lte(now))
                    .order_by_asc(task::Column::RemindAt)
                    .limit(BATCH)
            };
            let tasks = due().all(self.core.db.conn()).await?;
            if tasks.is_empty() {
                return Ok(reminded);
            }
            let orgs = organization::Entity::find()
                .filter(organization::COLUMN.id.is_in(tasks.iter().map(|task| task.org_id)))
                .all(self.core.db.conn())
                .await?;
            let orgs: HashMap<_, _> = orgs.into_iter().map(|org| (org.id, org)).collect();
            let members: Vec<(MemberId, Option<UserId>)> = member::Entity::find()
                .select_only()
                .column(member::Column::Id)
                .column(member::Column::UserId)
                .filter(member::COLUMN.id.is_in(tasks.iter().map(|task| task.assignee_id)))
                .filter(member::COLUMN.status.eq(MemberStatus::Active))
                .into_tuple()
                .all(self.core.db.conn())
                .await?;
            let users: HashMap<_, _> = members.into_iter().filter_map(|(id, user)| Some((id, user?))).collect();
            let ids: Vec<UserId> = users.values().copied().collect();
            let addresses: HashMap<_, _> = self.core.host.directory.addresses(&ids).await?.into_iter().collect();
            let people = self.core.people(ids).await?;
            let (tasks, orgs, users, addresses, people) = (&tasks, &orgs, &users, &addresses, &people);
            let emails = self.core.write(|tx| async move {
                let conn = &tx;
                let ids = tasks.iter().map(|task| task.id);
                let still_due = || due().filter(task::COLUMN.id.is_in(ids.clone()));
                // Only one of several servers sends a reminder.
                lock_as(conn, still_due(), LockType::NoKeyUpdate).await?;
                let still_due: Vec<_> = still_due().all(conn).await?;
                let mut emails = 0;
                // Tasks that were reassigned meanwhile are left to the next round.
                let is_unchanged = |row: &task::Model| {
                    tasks.iter().any(|task| task.id == row.id && task.assignee_id == row.assignee_id)
                };
                let still_due: Vec<_> = still_due.into_iter().filter(is_unchanged).collect();
                task::Entity::update_many()
                    .col_expr(task::Column::IsReminded, Expr::value(true))
                    .filter(task::COLUMN.id.is_in(still_due.iter().map(|row| row.id)))
                    .exec(conn)
                    .await?;
                for row in still_due {
                    let (Some(org), Some(user)) = (orgs.get(&row.org_id), users.get(&row.assignee_id)) else {
                        continue;
                    };
                    let Some(address) = addresses.get(user) else { continue };
                    // The content may come from other members, so the number of emails per address is limited.
                    if !self.core.host.outbox.may_email(conn, Unsolicited::Reminder, address).await? {
                        continue;
                    }
                    let due = row.due_at.map(|due| format!("It is due {}.", org.format_time(due)));
                    let template = EmailTemplate {
                        to: address.clone(),
                        name: people.get(user).map(|person| person.display_name.clone()).unwrap_or_default(),
                        subject: format!("Reminder: {}", row.title),
                        lines: [Some(format!("This is a reminder of your task “{}” at {}.", row.title, org.name)), due]
                            .into_iter()
                            .flatten()
                            .chain(Some(row.notes).filter(|notes| !notes.trim().is_empty()))
                            .collect(),
                        action: None,
                    };
                    self.core
                        .host
                        .outbox
                        .enqueue_email(conn, Some(*user), &self.core.host.branding.write(template)?, MAX_AGE)
                        .await?;
                    emails += 1;
                }
                Ok::<_, Error>(emails)
            });
            reminded += emails.await?;
        }
    }
}

#[async_trait]
impl Job for SqlSales {
    fn name(&self) -> &'static str {
        "deals.reminders"
    }

    fn every(&self) -> Duration {
        INTERVAL
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        self.remind().await?;
        Ok(())
    }
}

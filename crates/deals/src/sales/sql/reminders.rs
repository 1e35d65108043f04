//! Reminders of tasks.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, Tx},
    job::Job,
    mail::EmailTemplate,
    outbox::Unsolicited,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, LockType},
};

use crate::{
    MemberId, MemberStatus, OrganizationId, Result, SqlTasks,
    core::scope::TASK_TARGET_IS_LIVE,
    entity::{member, organization, task},
};

/// How often due reminders are looked up.
const INTERVAL: Duration = Duration::from_secs(60);
/// The maximum number of reminders per transaction.
const BATCH: u64 = 100;
/// Delivery of a reminder is given up after this time.
const MAX_AGE: Duration = Duration::from_secs(3 * 24 * 3600);

/// A member who is to be reminded.
struct Recipient {
    user: UserId,
    name: String,
    address: String,
}

/// What is needed for the emails about some tasks: the organizations, and the assignees.
struct Context {
    orgs: HashMap<OrganizationId, organization::Model>,
    recipients: HashMap<MemberId, Recipient>,
}

/// The tasks whose reminders are due, up to a batch.
fn due_tasks(now: Timestamp) -> Select<task::Entity> {
    task::Entity::find()
        // The text of the partial index: with bound values the planner could not use it.
        .filter(Expr::cust("deals_task.remind_at IS NOT NULL AND deals_task.done_at IS NULL"))
        .filter(Expr::cust("NOT deals_task.is_reminded"))
        .filter(Expr::cust(TASK_TARGET_IS_LIVE))
        .filter(task::COLUMN.remind_at.lte(now))
        .order_by_asc(task::Column::RemindAt)
        .limit(BATCH)
}

impl SqlTasks {
    /// Sends the due reminders of tasks by email, and returns the number of emails. Assignees without an email address
    /// get none.
    pub async fn remind(&self) -> Result<u64> {
        let mut reminded = 0;
        loop {
            let due = &due_tasks(self.core.now());
            let tasks = &due.clone().all(self.core.db.conn()).await?;
            if tasks.is_empty() {
                return Ok(reminded);
            }
            let context = &self.load_context(tasks).await?;
            let emails = self.core.db.write(|tx| async move {
                // Only one of several servers sends a reminder.
                let still_due = due.clone().filter(task::COLUMN.id.is_in(tasks.iter().map(|task| task.id)));
                db::lock_rows(&tx, || still_due.clone(), LockType::NoKeyUpdate).await?;
                // Tasks that were reassigned meanwhile are left to the next round.
                let is_unchanged = |row: &task::Model| {
                    tasks.iter().any(|task| task.id == row.id && task.assignee_id == row.assignee_id)
                };
                let still_due = still_due.all(&tx).await?.into_iter().filter(is_unchanged).collect();
                self.send_reminders(&tx, still_due, context).await
            });
            reminded += emails.await?;
        }
    }

    async fn load_context(&self, tasks: &[task::Model]) -> Result<Context> {
        let conn = self.core.db.conn();
        let orgs = organization::Entity::find()
            .filter(organization::COLUMN.id.is_in(tasks.iter().map(|task| task.org_id)))
            .all(conn)
            .await?;
        let members: Vec<(MemberId, Option<UserId>)> = member::Entity::find()
            .select_only()
            .column(member::Column::Id)
            .column(member::Column::UserId)
            .filter(member::COLUMN.id.is_in(tasks.iter().map(|task| task.assignee_id)))
            .filter(member::COLUMN.status.eq(MemberStatus::Active))
            .into_tuple()
            .all(conn)
            .await?;
        let users: HashMap<MemberId, UserId> = members.into_iter().filter_map(|(id, user)| Some((id, user?))).collect();
        let ids: Vec<UserId> = users.values().copied().collect();
        let addresses: HashMap<_, _> = self.core.host.directory.addresses(&ids).await?.into_iter().collect();
        let people = self.core.people(ids).await?;
        let recipient = |(member, user): (MemberId, UserId)| {
            let name = people.get(&user).map(|person| person.display_name.clone()).unwrap_or_default();
            Some((member, Recipient { user, name, address: addresses.get(&user)?.clone() }))
        };
        Ok(Context {
            orgs: orgs.into_iter().map(|org| (org.id, org)).collect(),
            recipients: users.into_iter().filter_map(recipient).collect(),
        })
    }

    /// Marks tasks as reminded, and enqueues the emails; returns their number.
    async fn send_reminders(&self, tx: &Tx, tasks: Vec<task::Model>, context: &Context) -> Result<u64> {
        task::Entity::update_many()
            .col_expr(task::Column::IsReminded, Expr::value(true))
            .filter(task::COLUMN.id.is_in(tasks.iter().map(|row| row.id)))
            .exec(tx)
            .await?;
        let outbox = &self.core.host.outbox;
        let mut emails = 0;
        for row in tasks {
            let Some(org) = context.orgs.get(&row.org_id) else { continue };
            let Some(recipient) = context.recipients.get(&row.assignee_id) else { continue };
            // The content may come from other members, so the number of emails per address is limited.
            if !outbox.may_email(tx, Unsolicited::Reminder, &recipient.address).await? {
                continue;
            }
            let due = row.due_at.map(|due| format!("It is due {}.", org.format_time(due)));
            let template = EmailTemplate {
                to: recipient.address.clone(),
                name: recipient.name.clone(),
                subject: format!("Reminder: {}", row.title),
                lines: [Some(format!("This is a reminder of your task “{}” at {}.", row.title, org.name)), due]
                    .into_iter()
                    .flatten()
                    .chain(Some(row.notes).filter(|notes| !notes.trim().is_empty()))
                    .collect(),
                action: None,
            };
            let email = self.core.host.branding.write(template)?;
            outbox.enqueue_email(tx, Some(recipient.user), &email, MAX_AGE).await?;
            emails += 1;
        }
        Ok(emails)
    }
}

#[async_trait]
impl Job for SqlTasks {
    fn name(&self) -> &'static str {
        "deals.reminders"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        self.remind().await?;
        Ok(())
    }
}

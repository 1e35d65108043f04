//! What is done by itself: reminders of tasks, and tidying up after webhooks and imports.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{UserId, job::Job, letter::Letter, outbox::Unasked};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{SqlDeals, access::IS_ABOUT_SOMETHING, lock_as};
use crate::{
    Error, Result,
    entity::{member, organization, task},
};

/// How often it is looked whether somebody is to be reminded.
const EVERY: Duration = Duration::from_secs(60);
/// How many are reminded in one transaction.
const BATCH: u64 = 100;
/// After this a reminder comes too late.
const LIFE: Duration = Duration::from_secs(3 * 24 * 3600);

impl SqlDeals {
    /// Writes to those who wanted to be reminded of a task by now; gives how many letters that were. Somebody
    /// without an address finds the task among those that are due.
    pub async fn remind(&self) -> Result<u64> {
        let mut reminded = 0;
        loop {
            let now = self.now();
            let due = || {
                task::Entity::find()
                    // As the partial index has it; a bound value would prove nothing to a planner.
                    .filter(Expr::cust("deals_task.remind_at IS NOT NULL AND deals_task.done_at IS NULL"))
                    .filter(Expr::cust("NOT deals_task.is_reminded"))
                    .filter(Expr::cust(IS_ABOUT_SOMETHING))
                    .filter(task::COLUMN.remind_at.lte(now))
                    .order_by_asc(task::Column::RemindAt)
                    .limit(BATCH)
            };
            let found = due().all(self.db.conn()).await?;
            if found.is_empty() {
                return Ok(reminded);
            }
            let orgs = organization::Entity::find()
                .filter(organization::COLUMN.id.is_in(found.iter().map(|task| task.org_id)))
                .all(self.db.conn())
                .await?;
            let orgs: HashMap<_, _> = orgs.into_iter().map(|org| (org.id, org)).collect();
            let members: Vec<(crate::MemberId, Option<UserId>)> = member::Entity::find()
                .select_only()
                .column(member::Column::Id)
                .column(member::Column::UserId)
                .filter(member::COLUMN.id.is_in(found.iter().map(|task| task.assignee_id)))
                .filter(member::COLUMN.status.eq(crate::MemberStatus::Active))
                .into_tuple()
                .all(self.db.conn())
                .await?;
            let users: HashMap<_, _> = members.into_iter().filter_map(|(id, user)| Some((id, user?))).collect();
            let ids: Vec<UserId> = users.values().copied().collect();
            let addresses: HashMap<_, _> = self.host.directory.addresses(&ids).await?.into_iter().collect();
            let people = self.people(ids).await?;
            let (found, orgs, users, addresses, people) = (&found, &orgs, &users, &addresses, &people);
            let letters = self.act(|tx| async move {
                let conn = tx.conn();
                let wanted = found.iter().map(|task| task.id);
                let still = || due().filter(task::COLUMN.id.is_in(wanted.clone()));
                // Of two who look at the same time one writes.
                lock_as(conn, still(), LockType::NoKeyUpdate).await?;
                let still: Vec<_> = still().all(conn).await?;
                let mut letters = 0;
                // Who has it by now is looked up the next time.
                let same = |row: &task::Model| {
                    found.iter().any(|known| known.id == row.id && known.assignee_id == row.assignee_id)
                };
                let still: Vec<_> = still.into_iter().filter(same).collect();
                task::Entity::update_many()
                    .col_expr(task::Column::IsReminded, Expr::value(true))
                    .filter(task::COLUMN.id.is_in(still.iter().map(|row| row.id)))
                    .exec(conn)
                    .await?;
                for row in still {
                    let known = (orgs.get(&row.org_id), users.get(&row.assignee_id));
                    let (Some(org), Some(user)) = known else { continue };
                    let Some(address) = addresses.get(user) else { continue };
                    // Others write what it says: nobody's mailbox is filled.
                    if !self.host.outbox.may_post(conn, Unasked::Reminder, address).await? {
                        continue;
                    }
                    let due = row.due_at.map(|due| format!("It is due {}.", org.moment(due)));
                    let letter = Letter {
                        to: address.clone(),
                        name: people.get(user).map(|person| person.display_name.clone()).unwrap_or_default(),
                        subject: format!("Reminder: {}", row.title),
                        lines: [Some(format!("You wanted to be reminded of “{}” at {}.", row.title, org.name)), due]
                            .into_iter()
                            .flatten()
                            .chain(Some(row.notes).filter(|notes| !notes.trim().is_empty()))
                            .collect(),
                        action: None,
                    };
                    self.host.outbox.post(conn, Some(*user), &self.host.letterhead.write(letter)?, LIFE).await?;
                    self.has_news();
                    letters += 1;
                }
                Ok::<_, Error>(letters)
            });
            reminded += letters.await?;
        }
    }
}

#[async_trait]
impl Job for SqlDeals {
    fn name(&self) -> &'static str {
        "deals.upkeep"
    }

    fn every(&self) -> Duration {
        EVERY
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        self.remind().await?;
        self.break_off_stalled().await?;
        Ok(self.tidy_webhooks().await?)
    }
}

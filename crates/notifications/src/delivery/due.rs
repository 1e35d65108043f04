//! Emails, and web pushes that have waited for the end of the quiet hours: one of each for all that is due.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Person, Timestamp, UserId,
    db::{self, Tx},
    job::Job,
    outbox::Unsolicited,
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    emails::{self, Recipient},
    message::Message,
    pushes::{self, PushContent},
};
use crate::{
    Channel, NotificationId, Result, Target,
    core::{Core, preferences::OwnPreferences, sentence::Sentence},
    entity::{due, notification},
};

/// How often the due messages are looked up.
const INTERVAL: Duration = Duration::from_secs(60);
/// How many rows are read to find recipients.
const RECIPIENT_ROWS: i64 = 500;
/// How many notifications one email or push is about at most.
const MAX_AT_ONCE: u64 = 500;
/// The delay after a failure, or if an address has got too many emails.
const DELAY: Duration = Duration::from_secs(3600);

const RECIPIENTS: &str = "SELECT recipient_id FROM notifications_due WHERE due_at <= $1 ORDER BY due_at LIMIT $2";
const POSTPONE: &str = "UPDATE notifications_due SET due_at = $1 WHERE recipient_id = $2 AND due_at <= $3";

/// Sends the emails and web pushes that are due.
#[derive(Clone)]
pub struct DueMessages {
    pub(crate) core: Core,
}

impl DueMessages {
    /// Sends what is due, and returns the number of emails and web pushes.
    pub async fn send(&self) -> Result<u64> {
        let mut sent = 0;
        loop {
            let now = self.core.now();
            let rows = db::scalars::<UserId>(self.core.db.conn(), RECIPIENTS, [now.into(), RECIPIENT_ROWS.into()]);
            let recipients: BTreeSet<UserId> = rows.await?.into_iter().collect();
            if recipients.is_empty() {
                return Ok(sent);
            }
            let ids: Vec<UserId> = recipients.iter().copied().collect();
            let addresses: HashMap<_, _> = self.core.host.directory.addresses(&ids).await?.into_iter().collect();
            for recipient in recipients {
                match self.send_to(recipient, addresses.get(&recipient), now).await {
                    Ok(messages) => sent += messages,
                    Err(error) => {
                        let error = guildhall_kernel::Error::from(error);
                        tracing::error!(user.id = recipient.0, %error, "could not send the notifications of a user");
                        self.postpone(recipient, now).await?;
                    }
                }
            }
        }
    }

    async fn postpone(&self, recipient: UserId, now: Timestamp) -> Result<()> {
        let values = || [(now + DELAY).into(), recipient.into(), now.into()];
        self.core.db.write(|tx| async move { db::execute(&tx, POSTPONE, values()).await }).await?;
        Ok(())
    }

    async fn send_to(&self, recipient: UserId, address: Option<&String>, now: Timestamp) -> Result<u64> {
        let conn = self.core.db.conn();
        let rows = due::Entity::find()
            .filter(due::COLUMN.recipient_id.eq(recipient))
            .filter(due::COLUMN.due_at.lte(now))
            .order_by_asc(due::Column::DueAt)
            .limit(MAX_AT_ONCE)
            .all(conn)
            .await?;
        let preferences = &OwnPreferences::load(conn, recipient).await?;
        let (messages, people) = self.load_messages(recipient, &rows, preferences).await?;
        let name = people.get(&recipient).map(|person| person.display_name.as_str()).unwrap_or_default();
        let address = address.map(|address| Recipient { user: recipient, name, address });
        let (rows, messages, address) = (&rows, &messages, &address);
        self.core
            .db
            .write(|tx| async move {
                // Only one of several nodes sends a message.
                let own = due::Entity::find().filter(due::COLUMN.id.is_in(rows.iter().map(|row| row.id)));
                db::lock_rows(&tx, || own.clone().order_by_asc(due::Column::Id), LockType::Update).await?;
                let own = own.select_only().column(due::Column::Id).column(due::Column::Channel);
                let own: Vec<(i64, Channel)> = own.into_tuple().all(&tx).await?;
                let still_due: HashSet<i64> = own.iter().map(|(id, _)| *id).collect();
                let (emails, pushes): (Vec<&Message>, Vec<&Message>) = messages
                    .iter()
                    .filter(|message| still_due.contains(&message.id))
                    .partition(|message| message.channel == Channel::Email);
                let mut sent = 0;
                let mut done: Vec<i64> = own.iter().map(|(id, _)| *id).collect();
                if let (Some(recipient), false) = (address, emails.is_empty()) {
                    let outbox = &self.core.host.outbox;
                    // The texts come from other users, so the number of emails per address is limited.
                    if outbox.may_email(&tx, Unsolicited::Reminder, recipient.address).await? {
                        emails::enqueue(&self.core, &tx, recipient, preferences.settings.digest, &emails).await?;
                        sent += 1;
                    } else {
                        done = own.iter().filter(|(_, channel)| *channel == Channel::Push).map(|(id, _)| *id).collect();
                        postpone_emails(&tx, &still_due, now).await?;
                    }
                }
                due::Entity::delete_many().filter(due::COLUMN.id.is_in(done)).exec(&tx).await?;
                if let Some(content) = push_of(recipient, &pushes) {
                    pushes::enqueue(&self.core, &tx, &content).await?;
                    sent += 1;
                }
                Ok(sent)
            })
            .await
    }

    /// What is still to be sent: not what was read meanwhile, what the recipient may no longer see or no longer wants.
    /// Also returns the people in it, and the recipient.
    async fn load_messages(
        &self,
        recipient: UserId,
        rows: &[due::Model],
        preferences: &OwnPreferences,
    ) -> Result<(Vec<Message>, HashMap<UserId, Person>)> {
        let ids = rows.iter().filter_map(|row| row.notification_id);
        let unread: HashMap<NotificationId, notification::Model> = notification::Entity::find()
            .filter(notification::COLUMN.id.is_in(ids))
            .filter(notification::COLUMN.read_at.is_null())
            .all(self.core.db.conn())
            .await?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let notification_of = |row: &due::Model| row.notification_id.map(|id| unread.get(&id));
        let is_wanted =
            |row: &&due::Model| preferences.is_on(row.kind, row.channel) && !matches!(notification_of(row), Some(None));
        // The target of a notification changes when something is added to it.
        let target_of = |row: &due::Model| match notification_of(row).flatten() {
            Some(notification) => notification.target(),
            None => row.target(),
        };
        let wanted: Vec<&due::Model> = rows.iter().filter(is_wanted).collect();
        let targets: Vec<Target> = wanted.iter().filter_map(|row| target_of(row)).collect();
        let visible = self.core.visible(recipient, &targets).await?;
        let actors = unread.values().filter_map(|row| row.actor_id).chain(rows.iter().filter_map(|row| row.actor_id));
        let people = self.core.people(actors.chain([recipient])).await?;
        let message = |row: &due::Model| {
            let target = target_of(row);
            if !visible.allows(target.as_ref()) {
                return None;
            }
            let text = if let Some(notification) = notification_of(row).flatten() {
                self.core.show(notification, &people).text
            } else {
                let actor = row.actor_id.and_then(|id| people.get(&id));
                Sentence::single(row.kind, &row.subject, actor).to_string()
            };
            let target = target.map(|target| self.core.with_absolute_url(target));
            let (id, channel, kind, notification) = (row.id, row.channel, row.kind, row.notification_id);
            Some(Message { id, channel, kind, notification, target, text })
        };
        Ok((wanted.into_iter().filter_map(message).collect(), people))
    }
}

/// One web push for all messages.
fn push_of(user: UserId, messages: &[&Message]) -> Option<PushContent> {
    match messages {
        [] => None,
        [message] => Some(PushContent {
            user,
            notification: message.notification,
            kind: Some(message.kind),
            target: message.target.clone(),
            text: message.text.clone(),
        }),
        messages => {
            let text = format!("You have {} new notifications", messages.len());
            Some(PushContent { user, notification: None, kind: None, target: None, text })
        }
    }
}

/// Sends the emails among these messages later.
async fn postpone_emails(tx: &Tx, ids: &HashSet<i64>, now: Timestamp) -> Result<()> {
    due::Entity::update_many()
        .col_expr(due::Column::DueAt, Expr::value(now + DELAY))
        .filter(due::COLUMN.id.is_in(ids.iter().copied()))
        .filter(due::COLUMN.channel.eq(Channel::Email))
        .exec(tx)
        .await?;
    Ok(())
}

#[async_trait]
impl Job for DueMessages {
    fn name(&self) -> &'static str {
        "notifications.due"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        self.send().await?;
        Ok(())
    }
}

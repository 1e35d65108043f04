//! Deleting old messages.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{
    Result, Timestamp,
    db::{self, Sql, Tx},
    job::Job,
};
use sea_orm::FromQueryResult;

use super::{
    SqlMessaging,
    counters::{lock, recount_unread},
};
use crate::{
    core::Core,
    error::{self, Error},
    id::{ConversationId, MessageId},
};

/// How many messages one transaction deletes.
const BATCH: i64 = 500;

/// The oldest messages, by id: an id is taken when a message is stored.
const OLDEST: &str = "SELECT id, conversation_id, no FROM (SELECT id, conversation_id, no, created_at \
    FROM messaging_message ORDER BY id LIMIT $2) AS oldest WHERE created_at < $1";
const DELETE: Sql = Sql::per_backend(
    "DELETE FROM messaging_message WHERE id IN (SELECT value FROM json_each($1))",
    "DELETE FROM messaging_message WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::json))",
);

#[derive(FromQueryResult)]
struct OldRow {
    id: MessageId,
    conversation_id: ConversationId,
    no: i64,
}

/// Deletes the oldest messages from before a time, also from the stored events; returns their number.
async fn delete_oldest(core: &Core, tx: &Tx, before: Timestamp) -> error::Result<usize> {
    let rows: Vec<OldRow> = db::rows(tx, OLDEST, [before.into(), BATCH.into()]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    // The greatest number of each conversation.
    let mut last: BTreeMap<ConversationId, i64> = BTreeMap::new();
    for row in &rows {
        let no = last.entry(row.conversation_id).or_default();
        *no = row.no.max(*no);
    }
    let conversations: Vec<ConversationId> = last.keys().copied().collect();
    lock(tx, &conversations).await?;
    db::execute(&tx.deferred(), DELETE, [db::id_list(rows.iter().map(|row| row.id.0))]).await?;
    for (conversation, no) in last {
        core.erase(tx, conversation, 1..=no).await?;
    }
    recount_unread(tx, &conversations).await?;
    Ok(rows.len())
}

/// Deletes messages that are older than the settings allow, and uploads that were not sent in time.
#[async_trait]
impl Job for SqlMessaging {
    fn name(&self) -> &'static str {
        "messaging.retention"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        self.delete_unsent_attachments().await.map_err(guildhall_kernel::Error::from)?;
        let days = u64::from(self.core.settings.keep_days);
        if days == 0 {
            return Ok(());
        }
        let before = self.core.now() - Duration::from_secs(days * 24 * 3600);
        let mut deleted = 0;
        loop {
            let batch = self.core.write(|tx| async move { delete_oldest(&self.core, &tx, before).await }).await;
            let batch = batch.map_err(|error: Error| guildhall_kernel::Error::from(error))?;
            deleted += batch;
            if batch == 0 {
                break;
            }
        }
        if deleted > 0 {
            tracing::info!(deleted, "deleted old messages");
        }
        Ok(())
    }
}

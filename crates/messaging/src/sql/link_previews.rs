//! Link previews, fetched after a message was stored.

use guildhall_kernel::{
    Timestamp,
    cipher::{KeyRing, Sealed},
    db::{self, Tx},
    http::PageFetcher,
    hyperlink,
    link_preview::{Attempt, LEASE, LinkPreview, fetch},
};
use sea_orm::FromQueryResult;

use super::{SqlMessaging, show::MessageRow};
use crate::{
    core::{content, frames::Frame},
    entity::conversation,
    error::{Error, Result},
    id::{ConversationId, MessageId},
};

/// How many pages are fetched concurrently.
const BATCH: i64 = 20;

const ADD: &str = "INSERT INTO messaging_link_preview (message_id, attempts, next_at) VALUES ($1, 0, $2)";
const DELETE: &str = "DELETE FROM messaging_link_preview WHERE message_id = $1 RETURNING page IS NOT NULL AS was_shown";
const DUE: &str = "SELECT p.message_id, m.conversation_id, m.no, p.attempts, p.next_at FROM messaging_link_preview p \
    JOIN messaging_message m ON m.id = p.message_id WHERE p.next_at <= $1 ORDER BY p.next_at LIMIT $2";
const CLAIM: &str = "UPDATE messaging_link_preview SET next_at = $3, attempts = attempts + 1 \
    WHERE message_id = $1 AND next_at = $2";
/// If the message was edited meanwhile, or another worker has taken over, the time differs.
const STORE: &str = "UPDATE messaging_link_preview SET page = $3, key_id = $4, next_at = NULL \
    WHERE message_id = $1 AND next_at = $2";
const RETRY: &str = "UPDATE messaging_link_preview SET next_at = $3 WHERE message_id = $1 AND next_at = $2";
const GIVE_UP: &str = "DELETE FROM messaging_link_preview WHERE message_id = $1 AND next_at = $2";

/// A page to be fetched.
#[derive(FromQueryResult)]
struct DueRow {
    message_id: MessageId,
    conversation_id: ConversationId,
    no: i64,
    attempts: i64,
    next_at: Timestamp,
}

/// What the preview of a message is encrypted for.
// Equal to the `context` in `sql/keys.rs`.
fn context(id: MessageId) -> String {
    format!("messaging_link_preview.page/{id}")
}

/// The preview of a message as it was stored; `None` if it cannot be read.
pub(super) fn open_preview(keys: &KeyRing, id: MessageId, page: String, key_id: Option<&str>) -> Option<LinkPreview> {
    let page = content::open(keys, page, key_id, context(id)).ok()?;
    let log = |error: &serde_json::Error| tracing::error!(message.id = %id, %error, "a link preview is malformed");
    serde_json::from_str(&page).inspect_err(log).ok()
}

/// The URL in the content of a message that gets a preview.
fn first_link(content: &str) -> Option<String> {
    hyperlink::bare_links(content).into_iter().next().map(|(_, url)| url)
}

/// Whether a content links to a page.
pub(super) fn has_link(content: &str) -> bool {
    first_link(content).is_some()
}

impl SqlMessaging {
    /// Requests the preview of the page that a message links to.
    pub(super) async fn request_preview(&self, tx: &Tx, id: MessageId, now: Timestamp) -> Result<()> {
        if self.core.host.page_fetcher.is_none() {
            return Ok(());
        }
        db::execute(&tx.deferred(), ADD, [id.into(), now.into()]).await?;
        let wake = self.core.wake_previews.clone();
        tx.after_commit(move || wake.notify_one());
        Ok(())
    }

    /// Removes the preview of a message whose link has changed, and requests that of the new page. `row` is the message
    /// before it was edited.
    pub(super) async fn replace_preview(&self, tx: &Tx, row: &MessageRow, content: &str, now: Timestamp) -> Result<()> {
        if row.open(&self.core.host.keys).is_ok_and(|before| first_link(&before) == first_link(content)) {
            return Ok(());
        }
        let was_shown: Option<bool> = db::scalar(tx, DELETE, [row.id.into()]).await?;
        if was_shown == Some(true) {
            let frame = Frame::MessagePreview { message_id: row.id, no: row.no, link_preview: None };
            self.core.append_about(tx, row.conversation_id, row.no, &frame).await?;
        }
        if has_link(content) {
            self.request_preview(tx, row.id, now).await?;
        }
        Ok(())
    }

    /// Waits until a message with a link was stored.
    pub async fn wait_for_previews(&self) {
        self.core.wake_previews.notified().await;
    }

    /// Fetches the pages whose previews are due. Returns the number of attempts. Safe to run on several nodes.
    pub async fn fetch_previews(&self) -> Result<u64> {
        let Some(fetcher) = &self.core.host.page_fetcher else { return Ok(0) };
        let mut attempts = 0;
        loop {
            let values = [self.core.now().into(), BATCH.into()];
            let due: Vec<DueRow> = db::rows(self.core.db.conn(), DUE, values).await?;
            if due.is_empty() {
                return Ok(attempts);
            }
            // Concurrently, so that a slow host does not delay the others.
            let fetches = due.into_iter().map(|due| async move {
                let until = self.core.now() + LEASE;
                let values = || [due.message_id.into(), due.next_at.into(), until.into()];
                let claim = |tx| async move { db::execute(&tx, CLAIM, values()).await };
                let is_claimed = self.core.write(claim).await? == 1;
                if is_claimed {
                    self.fetch_preview(&**fetcher, DueRow { next_at: until, ..due }).await?;
                }
                Ok::<_, Error>(u64::from(is_claimed))
            });
            for is_claimed in futures_util::future::join_all(fetches).await {
                attempts += is_claimed?;
            }
        }
    }

    /// Fetches the page of a message, which was claimed until `due.next_at`.
    async fn fetch_preview(&self, fetcher: &dyn PageFetcher, due: DueRow) -> Result<()> {
        let url = match MessageRow::load(self.core.db.conn(), due.message_id).await {
            Ok(row) => row.open(&self.core.host.keys).ok().and_then(|content| first_link(&content)),
            Err(Error::MessageNotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let attempt = match url {
            Some(url) => fetch(fetcher, &url, due.attempts).await,
            None => Attempt::NotAvailable,
        };
        let (due, attempt, now) = (&due, &attempt, self.core.now());
        self.core
            .write(|tx| async move {
                let (id, until) = (due.message_id, due.next_at);
                match attempt {
                    Attempt::Found(preview) => self.store_preview(&tx, due, preview).await,
                    Attempt::Retry(pause) => {
                        let values = [id.into(), until.into(), (now + *pause).into()];
                        db::execute(&tx.deferred(), RETRY, values).await?;
                        Ok(())
                    }
                    Attempt::NotAvailable => {
                        db::execute(&tx.deferred(), GIVE_UP, [id.into(), until.into()]).await?;
                        Ok(())
                    }
                }
            })
            .await
    }

    async fn store_preview(&self, tx: &Tx, due: &DueRow, preview: &LinkPreview) -> Result<()> {
        db::lock::<conversation::Entity>(tx, due.conversation_id).await?;
        let page = serde_json::to_string(preview).map_err(guildhall_kernel::Error::internal)?;
        let Sealed { text, key_id } = self.core.host.keys.seal(page, context(due.message_id))?;
        let values = [due.message_id.into(), due.next_at.into(), text.into(), key_id.into()];
        if db::execute(tx, STORE, values).await? == 1 {
            let frame = Frame::MessagePreview { message_id: due.message_id, no: due.no, link_preview: Some(preview) };
            self.core.append_about(tx, due.conversation_id, due.no, &frame).await?;
        }
        Ok(())
    }
}

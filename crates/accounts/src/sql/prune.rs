//! Deletes expired rows in small batches, so that other writers do not have to wait long.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{self as kernel, SessionId, db, job::Job};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Query},
};

use super::SqlAccounts;
use crate::{
    Result,
    entity::{refresh_token, session},
};

/// The number of rows deleted per transaction.
const BATCH: i64 = 500;
/// How long emails are kept after they were sent or given up.
const EMAIL_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a network counts as known after the last sign-in.
const NETWORK_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

/// The number of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Expired refresh tokens. Used ones are kept until they expire, to detect reuse.
    pub refresh_tokens: u64,
    /// Sessions without refresh tokens.
    pub sessions: u64,
    /// Expired user tokens.
    pub user_tokens: u64,
    /// Expired one-time tokens: email links, tickets.
    pub one_time_tokens: u64,
    /// Expired counters of failures and emails.
    pub throttles: u64,
    /// Known networks without a recent sign-in.
    pub networks: u64,
    /// Retired signing keys whose tokens have all expired.
    pub keys: u64,
    /// Emails that were sent or given up.
    pub emails: u64,
}

impl Pruned {
    /// The counts with their labels.
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        [
            ("refresh tokens", self.refresh_tokens),
            ("sessions", self.sessions),
            ("user tokens", self.user_tokens),
            ("one-time tokens", self.one_time_tokens),
            ("throttle counters", self.throttles),
            ("known networks", self.networks),
            ("signing keys", self.keys),
            ("emails", self.emails),
        ]
    }
}

// In all statements `$1` is the latest timestamp to delete, `$2` the batch size.
const REFRESH_TOKENS: &str = "DELETE FROM accounts_refresh_token WHERE id IN \
     (SELECT id FROM accounts_refresh_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const USER_TOKENS: &str = "DELETE FROM accounts_user_token WHERE id IN \
     (SELECT id FROM accounts_user_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const ONE_TIME_TOKENS: &str = "DELETE FROM accounts_one_time_token WHERE id IN \
     (SELECT id FROM accounts_one_time_token WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const THROTTLES: &str = "DELETE FROM accounts_throttle WHERE bucket IN \
     (SELECT bucket FROM accounts_throttle WHERE forgotten_at <= $1 ORDER BY forgotten_at LIMIT $2)";
const NETWORKS: &str = "DELETE FROM accounts_known_network WHERE (user_id, network) IN \
     (SELECT user_id, network FROM accounts_known_network WHERE last_seen_at <= $1 ORDER BY last_seen_at LIMIT $2)";

impl SqlAccounts {
    /// Deletes expired rows in batches.
    pub async fn prune(&self) -> Result<Pruned> {
        let now = self.0.clock.now();
        // Tokens first, so that deleting a session does not cascade to thousands of them in one transaction.
        let refresh_tokens = self.delete_batches(REFRESH_TOKENS, now).await?;
        let sessions = self.delete_sessions(now - self.0.settings.access_lifetime()).await?;
        let mut emails = 0;
        loop {
            let deleted = self.0.outbox.prune(EMAIL_RETENTION, BATCH.unsigned_abs()).await?;
            emails += deleted;
            if deleted == 0 {
                break;
            }
        }
        Ok(Pruned {
            refresh_tokens,
            sessions,
            user_tokens: self.delete_batches(USER_TOKENS, now).await?,
            one_time_tokens: self.delete_batches(ONE_TIME_TOKENS, now).await?,
            throttles: self.delete_batches(THROTTLES, now).await?,
            networks: self.delete_batches(NETWORKS, now - NETWORK_RETENTION).await?,
            keys: self.prune_keys().await?,
            emails,
        })
    }

    /// Deletes the sessions without refresh tokens. They are searched on a read connection, so that writers
    /// do not wait for the search.
    async fn delete_sessions(&self, before: kernel::Timestamp) -> Result<u64> {
        let mut total = 0;
        let mut last = SessionId(0);
        loop {
            let tokens = Query::select()
                .expr(Expr::val(1))
                .from(refresh_token::Entity)
                .and_where(
                    Expr::col((refresh_token::Entity, refresh_token::Column::SessionId))
                        .equals((session::Entity, session::Column::Id)),
                )
                .to_owned();
            let empty: Vec<SessionId> = session::Entity::find()
                .select_only()
                .column(session::Column::Id)
                .filter(session::COLUMN.id.gt(last))
                .filter(session::COLUMN.created_at.lte(before))
                .filter(Expr::exists(tokens).not())
                .order_by_asc(session::Column::Id)
                .limit(BATCH.unsigned_abs())
                .into_tuple()
                .all(self.0.db.conn())
                .await?;
            let Some(id) = empty.last() else { return Ok(total) };
            last = *id;
            let empty = &empty;
            // A session without tokens cannot get new ones: its first is created together with it.
            let deleted = self.0.db.write(|tx| async move {
                let filter = session::COLUMN.id.is_in(empty.iter().copied());
                session::Entity::delete_many().filter(filter).exec(&tx).await
            });
            total += deleted.await?.rows_affected;
        }
    }

    async fn delete_batches(&self, sql: &'static str, before: kernel::Timestamp) -> Result<u64, DbErr> {
        let mut total = 0;
        loop {
            let delete =
                self.0.db.write(|tx| async move { db::execute(&tx, sql, [before.into(), BATCH.into()]).await });
            let deleted = delete.await?;
            total += deleted;
            if deleted < BATCH.unsigned_abs() {
                return Ok(total);
            }
        }
    }
}

#[async_trait]
impl Job for SqlAccounts {
    fn name(&self) -> &'static str {
        "accounts.prune"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> kernel::Result<()> {
        let pruned = self.prune().await?;
        tracing::info!(?pruned, "deleted expired rows");
        Ok(())
    }
}

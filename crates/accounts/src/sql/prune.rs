//! Clearing away what has expired, in small steps, so that nobody waits for it.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{self as kernel, SessionId, job::Job};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, Value,
    sea_query::{Expr, ExprTrait, Query},
};

use super::SqlAccounts;
use crate::{
    Result,
    entity::{refresh_token, session},
};

/// How many rows go at a time.
const BATCH: i64 = 500;
/// For how long a letter is still listed after it has expired.
const LETTERS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long a network counts as known.
const NETWORKS_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// How much went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Refresh tokens that had expired. Used ones stay until they expire: they show a second use.
    pub refresh_tokens: u64,
    /// Sessions that had ended, or had no token left.
    pub sessions: u64,
    /// User tokens that had expired.
    pub user_tokens: u64,
    /// Links, tickets and the like.
    pub one_time_tokens: u64,
    /// Counts of failures and letters that had been forgotten.
    pub throttles: u64,
    /// Networks that nobody has signed in from for long.
    pub networks: u64,
    /// Signing keys that verified nothing any more.
    pub keys: u64,
    /// Letters that were sent or given up.
    pub letters: u64,
}

impl Pruned {
    /// What went, by its name.
    pub fn counts(&self) -> [(&'static str, u64); 8] {
        [
            ("refresh tokens", self.refresh_tokens),
            ("sessions", self.sessions),
            ("user tokens", self.user_tokens),
            ("one-time tokens", self.one_time_tokens),
            ("counts of failures and letters", self.throttles),
            ("known networks", self.networks),
            ("signing keys", self.keys),
            ("letters", self.letters),
        ]
    }
}

/// What can be cleared away: `$1` is the moment before which, `$2` how many.
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
    /// Clears away what has expired, a few hundred rows at a time.
    pub async fn prune(&self) -> Result<Pruned> {
        let now = self.0.clock.now();
        // First the tokens, so that no session takes thousands of them along in one step.
        let refresh_tokens = self.clear(REFRESH_TOKENS, now).await?;
        let sessions = self.clear_sessions(now - self.0.settings.access_life()).await?;
        let mut letters = 0;
        loop {
            let gone = self.0.outbox.prune(LETTERS_KEPT, BATCH.unsigned_abs()).await?;
            letters += gone;
            if gone == 0 {
                break;
            }
        }
        Ok(Pruned {
            refresh_tokens,
            sessions,
            user_tokens: self.clear(USER_TOKENS, now).await?,
            one_time_tokens: self.clear(ONE_TIME_TOKENS, now).await?,
            throttles: self.clear(THROTTLES, now).await?,
            networks: self.clear(NETWORKS, now - NETWORKS_KEPT).await?,
            keys: self.prune_keys().await?,
            letters,
        })
    }

    /// Clears away the sessions that no token is left of. They are looked for on the readers, from the
    /// first to the last, so that whoever writes does not wait for the search.
    async fn clear_sessions(&self, before: kernel::Timestamp) -> Result<u64> {
        let mut cleared = 0;
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
            let Some(newest) = empty.last() else { return Ok(cleared) };
            last = *newest;
            let empty = &empty;
            // A session gets its only first token together with itself: what is empty stays so.
            let gone = self.0.db.write(|tx| async move {
                let which = session::COLUMN.id.is_in(empty.iter().copied());
                session::Entity::delete_many().filter(which).exec(tx.conn()).await
            });
            cleared += gone.await?.rows_affected;
        }
    }

    async fn clear(&self, sql: &str, before: kernel::Timestamp) -> Result<u64, DbErr> {
        let mut cleared = 0;
        loop {
            let values: [Value; 2] = [before.into(), BATCH.into()];
            let step = Statement::from_sql_and_values(self.0.db.backend(), sql, values);
            let gone = self
                .0
                .db
                .write(|tx| {
                    let step = step.clone();
                    async move { Ok::<_, DbErr>(tx.conn().execute_raw(step).await?.rows_affected()) }
                })
                .await?;
            cleared += gone;
            if gone < BATCH.unsigned_abs() {
                return Ok(cleared);
            }
        }
    }
}

#[async_trait]
impl Job for SqlAccounts {
    fn name(&self) -> &'static str {
        "accounts.prune"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> kernel::Result<()> {
        let pruned = self.prune().await?;
        tracing::info!(?pruned, "what had expired was cleared away");
        Ok(())
    }
}

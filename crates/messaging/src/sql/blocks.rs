//! People whom the caller has blocked.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, UserId, db};
use guildhall_realtime::OwnStream;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::SqlMessaging;
use crate::{
    core::access::pair,
    entity::block,
    error::{Error, Result},
    model::Block,
    service::Blocks,
};

/// The maximum number of people whom one person can block.
const MAX_BLOCKS: u64 = 5_000;

const ADD: &str = "INSERT INTO messaging_block (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3) \
    ON CONFLICT DO NOTHING";
const REMOVE: &str = "DELETE FROM messaging_block WHERE blocker_id = $1 AND blocked_id = $2";

#[async_trait]
impl Blocks for SqlMessaging {
    async fn blocks(&self, caller: &Caller, cursor: CursorQuery) -> Result<CursorPage<Block>> {
        let own = block::Entity::find().filter(block::COLUMN.blocker_id.eq(caller.user));
        let rows = cursor.apply(own, block::Column::Id).all(self.core.db.conn()).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row| row.id, &cursor).split();
        let people = self.core.people(rows.iter().map(|row| row.blocked_id)).await?;
        let show = |row: block::Model| Block { user: people.get(&row.blocked_id).cloned(), created_at: row.created_at };
        Ok(page.with_results(rows.into_iter().map(show).collect()))
    }

    async fn block(&self, caller: &Caller, user: UserId) -> Result<()> {
        if user == caller.user {
            return Err(Error::field("user_id", "You cannot block yourself."));
        }
        self.core.person(user).await?;
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                let own = block::Entity::find().filter(block::COLUMN.blocker_id.eq(caller.user));
                if own.count(&tx).await? >= MAX_BLOCKS {
                    return Err(Error::field("user_id", format!("You can block at most {MAX_BLOCKS} people.")));
                }
                // A message that is being stored is either stored before, or refused.
                let (low, high) = pair(caller.user, user);
                for user in [low, high] {
                    self.core.host.streams.lock(&tx, &OwnStream::of(user)).await?;
                }
                db::execute(&tx.deferred(), ADD, [caller.user.into(), user.into(), now.into()]).await?;
                Ok(())
            })
            .await
    }

    async fn unblock(&self, caller: &Caller, user: UserId) -> Result<()> {
        let remove = |tx| async move { db::execute(&tx, REMOVE, [caller.user.into(), user.into()]).await };
        if self.core.write(remove).await? == 0 {
            self.core.person(user).await?;
        }
        Ok(())
    }
}

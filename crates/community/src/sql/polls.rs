//! Polls.

use std::collections::HashSet;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::ExprTrait};

use super::SqlCommunity;
use crate::{
    Error, Poll, Polls, PostId, Result, Vote,
    entity::{poll, poll_option, poll_vote},
};

#[async_trait]
impl Polls for SqlCommunity {
    async fn vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll> {
        vote.validate()?;
        let chosen: HashSet<i64> = vote.options.iter().copied().collect();
        let (now, chosen) = (self.host.clock.now(), &chosen);
        self.db
            .write(|tx| async move {
                let conn = &tx;
                self.lock_post_for_member(conn, caller, id).await?;
                let poll = poll::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("poll"))?;
                if poll.closes_at.is_some_and(|end| end <= now) {
                    return Err(Error::PollClosed);
                }
                if chosen.len() > 1 && !poll.is_multiple {
                    return Err(Error::field("options", "Choose only one option."));
                }
                let positions: Vec<i64> = poll_option::Entity::find()
                    .select_only()
                    .column(poll_option::Column::Position)
                    .filter(poll_option::COLUMN.post_id.eq(id))
                    .into_tuple()
                    .all(conn)
                    .await?;
                if !chosen.iter().all(|position| positions.contains(position)) {
                    return Err(Error::field("options", "This option does not exist."));
                }
                let own_votes = poll_vote::COLUMN.post_id.eq(id).and(poll_vote::COLUMN.user_id.eq(caller.user));
                poll_vote::Entity::delete_many().filter(own_votes).exec(conn).await?;
                if !chosen.is_empty() {
                    let row = |position: &i64| poll_vote::ActiveModel {
                        post_id: Set(id),
                        position: Set(*position),
                        user_id: Set(caller.user),
                        is_single: Set(!poll.is_multiple),
                        created_at: Set(now),
                    };
                    poll_vote::Entity::insert_many(chosen.iter().map(row)).exec_without_returning(conn).await?;
                }
                super::counters::recount_votes(conn, &[id]).await?;
                Ok(())
            })
            .await?;
        self.polls(self.db.conn(), &[id], caller.into()).await?.remove(&id).ok_or(Error::NotFound("poll"))
    }
}

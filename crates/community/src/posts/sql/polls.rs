//! Polls.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, Timestamp};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::ExprTrait,
};

use super::{SqlPosts, access::lock_post_for_member};
use crate::{
    core::{counters::recount_votes, scope::Viewer},
    entity::{poll, poll_option, poll_vote},
    error::{Error, Result},
    id::PostId,
    posts::{NewPoll, Poll, PollOption, Polls, Vote},
};

/// Stores the poll of a new post.
pub(super) async fn store_poll(conn: &impl ConnectionTrait, post: PostId, new: &NewPoll, now: Timestamp) -> Result<()> {
    let closes_at = new.hours.map(|hours| now + Duration::from_secs(hours.unsigned_abs() * 3600));
    let row = poll::ActiveModel { post_id: Set(post), is_multiple: Set(new.is_multiple), closes_at: Set(closes_at) };
    poll::Entity::insert(row).exec_without_returning(conn).await?;
    let option_row = |(position, text): (i64, &String)| poll_option::ActiveModel {
        post_id: Set(post),
        position: Set(position),
        text: Set(text.trim().to_owned()),
        votes: Set(0),
    };
    let options = (0..).zip(&new.options).map(option_row);
    poll_option::Entity::insert_many(options).exec_without_returning(conn).await?;
    Ok(())
}

/// The polls of these posts, with the viewer's votes.
pub(super) async fn polls_of(
    conn: &impl ConnectionTrait,
    ids: &[PostId],
    viewer: Viewer,
) -> Result<HashMap<PostId, Poll>> {
    let post_ids = ids.iter().copied();
    let polls = poll::Entity::find().filter(poll::COLUMN.post_id.is_in(post_ids.clone())).all(conn).await?;
    if polls.is_empty() {
        return Ok(HashMap::new());
    }
    let empty = |row: poll::Model| {
        let poll =
            Poll { is_multiple: row.is_multiple, closes_at: row.closes_at, options: Vec::new(), my_votes: Vec::new() };
        (row.post_id, poll)
    };
    let mut polls: HashMap<PostId, Poll> = polls.into_iter().map(empty).collect();
    let options = poll_option::Entity::find()
        .filter(poll_option::COLUMN.post_id.is_in(post_ids.clone()))
        .order_by_asc(poll_option::Column::Position);
    for row in options.all(conn).await? {
        if let Some(poll) = polls.get_mut(&row.post_id) {
            poll.options.push(PollOption { position: row.position, text: row.text, votes: row.votes });
        }
    }
    let own_votes = poll_vote::Entity::find()
        .filter(poll_vote::COLUMN.post_id.is_in(post_ids))
        .filter(poll_vote::COLUMN.user_id.eq(viewer.id()))
        .order_by_asc(poll_vote::Column::Position);
    for row in own_votes.all(conn).await? {
        if let Some(poll) = polls.get_mut(&row.post_id) {
            poll.my_votes.push(row.position);
        }
    }
    Ok(polls)
}

#[async_trait]
impl Polls for SqlPosts {
    async fn vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll> {
        vote.validate()?;
        let chosen: HashSet<i64> = vote.options.iter().copied().collect();
        let (now, chosen) = (self.core.now(), &chosen);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                lock_post_for_member(conn, caller, id).await?;
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
                recount_votes(conn, &[id]).await?;
                Ok(())
            })
            .await?;
        polls_of(self.core.db.conn(), &[id], caller.into()).await?.remove(&id).ok_or(Error::NotFound("poll"))
    }
}

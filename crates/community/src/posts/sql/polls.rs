//! Polls.

use std::{
    collections::{HashMap, HashSet},
    iter,
    time::Duration,
};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, Timestamp, UserId,
    db::{self, Pipeline, QueryTemplate, Tx},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
    sea_query::{ExprTrait, SelectStatement},
};

use super::{
    SqlPosts,
    access::{PostAccess, lock_row},
};
use crate::{
    core::{counters::recount_votes, scope::Viewer},
    entity::{poll, poll_option, poll_vote},
    error::{Error, Result},
    id::PostId,
    posts::{NewPoll, Poll, PollOption, Polls, Vote},
};

/// Stores the poll of a new post.
pub(super) async fn store_poll(tx: &Tx, post: PostId, new: &NewPoll, now: Timestamp) -> Result<()> {
    let closes_at = new.hours.map(|hours| now + Duration::from_secs(hours.unsigned_abs() * 3600));
    let row = poll::ActiveModel { post_id: Set(post), is_multiple: Set(new.is_multiple), closes_at: Set(closes_at) };
    poll::Entity::insert(row).exec_without_returning(&tx.deferred()).await?;
    let option_row = |(position, text): (i64, &String)| poll_option::ActiveModel {
        post_id: Set(post),
        position: Set(position),
        text: Set(text.trim().to_owned()),
        votes: Set(0),
    };
    let options = (0..).zip(&new.options).map(option_row);
    poll_option::Entity::insert_many(options).exec_without_returning(&tx.deferred()).await?;
    Ok(())
}

static POLLS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    poll::Entity::find().filter(poll::COLUMN.post_id.is_in(posts.iter().copied().map(PostId))).into_query()
});

static OPTIONS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    poll_option::Entity::find()
        .filter(poll_option::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .order_by_asc(poll_option::Column::Position)
        .into_query()
});

static OWN_VOTES: QueryTemplate<()> = QueryTemplate::new(|(), ids| {
    let [user, posts @ ..] = ids else { return SelectStatement::new() };
    poll_vote::Entity::find()
        .filter(poll_vote::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .filter(poll_vote::COLUMN.user_id.eq(UserId(*user)))
        .order_by_asc(poll_vote::Column::Position)
        .into_query()
});

/// The polls of these posts, with the viewer's votes.
pub(super) async fn polls_of(conn: &Pipeline<'_>, ids: &[PostId], viewer: Viewer) -> Result<HashMap<PostId, Poll>> {
    let posts = db::pad_ids(ids.iter().map(|id| id.0));
    let polls = POLLS.rows::<poll::Model>(conn, &(), &posts).await?;
    if polls.is_empty() {
        return Ok(HashMap::new());
    }
    let empty = |row: poll::Model| {
        let poll =
            Poll { is_multiple: row.is_multiple, closes_at: row.closes_at, options: Vec::new(), my_votes: Vec::new() };
        (row.post_id, poll)
    };
    let mut polls: HashMap<PostId, Poll> = polls.into_iter().map(empty).collect();
    let vote_ids: Vec<i64> = iter::once(viewer.id().0).chain(posts.iter().copied()).collect();
    let (options, own_votes) = tokio::try_join!(
        OPTIONS.rows::<poll_option::Model>(conn, &(), &posts),
        OWN_VOTES.rows::<poll_vote::Model>(conn, &(), &vote_ids),
    )?;
    for row in options {
        if let Some(poll) = polls.get_mut(&row.post_id) {
            poll.options.push(PollOption { position: row.position, text: row.text, votes: row.votes });
        }
    }
    for row in own_votes {
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
                lock_row(&tx, id).await?;
                let pipeline = tx.pipeline();
                let positions = poll_option::Entity::find()
                    .select_only()
                    .column(poll_option::Column::Position)
                    .filter(poll_option::COLUMN.post_id.eq(id))
                    .into_tuple::<i64>();
                let (access, poll, positions) = tokio::join!(
                    PostAccess::load(&pipeline, caller, id),
                    poll::Entity::find_by_id(id).one(&pipeline),
                    positions.all(&pipeline),
                );
                access?.require_member()?;
                let (poll, positions) = (poll?.ok_or(Error::NotFound("poll"))?, positions?);
                if poll.closes_at.is_some_and(|end| end <= now) {
                    return Err(Error::PollClosed);
                }
                if chosen.len() > 1 && !poll.is_multiple {
                    return Err(Error::field("options", "Choose only one option."));
                }
                if !chosen.iter().all(|position| positions.contains(position)) {
                    return Err(Error::field("options", "This option does not exist."));
                }
                let own_votes = poll_vote::COLUMN.post_id.eq(id).and(poll_vote::COLUMN.user_id.eq(caller.user));
                poll_vote::Entity::delete_many().filter(own_votes).exec(&tx.deferred()).await?;
                if !chosen.is_empty() {
                    let row = |position: &i64| poll_vote::ActiveModel {
                        post_id: Set(id),
                        position: Set(*position),
                        user_id: Set(caller.user),
                        is_single: Set(!poll.is_multiple),
                        created_at: Set(now),
                    };
                    let rows = poll_vote::Entity::insert_many(chosen.iter().map(row));
                    rows.exec_without_returning(&tx.deferred()).await?;
                }
                Ok(recount_votes(&tx.deferred(), &[id]).await?)
            })
            .await?;
        polls_of(&self.core.pipeline(), &[id], caller.into()).await?.remove(&id).ok_or(Error::NotFound("poll"))
    }
}

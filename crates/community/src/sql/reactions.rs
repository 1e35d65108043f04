//! What people make of posts: reactions, bookmarks, votes; and whom they follow.

use std::collections::HashSet;

use garde::Validate;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{SqlCommunity, feed::counts, members::role_of, posts::hot, scope::visible_posts};
use crate::{
    Error, Follow, Poll, PostId, Result, Vote,
    entity::{bookmark, follow, poll, poll_option, poll_vote, post, reaction},
};

/// What can be made of a post beside any emoji.
const WORDS: [&str; 6] = ["like", "love", "celebrate", "support", "insightful", "funny"];

/// One of the words, or one emoji in its one spelling.
fn kind_of(given: &str) -> Result<String> {
    if WORDS.contains(&given) {
        return Ok(given.to_owned());
    }
    let emoji = emojis::get(given).map(|emoji| emoji.as_str().to_owned());
    emoji.ok_or_else(|| Error::field("reaction_type", format!("Choose one emoji, or from: {}.", WORDS.join(", "))))
}

impl SqlCommunity {
    /// A post that the caller may read and make something of, locked.
    pub(super) async fn post_to_act_on(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: PostId,
    ) -> Result<post::Model> {
        let found = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
        let found = found.ok_or(Error::PostNotFound(id))?;
        if let Some(group) = found.group_id
            && role_of(conn, group, caller.user).await?.is_none()
        {
            return Err(Error::NotMember);
        }
        Ok(found)
    }

    /// Stores what the caller makes of a post; where they say the same again, `toggle` takes it back.
    pub(super) async fn set_reaction(&self, caller: &Caller, id: PostId, kind: &str, toggle: bool) -> Result<()> {
        let kind = &kind_of(kind)?;
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let post = self.post_to_act_on(conn, caller, id).await?;
                let own = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let mut counts = counts(&post.reactions);
                let before = own.map(|own| own.kind);
                if let Some(before) = &before {
                    count_down(&mut counts, before);
                }
                match before {
                    Some(before) if before == *kind => {
                        if !toggle {
                            return Ok(());
                        }
                        reaction::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                    }
                    Some(_) => {
                        *counts.entry(kind.clone()).or_default() += 1;
                        reaction::Entity::update_many()
                            .col_expr(reaction::Column::Kind, Expr::value(kind.clone()))
                            .filter(reaction::COLUMN.post_id.eq(id))
                            .filter(reaction::COLUMN.user_id.eq(caller.user))
                            .exec(conn)
                            .await?;
                    }
                    None => {
                        *counts.entry(kind.clone()).or_default() += 1;
                        let row = reaction::ActiveModel {
                            post_id: Set(id),
                            user_id: Set(caller.user),
                            kind: Set(kind.clone()),
                            created_at: Set(self.host.clock.now()),
                        };
                        reaction::Entity::insert(row).exec_without_returning(conn).await?;
                    }
                }
                keep_counts(conn, &post, &counts).await
            })
            .await
    }

    pub(super) async fn take_reaction_back(&self, caller: &Caller, id: PostId, kind: Option<&str>) -> Result<()> {
        let kind = &kind.map(kind_of).transpose()?;
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let post = self.post_to_act_on(conn, caller, id).await?;
                let own = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let Some(own) = own.filter(|own| kind.as_ref().is_none_or(|kind| *kind == own.kind)) else {
                    return Ok(());
                };
                reaction::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                let mut counts = counts(&post.reactions);
                count_down(&mut counts, &own.kind);
                keep_counts(conn, &post, &counts).await
            })
            .await
    }

    /// Keeps a post, or no longer, or turns that round; tells whether it is kept now.
    pub(super) async fn set_bookmark(&self, caller: &Caller, id: PostId, keep: Option<bool>) -> Result<bool> {
        let user = caller.user;
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let kept = bookmark::COLUMN.user_id.eq(user).and(bookmark::COLUMN.post_id.eq(id));
                if keep != Some(true) {
                    // One can always let go, also of what one may no longer read.
                    let gone = bookmark::Entity::delete_many().filter(kept).exec(conn).await?.rows_affected;
                    if gone > 0 {
                        return Ok(false);
                    }
                }
                let readable = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).one(conn).await?;
                readable.ok_or(Error::PostNotFound(id))?;
                if keep == Some(false) {
                    return Ok(false);
                }
                let row = bookmark::ActiveModel {
                    id: NotSet,
                    user_id: Set(user),
                    post_id: Set(id),
                    created_at: Set(self.host.clock.now()),
                };
                bookmark::Entity::insert(row).on_conflict(or_nothing()).exec_without_returning(conn).await?;
                Ok(true)
            })
            .await
    }

    pub(super) async fn cast_vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll> {
        vote.validate()?;
        let chosen: HashSet<i64> = vote.options.iter().copied().collect();
        let (now, chosen) = (self.host.clock.now(), &chosen);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                self.post_to_act_on(conn, caller, id).await?;
                let poll = poll::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("poll"))?;
                if poll.closes_at.is_some_and(|end| end <= now) {
                    return Err(Error::PollClosed);
                }
                if chosen.len() > 1 && !poll.is_multiple {
                    return Err(Error::field("options", "Choose one answer."));
                }
                let known: Vec<i64> = poll_option::Entity::find()
                    .select_only()
                    .column(poll_option::Column::Position)
                    .filter(poll_option::COLUMN.post_id.eq(id))
                    .into_tuple()
                    .all(conn)
                    .await?;
                if !chosen.iter().all(|position| known.contains(position)) {
                    return Err(Error::field("options", "There is no such answer."));
                }
                let own = poll_vote::COLUMN.post_id.eq(id).and(poll_vote::COLUMN.user_id.eq(caller.user));
                poll_vote::Entity::delete_many().filter(own).exec(conn).await?;
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

    pub(super) async fn set_follow(&self, caller: &Caller, user: UserId, wanted: bool) -> Result<()> {
        if user == caller.user {
            return Err(Error::field("user_id", "You cannot follow yourself."));
        }
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                if !wanted {
                    let which = follow::COLUMN.follower_id.eq(caller.user).and(follow::COLUMN.followed_id.eq(user));
                    follow::Entity::delete_many().filter(which).exec(conn).await?;
                    return Ok(());
                }
                let row = follow::ActiveModel {
                    id: NotSet,
                    follower_id: Set(caller.user),
                    followed_id: Set(user),
                    created_at: Set(self.host.clock.now()),
                };
                match follow::Entity::insert(row).on_conflict(or_nothing()).exec_without_returning(conn).await {
                    Ok(_) => Ok(()),
                    Err(error) => match error.sql_err() {
                        Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => Err(Error::NotFound("person")),
                        _ => Err(error.into()),
                    },
                }
            })
            .await
    }

    pub(super) async fn list_follows(&self, caller: &Caller, page: PageQuery) -> Result<Page<Follow>> {
        let select = follow::Entity::find().filter(follow::COLUMN.follower_id.eq(caller.user));
        let ordering = Ordering { fields: &[("id", follow::Column::Id)], usual: "-id", id: follow::Column::Id };
        let (rows, page) = Page::<FollowRow>::fetch(select, &ordering, &page, self.db.conn()).await?.take();
        let people = self.people(rows.iter().map(|row| row.followed_id)).await?;
        let show = |row: FollowRow| Follow { user: people.get(&row.followed_id).cloned(), created_at: row.created_at };
        Ok(page.with(|_| rows.into_iter().map(show).collect()))
    }
}

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "follow::Entity")]
struct FollowRow {
    followed_id: UserId,
    created_at: guildhall_kernel::Timestamp,
}

/// What is there already stays, whichever of its keys says so.
fn or_nothing() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
}

fn count_down(counts: &mut std::collections::BTreeMap<String, i64>, kind: &str) {
    if let Some(count) = counts.get_mut(kind) {
        *count -= 1;
    }
    counts.retain(|_, count| *count > 0);
}

/// Keeps how many make what of a post, whose row is locked.
async fn keep_counts(
    conn: &impl ConnectionTrait,
    post: &post::Model,
    counts: &std::collections::BTreeMap<String, i64>,
) -> Result<()> {
    let row = post::ActiveModel {
        id: Unchanged(post.id),
        reactions: Set(serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())),
        hot: Set(hot(post.created_at, counts.values().sum(), post.comment_count)),
        ..Default::default()
    };
    post::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_a_word_or_one_emoji() {
        for (given, kept) in [("like", "like"), ("funny", "funny"), ("🎉", "🎉"), ("👍🏽", "👍🏽"), ("❤", "❤️")]
        {
            assert_eq!(kind_of(given).unwrap(), kept, "{given}");
        }
        for odd in ["", "hate", "Like", "🎉🎉", "a", "1", "<b>", "like "] {
            assert!(kind_of(odd).is_err(), "{odd}");
        }
    }
}

//! Reactions to posts.

use async_trait::async_trait;
use guildhall_kernel::Caller;
use sea_orm::{
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use super::{SqlCommunity, feed::counts, members::role_of, posts::hot_score, scope::visible_posts};
use crate::{
    Error, Post, PostId, Reactions, Result,
    entity::{bookmark, post, reaction},
    event::{ReactionRemoved, ReactionSet},
};

/// The named kinds of reactions; any single emoji is allowed as well.
const NAMED_KINDS: [&str; 6] = ["like", "love", "celebrate", "support", "insightful", "funny"];

/// Parses a named kind or a single emoji, which is normalized.
fn parse_kind(input: &str) -> Result<String> {
    if NAMED_KINDS.contains(&input) {
        return Ok(input.to_owned());
    }
    let emoji = emojis::get(input).map(|emoji| emoji.as_str().to_owned());
    emoji
        .ok_or_else(|| Error::field("reaction_type", format!("Choose one emoji, or from: {}.", NAMED_KINDS.join(", "))))
}

impl SqlCommunity {
    /// Locks a post that the caller may read and react to: in a group, only members may.
    pub(super) async fn lock_post_for_member(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: PostId,
    ) -> Result<post::Model> {
        let post = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
        let post = post.ok_or(Error::PostNotFound(id))?;
        if let Some(group) = post.group_id
            && role_of(conn, group, caller.user).await?.is_none()
        {
            return Err(Error::NotMember);
        }
        Ok(post)
    }

    /// Sets the caller's reaction to a post. If it is already of this kind, `toggle` removes it.
    pub(super) async fn set_reaction(&self, caller: &Caller, id: PostId, kind: &str, toggle: bool) -> Result<()> {
        let kind = &parse_kind(kind)?;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let post = self.lock_post_for_member(conn, caller, id).await?;
                let current = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let mut counts = counts(&post.reactions);
                let previous = current.map(|current| current.kind);
                if let Some(previous) = &previous {
                    decrement(&mut counts, previous);
                }
                match previous {
                    Some(previous) if previous == *kind => {
                        if !toggle {
                            return Ok(());
                        }
                        reaction::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                        tx.emit(&ReactionRemoved { post: id, user: caller.user }).await?;
                        return store_counts(conn, &post, &counts).await;
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
                tx.emit(&ReactionSet { post: id, user: caller.user, kind: kind.clone() }).await?;
                store_counts(conn, &post, &counts).await
            })
            .await
    }

    /// Adds or removes a bookmark; `None` toggles. Returns whether the post is bookmarked now.
    pub(super) async fn set_bookmark(&self, caller: &Caller, id: PostId, bookmarked: Option<bool>) -> Result<bool> {
        let user = caller.user;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let own = bookmark::COLUMN.user_id.eq(user).and(bookmark::COLUMN.post_id.eq(id));
                if bookmarked != Some(true) {
                    // A bookmark can be removed even if the post is no longer readable.
                    let deleted = bookmark::Entity::delete_many().filter(own).exec(conn).await?.rows_affected;
                    if deleted > 0 {
                        return Ok(false);
                    }
                }
                let readable = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).one(conn).await?;
                readable.ok_or(Error::PostNotFound(id))?;
                if bookmarked == Some(false) {
                    return Ok(false);
                }
                let row = bookmark::ActiveModel {
                    id: NotSet,
                    user_id: Set(user),
                    post_id: Set(id),
                    created_at: Set(self.host.clock.now()),
                };
                bookmark::Entity::insert(row).on_conflict(do_nothing()).exec_without_returning(conn).await?;
                Ok(true)
            })
            .await
    }
}

/// Ignores a row that exists already, whichever unique constraint it violates.
pub(super) fn do_nothing() -> OnConflict {
    OnConflict::new().do_nothing().to_owned()
}

fn decrement(counts: &mut std::collections::BTreeMap<String, i64>, kind: &str) {
    if let Some(count) = counts.get_mut(kind) {
        *count -= 1;
    }
    counts.retain(|_, count| *count > 0);
}

/// Stores the reaction counts of a post, whose row has to be locked.
async fn store_counts(
    conn: &impl ConnectionTrait,
    post: &post::Model,
    counts: &std::collections::BTreeMap<String, i64>,
) -> Result<()> {
    let row = post::ActiveModel {
        id: Unchanged(post.id),
        reactions: Set(serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned())),
        hot: Set(hot_score(post.created_at, counts.values().sum(), post.comment_count)),
        ..Default::default()
    };
    post::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}

#[async_trait]
impl Reactions for SqlCommunity {
    async fn react(&self, caller: &Caller, id: PostId, kind: String) -> Result<()> {
        self.set_reaction(caller, id, &kind, false).await
    }

    async fn unreact(&self, caller: &Caller, id: PostId, kind: Option<String>) -> Result<()> {
        let kind = kind.as_deref();
        let kind = &kind.map(parse_kind).transpose()?;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let post = self.lock_post_for_member(conn, caller, id).await?;
                let own = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let Some(own) = own.filter(|own| kind.as_ref().is_none_or(|kind| *kind == own.kind)) else {
                    return Ok(());
                };
                reaction::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                tx.emit(&ReactionRemoved { post: id, user: caller.user }).await?;
                let mut counts = counts(&post.reactions);
                decrement(&mut counts, &own.kind);
                store_counts(conn, &post, &counts).await
            })
            .await
    }

    async fn toggle_reaction(&self, caller: &Caller, id: PostId, kind: String) -> Result<Post> {
        self.set_reaction(caller, id, &kind, true).await?;
        self.find_post(caller.into(), id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_a_named_kind_or_one_emoji() {
        for (input, expected) in [("like", "like"), ("funny", "funny"), ("🎉", "🎉"), ("👍🏽", "👍🏽"), ("❤", "❤️")]
        {
            assert_eq!(parse_kind(input).unwrap(), expected, "{input}");
        }
        for invalid in ["", "hate", "Like", "🎉🎉", "a", "1", "<b>", "like "] {
            assert!(parse_kind(invalid).is_err(), "{invalid}");
        }
    }
}

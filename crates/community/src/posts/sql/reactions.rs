//! Reactions to posts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, db};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set, sea_query::Expr};

use super::{
    SqlPosts,
    access::lock_post_for_member,
    score::{reaction_counts, with_reactions},
};
use crate::{
    entity::reaction,
    error::{Error, Result},
    event::{ReactionRemoved, ReactionSet},
    id::PostId,
    posts::{Post, Reactions},
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

fn decrement(counts: &mut BTreeMap<String, i64>, kind: &str) {
    if let Some(count) = counts.get_mut(kind) {
        *count -= 1;
    }
    counts.retain(|_, count| *count > 0);
}

impl SqlPosts {
    /// Sets the caller's reaction to a post. If it is already of this kind, `toggle` removes it.
    async fn set_reaction(&self, caller: &Caller, id: PostId, kind: &str, toggle: bool) -> Result<()> {
        let kind = &parse_kind(kind)?;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let post = lock_post_for_member(conn, caller, id).await?;
                let current = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let mut counts = reaction_counts(&post.reactions);
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
                        return Ok(db::store_changes(conn, &post, &with_reactions(&post, &counts)).await?);
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
                            created_at: Set(self.core.now()),
                        };
                        reaction::Entity::insert(row).exec_without_returning(conn).await?;
                    }
                }
                tx.emit(&ReactionSet { post: id, user: caller.user, kind: kind.clone() }).await?;
                Ok(db::store_changes(conn, &post, &with_reactions(&post, &counts)).await?)
            })
            .await
    }
}

#[async_trait]
impl Reactions for SqlPosts {
    async fn react(&self, caller: &Caller, id: PostId, kind: String) -> Result<()> {
        self.set_reaction(caller, id, &kind, false).await
    }

    async fn unreact(&self, caller: &Caller, id: PostId, kind: Option<String>) -> Result<()> {
        let kind = kind.as_deref();
        let kind = &kind.map(parse_kind).transpose()?;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let post = lock_post_for_member(conn, caller, id).await?;
                let own = reaction::Entity::find_by_id((id, caller.user)).one(conn).await?;
                let Some(own) = own.filter(|own| kind.as_ref().is_none_or(|kind| *kind == own.kind)) else {
                    return Ok(());
                };
                reaction::Entity::delete_by_id((id, caller.user)).exec(conn).await?;
                tx.emit(&ReactionRemoved { post: id, user: caller.user }).await?;
                let mut counts = reaction_counts(&post.reactions);
                decrement(&mut counts, &own.kind);
                Ok(db::store_changes(conn, &post, &with_reactions(&post, &counts)).await?)
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

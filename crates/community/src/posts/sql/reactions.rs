//! Reactions to posts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::Expr};

use super::{
    SqlPosts,
    access::{PostAccess, lock_row},
    score::{reaction_counts, store_reactions},
};
use crate::{
    entity::{post, reaction},
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

/// Locks a post that the caller may react to. Returns it with the kind of their reaction.
async fn lock_with_reaction(tx: &Tx, caller: &Caller, id: PostId) -> Result<(post::Model, Option<String>)> {
    lock_row(tx, id).await?;
    let pipeline = tx.pipeline();
    let own = reaction::Entity::find_by_id((id, caller.user)).select_only().column(reaction::Column::Kind);
    let (access, own) =
        tokio::join!(PostAccess::load(&pipeline, caller, id), own.into_tuple::<String>().one(&pipeline));
    Ok((access?.require_member()?.post, own?))
}

/// Deletes the caller's reaction of this kind to a locked post.
async fn delete_reaction(tx: &Tx, caller: &Caller, post: &post::Model, kind: &str) -> Result<()> {
    let mut counts = reaction_counts(&post.reactions);
    decrement(&mut counts, kind);
    reaction::Entity::delete_by_id((post.id, caller.user)).exec(&tx.deferred()).await?;
    store_reactions(tx, post, &counts).await?;
    Ok(tx.emit(&ReactionRemoved { post: post.id, user: caller.user }).await?)
}

impl SqlPosts {
    /// Sets the caller's reaction to a post. If it is already of this kind, `toggle` removes it.
    async fn set_reaction(&self, caller: &Caller, id: PostId, kind: &str, toggle: bool) -> Result<()> {
        let kind = &parse_kind(kind)?;
        self.core
            .write(|tx| async move {
                let (post, previous) = lock_with_reaction(&tx, caller, id).await?;
                let mut counts = reaction_counts(&post.reactions);
                match previous {
                    Some(previous) if previous == *kind => {
                        return if toggle { delete_reaction(&tx, caller, &post, kind).await } else { Ok(()) };
                    }
                    Some(previous) => {
                        decrement(&mut counts, &previous);
                        reaction::Entity::update_many()
                            .col_expr(reaction::Column::Kind, Expr::value(kind.clone()))
                            .filter(reaction::COLUMN.post_id.eq(id))
                            .filter(reaction::COLUMN.user_id.eq(caller.user))
                            .exec(&tx.deferred())
                            .await?;
                    }
                    None => {
                        let row = reaction::ActiveModel {
                            post_id: Set(id),
                            user_id: Set(caller.user),
                            kind: Set(kind.clone()),
                            created_at: Set(self.core.now()),
                        };
                        db::insert_only(&tx.deferred(), row).await?;
                    }
                }
                *counts.entry(kind.clone()).or_default() += 1;
                store_reactions(&tx, &post, &counts).await?;
                Ok(tx.emit(&ReactionSet { post: id, user: caller.user, kind: kind.clone() }).await?)
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
                let (post, own) = lock_with_reaction(&tx, caller, id).await?;
                match own.filter(|own| kind.as_ref().is_none_or(|kind| kind == own)) {
                    Some(own) => delete_reaction(&tx, caller, &post, &own).await,
                    None => Ok(()),
                }
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

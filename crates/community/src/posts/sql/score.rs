//! The score of a post and its reaction counts.

use std::collections::BTreeMap;

use guildhall_kernel::{Timestamp, db::Tx};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{entity::post, error::Result};

/// How much ten times the reactions add to the score of a post, in microseconds: half a day.
const TENFOLD_BONUS: f64 = 45_000e6;

/// The score for the trending order: the time of publication plus a bonus that grows with the logarithm of reactions
/// and comments. It only changes with these, so it needs no periodic update.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a score need not be exact")]
pub(super) fn hot_score(created_at: Timestamp, reactions: i64, comments: i64) -> i64 {
    let score = Ord::max(reactions.saturating_add(comments.saturating_mul(2)), 0);
    created_at.unix_micros().saturating_add(((score as f64 + 1.0).log10() * TENFOLD_BONUS) as i64)
}

/// Parses the reaction counts as stored in a post's row.
pub(super) fn reaction_counts(stored: &str) -> BTreeMap<String, i64> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// Stores the reaction counts of a post, whose row has to be locked.
pub(super) async fn store_reactions(tx: &Tx, post: &post::Model, counts: &BTreeMap<String, i64>) -> Result<()> {
    let reactions = serde_json::to_string(counts).unwrap_or_else(|_| "{}".to_owned());
    let hot = hot_score(post.created_at, counts.values().sum(), post.comment_count);
    store_count(tx, post, post::Column::Reactions, Expr::value(reactions), hot).await
}

/// Adds to the comment count of a post, whose row has to be locked.
pub(super) async fn add_to_comment_count(tx: &Tx, post: &post::Model, delta: i64) -> Result<()> {
    let comment_count = post.comment_count + delta;
    let hot = hot_score(post.created_at, reaction_counts(&post.reactions).values().sum(), comment_count);
    store_count(tx, post, post::Column::CommentCount, Expr::value(comment_count), hot).await
}

async fn store_count(tx: &Tx, post: &post::Model, column: post::Column, count: Expr, hot: i64) -> Result<()> {
    post::Entity::update_many()
        .col_expr(column, count)
        .col_expr(post::Column::Hot, Expr::value(hot))
        .filter(post::COLUMN.id.eq(post.id))
        .exec(&tx.deferred())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_score_grows_with_reactions_and_comments() {
        let now = Timestamp::from_unix_seconds(1_735_986_600);
        assert!(hot_score(now, 1, 0) > hot_score(now, 0, 0));
        assert!(hot_score(now, 0, 1) > hot_score(now, 1, 0));
        let half_a_day = Duration::from_secs(12 * 3600);
        assert!(hot_score(now, 9, 0) > hot_score(now + half_a_day, 0, 0));
        assert!(hot_score(now, 9, 0) < hot_score(now + half_a_day + half_a_day, 0, 0));
        assert!(hot_score(now, i64::MAX, i64::MAX) > hot_score(now, 0, 0));
    }
}

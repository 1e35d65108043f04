//! Approval of posts by moderators, and the number of posts of a group.

use guildhall_kernel::db::Tx;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    entity::{
        group,
        post::{self, Visibility},
    },
    error::Result,
    id::GroupId,
};

/// Whether a changed post needs the approval of a moderator again.
pub(super) fn needs_approval(group: Option<&group::Model>, is_moderator: bool) -> bool {
    !is_moderator && group.is_some_and(|group| group.approves_posts)
}

/// Whether a post is included in the post count of its group. Private posts are not.
pub(super) fn is_counted(is_approved: bool, visibility: Visibility) -> bool {
    is_approved && visibility != Visibility::Private
}

/// Updates the post count of the group, if a change of a post affects it.
pub(crate) async fn update_post_count(tx: &Tx, before: &post::Model, after: &post::Model) -> Result<()> {
    let is_counted = |post: &post::Model| is_counted(post.is_approved, post.visibility);
    match (after.group_id, is_counted(before), is_counted(after)) {
        (Some(group), false, true) => add_to_post_count(tx, group, 1).await,
        (Some(group), true, false) => add_to_post_count(tx, group, -1).await,
        _ => Ok(()),
    }
}

/// Adds to the post count of a group.
pub(super) async fn add_to_post_count(tx: &Tx, group: GroupId, delta: i64) -> Result<()> {
    group::Entity::update_many()
        .col_expr(group::Column::PostCount, Expr::col(group::Column::PostCount).add(delta))
        .filter(group::COLUMN.id.eq(group))
        .exec(&tx.deferred())
        .await?;
    Ok(())
}

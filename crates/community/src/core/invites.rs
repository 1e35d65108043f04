//! Revoking invites.

use guildhall_kernel::{UserId, db::Tx};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{
    entity::invite::{self, InviteState},
    error::Result,
    id::GroupId,
};

/// Revokes the pending invites that meet a condition. Returns their number.
pub(crate) async fn revoke(conn: &impl ConnectionTrait, condition: Condition) -> Result<u64> {
    let revoked = invite::Entity::update_many()
        .col_expr(invite::Column::Status, Expr::value(InviteState::Revoked))
        .filter(condition)
        .filter(invite::COLUMN.status.eq(InviteState::Pending))
        .exec(conn)
        .await?;
    Ok(revoked.rows_affected)
}

/// Revokes the pending invites for a user.
pub(crate) async fn revoke_personal(tx: &Tx, group: GroupId, user: UserId) -> Result<()> {
    let personal = Condition::all().add(invite::COLUMN.group_id.eq(group)).add(invite::COLUMN.user_id.eq(user));
    revoke(&tx.deferred(), personal).await.map(|_| ())
}

/// Revokes the pending invites for a user, and those that they have created.
pub(crate) async fn revoke_from(tx: &Tx, group: GroupId, user: UserId) -> Result<()> {
    revoke_personal(tx, group, user).await?;
    let created = Condition::all().add(invite::COLUMN.group_id.eq(group)).add(invite::COLUMN.invited_by.eq(user));
    revoke(&tx.deferred(), created).await.map(|_| ())
}

//! Using invites.

use guildhall_kernel::{Caller, Timestamp, UserId, db, secret::fingerprint};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::SqlGroups;
use crate::{
    core::membership::{add_member, is_banned, role_of, role_of_next_member},
    entity::{
        group,
        invite::{self, InviteState},
    },
    error::{Error, Result},
    groups::InviteStatus,
    id::{GroupId, InviteId},
};

/// The status of an invite at this time.
pub(super) fn status(state: InviteState, expires_at: Timestamp, now: Timestamp) -> InviteStatus {
    match state {
        InviteState::Accepted => InviteStatus::Accepted,
        InviteState::Revoked => InviteStatus::Revoked,
        InviteState::Pending if expires_at <= now => InviteStatus::Expired,
        InviteState::Pending => InviteStatus::Pending,
    }
}

/// Uses an invite once, if it is still valid. The conditional update of the counter enforces the limit.
async fn consume(conn: &impl ConnectionTrait, id: InviteId, now: Timestamp) -> Result<bool> {
    let uses = || Expr::col(invite::Column::Uses);
    let is_last = uses().add(1).gte(Expr::col(invite::Column::MaxUses));
    let state = Expr::case(Condition::all().add(is_last), Expr::value(InviteState::Accepted))
        .finally(Expr::col(invite::Column::Status));
    let updated = invite::Entity::update_many()
        .col_expr(invite::Column::Uses, uses().add(1))
        .col_expr(invite::Column::Status, state.into())
        .filter(invite::COLUMN.id.eq(id))
        .filter(invite::COLUMN.status.eq(InviteState::Pending))
        .filter(invite::COLUMN.expires_at.gt(now))
        .exec(conn)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Uses the pending invite for a user. Returns `false` if there was none.
pub(super) async fn consume_personal_invite(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<bool> {
    let personal = invite::Entity::find()
        .filter(invite::COLUMN.group_id.eq(group))
        .filter(invite::COLUMN.user_id.eq(user))
        .filter(Expr::cust("status = 'pending'"))
        .one(conn)
        .await?;
    match personal {
        Some(invite) => consume(conn, invite.id, now).await,
        None => Ok(false),
    }
}

impl SqlGroups {
    /// Joins the group that a token is for. If a group is given, the token has to be for that group.
    pub(super) async fn use_token(&self, caller: &Caller, group: Option<GroupId>, token: &str) -> Result<GroupId> {
        let now = self.core.now();
        let not_found = || Error::NotFound("invite");
        let found = invite::Entity::find().filter(invite::COLUMN.token_hash.eq(fingerprint(token)));
        let found = found.one(self.core.db.conn()).await?.ok_or_else(not_found)?;
        if group.is_some_and(|group| group != found.group_id) {
            return Err(not_found());
        }
        if found.user_id.is_some_and(|user| user != caller.user) {
            return Err(Error::InviteForOther);
        }
        if let Some(email) = &found.email_key
            && !self.core.host.directory.has_address(caller.user, email).await?
        {
            return Err(Error::InviteForOther);
        }
        let (id, invite) = (found.group_id, found.id);
        self.core
            .write(|tx| async move {
                let conn = &tx;
                // Lock the group first, like every change of memberships, to avoid deadlocks.
                db::lock::<group::Entity>(conn, id).await?;
                let pipeline = tx.pipeline();
                let group = async { Ok(group::Entity::find_by_id(id).one(&pipeline).await?) };
                let (group, own_role, is_banned, next_role) = tokio::try_join!(
                    group,
                    role_of(&pipeline, id, caller.user),
                    is_banned(&pipeline, id, caller.user, now),
                    role_of_next_member(&pipeline, id),
                )?;
                let group = group.ok_or_else(not_found)?;
                if own_role.is_some() {
                    return Ok(());
                }
                if is_banned {
                    return Err(Error::Banned);
                }
                if !consume(conn, invite, now).await? {
                    let row = invite::Entity::find_by_id(invite).one(conn).await?.ok_or_else(not_found)?;
                    return Err(Error::InviteSpent(match status(row.status, row.expires_at, now) {
                        InviteStatus::Revoked => "revoked",
                        InviteStatus::Expired => "expired",
                        _ => "used up",
                    }));
                }
                add_member(conn, &group, caller.user, next_role, None, now).await
            })
            .await?;
        Ok(id)
    }
}

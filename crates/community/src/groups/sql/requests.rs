//! Requests to join a group.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId, db::Tx};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter, Set,
    sea_query::Expr,
};

use super::SqlGroups;
use crate::{
    core::{
        access::GroupAccess,
        membership::{add_member, close_request, is_banned, role_of, role_of_next_member},
        moderation_log::ModerationEntry,
    },
    entity::join_request::{self, RequestStatus},
    error::{Error, Result},
    event::{JoinRequestDecided, JoinRequested},
    groups::{JoinRequest, JoinRequests},
    id::{GroupId, RequestId},
};

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "join_request::Entity")]
struct RequestRow {
    id: RequestId,
    group_id: GroupId,
    user_id: UserId,
    status: RequestStatus,
    note: String,
    created_at: Timestamp,
    decided_at: Option<Timestamp>,
}

/// Stores a request to join, unless one is pending. Returns its id.
pub(super) async fn store_request(
    tx: &Tx,
    group: GroupId,
    user: UserId,
    note: &str,
    now: Timestamp,
) -> Result<RequestId> {
    let pending = join_request::Entity::find()
        .filter(join_request::COLUMN.group_id.eq(group))
        .filter(join_request::COLUMN.user_id.eq(user))
        .filter(Expr::cust("status = 'pending'"))
        .one(tx)
        .await?;
    if let Some(pending) = pending {
        return Ok(pending.id);
    }
    let row = join_request::ActiveModel {
        id: NotSet,
        group_id: Set(group),
        user_id: Set(user),
        status: Set(RequestStatus::Pending),
        note: Set(note.to_owned()),
        created_at: Set(now),
        decided_by: Set(None),
        decided_at: Set(None),
    };
    let request = row.insert(tx).await?.id;
    tx.emit(&JoinRequested { group, request, user }).await?;
    Ok(request)
}

impl SqlGroups {
    async fn show_requests(&self, rows: Vec<RequestRow>) -> Result<Vec<JoinRequest>> {
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: RequestRow| JoinRequest {
            id: row.id,
            group: row.group_id,
            user: people.get(&row.user_id).cloned(),
            note: row.note,
            status: row.status,
            created_at: row.created_at,
            decided_at: row.decided_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

#[async_trait]
impl JoinRequests for SqlGroups {
    async fn requests(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<JoinRequest>> {
        let conn = self.core.db.conn();
        GroupAccess::load(conn, caller, id).await?.require_moderator()?;
        let select = join_request::Entity::find()
            .filter(join_request::COLUMN.group_id.eq(id))
            .filter(join_request::COLUMN.status.eq(RequestStatus::Pending));
        let fields = [("id", join_request::Column::Id)];
        let ordering = Ordering { fields: &fields, default: "id", id: join_request::Column::Id };
        let page = Page::<RequestRow>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let requests = self.show_requests(rows).await?;
        Ok(page.with_results(|_| requests))
    }

    async fn decide_request(
        &self,
        caller: &Caller,
        id: GroupId,
        request: RequestId,
        approve: bool,
    ) -> Result<JoinRequest> {
        let now = self.core.now();
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let group = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?.group;
                let query = || {
                    join_request::Entity::find_by_id(request)
                        .filter(join_request::COLUMN.group_id.eq(id))
                        .into_partial_model::<RequestRow>()
                };
                let row = query().one(conn).await?.ok_or(Error::NotFound("request"))?;
                if row.status != RequestStatus::Pending {
                    return Err(Error::AlreadyDecided);
                }
                let (decided_by, user) = (Some(caller.user), row.user_id);
                if approve {
                    let pipeline = tx.pipeline();
                    let (is_banned, role, next_role) = tokio::try_join!(
                        is_banned(&pipeline, id, user, now),
                        role_of(&pipeline, id, user),
                        role_of_next_member(&pipeline, id),
                    )?;
                    if is_banned {
                        return Err(Error::Banned);
                    }
                    if role.is_some() {
                        close_request(&tx.deferred(), id, user, RequestStatus::Approved, decided_by, now).await?;
                    } else {
                        add_member(&tx, &group, user, next_role, decided_by, now).await?;
                    }
                } else {
                    close_request(&tx.deferred(), id, user, RequestStatus::Denied, decided_by, now).await?;
                }
                let decided = JoinRequestDecided { group: id, request, user, is_approved: approve, actor: caller.user };
                tx.emit(&decided).await?;
                let entry = ModerationEntry {
                    group: Some(id),
                    actor: caller.user,
                    action: if approve { "approved" } else { "denied" },
                    subject: Some(user),
                    target: format!("request {request}"),
                    detail: "",
                };
                self.core.log_moderation(conn, entry).await?;
                query().one(conn).await?.ok_or(Error::NotFound("request"))
            })
            .await?;
        self.show_requests(vec![row]).await?.pop().ok_or(Error::NotFound("request"))
    }
}

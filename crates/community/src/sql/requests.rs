//! Asking to be let into a group.

use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter,
    Set, sea_query::Expr,
};

use super::{
    Moderated, Seat, SqlCommunity,
    members::{admit, is_banned, role_of, settle},
};
use crate::{Error, GroupId, JoinRequest, RequestId, RequestStatus, Result, entity::join_request};

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

impl SqlCommunity {
    /// Stores a request, unless there is one; gives its id.
    pub(super) async fn ask(
        &self,
        conn: &impl ConnectionTrait,
        group: GroupId,
        user: UserId,
        note: &str,
        now: Timestamp,
    ) -> Result<RequestId> {
        let pending = join_request::Entity::find()
            .filter(join_request::COLUMN.group_id.eq(group))
            .filter(join_request::COLUMN.user_id.eq(user))
            .filter(Expr::cust("status = 'pending'"))
            .one(conn)
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
        Ok(row.insert(conn).await?.id)
    }

    pub(super) async fn list_requests(
        &self,
        caller: &Caller,
        id: GroupId,
        page: PageQuery,
    ) -> Result<Page<JoinRequest>> {
        let conn = self.db.conn();
        Seat::look(conn, caller, id).await?.moderator()?;
        let select = join_request::Entity::find()
            .filter(join_request::COLUMN.group_id.eq(id))
            .filter(join_request::COLUMN.status.eq(RequestStatus::Pending));
        let fields = [("id", join_request::Column::Id)];
        let ordering = Ordering { fields: &fields, usual: "id", id: join_request::Column::Id };
        let page = Page::<RequestRow>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let requests = self.show_requests(rows).await?;
        Ok(page.with(|_| requests))
    }

    async fn show_requests(&self, rows: Vec<RequestRow>) -> Result<Vec<JoinRequest>> {
        let people = self.people(rows.iter().map(|row| row.user_id)).await?;
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

    pub(super) async fn settle_request(
        &self,
        caller: &Caller,
        id: GroupId,
        request: RequestId,
        approve: bool,
    ) -> Result<JoinRequest> {
        let now = self.host.clock.now();
        let row = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, id).await?.moderator()?;
                let found = || {
                    join_request::Entity::find_by_id(request)
                        .filter(join_request::COLUMN.group_id.eq(id))
                        .into_partial_model::<RequestRow>()
                };
                let row = found().one(conn).await?.ok_or(Error::NotFound("request"))?;
                if row.status != RequestStatus::Pending {
                    return Err(Error::AlreadyDecided);
                }
                let (by, user) = (Some(caller.user), row.user_id);
                if !approve {
                    settle(conn, id, user, RequestStatus::Denied, by, now).await?;
                } else if is_banned(conn, id, user, now).await? {
                    return Err(Error::Banned);
                } else if role_of(conn, id, user).await?.is_some() {
                    settle(conn, id, user, RequestStatus::Approved, by, now).await?;
                } else {
                    admit(conn, id, user, by, now).await?;
                }
                let act = Moderated {
                    group: Some(id),
                    actor: caller.user,
                    action: if approve { "approved" } else { "denied" },
                    subject: Some(user),
                    target: format!("request {request}"),
                    detail: "",
                };
                self.note(conn, act).await?;
                found().one(conn).await?.ok_or(Error::NotFound("request"))
            })
            .await?;
        self.show_requests(vec![row]).await?.pop().ok_or(Error::NotFound("request"))
    }
}

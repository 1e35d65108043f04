//! Requests to join a room.

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Person, Quota, Result as KernelResult, Timestamp, UserId,
    db::{self, Tx},
    job::Job,
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set, sea_query::Expr,
};

use super::{SqlChat, membership::admit};
use crate::{
    core::access::Access,
    entity::{
        join_request::{self, RequestStatus},
        participant::ParticipantState,
    },
    error::{Error, Result},
    event::{RoomApproved, RoomRequested},
    id::{RequestId, RoomId},
    model::{JoinRequest, Joined, OwnRequest, RequestRef},
    service::Requests,
};

/// How many requests one transaction lets expire.
const BATCH: i64 = 500;

const PENDING: &str = "SELECT id FROM chat_join_request WHERE room_id = $1 AND user_id = $2 AND status = 'pending'";
const PENDING_BY_ID: &str =
    "SELECT user_id FROM chat_join_request WHERE id = $1 AND room_id = $2 AND status = 'pending'";
const COUNT_PENDING: &str = "SELECT COUNT(*) FROM chat_join_request WHERE room_id = $1 AND status = 'pending'";
/// When the last request of a user was refused.
const REFUSED_AT: &str = "SELECT CASE WHEN status = 'denied' THEN decided_at END FROM chat_join_request \
    WHERE room_id = $1 AND user_id = $2 ORDER BY id DESC LIMIT 1";
const DECIDE: &str = "UPDATE chat_join_request SET status = $3, decided_by = $4, decided_at = $5 \
    WHERE room_id = $1 AND user_id = $2 AND status = 'pending'";
/// The status is checked again, because a request can be decided after it was selected.
const EXPIRE: &str = "UPDATE chat_join_request SET status = 'expired', decided_at = $2 WHERE id IN \
    (SELECT id FROM chat_join_request WHERE status = 'pending' AND created_at < $1 ORDER BY created_at LIMIT $3) \
    AND status = 'pending'";

/// Takes a request back; returns whether there was one.
pub(super) async fn withdraw_pending(tx: &Tx, room: RoomId, user: UserId, now: Timestamp) -> Result<bool> {
    decide(tx, room, user, ("withdrawn", None), now).await
}

/// Approves a request, if there is one.
pub(super) async fn approve_pending(tx: &Tx, room: RoomId, user: UserId, actor: UserId, now: Timestamp) -> Result<()> {
    decide(tx, room, user, ("approved", Some(actor)), now).await.map(|_| ())
}

async fn decide(
    tx: &Tx,
    room: RoomId,
    user: UserId,
    (status, actor): (&'static str, Option<UserId>),
    now: Timestamp,
) -> Result<bool> {
    let values = [room.into(), user.into(), status.into(), actor.into(), now.into()];
    Ok(db::execute(tx, DECIDE, values).await? > 0)
}

/// The user whose request waits. 404 if there is none.
async fn find_pending(conn: &impl ConnectionTrait, room: RoomId, of: RequestRef) -> Result<(RequestId, UserId)> {
    let not_found = Error::NotFound("request");
    match of {
        RequestRef { request_id: Some(request), user_id } => {
            let user: Option<UserId> = db::scalar(conn, PENDING_BY_ID, [request.into(), room.into()]).await?;
            let user = user.filter(|user| user_id.is_none_or(|expected| expected == *user));
            user.map(|user| (request, user)).ok_or(not_found)
        }
        RequestRef { user_id: Some(user), .. } => {
            let request = db::scalar(conn, PENDING, [room.into(), user.into()]).await?;
            request.map(|request| (request, user)).ok_or(not_found)
        }
        RequestRef { .. } => Err(Error::field("user_id", "Name a user or a request.")),
    }
}

impl SqlChat {
    async fn show_requests(&self, rows: Vec<join_request::Model>) -> Result<Vec<JoinRequest>> {
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: join_request::Model| JoinRequest {
            id: row.id,
            room_id: row.room_id,
            user: people.get(&row.user_id).cloned(),
            status: row.status,
            created_at: row.created_at,
            decided_at: row.decided_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn find_request(&self, id: RequestId) -> Result<JoinRequest> {
        let row = join_request::Entity::find_by_id(id).one(self.core.db.conn()).await?;
        self.show_requests(row.into_iter().collect()).await?.pop().ok_or(Error::NotFound("request"))
    }

    /// From when a user may ask again who was refused.
    fn cooldown_end(&self, refused: Timestamp) -> Timestamp {
        refused + Duration::from_secs(self.core.settings.request_cooldown_seconds.into())
    }

    /// 429 if the user was refused only recently.
    async fn require_cooldown(&self, tx: &Tx, room: RoomId, user: UserId, now: Timestamp) -> Result<()> {
        let refused = db::scalar::<Option<Timestamp>>(tx, REFUSED_AT, [room.into(), user.into()]).await?;
        let Some(refused) = refused.flatten() else { return Ok(()) };
        let end = self.cooldown_end(refused);
        if end > now { Err(Error::RequestedTooSoon(end.since(now))) } else { Ok(()) }
    }

    /// Stores a request, or lets the user take part; returns the request and whether it is new.
    async fn store_join(&self, tx: &Tx, person: &Person, id: RoomId) -> Result<(RequestId, bool)> {
        let (user, now) = (person.id, self.core.now());
        let access = Access::load_for_update(tx, user, id).await?;
        match access.state {
            Some(ParticipantState::Active) if access.is_active => return Err(Error::AlreadyParticipant),
            Some(ParticipantState::Removed) => return Err(Error::Removed),
            _ => {}
        }
        let access = access.require_open()?;
        let is_approved = access.auto_approve;
        let own: Option<RequestId> = db::scalar(tx, PENDING, [id.into(), user.into()]).await?;
        if let Some(request) = own.filter(|_| !is_approved) {
            return Ok((request, false));
        }
        if access.participant_count >= access.max_participants {
            return Err(Error::RoomFull);
        }
        if let Some(request) = own {
            // The room did not approve everybody when the request was made.
            decide(tx, id, user, ("approved", None), now).await?;
            admit(&self.core, tx, &access, (person, user), now).await?;
            return Ok((request, false));
        }
        self.require_cooldown(tx, id, user, now).await?;
        if !is_approved {
            let pending = db::scalar::<i64>(tx, COUNT_PENDING, [id.into()]).await?.unwrap_or_default();
            if pending >= i64::from(self.core.settings.pending_requests) {
                return Err(Error::TooManyRequests);
            }
        }
        let quota = Quota::per_day("chat_requests", self.core.settings.requests_per_day.into());
        quota.consume(tx, user, 1, now).await?;
        let row = join_request::ActiveModel {
            id: NotSet,
            room_id: Set(id),
            user_id: Set(user),
            status: Set(if is_approved { RequestStatus::Approved } else { RequestStatus::Pending }),
            decided_by: Set(None),
            created_at: Set(now),
            decided_at: Set(is_approved.then_some(now)),
        };
        let request = db::insert(tx, row).await?.id;
        if is_approved {
            admit(&self.core, tx, &access, (person, user), now).await?;
        } else {
            tx.emit(&RoomRequested { room: id, request, user }).await?;
        }
        Ok((request, true))
    }

    /// Approves or refuses a request; returns its id.
    async fn store_decision(
        &self,
        tx: &Tx,
        caller: &Caller,
        room: RoomId,
        (of, person): (RequestRef, Option<&Person>),
    ) -> Result<RequestId> {
        let (now, actor) = (self.core.now(), caller.user);
        let access = Access::load_for_update(tx, caller.user, room).await?.require_moderator(caller)?.require_open()?;
        let (request, user) = find_pending(tx, room, of).await?;
        let Some(person) = person.filter(|person| person.id == user) else {
            decide(tx, room, user, ("denied", Some(actor)), now).await?;
            return Ok(request);
        };
        decide(tx, room, user, ("approved", Some(actor)), now).await?;
        admit(&self.core, tx, &access, (person, actor), now).await?;
        tx.emit(&RoomApproved { room, user, actor }).await?;
        Ok(request)
    }
}

#[async_trait]
impl Requests for SqlChat {
    async fn join(&self, caller: &Caller, room: RoomId) -> Result<Joined> {
        let person = &self.core.person(caller.user).await?;
        let stored = self.core.write(|tx| async move { self.store_join(&tx, person, room).await });
        let (request, is_new) = stored.await?;
        Ok(Joined { request: self.find_request(request).await?, is_new })
    }

    async fn own_request(&self, caller: &Caller, room: RoomId) -> Result<Option<OwnRequest>> {
        let conn = self.core.db.conn();
        Access::load(conn, caller.user, room).await?;
        let last = join_request::Entity::find()
            .filter(join_request::COLUMN.room_id.eq(room))
            .filter(join_request::COLUMN.user_id.eq(caller.user))
            .order_by_desc(join_request::Column::Id);
        let row = last.one(conn).await?;
        let request = self.show_requests(row.into_iter().collect()).await?.pop();
        let own = |request: JoinRequest| OwnRequest {
            may_ask_again_at: (request.status == RequestStatus::Denied)
                .then_some(request.decided_at)
                .flatten()
                .map(|refused| self.cooldown_end(refused)),
            request,
        };
        Ok(request.map(own))
    }

    async fn withdraw(&self, caller: &Caller, room: RoomId) -> Result<()> {
        let now = self.core.now();
        self.core
            .write(|tx| async move {
                Access::load_for_update(&tx, caller.user, room).await?;
                let was_there = withdraw_pending(&tx, room, caller.user, now).await?;
                if was_there { Ok(()) } else { Err(Error::NotFound("request")) }
            })
            .await
    }

    async fn requests(&self, caller: &Caller, room: RoomId, page: PageQuery) -> Result<Page<JoinRequest>> {
        let conn = self.core.db.conn();
        Access::load(conn, caller.user, room).await?.require_moderator(caller)?;
        let select = join_request::Entity::find()
            .filter(join_request::COLUMN.room_id.eq(room))
            .filter(Expr::cust("status = 'pending'"));
        let ordering =
            Ordering { fields: &[("id", join_request::Column::Id)], default: "id", id: join_request::Column::Id };
        let (rows, page) = Page::<join_request::Model>::fetch(select, &ordering, &page, conn).await?.split();
        let shown = self.show_requests(rows).await?;
        Ok(page.with_results(|_| shown))
    }

    async fn approve(&self, caller: &Caller, room: RoomId, request: RequestRef) -> Result<JoinRequest> {
        let conn = self.core.db.conn();
        Access::load(conn, caller.user, room).await?.require_moderator(caller)?.require_open()?;
        let (request_id, user) = find_pending(conn, room, request).await?;
        // Fixed, so that it cannot become another user's request until it is decided.
        let request = RequestRef { request_id: Some(request_id), user_id: Some(user) };
        let person = &self.core.person(user).await?;
        let decide = |tx| async move { self.store_decision(&tx, caller, room, (request, Some(person))).await };
        let id = self.core.write(decide).await?;
        self.find_request(id).await
    }

    async fn deny(&self, caller: &Caller, room: RoomId, request: RequestRef) -> Result<JoinRequest> {
        let decide = |tx| async move { self.store_decision(&tx, caller, room, (request, None)).await };
        let id = self.core.write(decide).await?;
        self.find_request(id).await
    }
}

/// Lets requests expire about which nobody has decided in time.
#[async_trait]
impl Job for SqlChat {
    fn name(&self) -> &'static str {
        "chat.requests"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> KernelResult<()> {
        let now = self.core.now();
        let before = now - Duration::from_secs(u64::from(self.core.settings.request_days) * 24 * 3600);
        loop {
            let values = || [before.into(), now.into(), BATCH.into()];
            let expired = self.core.db.write(|tx| async move { db::execute(&tx, EXPIRE, values()).await }).await?;
            if expired < BATCH.unsigned_abs() {
                return Ok(());
            }
        }
    }
}

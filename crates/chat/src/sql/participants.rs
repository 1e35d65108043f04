//! The people in a room.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Person, Quota, Timestamp, UserId, db, db::Tx};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde_json::json;

use super::{
    SqlChat, close, end,
    hosts::make_host,
    membership::{admit, state_of},
    requests::{approve_pending, withdraw_pending},
};
use crate::{
    core::{
        access::Access,
        frames::{Frame, stream},
        log::{After, RoomLog},
    },
    entity::participant::{self, ParticipantState, Role},
    error::{Error, Result},
    event::{ParticipantInvited, ParticipantLeft, ParticipantRemoved},
    id::RoomId,
    model::{CloseReason, Leave, Mute, Participant},
    service::Participants,
};

const MUTE: &str = "UPDATE chat_participant SET muted_until = $3 WHERE room_id = $1 AND user_id = $2 \
    AND state = 'active' AND muted_until IS DISTINCT FROM $3";
const ROLE: &str = "SELECT role FROM chat_participant WHERE room_id = $1 AND user_id = $2 AND state = 'active'";

/// 403 or 400 unless the caller may remove or mute a participant: nobody the host, and co-hosts only members.
async fn require_above(tx: &Tx, caller: &Caller, access: &Access, user: UserId) -> Result<()> {
    if access.host_id == Some(user) {
        return Err(Error::IsHost);
    }
    let role: Option<Role> = db::scalar(tx, ROLE, [access.id.into(), user.into()]).await?;
    match role {
        None => Err(Error::NotFound("participant")),
        Some(Role::Member) => Ok(()),
        Some(_) if access.is_host(caller) => Ok(()),
        Some(_) => Err(Error::NotHost),
    }
}

impl SqlChat {
    async fn show_participants(&self, rows: Vec<participant::Model>) -> Result<Vec<Participant>> {
        let people = self.core.people(rows.iter().map(|row| row.user_id)).await?;
        let show = |row: participant::Model| Participant {
            user: people.get(&row.user_id).cloned(),
            role: row.role,
            state: row.state,
            joined_at: row.joined_at,
            muted_until: row.muted_until,
            is_online: row.state == ParticipantState::Active
                && self.core.host.streams.is_followed_by(&stream(row.room_id), row.user_id),
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn find_participant(&self, room: RoomId, user: UserId) -> Result<Participant> {
        let row = participant::Entity::find_by_id((room, user)).one(self.core.db.conn()).await?;
        let shown = self.show_participants(row.into_iter().collect()).await?.pop();
        shown.ok_or(Error::NotFound("participant"))
    }

    /// Lets a user take part.
    async fn store_invitation(&self, tx: &Tx, caller: &Caller, id: RoomId, person: &Person) -> Result<()> {
        let (user, now) = (person.id, self.core.now());
        let access = Access::load_for_update(tx, caller.user, id).await?.require_moderator(caller)?.require_open()?;
        if state_of(tx, id, user).await? == Some(ParticipantState::Active) {
            return Ok(());
        }
        let quota = Quota::per_day("chat_invitations", self.core.settings.invites_per_day.into());
        quota.consume(tx, caller.user, 1, now).await?;
        approve_pending(tx, id, user, caller.user, now).await?;
        admit(&self.core, tx, &access, (person, caller.user), now).await?;
        Ok(tx.emit(&ParticipantInvited { room: id, user, actor: caller.user }).await?)
    }

    async fn store_removal(
        &self,
        tx: &Tx,
        caller: &Caller,
        id: RoomId,
        person: (UserId, Option<&Person>),
    ) -> Result<()> {
        let (user, now) = (person.0, self.core.now());
        let access = Access::load_for_update(tx, caller.user, id).await?.require_moderator(caller)?.require_open()?;
        require_above(tx, caller, &access, user).await?;
        end(&self.core, tx, &access, person, (ParticipantState::Removed, caller.user), now).await?;
        Ok(tx.emit(&ParticipantRemoved { room: id, user, actor: caller.user }).await?)
    }

    async fn store_mute(&self, tx: &Tx, caller: &Caller, id: RoomId, mute: Mute) -> Result<()> {
        let now = self.core.now();
        let Mute { user_id, muted_until } = mute;
        let muted_until = muted_until.filter(|end| *end > now);
        let access = Access::load_for_update(tx, caller.user, id).await?.require_moderator(caller)?.require_open()?;
        require_above(tx, caller, &access, user_id).await?;
        if db::execute(tx, MUTE, [id.into(), user_id.into(), muted_until.into()]).await? == 0 {
            return Ok(());
        }
        let record = json!({ "type": "member_muted", "user": user_id, "muted_until": muted_until });
        let mut log = RoomLog::new(&self.core, tx, &access, now);
        log.append(Some(caller.user), record, &Frame::MemberMuted { user_id, muted_until }, After::More).await?;
        Ok(())
    }

    async fn store_leave(
        &self,
        tx: &Tx,
        caller: &Caller,
        id: RoomId,
        (person, successor): (&Person, Option<&Person>),
        now: Timestamp,
    ) -> Result<()> {
        let access = Access::load_for_update(tx, caller.user, id).await?;
        if !access.is_participant() {
            return if withdraw_pending(tx, id, caller.user, now).await? { Ok(()) } else { Err(Error::NotParticipant) };
        }
        let user = caller.user;
        let access = if access.host_id != Some(user) || !access.is_active {
            access
        } else if let Some(successor) = successor {
            make_host(&self.core, tx, &access, successor, user, now).await?;
            Access::load(tx, user, id).await?
        } else {
            let how = (CloseReason::HostLeft, Some(user));
            return close(&self.core, tx, &access, how, Some(person), now).await;
        };
        if access.host_id == Some(user) {
            // The host of a closed room remains who they were.
            return Ok(());
        }
        end(&self.core, tx, &access, (user, Some(person)), (ParticipantState::Left, user), now).await?;
        Ok(tx.emit(&ParticipantLeft { room: id, user }).await?)
    }
}

#[async_trait]
impl Participants for SqlChat {
    async fn participants(&self, caller: &Caller, room: RoomId, page: PageQuery) -> Result<Page<Participant>> {
        let conn = self.core.db.conn();
        let access = Access::load(conn, caller.user, room).await?;
        if !access.is_participant() && !caller.roles.is_staff() {
            return Err(Error::NotParticipant);
        }
        let select = participant::Entity::find()
            .filter(participant::COLUMN.room_id.eq(room))
            .filter(Expr::cust("state = 'active'"));
        let ordering = Ordering {
            fields: &[("joined_at", participant::Column::JoinedSeq)],
            default: "joined_at",
            id: participant::Column::UserId,
        };
        let (rows, page) = Page::<participant::Model>::fetch(select, &ordering, &page, conn).await?.split();
        let shown = self.show_participants(rows).await?;
        Ok(page.with_results(|_| shown))
    }

    async fn invite(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Participant> {
        // Before the look-up, which would reveal which users exist.
        Access::load(self.core.db.conn(), caller.user, room).await?.require_moderator(caller)?.require_open()?;
        self.core.require_active(user).await?;
        let person = &self.core.person(user).await?;
        self.core.write(|tx| async move { self.store_invitation(&tx, caller, room, person).await }).await?;
        self.find_participant(room, user).await
    }

    async fn remove(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Participant> {
        let people = self.core.people([user]).await?;
        let person = (user, people.get(&user));
        self.core.write(|tx| async move { self.store_removal(&tx, caller, room, person).await }).await?;
        self.find_participant(room, user).await
    }

    async fn mute(&self, caller: &Caller, room: RoomId, mute: Mute) -> Result<Participant> {
        self.core.write(|tx| async move { self.store_mute(&tx, caller, room, mute).await }).await?;
        self.find_participant(room, mute.user_id).await
    }

    async fn leave(&self, caller: &Caller, room: RoomId, how: Leave) -> Result<()> {
        let access = Access::load(self.core.db.conn(), caller.user, room).await?;
        // Also for those who are not the host, because they may have become it by the time they leave.
        let successor = match how.new_host_id.filter(|user| *user != caller.user && access.is_participant()) {
            Some(user) => Some(self.successor(user).await?),
            None => None,
        };
        let (person, successor, now) = (&self.core.person(caller.user).await?, successor.as_ref(), self.core.now());
        self.core.write(|tx| async move { self.store_leave(&tx, caller, room, (person, successor), now).await }).await
    }
}

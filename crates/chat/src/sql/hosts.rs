//! Hosts and co-hosts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person, Timestamp, UserId, db, db::Tx};
use serde_json::json;

use super::{SqlChat, membership::state_of};
use crate::{
    core::{
        Core,
        access::Access,
        frames::{Frame, stream},
        log::{After, RoomLog},
    },
    entity::participant::{ParticipantState, Role},
    error::{Error, Result},
    event::HostChanged,
    id::RoomId,
    model::Room,
    service::Hosts,
};

/// The role changes; not that of the host.
const SET_ROLE: &str = "UPDATE chat_participant SET role = $3 WHERE room_id = $1 AND user_id = $2 \
    AND state = 'active' AND role <> 'host' AND role <> $3";
const RETIRE_HOST: &str = "UPDATE chat_participant SET role = 'cohost' WHERE room_id = $1 AND role = 'host'";
const MAKE_HOST: &str =
    "UPDATE chat_participant SET role = 'host', muted_until = NULL WHERE room_id = $1 AND user_id = $2";
const SET_HOST: &str = "UPDATE chat_room SET host_id = $2, updated_at = $3, host_away_since = NULL WHERE id = $1";
const FORGET_CONNECTIONS: &str = "DELETE FROM chat_host_connection WHERE room_id = $1";
const CONNECT: &str = "INSERT INTO chat_host_connection (room_id, node, seen_at) VALUES ($1, $2, $3) \
    ON CONFLICT DO NOTHING";

/// Makes a participant the host of an active room, which has to be locked. The host becomes a co-host.
pub(super) async fn make_host(
    core: &Core,
    tx: &Tx,
    access: &Access,
    person: &Person,
    actor: UserId,
    now: Timestamp,
) -> Result<()> {
    let (room, user) = (access.id, person.id);
    if access.host_id == Some(user) {
        return Ok(());
    }
    if state_of(tx, room, user).await? != Some(ParticipantState::Active) {
        return Err(Error::NotFound("participant"));
    }
    db::execute(&tx.deferred(), RETIRE_HOST, [room.into()]).await?;
    db::execute(&tx.deferred(), MAKE_HOST, [room.into(), user.into()]).await?;
    db::execute(&tx.deferred(), SET_HOST, [room.into(), user.into(), now.into()]).await?;
    db::execute(&tx.deferred(), FORGET_CONNECTIONS, [room.into()]).await?;
    if core.host.streams.is_followed_by(&stream(room), user) {
        db::execute(&tx.deferred(), CONNECT, [room.into(), core.node.as_str().into(), now.into()]).await?;
    }
    let text = format!("{} is the host now.", person.username);
    let mut log = RoomLog::new(core, tx, access, now);
    log.system("host_changed", (Some(actor), Some(person)), &text, After::More).await?;
    Ok(tx.emit(&HostChanged { room, host: user }).await?)
}

impl SqlChat {
    async fn store_role(&self, tx: &Tx, caller: &Caller, id: RoomId, user: UserId, role: Role) -> Result<()> {
        let now = self.core.now();
        let access = Access::load_for_update(tx, caller.user, id).await?.require_host(caller)?.require_open()?;
        if access.host_id == Some(user) {
            return Err(Error::IsHost);
        }
        if state_of(tx, id, user).await? != Some(ParticipantState::Active) {
            return Err(Error::NotFound("participant"));
        }
        let name = if role == Role::CoHost { "cohost" } else { "member" };
        if db::execute(tx, SET_ROLE, [id.into(), user.into(), name.into()]).await? == 0 {
            return Ok(());
        }
        let record = json!({ "type": "role_changed", "user": user, "role": role });
        let mut log = RoomLog::new(&self.core, tx, &access, now);
        log.append(Some(caller.user), record, &Frame::RoleChanged { user_id: user, role }, After::More).await?;
        Ok(())
    }
}

#[async_trait]
impl Hosts for SqlChat {
    async fn add_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()> {
        self.core.write(|tx| async move { self.store_role(&tx, caller, room, user, Role::CoHost).await }).await
    }

    async fn remove_cohost(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<()> {
        self.core.write(|tx| async move { self.store_role(&tx, caller, room, user, Role::Member).await }).await
    }

    async fn hand_over(&self, caller: &Caller, room: RoomId, user: UserId) -> Result<Room> {
        Access::load(self.core.db.conn(), caller.user, room).await?.require_host(caller)?.require_open()?;
        self.core.require_active(user).await.map_err(|_| Error::NotFound("participant"))?;
        let (person, now) = (&self.core.person(user).await?, self.core.now());
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, room).await?;
                let access = access.require_host(caller)?.require_open()?;
                make_host(&self.core, &tx, &access, person, caller.user, now).await
            })
            .await?;
        self.find_room(caller, room).await
    }
}

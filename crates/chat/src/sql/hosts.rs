//! Hosts and co-hosts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Person, Timestamp, UserId, db, db::Tx};
use serde_json::json;

use super::{SqlChat, membership::state_of};
use crate::{
    core::{
        Core,
        access::Access,
        connections,
        frames::Frame,
        log::{After, RoomLog},
    },
    entity::participant::{ParticipantState, Role},
    error::{Error, Result},
    event::HostChanged,
    id::RoomId,
    model::Room,
    service::Hosts,
};

/// How many co-hosts a room may have. Each of them is notified of every request.
const MAX_COHOSTS: i64 = 20;

/// The role changes; not that of the host.
const SET_ROLE: &str = "UPDATE chat_participant SET role = $3 WHERE room_id = $1 AND user_id = $2 \
    AND state = 'active' AND role <> 'host' AND role <> $3";
const RETIRE_HOST: &str = "UPDATE chat_participant SET role = $2 WHERE room_id = $1 AND role = 'host'";
const MAKE_HOST: &str =
    "UPDATE chat_participant SET role = 'host', muted_until = NULL WHERE room_id = $1 AND user_id = $2";
const SET_HOST: &str = "UPDATE chat_room SET host_id = $2, updated_at = $3, host_away_since = NULL WHERE id = $1";
const COUNT_COHOSTS: &str =
    "SELECT COUNT(*) FROM chat_participant WHERE room_id = $1 AND role = 'cohost' AND user_id <> $2";

/// How many co-hosts a room has besides a user.
async fn count_cohosts(tx: &Tx, room: RoomId, except: UserId) -> Result<i64> {
    Ok(db::scalar(tx, COUNT_COHOSTS, [room.into(), except.into()]).await?.unwrap_or_default())
}

/// Makes a participant the host of an active room, which has to be locked. The host becomes a co-host, or a member if
/// there are enough of them.
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
    let retired = if count_cohosts(tx, room, user).await? < MAX_COHOSTS { "cohost" } else { "member" };
    db::execute(&tx.deferred(), RETIRE_HOST, [room.into(), retired.into()]).await?;
    db::execute(&tx.deferred(), MAKE_HOST, [room.into(), user.into()]).await?;
    db::execute(&tx.deferred(), SET_HOST, [room.into(), user.into(), now.into()]).await?;
    connections::replace(core, tx, room, user, now).await?;
    let text = format!("{} is the host now.", person.username);
    let mut log = RoomLog::new(core, tx, access, now);
    log.system("host_changed", (Some(actor), Some(person)), &text, After::More).await?;
    Ok(tx.emit(&HostChanged { room, host: user }).await?)
}

impl SqlChat {
    /// The user who is to become the host, if their account is active. Whether they take part is checked later.
    pub(super) async fn successor(&self, user: UserId) -> Result<Person> {
        let unknown = |error| match error {
            Error::UserNotFound => Error::NotFound("participant"),
            error => error,
        };
        self.core.require_active(user).await.map_err(unknown)?;
        self.core.person(user).await.map_err(unknown)
    }

    async fn store_role(&self, tx: &Tx, caller: &Caller, id: RoomId, user: UserId, role: Role) -> Result<()> {
        let now = self.core.now();
        let access = Access::load_for_update(tx, caller.user, id).await?.require_host(caller)?.require_open()?;
        if access.host_id == Some(user) {
            return Err(Error::IsHost);
        }
        if state_of(tx, id, user).await? != Some(ParticipantState::Active) {
            return Err(Error::NotFound("participant"));
        }
        if role == Role::CoHost && count_cohosts(tx, id, user).await? >= MAX_COHOSTS {
            return Err(Error::TooManyCohosts(MAX_COHOSTS));
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
        let (person, now) = (&self.successor(user).await?, self.core.now());
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

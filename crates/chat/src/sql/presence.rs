//! The connections of hosts and of others.
//!
//! A row per process says that the host of a room is connected to it. The process confirms its rows, so that those of a
//! process that has crashed are noticed. When the last row of a room goes, the host is away, since a time that is
//! stored too: a room closes when the grace is over, whichever process notices it. A process that the host is connected
//! to stores a row that is missing again.

use std::time::Duration;

use guildhall_kernel::{Person, Timestamp, UserId, db, db::Tx};
use sea_orm::FromQueryResult;

use super::{SqlChat, close};
use crate::{
    core::{
        access::Access,
        activity::Notice,
        connections,
        frames::{Frame, stream},
    },
    error::Result,
    id::RoomId,
    model::CloseReason,
};

/// How often a process confirms the connections of hosts to it.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(10);
/// After what time a connection that nobody has confirmed is gone.
const LEASE: Duration = Duration::from_secs(30);
/// How often presence and the end of typing are published.
const TICK: Duration = Duration::from_millis(500);
/// How often rooms are closed whose host is away.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How many rooms are read at a time.
const BATCH: i64 = 200;

const HOST_OF: &str = "SELECT host_id FROM chat_room WHERE id = $1 AND is_active";
const DISCONNECT: &str = "DELETE FROM chat_host_connection WHERE room_id = $1 AND node = $2";
const FORGET_STALE: &str = "DELETE FROM chat_host_connection WHERE room_id = $1 AND seen_at < $2";
const IS_CONNECTED: &str = "SELECT EXISTS (SELECT 1 FROM chat_host_connection WHERE room_id = $1)";
const AWAY: &str = "UPDATE chat_room SET host_away_since = $2 WHERE id = $1 AND host_away_since IS NULL AND is_active";
const BACK: &str = "UPDATE chat_room SET host_away_since = NULL WHERE id = $1 AND host_away_since IS NOT NULL";
const OWN: &str = "SELECT c.room_id, r.host_id FROM chat_host_connection c JOIN chat_room r ON r.id = c.room_id \
    WHERE c.node = $1 AND c.room_id > $2 ORDER BY c.room_id LIMIT $3";
const HAS_OWN: &str = "SELECT EXISTS (SELECT 1 FROM chat_host_connection WHERE node = $1)";
const CONFIRM: &str = "UPDATE chat_host_connection SET seen_at = $2 WHERE node = $1";
const STALE: &str = "SELECT room_id FROM chat_host_connection WHERE seen_at < $1 ORDER BY seen_at LIMIT $2";
/// Rooms whose hosts are away since a time or longer, those for the longest time first.
const ABSENT: &str = "SELECT id AS room_id, host_id, host_away_since FROM chat_room WHERE host_away_since <= $4 \
    AND (host_away_since, id) > ($1, $2) ORDER BY host_away_since, id LIMIT $3";
const RESTART_GRACE: &str = "UPDATE chat_room SET host_away_since = $1 WHERE host_away_since IS NOT NULL";

#[derive(FromQueryResult)]
struct HostedRow {
    room_id: RoomId,
    host_id: Option<UserId>,
}

/// A room whose host is away.
#[derive(FromQueryResult)]
struct AbsentRow {
    room_id: RoomId,
    host_id: Option<UserId>,
    host_away_since: Timestamp,
}

/// What failed if [`SqlChat::update_host`] did.
const STORE_HOST: &str = "could not store whether the host of a room is connected";

/// Logs the failure of the work on one room, which must not stop the work on the others.
fn log_failure(room: RoomId, what: &'static str, outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, room.id = %room, "{what}");
    }
}

impl SqlChat {
    /// Closes rooms whose hosts are away, and publishes presence and typing. First it restarts the grace of hosts who are
    /// away, so that no room closes because the server was down. Runs until it is dropped.
    pub async fn run(&self) {
        if let Err(error) = self.restart_grace().await {
            tracing::error!(%error, "could not restart the grace of hosts");
        }
        let confirm = async {
            loop {
                tokio::time::sleep(CONFIRM_INTERVAL).await;
                if let Err(error) = self.confirm_hosts().await {
                    tracing::error!(%error, "could not confirm the connections of hosts");
                }
            }
        };
        let sweep = async {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                if let Err(error) = self.close_abandoned().await {
                    tracing::error!(%error, "could not close the rooms of absent hosts");
                }
            }
        };
        let publish = async {
            loop {
                tokio::time::sleep(TICK).await;
                if let Err(error) = self.publish_activity().await {
                    tracing::error!(%error, "could not publish who is in rooms");
                }
            }
        };
        tokio::join!(confirm, sweep, publish);
    }

    /// Restarts the grace of all hosts who are away.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn restart_grace(&self) -> Result<()> {
        let now = self.core.now();
        self.core.write(|tx| async move { Ok(db::execute(&tx, RESTART_GRACE, [now.into()]).await.map(|_| ())?) }).await
    }

    fn is_here(&self, room: RoomId, host: UserId) -> bool {
        self.core.host.streams.is_followed_here_by(&stream(room), host)
    }

    /// Records the first or the last connection of a user to a room over this process.
    pub(crate) async fn update_connection(&self, room: RoomId, user: UserId) -> Result<()> {
        self.core.activity.change(room, user, self.core.now());
        if !self.is_here(room, user)
            && let Some(person) = self.core.activity.end_typing(room, user)
        {
            self.publish_typing(room, &person, false);
        }
        let host = db::scalar::<Option<UserId>>(self.core.db.conn(), HOST_OF, [room.into()]).await?;
        if host.flatten() == Some(user) { self.update_host(room, user).await } else { Ok(()) }
    }

    /// Records whether the host of a room is connected to this process.
    async fn update_host(&self, room: RoomId, host: UserId) -> Result<()> {
        let (person, now) = (&self.core.person(host).await?, self.core.now());
        self.core.write(|tx| async move { self.store_connection(&tx, room, person, now).await }).await
    }

    async fn store_connection(&self, tx: &Tx, room: RoomId, person: &Person, now: Timestamp) -> Result<()> {
        let user = person.id;
        let access = Access::load_for_update(tx, user, room).await?;
        if access.host_id != Some(user) || !access.is_active {
            return Ok(());
        }
        // Asked under the lock: calls about connections overtake each other, and the last one sees how it is.
        if !self.is_here(room, user) {
            return self.store_absence(tx, &access, Some(person), now).await;
        }
        connections::connect(&self.core, tx, room, now).await?;
        if db::execute(tx, BACK, [room.into()]).await? > 0 {
            let (streams, stream) = (self.core.host.streams.clone(), stream(room));
            tx.after_commit(move || streams.publish_transient(&stream, &Frame::HostBack, None));
        }
        Ok(())
    }

    /// The host is no longer connected to this process. If they are to none, they are away.
    async fn store_absence(&self, tx: &Tx, access: &Access, host: Option<&Person>, now: Timestamp) -> Result<()> {
        let room = access.id;
        db::execute(&tx.deferred(), DISCONNECT, [room.into(), self.core.node.as_str().into()]).await?;
        db::execute(&tx.deferred(), FORGET_STALE, [room.into(), (now - LEASE).into()]).await?;
        if db::scalar::<bool>(tx, IS_CONNECTED, [room.into()]).await?.unwrap_or_default() {
            return Ok(());
        }
        if !access.is_active {
            return Ok(());
        }
        let grace = self.core.host_grace();
        if grace.is_zero() {
            return close(&self.core, tx, access, (CloseReason::HostAway, access.host_id), host, now).await;
        }
        if db::execute(tx, AWAY, [room.into(), now.into()]).await? > 0 {
            let closes_at = now + grace;
            let (streams, stream) = (self.core.host.streams.clone(), stream(room));
            tx.after_commit(move || streams.publish_transient(&stream, &Frame::HostAway { closes_at }, None));
        }
        Ok(())
    }

    /// Confirms the connections of hosts to this process, deletes those that other processes no longer confirm, and
    /// stores those that are missing.
    ///
    /// # Errors
    /// Those of the database. What fails for one room only is logged.
    pub async fn confirm_hosts(&self) -> Result<()> {
        let (conn, now, node) = (self.core.db.conn(), self.core.now(), self.core.node.as_str());
        if db::scalar::<bool>(conn, HAS_OWN, [node.into()]).await?.unwrap_or_default() {
            // First, so that no other process deletes these connections while the work below takes time or fails.
            let values = || [node.into(), now.into()];
            self.core.db.write(|tx| async move { db::execute(&tx, CONFIRM, values()).await }).await?;
        }
        let mut after = 0;
        loop {
            let rows: Vec<HostedRow> = db::rows(conn, OWN, [node.into(), after.into(), BATCH.into()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.room_id.0;
            for HostedRow { room_id, host_id } in rows {
                if let Some(host) = host_id.filter(|host| !self.is_here(room_id, *host)) {
                    // The end of the connection could not be stored.
                    log_failure(room_id, STORE_HOST, self.update_host(room_id, host).await);
                }
            }
        }
        let stale: Vec<RoomId> = db::scalars(conn, STALE, [(now - LEASE).into(), BATCH.into()]).await?;
        for room in stale {
            let forgotten = self.core.write(|tx| async move { self.forget_stale(&tx, room, now).await }).await;
            log_failure(room, "could not delete the stale connections to a room", forgotten);
        }
        let mut after = (Timestamp::from_unix_micros(0), RoomId(0));
        loop {
            let rows = self.absent(&mut after, now).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for AbsentRow { room_id, host_id, .. } in rows {
                if let Some(host) = host_id.filter(|host| self.is_here(room_id, *host)) {
                    // Their connection could not be stored, or another process has deleted it.
                    log_failure(room_id, STORE_HOST, self.update_host(room_id, host).await);
                }
            }
        }
    }

    /// Deletes the connections to a room that nobody confirms.
    async fn forget_stale(&self, tx: &Tx, room: RoomId, now: Timestamp) -> Result<()> {
        let access = Access::load_for_update(tx, UserId(0), room).await?;
        if access.is_active && access.host_id.is_some_and(|host| self.is_here(room, host)) {
            db::execute(&tx.deferred(), FORGET_STALE, [room.into(), (now - LEASE).into()]).await?;
            return Ok(());
        }
        self.store_absence(tx, &access, None, now).await
    }

    /// The next rooms whose hosts are away since `latest` or longer. `after` is the last one of those before.
    async fn absent(&self, after: &mut (Timestamp, RoomId), latest: Timestamp) -> Result<Vec<AbsentRow>> {
        let values = [after.0.into(), after.1.into(), BATCH.into(), latest.into()];
        let rows: Vec<AbsentRow> = db::rows(self.core.db.conn(), ABSENT, values).await?;
        if let Some(last) = rows.last() {
            *after = (last.host_away_since, last.room_id);
        }
        Ok(rows)
    }

    /// Closes the rooms whose hosts have been away for too long.
    ///
    /// # Errors
    /// Those of the database. What fails for one room only is logged.
    pub async fn close_abandoned(&self) -> Result<()> {
        let latest = self.core.now() - self.core.host_grace();
        let mut after = (Timestamp::from_unix_micros(0), RoomId(0));
        loop {
            let rows = self.absent(&mut after, latest).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let people = &self.core.people(rows.iter().filter_map(|row| row.host_id)).await?;
            for AbsentRow { room_id, host_id, .. } in rows {
                let host = host_id.and_then(|host| people.get(&host));
                let closed = self.core.write(|tx| async move { self.close_overdue(&tx, room_id, host, latest).await });
                log_failure(room_id, "could not close the room of an absent host", closed.await);
            }
        }
    }

    /// Closes a room unless its host has come back. `host` is the one who was away.
    async fn close_overdue(&self, tx: &Tx, room: RoomId, host: Option<&Person>, latest: Timestamp) -> Result<()> {
        let access = Access::load_for_update(tx, UserId(0), room).await?;
        // Their connection to this process or another one could not be stored, or was deleted; that process stores it.
        let is_connected =
            access.host_id.is_some_and(|host| self.core.host.streams.is_followed_by(&stream(room), host));
        if is_connected || !access.is_active || access.host_away_since.is_none_or(|since| since > latest) {
            return Ok(());
        }
        let host = host.filter(|host| access.host_id == Some(host.id));
        close(&self.core, tx, &access, (CloseReason::HostAway, None), host, self.core.now()).await
    }

    /// Publishes who has come or gone, to the sockets of this process, and who has stopped typing.
    ///
    /// # Errors
    /// If it cannot be found out who they are. What does not name them is published nevertheless.
    pub async fn publish_activity(&self) -> Result<()> {
        let streams = &self.core.host.streams;
        let notices =
            self.core.activity.take(self.core.now(), |room, user| streams.is_followed_by(&stream(room), user));
        let users = notices.iter().filter_map(|(_, notice)| match notice {
            Notice::Online(user, _) => Some(*user),
            _ => None,
        });
        let people = self.core.people(users).await;
        for (room, notice) in notices {
            let stream = stream(room);
            match notice {
                Notice::NotTyping(person) => self.publish_typing(room, &person, false),
                Notice::Count(count) => streams.publish_transient_here(&stream, &Frame::PresenceCount { count }, None),
                Notice::Online(user, online) => {
                    if let Some(user) = people.as_ref().ok().and_then(|people| people.get(&user)) {
                        streams.publish_transient_here(&stream, &Frame::Presence { user, online }, None);
                    }
                }
            }
        }
        people.map(|_| ())
    }
}

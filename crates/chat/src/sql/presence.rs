//! The connections of hosts and of others.
//!
//! A row per process says that the host of a room is connected to it. The process confirms its rows, so that those of a
//! process that has crashed are noticed. When the last row of a room goes, the host is away, since a time that is
//! stored too: a room closes when the grace is over, whichever process notices it.

use std::time::Duration;

use guildhall_kernel::{Person, Timestamp, UserId, db, db::Tx};
use guildhall_realtime::StreamName;
use sea_orm::FromQueryResult;

use super::{SqlChat, close};
use crate::{
    core::{
        access::Access,
        activity::Told,
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
/// How often people are told who is typing or has come.
const TICK: Duration = Duration::from_millis(500);
/// How often rooms are closed whose host is away.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How many rooms are read at a time.
const BATCH: i64 = 200;

const HOST_OF: &str = "SELECT host_id FROM chat_room WHERE id = $1 AND is_active";
const CONNECT: &str = "INSERT INTO chat_host_connection (room_id, node, seen_at) VALUES ($1, $2, $3) \
    ON CONFLICT (room_id, node) DO UPDATE SET seen_at = excluded.seen_at";
const DISCONNECT: &str = "DELETE FROM chat_host_connection WHERE room_id = $1 AND (node = $2 OR seen_at < $3)";
const IS_CONNECTED: &str = "SELECT EXISTS (SELECT 1 FROM chat_host_connection WHERE room_id = $1)";
const AWAY: &str = "UPDATE chat_room SET host_away_since = $2 WHERE id = $1 AND host_away_since IS NULL AND is_active";
const BACK: &str = "UPDATE chat_room SET host_away_since = NULL WHERE id = $1 AND host_away_since IS NOT NULL";
const OWN: &str = "SELECT c.room_id, r.host_id FROM chat_host_connection c JOIN chat_room r ON r.id = c.room_id \
    WHERE c.node = $1 AND c.room_id > $2 ORDER BY c.room_id LIMIT $3";
const CONFIRM: &str = "UPDATE chat_host_connection SET seen_at = $2 WHERE node = $1";
const STALE: &str = "SELECT room_id FROM chat_host_connection WHERE seen_at < $1 ORDER BY seen_at LIMIT $2";
const OVERDUE: &str = "SELECT id AS room_id, host_id FROM chat_room WHERE host_away_since <= $1 \
    ORDER BY host_away_since LIMIT $2";
const RESTART_GRACE: &str = "UPDATE chat_room SET host_away_since = $1 WHERE host_away_since IS NOT NULL";

#[derive(FromQueryResult)]
struct HostedRow {
    room_id: RoomId,
    host_id: Option<UserId>,
}

impl SqlChat {
    /// Closes rooms whose hosts are away, and tells people who is there and who is typing. Begins with the grace of the
    /// hosts who are away anew, so that no room closes because the server was down. Runs until it is dropped.
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
        let tell = async {
            loop {
                tokio::time::sleep(TICK).await;
                if let Err(error) = self.tell_activity().await {
                    tracing::error!(%error, "could not tell who is in rooms");
                }
            }
        };
        tokio::join!(confirm, sweep, tell);
    }

    /// Begins the grace of all hosts who are away anew.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn restart_grace(&self) -> Result<()> {
        let now = self.core.now();
        self.core.write(|tx| async move { Ok(db::execute(&tx, RESTART_GRACE, [now.into()]).await.map(|_| ())?) }).await
    }

    /// Takes note of the first or the last connection of a user to a room over this process.
    pub(crate) async fn take_connection(&self, room: RoomId, user: UserId) -> Result<()> {
        let now = self.core.now();
        let stream = stream(room);
        self.core.activity.change(room, user, now);
        if !self.core.host.streams.is_followed_by(&stream, user)
            && let Some(person) = self.core.activity.end_typing(room, user)
        {
            self.publish_typing(room, &person, false);
        }
        let host = db::scalar::<Option<UserId>>(self.core.db.conn(), HOST_OF, [room.into()]).await?;
        if host.flatten() != Some(user) {
            return Ok(());
        }
        let (stream, person) = (&stream, &self.core.person(user).await?);
        self.core.write(|tx| async move { self.store_connection(&tx, (room, person), stream, now).await }).await
    }

    async fn store_connection(
        &self,
        tx: &Tx,
        (room, person): (RoomId, &Person),
        stream: &StreamName,
        now: Timestamp,
    ) -> Result<()> {
        let user = person.id;
        let access = Access::load_for_update(tx, user, room).await?;
        if access.host_id != Some(user) || !access.is_active {
            return Ok(());
        }
        // Asked under the lock: calls about connections overtake each other, and the last one sees how it is.
        if !self.core.host.streams.is_followed_by(stream, user) {
            return self.store_absence(tx, &access, Some(person), now).await;
        }
        db::execute(&tx.deferred(), CONNECT, [room.into(), self.core.node.as_str().into(), now.into()]).await?;
        if db::execute(tx, BACK, [room.into()]).await? > 0 {
            let (streams, stream) = (self.core.host.streams.clone(), stream.clone());
            tx.after_commit(move || streams.publish_transient(&stream, &Frame::HostBack, None));
        }
        Ok(())
    }

    /// The host is no longer connected to this process. If they are to none, they are away.
    async fn store_absence(&self, tx: &Tx, access: &Access, host: Option<&Person>, now: Timestamp) -> Result<()> {
        let room = access.id;
        let values = [room.into(), self.core.node.as_str().into(), (now - LEASE).into()];
        db::execute(&tx.deferred(), DISCONNECT, values).await?;
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

    /// Confirms the connections of hosts to this process, and takes note of those that other processes no longer
    /// confirm.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn confirm_hosts(&self) -> Result<()> {
        let (now, node) = (self.core.now(), self.core.node.as_str());
        let (conn, mut after, mut has_own) = (self.core.db.conn(), 0, false);
        loop {
            let rows: Vec<HostedRow> = db::rows(conn, OWN, [node.into(), after.into(), BATCH.into()]).await?;
            let Some(last) = rows.last() else { break };
            after = last.room_id.0;
            has_own = true;
            for HostedRow { room_id, host_id } in rows {
                let is_here = host_id.is_some_and(|host| self.core.host.streams.is_followed_by(&stream(room_id), host));
                if let Some(host) = host_id.filter(|_| !is_here) {
                    // The end of the connection could not be stored.
                    self.take_connection(room_id, host).await?;
                }
            }
        }
        if has_own {
            let values = || [node.into(), now.into()];
            self.core.db.write(|tx| async move { db::execute(&tx, CONFIRM, values()).await }).await?;
        }
        let stale: Vec<RoomId> = db::scalars(conn, STALE, [(now - LEASE).into(), BATCH.into()]).await?;
        for room in stale {
            self.core
                .write(|tx| async move {
                    let access = Access::load_for_update(&tx, UserId(0), room).await?;
                    let is_here = access.host_id.is_some_and(|host| {
                        access.is_active && self.core.host.streams.is_followed_by(&stream(room), host)
                    });
                    if is_here { Ok(()) } else { self.store_absence(&tx, &access, None, now).await }
                })
                .await?;
        }
        Ok(())
    }

    /// Closes the rooms whose hosts have been away for too long.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_abandoned(&self) -> Result<()> {
        let now = self.core.now();
        let latest = now - self.core.host_grace();
        let rows: Vec<HostedRow> = db::rows(self.core.db.conn(), OVERDUE, [latest.into(), BATCH.into()]).await?;
        let people = &self.core.people(rows.iter().filter_map(|row| row.host_id)).await?;
        for HostedRow { room_id, host_id } in rows {
            self.core
                .write(|tx| async move {
                    let access = Access::load_for_update(&tx, UserId(0), room_id).await?;
                    if !access.is_active || access.host_away_since.is_none_or(|since| since > latest) {
                        return Ok(());
                    }
                    let host = host_id.filter(|host| access.host_id == Some(*host)).and_then(|host| people.get(&host));
                    close(&self.core, &tx, &access, (CloseReason::HostAway, None), host, now).await
                })
                .await?;
        }
        Ok(())
    }

    /// Tells people who has come or gone, and who has stopped typing.
    ///
    /// # Errors
    /// If it cannot be found out who they are.
    pub async fn tell_activity(&self) -> Result<()> {
        let streams = &self.core.host.streams;
        let told = self.core.activity.take(self.core.now(), |room, user| streams.is_followed_by(&stream(room), user));
        let users = told.iter().filter_map(|(_, told)| match told {
            Told::Online(user, _) => Some(*user),
            _ => None,
        });
        let people = self.core.people(users).await?;
        for (room, told) in told {
            let stream = stream(room);
            match told {
                Told::NotTyping(person) => self.publish_typing(room, &person, false),
                Told::Count(count) => streams.publish_transient(&stream, &Frame::PresenceCount { count }, None),
                Told::Online(user, online) => {
                    if let Some(user) = people.get(&user) {
                        streams.publish_transient(&stream, &Frame::Presence { user, online }, None);
                    }
                }
            }
        }
        Ok(())
    }
}

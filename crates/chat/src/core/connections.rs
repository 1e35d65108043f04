//! The stored connections of hosts: a row for each process that the host of a room is connected to.

use guildhall_kernel::{Timestamp, UserId, db, db::Tx};

use super::{Core, frames::stream};
use crate::{error::Result, id::RoomId};

const CONNECT: &str = "INSERT INTO chat_host_connection (room_id, node, seen_at) VALUES ($1, $2, $3) \
    ON CONFLICT (room_id, node) DO UPDATE SET seen_at = excluded.seen_at";
const FORGET: &str = "DELETE FROM chat_host_connection WHERE room_id = $1";

/// Stores that the host of a room is connected to this process.
pub(crate) async fn connect(core: &Core, tx: &Tx, room: RoomId, now: Timestamp) -> Result<()> {
    db::execute(&tx.deferred(), CONNECT, [room.into(), core.node.as_str().into(), now.into()]).await?;
    Ok(())
}

/// Deletes the connections of the host of a room.
pub(crate) async fn forget(tx: &Tx, room: RoomId) -> Result<()> {
    db::execute(&tx.deferred(), FORGET, [room.into()]).await?;
    Ok(())
}

/// Stores the connection of a new host to this process instead of those of the former one. Other processes store theirs
/// when the new host changes the connections to them, or is away.
pub(crate) async fn replace(core: &Core, tx: &Tx, room: RoomId, host: UserId, now: Timestamp) -> Result<()> {
    forget(tx, room).await?;
    if core.host.streams.is_followed_here_by(&stream(room), host) { connect(core, tx, room, now).await } else { Ok(()) }
}

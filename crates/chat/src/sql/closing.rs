//! Closing a room.

use guildhall_kernel::{Person, Timestamp, UserId, db, db::Tx};
use serde_json::json;

use crate::{
    core::{
        Core,
        access::Access,
        connections,
        frames::Frame,
        log::{After, RoomLog},
    },
    error::Result,
    event::RoomClosed,
    model::CloseReason,
};

const CLOSE: &str = "UPDATE chat_room SET is_active = false, closed_at = $2, updated_at = $2, host_away_since = NULL \
    WHERE id = $1";
const EXPIRE_REQUESTS: &str = "UPDATE chat_join_request SET status = 'expired', decided_at = $2 \
    WHERE room_id = $1 AND status = 'pending'";

/// What people read when a room was closed.
fn sentence(reason: CloseReason, host: Option<&Person>) -> String {
    let name = host.map(|host| format!(" {}", host.username)).unwrap_or_default();
    match reason {
        CloseReason::Closed => "Room closed.".to_owned(),
        CloseReason::HostLeft | CloseReason::HostAway => format!("Host{name} left. Room closed."),
        CloseReason::HostDeleted => "The host's account was deleted. Room closed.".to_owned(),
    }
}

/// Closes an active room, which has to be locked: notifies its participants, ends its stream, and expires the
/// requests that wait. `host` is its host, to be named.
pub(crate) async fn close(
    core: &Core,
    tx: &Tx,
    access: &Access,
    (reason, actor): (CloseReason, Option<UserId>),
    host: Option<&Person>,
    now: Timestamp,
) -> Result<()> {
    let room = access.id;
    let mut log = RoomLog::new(core, tx, access, now);
    log.system("room_closed", (actor, host), &sentence(reason, host), After::More).await?;
    let record = json!({ "type": "room_closed", "reason": reason.name() });
    log.append(actor, record, &Frame::RoomClosed { reason }, After::Nothing).await?;
    db::execute(&tx.deferred(), CLOSE, [room.into(), now.into()]).await?;
    db::execute(&tx.deferred(), EXPIRE_REQUESTS, [room.into(), now.into()]).await?;
    connections::forget(tx, room).await?;
    Ok(tx.emit(&RoomClosed { room, host: access.host_id }).await?)
}

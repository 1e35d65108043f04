//! The services on a database.

mod audit;
mod changes;
mod closing;
mod counters;
mod hosts;
mod membership;
mod messages;
mod participants;
mod pins;
mod presence;
mod reactions;
mod reading;
mod requests;
mod rooms;
mod search;
mod show;

use std::sync::Arc;

use guildhall_files::Files;
use guildhall_kernel::{
    Db, PublicUrl, Result as KernelResult, UserId,
    db::{self, Sql, Tx},
};

use crate::{
    core::{Core, Host},
    id::RoomId,
    settings::Settings,
};

pub(crate) use closing::close;
pub(crate) use membership::end;

/// The host and the co-hosts of a room.
const MODERATORS: &str = "SELECT user_id FROM chat_participant WHERE room_id = $1 AND state = 'active' \
    AND role <> 'member' ORDER BY user_id";
const NAME: &str = "SELECT name FROM chat_room WHERE id = $1 AND is_active";
const VISIBLE: Sql = Sql::per_backend(
    "SELECT r.id FROM chat_room r WHERE r.id IN (SELECT value FROM json_each($2)) AND (r.is_active \
     OR EXISTS (SELECT 1 FROM chat_participant p WHERE p.room_id = r.id AND p.user_id = $1 AND p.state = 'active'))",
    "SELECT r.id FROM chat_room r WHERE r.id IN (SELECT value::bigint FROM json_array_elements_text($2::json)) \
     AND (r.is_active \
     OR EXISTS (SELECT 1 FROM chat_participant p WHERE p.room_id = r.id AND p.user_id = $1 AND p.state = 'active'))",
);

/// The services on a database; cheap to clone.
#[derive(Clone)]
pub struct SqlChat {
    pub(crate) core: Arc<Core>,
}

impl SqlChat {
    /// The services on a database whose migrations have run.
    pub fn new(db: Db, settings: Settings, host: Host) -> Self {
        Self { core: Arc::new(Core::new(db, settings, host)) }
    }

    /// The same services with other base URLs for the router and the files.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl, files: Files) -> Self {
        Self { core: Arc::new(self.core.mounted_at(mount, files)) }
    }

    /// The files of messages.
    pub fn files(&self) -> Files {
        self.core.host.files.clone()
    }

    /// The users who are notified of requests to join a room.
    pub async fn moderators(&self, tx: &Tx, room: RoomId) -> KernelResult<Vec<UserId>> {
        Ok(db::scalars(tx, MODERATORS, [room.into()]).await?)
    }

    /// The name of an active room.
    pub async fn room_name(&self, tx: &Tx, room: RoomId) -> KernelResult<Option<String>> {
        Ok(db::scalar(tx, NAME, [room.into()]).await?)
    }

    /// Those of these rooms whose card a user may see.
    pub async fn visible_rooms(&self, user: UserId, rooms: &[RoomId]) -> KernelResult<Vec<RoomId>> {
        let rooms = db::id_list(rooms.iter().map(|room| room.0));
        Ok(db::scalars(self.core.db.conn(), VISIBLE, [user.into(), rooms]).await?)
    }
}

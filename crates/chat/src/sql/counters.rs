//! Checks and repairs the number of participants and the chains of hashes. Every operation updates them in its own
//! transaction; they can only be wrong if somebody has changed the database by other means.

use guildhall_kernel::{db, doctor::Finding};
use sea_orm::FromQueryResult;

use super::SqlChat;
use crate::{
    entity::room,
    error::{Error, Result},
    id::RoomId,
};

/// How many rooms are repaired or reported.
const CHUNK: i64 = 200;

/// The right number of participants of a room.
macro_rules! participants {
    () => {
        "(SELECT COUNT(*) FROM chat_participant p WHERE p.room_id = chat_room.id AND p.state = 'active')"
    };
}

const WRONG: &str =
    concat!("SELECT id FROM chat_room WHERE participant_count <> ", participants!(), " ORDER BY id LIMIT $1");
/// A room with more participants than it may have gets room for them.
const RECOUNT: &str = concat!(
    "UPDATE chat_room SET participant_count = ",
    participants!(),
    ", max_participants = CASE WHEN max_participants < ",
    participants!(),
    " THEN ",
    participants!(),
    " ELSE max_participants END WHERE id = $1"
);
/// Rooms whose last number or hash is not that of their last event.
const BROKEN: &str = "SELECT r.id, r.last_seq FROM chat_room r LEFT JOIN chat_event e \
    ON e.room_id = r.id AND e.seq = r.last_seq WHERE (r.last_seq > 0 AND (e.hash IS NULL OR e.hash <> r.last_hash)) \
    OR EXISTS (SELECT 1 FROM chat_event n WHERE n.room_id = r.id AND n.seq > r.last_seq) ORDER BY r.id LIMIT $1";

#[derive(FromQueryResult)]
struct BrokenRow {
    id: RoomId,
    last_seq: i64,
}

impl SqlChat {
    /// Checks the number of participants of every room, and whether its chain of hashes is complete; with `fix`,
    /// repairs the numbers.
    pub async fn examine(&self, fix: bool) -> Result<Vec<Finding>> {
        let conn = self.core.db.conn();
        let find = || async move { db::scalars::<RoomId>(conn, WRONG, [CHUNK.into()]).await };
        let mut wrong = find().await?;
        let counters = if wrong.is_empty() {
            Finding::ok("chat.counters", "All counters are correct.")
        } else {
            Finding::error("chat.counters", format!("Wrong: chat_room.participant_count in {} rooms.", wrong.len()))
        };
        let is_wrong = !wrong.is_empty();
        while fix && !wrong.is_empty() {
            for room in wrong {
                self.core
                    .write(|tx| async move {
                        db::lock::<room::Entity>(&tx, room).await?;
                        db::execute(&tx, RECOUNT, [room.into()]).await?;
                        Ok::<_, Error>(())
                    })
                    .await?;
            }
            wrong = find().await?;
        }
        let counters = if fix && is_wrong { counters.fixed() } else { counters };
        let broken: Vec<BrokenRow> = db::rows(conn, BROKEN, [CHUNK.into()]).await?;
        let chains = if broken.is_empty() {
            Finding::ok("chat.chains", "All chains of hashes end with the last event.")
        } else {
            let rooms: Vec<String> =
                broken.iter().take(20).map(|row| format!("room {} at event {}", row.id, row.last_seq)).collect();
            Finding::error(
                "chat.chains",
                format!("Chains of hashes do not end with the last event: {}.", rooms.join(", ")),
            )
        };
        Ok(vec![counters, chains])
    }
}

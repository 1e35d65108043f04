//! Who takes part in a room.

use guildhall_kernel::{Person, Timestamp, UserId, db, db::Tx};

use crate::{
    core::{
        Core,
        access::Access,
        log::{After, RoomLog},
    },
    entity::participant::ParticipantState,
    error::{Error, Result},
    id::RoomId,
};

/// Takes a place in a room. The counter is what limits the number of participants.
const TAKE_PLACE: &str = "UPDATE chat_room SET participant_count = participant_count + 1 \
    WHERE id = $1 AND is_active AND participant_count < max_participants";
const FREE_PLACE: &str = "UPDATE chat_room SET participant_count = participant_count - 1 WHERE id = $1";
const ADMIT: &str = "INSERT INTO chat_participant (room_id, user_id, role, state, joined_seq, joined_at, last_read_no) \
    VALUES ($1, $2, 'member', 'active', $3, $4, $5) ON CONFLICT (room_id, user_id) DO UPDATE SET role = 'member', \
    state = 'active', joined_seq = excluded.joined_seq, joined_at = excluded.joined_at, \
    last_read_no = excluded.last_read_no WHERE chat_participant.state <> 'active'";
const END: &str = "UPDATE chat_participant SET state = $3, role = 'member' \
    WHERE room_id = $1 AND user_id = $2 AND state = 'active'";
const STATE: &str = "SELECT state FROM chat_participant WHERE room_id = $1 AND user_id = $2";

/// Lets a user take part in an active room, which has to be locked, because `actor` has decided so. 409 if it is full.
pub(super) async fn admit(
    core: &Core,
    tx: &Tx,
    access: &Access,
    (user, actor): (&Person, UserId),
    now: Timestamp,
) -> Result<()> {
    if db::execute(tx, TAKE_PLACE, [access.id.into()]).await? == 0 {
        return Err(Error::RoomFull);
    }
    let mut log = RoomLog::new(core, tx, access, now);
    let (seq, no) = (log.last_seq(), log.last_no());
    let values = [access.id.into(), user.id.into(), seq.into(), now.into(), no.into()];
    if db::execute(tx, ADMIT, values).await? == 0 {
        return Err(Error::AlreadyParticipant);
    }
    let text = format!("{} joined.", user.username);
    log.system("member_joined", (Some(actor), Some(user)), &text, After::More).await
}

/// Ends the participation of a user in a room, which has to be locked; returns whether they took part. Without a
/// person, they are not named. A closed room has no further events.
pub(crate) async fn end(
    core: &Core,
    tx: &Tx,
    access: &Access,
    (user, person): (UserId, Option<&Person>),
    (state, actor): (ParticipantState, UserId),
    now: Timestamp,
) -> Result<bool> {
    let new_state = if state == ParticipantState::Removed { "removed" } else { "left" };
    if db::execute(tx, END, [access.id.into(), user.into(), new_state.into()]).await? == 0 {
        return Ok(false);
    }
    db::execute(&tx.deferred(), FREE_PLACE, [access.id.into()]).await?;
    if access.is_active {
        let name = person.map_or("A deleted user", |person| &person.username);
        let (event, text) = match state {
            ParticipantState::Removed => ("member_removed", format!("{name} was removed.")),
            _ => ("member_left", format!("{name} left.")),
        };
        let mut log = RoomLog::new(core, tx, access, now);
        log.system(event, (Some(actor), person), &text, After::Without(user)).await?;
    }
    Ok(true)
}

/// Whether a user takes part in a room, or did.
pub(super) async fn state_of(tx: &Tx, room: RoomId, user: UserId) -> Result<Option<ParticipantState>> {
    Ok(db::scalar(tx, STATE, [room.into(), user.into()]).await?)
}

//! What a caller may do in a room.

use guildhall_kernel::{
    Caller, Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    entity::{
        participant::{ParticipantState, Role},
        room,
    },
    error::{Error, Result},
    id::RoomId,
};

const BY_ID: &str = "SELECT r.id, r.host_id, r.name, r.is_active, r.auto_approve, r.history_from_start, \
    r.allow_file_uploads, r.slow_mode_seconds, r.max_participants, r.participant_count, r.host_away_since, \
    r.last_seq, r.last_no, r.last_hash, r.updated_at, p.role, p.state, p.joined_seq, p.last_read_no, p.last_sent_at, \
    p.muted_until FROM chat_room r LEFT JOIN chat_participant p ON p.room_id = r.id AND p.user_id = $2 WHERE r.id = $1";

/// A room with the caller's part in it.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Access {
    pub(crate) id: RoomId,
    pub(crate) host_id: Option<UserId>,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) auto_approve: bool,
    history_from_start: bool,
    pub(crate) allow_file_uploads: bool,
    pub(crate) slow_mode_seconds: i64,
    pub(crate) max_participants: i64,
    pub(crate) participant_count: i64,
    pub(crate) host_away_since: Option<Timestamp>,
    pub(crate) last_seq: i64,
    pub(crate) last_no: i64,
    pub(crate) last_hash: String,
    pub(crate) updated_at: Timestamp,
    pub(crate) role: Option<Role>,
    pub(crate) state: Option<ParticipantState>,
    joined_seq: Option<i64>,
    pub(crate) last_read_no: Option<i64>,
    pub(crate) last_sent_at: Option<Timestamp>,
    pub(crate) muted_until: Option<Timestamp>,
}

impl Access {
    /// A room. 404 if there is none.
    pub(crate) async fn load(conn: &impl ConnectionTrait, user: UserId, id: RoomId) -> Result<Self> {
        db::row(conn, BY_ID, [id.into(), user.into()]).await?.ok_or(Error::RoomNotFound(id))
    }

    /// Like [`load`](Self::load), for a change: locks the room until the transaction ends.
    pub(crate) async fn load_for_update(tx: &Tx, user: UserId, id: RoomId) -> Result<Self> {
        db::lock::<room::Entity>(tx, id).await?;
        Self::load(tx, user, id).await
    }

    pub(crate) fn is_participant(&self) -> bool {
        self.state == Some(ParticipantState::Active)
    }

    /// Whether the caller is the host, or a co-host.
    pub(crate) fn is_own_moderator(&self) -> bool {
        self.is_participant() && matches!(self.role, Some(Role::Host | Role::CoHost))
    }

    /// Whether the caller may decide who takes part. Staff may in every room.
    pub(crate) fn is_moderator(&self, caller: &Caller) -> bool {
        self.is_own_moderator() || caller.roles.is_staff()
    }

    /// Whether the caller may change the room itself.
    pub(crate) fn is_host(&self, caller: &Caller) -> bool {
        self.host_id == Some(caller.user) || caller.roles.is_staff()
    }

    /// 403 unless the caller takes part.
    pub(crate) fn require_participant(self) -> Result<Self> {
        if self.is_participant() { Ok(self) } else { Err(Error::NotParticipant) }
    }

    /// 403 unless the caller is the host, a co-host or staff.
    pub(crate) fn require_moderator(self, caller: &Caller) -> Result<Self> {
        if self.is_moderator(caller) { Ok(self) } else { Err(Error::NotModerator) }
    }

    /// 403 unless the caller is the host or staff.
    pub(crate) fn require_host(self, caller: &Caller) -> Result<Self> {
        if self.is_host(caller) { Ok(self) } else { Err(Error::NotHost) }
    }

    /// 409 if the room is closed.
    pub(crate) fn require_open(self) -> Result<Self> {
        if self.is_active { Ok(self) } else { Err(Error::RoomClosed) }
    }

    /// The number up to which a participant sees no events.
    pub(crate) fn visible_after(&self) -> i64 {
        if self.history_from_start { 0 } else { self.joined_seq.unwrap_or(i64::MAX) }
    }
}

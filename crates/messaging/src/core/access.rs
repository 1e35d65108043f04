//! What a caller may do in a conversation.

use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    entity::{
        conversation::{self, ConversationKind},
        member::MemberState,
    },
    error::{Error, Result},
    id::ConversationId,
};

/// The columns of [`Access`].
macro_rules! access {
    ($condition:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.name, c.owner_id, c.pair_low, c.pair_high, c.last_no, c.member_count, ",
            "c.updated_at, m.state, m.last_read_no, m.cleared_no, m.unread_count, m.is_marked_unread ",
            "FROM messaging_conversation c JOIN messaging_member m ON m.conversation_id = c.id WHERE ",
            $condition
        )
    };
}

const BY_ID: &str = access!("c.id = $1 AND m.user_id = $2");
const BY_PAIR: &str = access!("c.pair_low = $1 AND c.pair_high = $2 AND m.user_id = $3");

/// A conversation with the caller's part in it.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Access {
    pub(crate) id: ConversationId,
    pub(crate) kind: ConversationKind,
    pub(crate) name: String,
    pub(crate) owner_id: Option<UserId>,
    pair_low: Option<UserId>,
    pair_high: Option<UserId>,
    pub(crate) last_no: i64,
    pub(crate) member_count: i64,
    pub(crate) updated_at: Timestamp,
    pub(crate) state: MemberState,
    pub(crate) last_read_no: i64,
    pub(crate) cleared_no: i64,
    pub(crate) unread_count: i64,
    pub(crate) is_marked_unread: bool,
}

/// The two people of a direct conversation, in their order in the table.
pub(crate) fn pair(one: UserId, other: UserId) -> (UserId, UserId) {
    (one.min(other), one.max(other))
}

/// Whether a member can read a conversation: whoever has left a group, or was removed from it, no longer can.
pub(crate) fn is_readable(kind: ConversationKind, state: MemberState) -> bool {
    kind == ConversationKind::Direct || matches!(state, MemberState::Active | MemberState::Requested)
}

impl Access {
    /// A conversation that a user may read. 404 otherwise.
    pub(crate) async fn load(conn: &impl ConnectionTrait, user: UserId, id: ConversationId) -> Result<Self> {
        let found: Option<Self> = db::row(conn, BY_ID, [id.into(), user.into()]).await?;
        found.filter(|access: &Self| is_readable(access.kind, access.state)).ok_or(Error::ConversationNotFound(id))
    }

    /// Like [`load`](Self::load), for a change: locks the conversation until the transaction ends.
    pub(crate) async fn load_for_update(tx: &Tx, user: UserId, id: ConversationId) -> Result<Self> {
        db::lock::<conversation::Entity>(tx, id).await?;
        Self::load(tx, user, id).await
    }

    /// The conversation of two users, if there is one.
    pub(crate) async fn of_pair(conn: &impl ConnectionTrait, user: UserId, other: UserId) -> Result<Option<Self>> {
        let (low, high) = pair(user, other);
        Ok(db::row(conn, BY_PAIR, [low.into(), high.into(), user.into()]).await?)
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.kind == ConversationKind::Direct
    }

    /// The other person of a direct conversation, unless their account was removed.
    pub(crate) fn other(&self, user: UserId) -> Option<UserId> {
        if self.pair_low == Some(user) { self.pair_high } else { self.pair_low.filter(|_| self.is_direct()) }
    }

    /// Requires that the user takes part: they have not only been asked to.
    pub(crate) fn require_active(self) -> Result<Self> {
        if self.state == MemberState::Active { Ok(self) } else { Err(Error::ConversationNotFound(self.id)) }
    }

    /// Requires a group in which the user takes part.
    pub(crate) fn require_group(self) -> Result<Self> {
        if self.is_direct() { Err(Error::NotGroup) } else { self.require_active() }
    }

    /// Requires a group that the user owns.
    pub(crate) fn require_owner(self, user: UserId) -> Result<Self> {
        let access = self.require_group()?;
        if access.owner_id == Some(user) { Ok(access) } else { Err(Error::NotOwner) }
    }
}

//! The inbox, and what only the caller sees of a conversation.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, Timestamp, UserId, Window,
    cipher::Sealed,
    db::{self, Sql, Tx},
};
use sea_orm::{ColumnTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter};

use super::{
    SqlMessaging, extras::Extras, message_types::check_type_name, preferences::lock_settings, show::MessageRow,
};
use crate::{
    core::{
        access::{Access, is_readable},
        content::{self, draft_context},
        receipts::ReadState,
    },
    entity::{
        conversation::ConversationKind,
        member::{self, MemberState},
    },
    error::{Error, Result},
    id::{ConversationId, MessageId},
    model::{Conversation, ConversationState, InboxFilter, Message},
    service::Conversations,
};

/// The maximum number of conversations that one person can pin. The first page of the inbox contains all of them.
const MAX_PINNED: u64 = 20;

/// A query for the columns of [`ConversationRow`]: `$1` is the user. The last number that the other person has read is
/// only used if both send receipts and neither has blocked the other.
macro_rules! conversations {
    ($condition:literal) => {
        concat!(
            "SELECT c.id, c.kind, c.name, c.owner_id, c.pair_low, c.pair_high, c.member_count, c.created_at, ",
            "c.updated_at, a.unread_count, a.state, a.is_marked_unread, a.archived_at, a.pinned_at, a.muted_until, ",
            "a.draft, a.draft_key_id, a.last_read_no, a.last_message_id, ",
            "(SELECT o.last_read_no FROM messaging_member o WHERE c.kind = 'direct' ",
            "AND o.conversation_id = a.conversation_id AND o.user_id <> a.user_id AND NOT EXISTS (SELECT 1 ",
            "FROM messaging_settings s WHERE (s.user_id = o.user_id OR s.user_id = a.user_id) ",
            "AND NOT s.sends_receipts) AND NOT EXISTS (SELECT 1 FROM messaging_block b ",
            "WHERE (b.blocker_id = o.user_id AND b.blocked_id = a.user_id) ",
            "OR (b.blocker_id = a.user_id AND b.blocked_id = o.user_id))) AS other_read_no ",
            "FROM messaging_member a JOIN messaging_conversation c ON c.id = a.conversation_id ",
            "LEFT JOIN messaging_message m ON m.id = a.last_message_id ",
            "LEFT JOIN messaging_message_type t ON t.id = m.type_id WHERE a.user_id = $1 AND ",
            $condition
        )
    };
}

const BY_ID: &str = conversations!("a.conversation_id = $2");
const BY_IDS: Sql = Sql::per_backend(
    conversations!("a.conversation_id IN (SELECT value FROM json_each($2))"),
    conversations!("a.conversation_id IN (SELECT value::bigint FROM json_array_elements_text($2::json))"),
);
/// How many conversations can be read by their ids at once.
const MAX_IDS: usize = 100;
const INBOX: &str = conversations!(
    "a.state = 'active' AND a.archived_at IS NULL AND a.pinned_at IS NULL AND a.last_message_id < $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id DESC LIMIT $3"
);
const INBOX_AFTER: &str = conversations!(
    "a.state = 'active' AND a.archived_at IS NULL AND a.pinned_at IS NULL AND a.last_message_id > $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id LIMIT $3"
);
const ARCHIVED: &str = conversations!(
    "a.state = 'active' AND a.archived_at IS NOT NULL AND a.last_message_id < $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id DESC LIMIT $3"
);
const ARCHIVED_AFTER: &str = conversations!(
    "a.state = 'active' AND a.archived_at IS NOT NULL AND a.last_message_id > $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id LIMIT $3"
);
const REQUESTED: &str = conversations!(
    "a.state = 'requested' AND a.last_message_id < $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id DESC LIMIT $3"
);
const REQUESTED_AFTER: &str = conversations!(
    "a.state = 'requested' AND a.last_message_id > $2 \
     AND (CAST($4 AS text) IS NULL OR t.name = CAST($4 AS text)) \
     AND (NOT CAST($5 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) ORDER BY a.last_message_id LIMIT $3"
);
const PINNED: &str = conversations!(
    "a.state = 'active' AND a.pinned_at IS NOT NULL AND a.last_message_id IS NOT NULL \
     AND (CAST($2 AS text) IS NULL OR t.name = CAST($2 AS text)) \
     AND (NOT CAST($3 AS boolean) OR a.unread_count > 0 OR a.is_marked_unread) \
     ORDER BY a.last_message_id DESC LIMIT 20"
);
const CLEAR: &str = "UPDATE messaging_member SET cleared_no = $3, last_read_no = $3, unread_count = 0, \
    last_message_id = NULL, is_marked_unread = false, pinned_at = NULL, archived_at = NULL, draft = NULL, \
    draft_key_id = NULL WHERE conversation_id = $1 AND user_id = $2";

/// The lists of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Inbox,
    Archived,
    Requested,
}

impl List {
    /// The query for the rows before, or after a message.
    const fn sql(self, is_after: bool) -> &'static str {
        match (self, is_after) {
            (Self::Inbox, false) => INBOX,
            (Self::Inbox, true) => INBOX_AFTER,
            (Self::Archived, false) => ARCHIVED,
            (Self::Archived, true) => ARCHIVED_AFTER,
            (Self::Requested, false) => REQUESTED,
            (Self::Requested, true) => REQUESTED_AFTER,
        }
    }
}

/// A conversation with a user's part in it.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct ConversationRow {
    id: ConversationId,
    kind: ConversationKind,
    name: String,
    owner_id: Option<UserId>,
    pair_low: Option<UserId>,
    pair_high: Option<UserId>,
    member_count: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    unread_count: i64,
    state: MemberState,
    is_marked_unread: bool,
    archived_at: Option<Timestamp>,
    pinned_at: Option<Timestamp>,
    muted_until: Option<Timestamp>,
    draft: Option<String>,
    draft_key_id: Option<String>,
    last_read_no: i64,
    last_message_id: Option<MessageId>,
    other_read_no: Option<i64>,
}

impl ConversationRow {
    fn other(&self, user: UserId) -> Option<UserId> {
        [self.pair_low, self.pair_high].into_iter().flatten().find(|person| *person != user)
    }
}

impl SqlMessaging {
    /// A page of one of the lists of conversations.
    pub(super) async fn list(
        &self,
        caller: &Caller,
        list: List,
        filter: &InboxFilter,
        cursor: &CursorQuery,
    ) -> Result<CursorPage<Conversation>> {
        let conn = self.core.db.conn();
        let (is_after, key) = match cursor.window() {
            Window::Newest => (false, i64::MAX),
            Window::Before(key) => (false, key),
            Window::After(key) => (true, key),
        };
        let rows = i64::try_from(cursor.rows()).unwrap_or(i64::MAX);
        let (message_type, unread) = (|| filter.message_type.clone().into(), || filter.unread.into());
        let values = [caller.user.into(), key.into(), rows.into(), message_type(), unread()];
        let rows: Vec<ConversationRow> = db::rows(conn, list.sql(is_after), values).await?;
        let key = |row: &ConversationRow| row.last_message_id.map_or(0, |id| id.0);
        let (rows, page) = CursorPage::from_rows(rows, key, cursor).split();
        let mut all = Vec::new();
        if list == List::Inbox && cursor.window() == Window::Newest {
            all = db::rows(conn, PINNED, [caller.user.into(), message_type(), unread()]).await?;
        }
        all.extend(rows);
        Ok(page.with_results(self.show_conversations(caller.user, all).await?))
    }

    /// A conversation that a user can read. 404 otherwise.
    pub(super) async fn find_conversation(&self, user: UserId, id: ConversationId) -> Result<Conversation> {
        let conn = self.core.db.conn();
        Access::load(conn, user, id).await?;
        let row: Option<ConversationRow> = db::row(conn, BY_ID, [user.into(), id.into()]).await?;
        let row = row.ok_or(Error::ConversationNotFound(id))?;
        self.show_conversations(user, vec![row]).await?.pop().ok_or(Error::ConversationNotFound(id))
    }

    async fn show_conversations(&self, user: UserId, rows: Vec<ConversationRow>) -> Result<Vec<Conversation>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let keys = &self.core.host.keys;
        let ids = rows.iter().flat_map(|row| row.other(user).into_iter().chain(row.owner_id));
        let last: Vec<MessageId> = rows.iter().filter_map(|row| row.last_message_id).collect();
        let conn = self.core.db.conn().pipeline();
        let (people, mut messages, mut extras) = tokio::try_join!(
            self.core.people(ids),
            MessageRow::all(&conn, last.iter().copied()),
            Extras::load(&self.core, &conn, last.iter().copied(), user),
        )?;
        let mut show_last = |row: MessageRow, read: ReadState| {
            let (attachments, link_preview) = extras.take(row.id);
            Message { attachments, link_preview, ..row.without_reactions(keys, user, read) }
        };
        let show = |row: ConversationRow| {
            let draft = row.draft.clone();
            let context = draft_context(row.id, user);
            let draft = draft.and_then(|draft| content::open(keys, draft, row.draft_key_id.as_deref(), context).ok());
            let read = ReadState { own: row.last_read_no, other: row.other_read_no.unwrap_or_default() };
            let last_message = row.last_message_id.and_then(|id| messages.remove(&id));
            Conversation {
                conversation_id: row.id,
                kind: row.kind,
                other_user: row.other(user).and_then(|id| people.get(&id).cloned()),
                owner: row.owner_id.and_then(|id| people.get(&id).cloned()),
                name: row.name,
                member_count: row.member_count,
                last_message: last_message.map(|message| show_last(message, read)),
                unread_count: row.unread_count,
                state: row.state,
                is_marked_unread: row.is_marked_unread,
                is_archived: row.archived_at.is_some(),
                is_pinned: row.pinned_at.is_some(),
                muted_until: row.muted_until,
                draft,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// Stores what only the caller sees of a conversation, which has to be locked. `draft` is that of the change, as it
    /// is to be stored.
    async fn store_state(
        &self,
        tx: &Tx,
        caller: &Caller,
        access: &Access,
        change: &ConversationState,
        draft: Option<&Sealed>,
        now: Timestamp,
    ) -> Result<()> {
        let id = access.id;
        let row = member::Entity::find_by_id((id, caller.user)).one(tx).await?;
        let before = row.ok_or(Error::ConversationNotFound(id))?;
        let mut after = before.clone();
        if let Some(muted_until) = change.muted_until {
            after.muted_until = muted_until;
        }
        if let Some(is_archived) = change.is_archived {
            after.archived_at = is_archived.then(|| before.archived_at.unwrap_or(now));
            // An archived conversation is not at the top of the inbox.
            after.pinned_at = after.pinned_at.filter(|_| !is_archived);
        }
        if let Some(is_pinned) = change.is_pinned {
            after.pinned_at = is_pinned.then(|| before.pinned_at.unwrap_or(now));
            after.archived_at = after.archived_at.filter(|_| !is_pinned);
        }
        if let Some(is_marked_unread) = change.is_marked_unread {
            after.is_marked_unread = is_marked_unread;
        }
        if let Some(draft) = draft {
            after.draft = Some(draft.text.clone()).filter(|text| !text.is_empty());
            after.draft_key_id = draft.key_id.clone();
        }
        if after.pinned_at.is_some() && before.pinned_at.is_none() {
            let pinned = member::Entity::find()
                .filter(member::COLUMN.user_id.eq(caller.user))
                .filter(member::COLUMN.state.eq(MemberState::Active))
                .filter(member::COLUMN.pinned_at.is_not_null());
            if pinned.count(tx).await? >= MAX_PINNED {
                return Err(Error::field("is_pinned", format!("You can pin at most {MAX_PINNED} conversations.")));
            }
        }
        db::store_changes(tx, &before, &after).await?;
        self.core.publish_change(tx, id, [(caller.user, after.unread_count)]).await
    }
}

#[async_trait]
impl Conversations for SqlMessaging {
    async fn conversations(
        &self,
        caller: &Caller,
        filter: InboxFilter,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Conversation>> {
        let list = if filter.archived { List::Archived } else { List::Inbox };
        if let Some(message_type) = &filter.message_type {
            check_type_name(message_type)?;
        }
        self.list(caller, list, &filter, &cursor).await
    }

    async fn conversations_by_id(&self, caller: &Caller, ids: Vec<ConversationId>) -> Result<Vec<Conversation>> {
        let ids = db::id_list(ids.into_iter().take(MAX_IDS).map(|id| id.0));
        let mut rows: Vec<ConversationRow> = db::rows(self.core.db.conn(), BY_IDS, [caller.user.into(), ids]).await?;
        rows.retain(|row| is_readable(row.kind, row.state));
        self.show_conversations(caller.user, rows).await
    }

    async fn conversation(&self, caller: &Caller, id: ConversationId) -> Result<Conversation> {
        self.find_conversation(caller.user, id).await
    }

    async fn change_state(
        &self,
        caller: &Caller,
        id: ConversationId,
        change: ConversationState,
    ) -> Result<Conversation> {
        change.validate()?;
        let draft = change.draft.clone().map(Option::unwrap_or_default);
        let seal = |draft| self.core.host.keys.seal(draft, draft_context(id, caller.user));
        let draft = draft.map(seal).transpose()?;
        let (change, draft, now) = (&change, draft.as_ref(), self.core.now());
        self.core
            .write(|tx| async move {
                if change.is_pinned == Some(true) {
                    // Two conversations that are pinned at the same time count each other.
                    lock_settings(&tx, caller.user).await?;
                }
                let access = Access::load_for_update(&tx, caller.user, id).await?;
                self.store_state(&tx, caller, &access, change, draft, now).await
            })
            .await?;
        self.find_conversation(caller.user, id).await
    }

    async fn clear(&self, caller: &Caller, id: ConversationId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, id).await?;
                let values = [id.into(), caller.user.into(), access.last_no.into()];
                db::execute(&tx.deferred(), CLEAR, values).await?;
                self.core.erase_for(&tx, caller.user, id, 1..=access.last_no).await?;
                self.core.publish_change(&tx, id, [(caller.user, 0)]).await?;
                self.core.publish_unread(&tx, caller.user).await
            })
            .await
    }
}

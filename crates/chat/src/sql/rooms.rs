//! Rooms.

use std::collections::HashMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Ordering, Page, PageQuery, Quota, UserId,
    db::{self, Sql, Tx},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait, Select, Set,
    sea_query::Expr,
};
use serde_json::json;

use super::{SqlChat, close};
use crate::{
    core::{
        access::Access,
        frames::Frame,
        log::{After, RoomLog},
    },
    entity::{
        participant::{self, ParticipantState, Role},
        room,
    },
    error::{Error, Result},
    event::RoomOpened,
    id::RoomId,
    model::{CloseReason, NewRoom, Room, RoomFilter, RoomPatch},
    service::Rooms,
};

/// The caller's part in some rooms.
const PARTS: Sql = Sql::per_backend(
    "SELECT room_id, role, last_read_no FROM chat_participant WHERE user_id = $1 AND state = 'active' \
     AND room_id IN (SELECT value FROM json_each($2))",
    "SELECT room_id, role, last_read_no FROM chat_participant WHERE user_id = $1 AND state = 'active' \
     AND room_id IN (SELECT value::bigint FROM json_array_elements_text($2::json))",
);

#[derive(FromQueryResult)]
struct PartRow {
    room_id: RoomId,
    role: Role,
    last_read_no: i64,
}

/// The rooms of a list.
fn listed(user: UserId, filter: &RoomFilter) -> Select<room::Entity> {
    // Without bound values, so that partial indexes serve them.
    if !filter.joined && !filter.closed {
        return room::Entity::find().filter(Expr::cust("is_active AND is_listed"));
    }
    let rooms = room::Entity::find().filter(Expr::cust(if filter.closed { "NOT is_active" } else { "is_active" }));
    let own = participant::Entity::find()
        .select_only()
        .column(participant::Column::RoomId)
        .filter(participant::COLUMN.user_id.eq(user))
        .filter(participant::COLUMN.state.eq(ParticipantState::Active));
    rooms.filter(room::Column::Id.in_subquery(own.into_query()))
}

/// The room with the changes of a patch.
fn patched(before: &room::Model, patch: &RoomPatch) -> room::Model {
    room::Model {
        name: patch.name.as_deref().map_or_else(|| before.name.clone(), |name| name.trim().to_owned()),
        description: patch.description.clone().unwrap_or_else(|| before.description.clone()),
        is_listed: patch.is_listed.unwrap_or(before.is_listed),
        auto_approve: patch.auto_approve.unwrap_or(before.auto_approve),
        history_from_start: patch.history_from_start.unwrap_or(before.history_from_start),
        allow_file_uploads: patch.allow_file_uploads.unwrap_or(before.allow_file_uploads),
        slow_mode_seconds: patch.slow_mode_seconds.unwrap_or(before.slow_mode_seconds),
        max_participants: patch.max_participants.unwrap_or(before.max_participants),
        ..before.clone()
    }
}

impl SqlChat {
    /// Rooms as a user sees them, in the same order.
    async fn show_rooms(&self, user: UserId, rows: Vec<room::Model>) -> Result<Vec<Room>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids = db::id_list(rows.iter().map(|row| row.id.0));
        let parts = db::rows::<PartRow>(self.core.db.conn(), PARTS, [user.into(), ids]);
        let (parts, people) = tokio::join!(parts, self.core.people(rows.iter().filter_map(|row| row.host_id)));
        let parts: HashMap<RoomId, PartRow> = parts?.into_iter().map(|part| (part.room_id, part)).collect();
        let people = people?;
        let grace = self.core.host_grace();
        let show = |row: room::Model| {
            let part = parts.get(&row.id);
            Room {
                id: row.id,
                name: row.name,
                description: row.description,
                host: row.host_id.and_then(|host| people.get(&host)).cloned(),
                is_active: row.is_active,
                participant_count: row.participant_count,
                max_participants: row.max_participants,
                is_participant: part.is_some(),
                my_role: part.map(|part| part.role),
                unread_count: part.map(|part| (row.last_no - part.last_read_no).max(0)),
                last_seq: row.last_seq,
                is_listed: row.is_listed,
                auto_approve: row.auto_approve,
                history_from_start: row.history_from_start,
                allow_file_uploads: row.allow_file_uploads,
                slow_mode_seconds: row.slow_mode_seconds,
                closes_at: row.host_away_since.map(|since| since + grace),
                created_at: row.created_at,
                updated_at: row.updated_at,
                closed_at: row.closed_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// A room as a user sees it. 404 for a closed one in which they do not take part.
    pub(super) async fn find_room(&self, caller: &Caller, id: RoomId) -> Result<Room> {
        let not_found = || Error::RoomNotFound(id);
        let row = room::Entity::find_by_id(id).one(self.core.db.conn()).await?.ok_or_else(not_found)?;
        let room = self.show_rooms(caller.user, vec![row]).await?.pop().ok_or_else(not_found)?;
        let is_visible = room.is_active || room.is_participant || caller.roles.is_staff();
        if is_visible { Ok(room) } else { Err(not_found()) }
    }

    async fn store_room(&self, tx: &Tx, caller: &Caller, new: &NewRoom) -> Result<RoomId> {
        let now = self.core.now();
        let quota = Quota::per_day("chat_rooms", self.core.settings.rooms_per_day.into());
        quota.consume(tx, caller.user, 1, now).await?;
        let row = room::ActiveModel {
            id: NotSet,
            host_id: Set(Some(caller.user)),
            name: Set(new.name.trim().to_owned()),
            description: Set(new.description.clone()),
            is_listed: Set(new.is_listed),
            auto_approve: Set(new.auto_approve),
            history_from_start: Set(new.history_from_start),
            allow_file_uploads: Set(new.allow_file_uploads),
            slow_mode_seconds: Set(new.slow_mode_seconds),
            max_participants: Set(new.max_participants),
            participant_count: Set(1),
            is_active: Set(true),
            host_away_since: Set(None),
            closed_at: Set(None),
            last_seq: Set(0),
            last_no: Set(0),
            last_hash: Set(String::new()),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let id = db::insert(tx, row).await?.id;
        let host = participant::ActiveModel {
            room_id: Set(id),
            user_id: Set(caller.user),
            role: Set(Role::Host),
            state: Set(ParticipantState::Active),
            joined_seq: Set(0),
            joined_at: Set(now),
            last_read_no: Set(0),
            last_sent_at: Set(None),
            muted_until: Set(None),
        };
        db::insert_only(&tx.deferred(), host).await?;
        tx.emit(&RoomOpened { room: id, host: caller.user }).await?;
        Ok(id)
    }

    async fn store_patch(
        &self,
        tx: &Tx,
        caller: &Caller,
        id: RoomId,
        patch: &RoomPatch,
        known: &IfMatch,
    ) -> Result<()> {
        let now = self.core.now();
        let access = Access::load_for_update(tx, caller.user, id).await?.require_host(caller)?.require_open()?;
        known.check(access.updated_at)?;
        if patch.max_participants.is_some_and(|max| max < access.participant_count) {
            let message = format!("{} people take part.", access.participant_count);
            return Err(Error::field("max_participants", message));
        }
        let before = room::Entity::find_by_id(id).one(tx).await?.ok_or(Error::RoomNotFound(id))?;
        let mut after = patched(&before, patch);
        if after == before {
            return Ok(());
        }
        after.updated_at = now;
        db::store_changes(tx, &before, &after).await?;
        let record = json!({
            "type": "room_changed",
            "slow_mode_seconds": after.slow_mode_seconds,
            "allow_file_uploads": after.allow_file_uploads,
            "history_from_start": after.history_from_start,
            "max_participants": after.max_participants,
        });
        let frame = Frame::RoomChanged {
            name: &after.name,
            description: &after.description,
            allow_file_uploads: after.allow_file_uploads,
            slow_mode_seconds: after.slow_mode_seconds,
            max_participants: after.max_participants,
        };
        let mut log = RoomLog::new(&self.core, tx, &access, now);
        log.append(Some(caller.user), record, &frame, After::More).await?;
        Ok(())
    }
}

#[async_trait]
impl Rooms for SqlChat {
    async fn rooms(&self, caller: &Caller, filter: RoomFilter, page: PageQuery) -> Result<Page<Room>> {
        let ordering = Ordering {
            fields: &[("created_at", room::Column::CreatedAt)],
            default: "-created_at",
            id: room::Column::Id,
        };
        let select = listed(caller.user, &filter);
        let page = Page::<room::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        let (rows, page) = page.split();
        let rooms = self.show_rooms(caller.user, rows).await?;
        Ok(page.with_results(|_| rooms))
    }

    async fn open_room(&self, caller: &Caller, new: NewRoom) -> Result<Room> {
        if !caller.roles.teacher && !caller.roles.superuser {
            return Err(Error::MayNotOpenRooms);
        }
        new.validate()?;
        let new = &new;
        let id = self.core.write(|tx| async move { self.store_room(&tx, caller, new).await }).await?;
        self.find_room(caller, id).await
    }

    async fn room(&self, caller: &Caller, id: RoomId) -> Result<Room> {
        self.find_room(caller, id).await
    }

    async fn change_room(&self, caller: &Caller, id: RoomId, patch: RoomPatch, known: IfMatch) -> Result<Room> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core.write(|tx| async move { self.store_patch(&tx, caller, id, patch, known).await }).await?;
        self.find_room(caller, id).await
    }

    async fn close_room(&self, caller: &Caller, id: RoomId) -> Result<()> {
        let (person, now) = (&self.core.people([caller.user]).await?, self.core.now());
        self.core
            .write(|tx| async move {
                let access = Access::load_for_update(&tx, caller.user, id).await?.require_host(caller)?;
                if !access.is_active {
                    return Ok(());
                }
                let how = (CloseReason::Closed, Some(caller.user));
                close(&self.core, &tx, &access, how, person.get(&caller.user), now).await
            })
            .await
    }
}

//! Creating, listing, changing and cancelling events.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, UserId, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Select,
    Set,
};

use super::SqlEvents;
use crate::{
    core::{
        access::GroupAccess,
        rsvps::{delete_outsider_rsvps, fill_free_spots},
        scope::{Viewer, joined_by, visible_events},
    },
    entity::{
        event,
        rsvp::{self, Attendance},
    },
    error::{Error, Result},
    events::{Event, EventFilter, EventPatch, Events, NewEvent, When, calendar},
    id::{EventId, GroupId},
    markdown,
};

/// The maximum duration of an event.
const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

fn check_times(starts_at: Timestamp, ends_at: Timestamp) -> Result<()> {
    if ends_at < starts_at {
        return Err(Error::field("ends_at", "An event cannot end before it starts."));
    }
    if ends_at.since(starts_at) > MAX_DURATION {
        return Err(Error::field("ends_at", "An event can last at most 366 days."));
    }
    Ok(())
}

/// Filters events by time.
fn filter_by_time(events: Select<event::Entity>, when: When, now: Timestamp) -> Select<event::Entity> {
    match when {
        // An event that has not ended cannot have started earlier than this; it lets the index on the start be used.
        When::Upcoming => {
            events.filter(event::COLUMN.ends_at.gte(now)).filter(event::COLUMN.starts_at.gte(now - MAX_DURATION))
        }
        When::Past => events.filter(event::COLUMN.ends_at.lt(now)),
        When::All => events,
    }
}

/// An event, if it is visible to the viewer.
pub(super) async fn find_event(conn: &impl ConnectionTrait, viewer: Viewer, id: EventId) -> Result<event::Model> {
    let found = visible_events(viewer).filter(event::COLUMN.id.eq(id)).one(conn).await?;
    found.ok_or(Error::EventNotFound(id))
}

/// Loads an event for a change and locks it until the transaction ends, so that changes and RSVPs are serialized.
pub(super) async fn find_event_for_update(
    conn: &impl ConnectionTrait,
    viewer: Viewer,
    id: EventId,
) -> Result<event::Model> {
    let found = visible_events(viewer).filter(event::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
    found.ok_or(Error::EventNotFound(id))
}

/// Locks an event of a group that the caller moderates.
async fn find_moderated_event(conn: &impl ConnectionTrait, caller: &Caller, id: EventId) -> Result<event::Model> {
    let group = find_event(conn, caller.into(), id).await?.group_id;
    GroupAccess::load_for_update(conn, caller, group).await?.require_moderator()?;
    find_event_for_update(conn, caller.into(), id).await
}

/// A user's RSVPs to these events.
async fn rsvps_of(
    conn: &impl ConnectionTrait,
    events: &[EventId],
    user: UserId,
) -> Result<HashMap<EventId, Attendance>> {
    let rows = rsvp::Entity::find()
        .filter(rsvp::COLUMN.user_id.eq(user))
        .filter(rsvp::COLUMN.event_id.is_in(events.iter().copied()))
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.event_id, row.status)).collect())
}

impl SqlEvents {
    /// The events as the viewer sees them. The number of queries does not depend on the number of events.
    async fn show_events(&self, rows: Vec<event::Model>, viewer: Viewer) -> Result<Vec<Event>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
        let creators: Vec<UserId> = rows.iter().filter_map(|row| row.creator_id).collect();
        let statuses = rsvps_of(self.core.db.conn(), &ids, viewer.id()).await?;
        let people = self.core.people(creators).await?;
        let show = |row: event::Model| Event {
            creator: row.creator_id.and_then(|id| people.get(&id)).cloned(),
            my_status: statuses.get(&row.id).copied(),
            id: row.id,
            group: row.group_id,
            title: row.title,
            description: row.description,
            description_html: row.description_html,
            location: row.location,
            url: row.url,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            capacity: row.capacity,
            is_public: row.is_public,
            is_cancelled: row.is_cancelled,
            going_count: row.going_count,
            waiting_count: row.waiting_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_event(&self, row: event::Model, viewer: Viewer) -> Result<Event> {
        let id = row.id;
        self.show_events(vec![row], viewer).await?.pop().ok_or(Error::EventNotFound(id))
    }

    async fn list_events(
        &self,
        events: Select<event::Entity>,
        viewer: Viewer,
        when: When,
        page: PageQuery,
    ) -> Result<Page<Event>> {
        let select = filter_by_time(events, when, self.core.now());
        let ordering = Ordering {
            fields: &[("starts_at", event::Column::StartsAt), ("id", event::Column::Id)],
            default: if when == When::Past { "-starts_at" } else { "starts_at" },
            id: event::Column::Id,
        };
        let page = Page::<event::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        let (rows, page) = page.split();
        let events = self.show_events(rows, viewer).await?;
        Ok(page.with_results(|_| events))
    }
}

/// The event after a change.
fn apply_patch(event: &event::Model, patch: &EventPatch, html: Option<&str>, now: Timestamp) -> event::Model {
    let mut after = event.clone();
    if let Some(title) = &patch.title {
        title.trim().clone_into(&mut after.title);
    }
    if let Some(description) = &patch.description {
        after.description.clone_from(description);
    }
    if let Some(html) = html {
        html.clone_into(&mut after.description_html);
    }
    if let Some(location) = &patch.location {
        location.trim().clone_into(&mut after.location);
    }
    if let Some(url) = &patch.url {
        url.trim().clone_into(&mut after.url);
    }
    if let Some(starts_at) = patch.starts_at {
        after.starts_at = starts_at;
    }
    if let Some(ends_at) = patch.ends_at {
        after.ends_at = ends_at;
    }
    if let Some(capacity) = patch.capacity {
        after.capacity = capacity;
    }
    if let Some(is_public) = patch.is_public {
        after.is_public = is_public;
    }
    if let Some(is_cancelled) = patch.is_cancelled {
        after.is_cancelled = is_cancelled;
    }
    after.revision += 1;
    after.updated_at = now;
    after
}

#[async_trait]
impl Events for SqlEvents {
    async fn group_events(
        &self,
        viewer: Option<Caller>,
        group: GroupId,
        filter: EventFilter,
        page: PageQuery,
    ) -> Result<Page<Event>> {
        let viewer = self.core.find_access(viewer, group).await?;
        let events = visible_events(viewer).filter(event::COLUMN.group_id.eq(group));
        self.list_events(events, viewer, filter.when, page).await
    }

    async fn my_events(&self, caller: &Caller, page: PageQuery) -> Result<Page<Event>> {
        let in_own_groups = event::Column::GroupId.in_subquery(joined_by(caller.user));
        let viewer = Viewer::from(caller);
        self.list_events(visible_events(viewer).filter(in_own_groups), viewer, When::Upcoming, page).await
    }

    async fn create_event(&self, caller: &Caller, group: GroupId, new: NewEvent) -> Result<Event> {
        new.validate()?;
        check_times(new.starts_at, new.ends_at)?;
        let now = self.core.now();
        let row = &event::ActiveModel {
            id: NotSet,
            group_id: Set(group),
            creator_id: Set(Some(caller.user)),
            title: Set(new.title.trim().to_owned()),
            description_html: Set(markdown::html_of("description", &new.description)?),
            description: Set(new.description),
            location: Set(new.location.trim().to_owned()),
            url: Set(new.url.trim().to_owned()),
            starts_at: Set(new.starts_at),
            ends_at: Set(new.ends_at),
            capacity: Set(new.capacity),
            is_public: Set(new.is_public),
            is_cancelled: Set(false),
            going_count: Set(0),
            waiting_count: Set(0),
            revision: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let row = self
            .core
            .write(|tx| async move {
                GroupAccess::load_for_update(&tx, caller, group).await?.require_moderator()?;
                Ok::<_, Error>(row.clone().insert(&tx).await?)
            })
            .await?;
        self.show_event(row, caller.into()).await
    }

    async fn event(&self, viewer: Option<Caller>, id: EventId) -> Result<Event> {
        let viewer = self.core.viewer(viewer)?;
        let row = find_event(self.core.db.conn(), viewer, id).await?;
        self.show_event(row, viewer).await
    }

    async fn change_event(&self, caller: &Caller, id: EventId, patch: EventPatch, known: IfMatch) -> Result<Event> {
        patch.validate()?;
        let html = patch.description.as_deref().map(|text| markdown::html_of("description", text)).transpose()?;
        let (patch, html, known) = (&patch, &html, &known);
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let event = find_moderated_event(conn, caller, id).await?;
                known.check(event.updated_at)?;
                let now = self.core.now();
                let after = apply_patch(&event, patch, html.as_deref(), now);
                check_times(after.starts_at, after.ends_at)?;
                if let Some(Some(capacity)) = patch.capacity
                    && capacity < event.going_count
                {
                    let message = format!("The event already has {} attendees.", event.going_count);
                    return Err(Error::field("capacity", message));
                }
                db::store_changes(conn, &event, &after).await?;
                if event.is_public && !after.is_public {
                    delete_outsider_rsvps(conn, id).await?;
                }
                fill_free_spots(conn, id, now).await?;
                event::Entity::find_by_id(id).one(conn).await?.ok_or(Error::EventNotFound(id))
            })
            .await?;
        self.show_event(row, caller.into()).await
    }

    async fn delete_event(&self, caller: &Caller, id: EventId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let event = find_moderated_event(&tx, caller, id).await?;
                known.check(event.updated_at)?;
                event::Entity::delete_by_id(id).exec(&tx).await?;
                Ok::<_, Error>(())
            })
            .await?;
        tracing::info!(event.id = id.0, user.id = caller.user.0, "event deleted");
        Ok(())
    }

    async fn event_calendar(&self, viewer: Option<Caller>, id: EventId) -> Result<String> {
        let event = find_event(self.core.db.conn(), self.core.viewer(viewer)?, id).await?;
        Ok(calendar::file(&event, &self.core.host.home))
    }
}

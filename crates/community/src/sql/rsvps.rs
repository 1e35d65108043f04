//! RSVPs to events, and waiting lists.
//!
//! Every change of an RSVP holds the lock of its event. This keeps the order of the waiting list, fills free spots
//! immediately, and keeps the counts exact.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Set, Statement,
    sea_query::{Expr, ExprTrait},
};

use super::{
    GroupAccess, SqlCommunity,
    events::{find_event, find_event_for_update},
    lock_group,
    members::is_banned,
    scope::{Viewer, visible_events},
};
use crate::{
    Answer, Attendance, Attendee, AttendeeFilter, Error, EventId, GroupId, NewRsvp, Result, Rsvp, Rsvps,
    entity::{event, rsvp},
};

/// How many events of a user are processed in one statement.
const CHUNK: usize = 200;

/// Deletes a user's RSVPs to locked events and fills the spots that become free, at most one per event.
const DELETE_RSVPS: [&str; 5] = [
    "UPDATE community_event SET going_count = going_count - 1 WHERE id IN (SELECT event_id FROM community_rsvp \
     WHERE user_id = {user} AND event_id IN ({events}) AND status = 'going')",
    "UPDATE community_event SET waiting_count = waiting_count - 1 WHERE id IN (SELECT event_id FROM community_rsvp \
     WHERE user_id = {user} AND event_id IN ({events}) AND status = 'waiting')",
    "DELETE FROM community_rsvp WHERE user_id = {user} AND event_id IN ({events})",
    "UPDATE community_rsvp SET status = 'going', since = {now} WHERE id IN (SELECT \
     (SELECT r.id FROM community_rsvp r WHERE r.event_id = e.id AND r.status = 'waiting' \
      ORDER BY r.since, r.id LIMIT 1) \
     FROM community_event e WHERE e.id IN ({events}) AND e.waiting_count > 0 \
     AND (e.capacity IS NULL OR e.going_count < e.capacity))",
    "UPDATE community_event SET going_count = going_count + 1, waiting_count = waiting_count - 1 \
     WHERE id IN ({events}) AND waiting_count > 0 AND (capacity IS NULL OR going_count < capacity)",
];

/// Deletes the RSVPs of people who are not members of the group of a locked event.
const DELETE_OUTSIDER_RSVPS: [&str; 2] = [
    "DELETE FROM community_rsvp WHERE event_id = $1 AND NOT EXISTS (SELECT 1 FROM community_membership m \
     JOIN community_event e ON e.group_id = m.group_id \
     WHERE e.id = community_rsvp.event_id AND m.user_id = community_rsvp.user_id)",
    "UPDATE community_event SET \
     going_count = (SELECT COUNT(*) FROM community_rsvp r WHERE r.event_id = $1 AND r.status = 'going'), \
     waiting_count = (SELECT COUNT(*) FROM community_rsvp r WHERE r.event_id = $1 AND r.status = 'waiting') \
     WHERE id = $1",
];

/// The waiting list of an event, unordered.
fn waiting_list(event: EventId) -> Select<rsvp::Entity> {
    rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.status.eq(Attendance::Waiting))
}

/// A user's RSVP to an event.
async fn find_rsvp(conn: &impl ConnectionTrait, event: EventId, user: UserId) -> Result<Option<rsvp::Model>> {
    let rsvp = rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.user_id.eq(user));
    Ok(rsvp.one(conn).await?)
}

/// Adds to the counts of attendees and of people on the waiting list.
async fn adjust_counts(conn: &impl ConnectionTrait, event: EventId, going: i64, waiting: i64) -> Result<()> {
    event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(going))
        .col_expr(event::Column::WaitingCount, Expr::col(event::Column::WaitingCount).add(waiting))
        .filter(event::COLUMN.id.eq(event))
        .exec(conn)
        .await?;
    Ok(())
}

/// Reserves a spot if one is free; adds to the waiting list otherwise.
async fn reserve_spot(conn: &impl ConnectionTrait, event: EventId) -> Result<Attendance> {
    let going = || Expr::col((event::Entity, event::Column::GoingCount));
    let capacity = || Expr::col((event::Entity, event::Column::Capacity));
    let updated = event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(1))
        .filter(event::COLUMN.id.eq(event))
        .filter(Condition::any().add(capacity().is_null()).add(going().lt(capacity())))
        .exec(conn)
        .await?;
    if updated.rows_affected == 1 {
        return Ok(Attendance::Going);
    }
    adjust_counts(conn, event, 0, 1).await?;
    Ok(Attendance::Waiting)
}

/// Removes an RSVP with this status from the counts. A spot that becomes free goes to the first on the waiting list.
async fn release_spot(conn: &impl ConnectionTrait, event: EventId, previous: Attendance, now: Timestamp) -> Result<()> {
    match previous {
        Attendance::Going => {
            adjust_counts(conn, event, -1, 0).await?;
            fill_free_spots(conn, event, now).await
        }
        Attendance::Waiting => adjust_counts(conn, event, 0, -1).await,
        Attendance::Maybe | Attendance::Declined => Ok(()),
    }
}

/// Gives free spots to the first on the waiting list. The event has to be locked.
pub(super) async fn fill_free_spots(conn: &impl ConnectionTrait, id: EventId, now: Timestamp) -> Result<()> {
    let event = event::Entity::find_by_id(id).one(conn).await?.ok_or(Error::EventNotFound(id))?;
    let free_spots = event.capacity.map_or(event.waiting_count, |capacity| capacity - event.going_count);
    let Some(limit) = u64::try_from(free_spots).ok().filter(|free_spots| *free_spots > 0 && event.waiting_count > 0)
    else {
        return Ok(());
    };
    let next = waiting_list(id)
        .select_only()
        .column(rsvp::Column::Id)
        .order_by_asc(rsvp::Column::Since)
        .order_by_asc(rsvp::Column::Id)
        .limit(limit);
    let promoted = rsvp::Entity::update_many()
        .col_expr(rsvp::Column::Status, Expr::value(Attendance::Going))
        .col_expr(rsvp::Column::Since, Expr::value(now))
        .filter(Expr::col((rsvp::Entity, rsvp::Column::Id)).in_subquery(next.into_query()))
        .exec(conn)
        .await?;
    let promoted = i64::try_from(promoted.rows_affected).unwrap_or_default();
    adjust_counts(conn, id, promoted, -promoted).await
}

/// Deletes the RSVPs of people who are not members, for an event that is no longer public. The event has to be
/// locked. Free spots are not filled.
pub(super) async fn delete_outsider_rsvps(conn: &impl ConnectionTrait, event: &event::Model) -> Result<()> {
    for step in DELETE_OUTSIDER_RSVPS {
        let step = Statement::from_sql_and_values(conn.get_database_backend(), step, [event.id.into()]);
        conn.execute_raw(step).await?;
    }
    Ok(())
}

/// Does the same for all public events of a group that is no longer public, and fills the free spots.
pub(super) async fn delete_outsider_rsvps_of_group(
    conn: &impl ConnectionTrait,
    group: GroupId,
    now: Timestamp,
) -> Result<()> {
    let public_events = event::Entity::find()
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::COLUMN.is_public.eq(true))
        .order_by_asc(event::Column::Id)
        .lock_exclusive()
        .all(conn)
        .await?;
    for event in public_events {
        delete_outsider_rsvps(conn, &event).await?;
        fill_free_spots(conn, event.id, now).await?;
    }
    Ok(())
}

/// Deletes all RSVPs of a user whose account is removed, and fills the free spots.
pub(super) async fn delete_user_rsvps(conn: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<()> {
    let event_ids = rsvp::Entity::find()
        .select_only()
        .column(rsvp::Column::EventId)
        .filter(rsvp::COLUMN.user_id.eq(user))
        .order_by_asc(rsvp::Column::EventId)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    delete_rsvps(conn, user, &event_ids, now).await
}

/// Deletes the RSVPs of a former member to events that are no longer visible to them, and fills the free spots. The
/// membership has to be deleted before.
pub(super) async fn delete_hidden_rsvps(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    let with_rsvp =
        rsvp::Entity::find().select_only().column(rsvp::Column::EventId).filter(rsvp::COLUMN.user_id.eq(user));
    let visible = visible_events(Viewer::User(user))
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group));
    let hidden = event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::Column::Id.in_subquery(with_rsvp.into_query()))
        .filter(event::Column::Id.not_in_subquery(visible.into_query()))
        .order_by_asc(event::Column::Id)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    delete_rsvps(conn, user, &hidden, now).await
}

/// Deletes a user's RSVPs to all events of a group, and fills the free spots.
pub(super) async fn delete_rsvps_in_group(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    let with_rsvp =
        rsvp::Entity::find().select_only().column(rsvp::Column::EventId).filter(rsvp::COLUMN.user_id.eq(user));
    let events = event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::Column::Id.in_subquery(with_rsvp.into_query()))
        .order_by_asc(event::Column::Id)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    delete_rsvps(conn, user, &events, now).await
}

/// Deletes a user's RSVPs to these events, which have to be sorted by id.
async fn delete_rsvps(conn: &impl ConnectionTrait, user: UserId, events: &[EventId], now: Timestamp) -> Result<()> {
    for chunk in events.chunks(CHUNK) {
        // Everybody locks in the same order, to avoid deadlocks.
        event::Entity::find()
            .select_only()
            .column(event::Column::Id)
            .filter(event::COLUMN.id.is_in(chunk.iter().copied()))
            .order_by_asc(event::Column::Id)
            .lock_exclusive()
            .into_tuple::<EventId>()
            .all(conn)
            .await?;
        let ids: Vec<String> = chunk.iter().map(ToString::to_string).collect();
        let ids = ids.join(", ");
        for step in DELETE_RSVPS {
            let step = step.replace("{events}", &ids).replace("{user}", &user.to_string());
            let step = step.replace("{now}", &now.unix_micros().to_string());
            conn.execute_raw(Statement::from_string(conn.get_database_backend(), step)).await?;
        }
    }
    Ok(())
}

/// The position on the waiting list, from 1.
async fn waiting_position(conn: &impl ConnectionTrait, rsvp: &rsvp::Model) -> Result<Option<i64>> {
    if rsvp.status != Attendance::Waiting {
        return Ok(None);
    }
    let earlier = Condition::any()
        .add(rsvp::COLUMN.since.lt(rsvp.since))
        .add(Condition::all().add(rsvp::COLUMN.since.eq(rsvp.since)).add(rsvp::COLUMN.id.lt(rsvp.id)));
    let ahead = waiting_list(rsvp.event_id).filter(earlier).count(conn).await?;
    Ok(Some(i64::try_from(ahead).unwrap_or_default() + 1))
}

/// Whether the answer does not change the RSVP.
fn is_same(current: Attendance, answer: Answer) -> bool {
    matches!(
        (current, answer),
        (Attendance::Going | Attendance::Waiting, Answer::Going)
            | (Attendance::Maybe, Answer::Maybe)
            | (Attendance::Declined, Answer::Declined)
    )
}

impl SqlCommunity {
    pub(super) async fn list_attendees(
        &self,
        id: EventId,
        filter: AttendeeFilter,
        page: PageQuery,
    ) -> Result<Page<Attendee>> {
        let mut select = rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(id));
        if let Some(status) = filter.status {
            select = select.filter(rsvp::COLUMN.status.eq(status));
        }
        let ordering = Ordering {
            fields: &[("since", rsvp::Column::Since), ("id", rsvp::Column::Id)],
            default: "since",
            id: rsvp::Column::Id,
        };
        let page = Page::<rsvp::Model>::fetch(select, &ordering, &page, self.db.conn()).await?;
        let (rows, page) = page.take();
        let ids: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
        let people = self.people(ids).await?;
        let show = |row: rsvp::Model| Attendee {
            user: people.get(&row.user_id).cloned(),
            status: row.status,
            since: row.since,
        };
        Ok(page.with(|_| rows.into_iter().map(show).collect()))
    }
}

/// Stores an RSVP, replacing the previous one if there is one. The event has to be locked.
async fn store_rsvp(
    conn: &impl ConnectionTrait,
    event: EventId,
    user: UserId,
    previous: Option<rsvp::Model>,
    answer: Answer,
    now: Timestamp,
) -> Result<rsvp::Model> {
    let status = match answer {
        Answer::Going => reserve_spot(conn, event).await?,
        Answer::Maybe => Attendance::Maybe,
        Answer::Declined => Attendance::Declined,
    };
    let Some(previous) = previous else {
        let row = rsvp::ActiveModel {
            id: NotSet,
            event_id: Set(event),
            user_id: Set(user),
            status: Set(status),
            since: Set(now),
        };
        return Ok(row.insert(conn).await?);
    };
    let row =
        rsvp::ActiveModel { id: Unchanged(previous.id), status: Set(status), since: Set(now), ..Default::default() };
    let stored = rsvp::Entity::update(row).exec(conn).await?;
    release_spot(conn, event, previous.status, now).await?;
    Ok(stored)
}

#[async_trait]
impl Rsvps for SqlCommunity {
    async fn answer_event(&self, caller: &Caller, id: EventId, new: NewRsvp) -> Result<Rsvp> {
        let answer = new.status;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                // Lock the group first, so that a member who is being removed cannot answer meanwhile.
                let group = find_event(conn, caller.into(), id).await?.group_id;
                lock_group(conn, group).await?;
                let event = find_event_for_update(conn, caller.into(), id).await?;
                if is_banned(conn, group, caller.user, self.host.clock.now()).await? {
                    return Err(Error::Banned);
                }
                if event.is_cancelled {
                    return Err(Error::EventCancelled);
                }
                // Read the time after locking, so that the waiting list is in the order in which the lock was acquired.
                let now = self.host.clock.now();
                let rsvp = find_rsvp(conn, id, caller.user).await?;
                let rsvp = match rsvp {
                    Some(rsvp) if is_same(rsvp.status, answer) => rsvp,
                    previous => store_rsvp(conn, id, caller.user, previous, answer, now).await?,
                };
                Ok(Rsvp { status: rsvp.status, position: waiting_position(conn, &rsvp).await? })
            })
            .await
    }

    async fn withdraw_answer(&self, caller: &Caller, id: EventId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                find_event_for_update(conn, caller.into(), id).await?;
                let Some(rsvp) = find_rsvp(conn, id, caller.user).await? else {
                    return Ok(());
                };
                rsvp::Entity::delete_by_id(rsvp.id).exec(conn).await?;
                release_spot(conn, id, rsvp.status, self.host.clock.now()).await
            })
            .await
    }

    async fn attendees(
        &self,
        caller: &Caller,
        id: EventId,
        filter: AttendeeFilter,
        page: PageQuery,
    ) -> Result<Page<Attendee>> {
        let group = find_event(self.db.conn(), caller.into(), id).await?.group_id;
        GroupAccess::load(self.db.conn(), caller, group).await?.require_reader()?;
        self.list_attendees(id, filter, page).await
    }
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::TestDb;

    use super::*;

    /// User 1 attends event 1, is on the waiting list of event 2 and may attend event 3. The group has no members,
    /// and only event 2 is not public.
    const SETUP: &str = "
        INSERT INTO people (id, name) VALUES (1, 'anna'), (2, 'bert'), (3, 'carl');
        INSERT INTO community_group (id, name, name_key, slug, description, category, is_private,
            is_corporate_group, created_at, updated_at)
        VALUES (1, 'hall', 'hall', 'hall', '', 'general', false, false, 0, 0);
        INSERT INTO community_event (id, group_id, title, description, description_html, location, url, starts_at,
            ends_at, capacity, is_public, is_cancelled, going_count, waiting_count, revision, created_at, updated_at)
        VALUES (1, 1, 'one', '', '', '', '', 0, 0, 1, true, false, 1, 2, 0, 0, 0),
            (2, 1, 'two', '', '', '', '', 0, 0, 1, false, false, 1, 2, 0, 0, 0),
            (3, 1, 'three', '', '', '', '', 0, 0, NULL, true, false, 0, 0, 0, 0, 0);
        INSERT INTO community_rsvp (event_id, user_id, status, since)
        VALUES (1, 1, 'going', 1), (1, 2, 'waiting', 3), (1, 3, 'waiting', 2),
            (2, 2, 'going', 1), (2, 1, 'waiting', 2), (2, 3, 'waiting', 3), (3, 1, 'maybe', 1);";

    async fn set_up() -> TestDb {
        let db = TestDb::new(crate::migrations::with_people_table).await;
        db.write(|tx| async move { tx.execute_unprepared(SETUP).await.map(|_| ()) }).await.unwrap();
        db
    }

    /// The RSVPs to an event and its counts.
    async fn rsvps(db: &TestDb, id: i64) -> (Vec<(i64, Attendance)>, i64, i64) {
        let event = event::Entity::find_by_id(EventId(id)).one(db.conn()).await.unwrap().unwrap();
        let rows = rsvp::Entity::find()
            .filter(rsvp::COLUMN.event_id.eq(EventId(id)))
            .order_by_asc(rsvp::Column::UserId)
            .all(db.conn())
            .await
            .unwrap();
        let rsvps = rows.into_iter().map(|row| (row.user_id.0, row.status)).collect();
        (rsvps, event.going_count, event.waiting_count)
    }

    #[tokio::test]
    async fn removing_a_user_fills_spots_and_keeps_counts() {
        use Attendance::{Going, Waiting};

        let db = set_up().await;
        db.write(|tx| async move { delete_user_rsvps(&tx, UserId(1), Timestamp::EPOCH).await }).await.unwrap();
        assert_eq!(rsvps(&db, 1).await, (vec![(2, Waiting), (3, Going)], 1, 1));
        assert_eq!(rsvps(&db, 2).await, (vec![(2, Going), (3, Waiting)], 1, 1));
        assert_eq!(rsvps(&db, 3).await, (vec![], 0, 0));
    }

    #[tokio::test]
    async fn leaving_a_group_keeps_rsvps_to_public_events_only() {
        use Attendance::{Going, Waiting};

        let db = set_up().await;
        let before = rsvps(&db, 1).await;
        db.write(|tx| async move { delete_hidden_rsvps(&tx, GroupId(1), UserId(2), Timestamp::EPOCH).await })
            .await
            .unwrap();
        assert_eq!(rsvps(&db, 1).await, before);
        assert_eq!(rsvps(&db, 2).await, (vec![(1, Going), (3, Waiting)], 1, 1));
    }
}

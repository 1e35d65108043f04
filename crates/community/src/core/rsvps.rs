//! Deleting RSVPs of users who lose access, and filling the spots that become free.

use guildhall_kernel::{
    Timestamp, UserId,
    db::{self, Tx},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, LockType},
};

use super::scope::{Viewer, visible_events};
use crate::{
    entity::{
        event,
        rsvp::{self, Attendance},
    },
    error::{Error, Result},
    id::{EventId, GroupId},
};

/// How many events of a user are processed in one statement.
const CHUNK: usize = 200;

/// The first on the waiting list of an event.
const FIRST_WAITING: &str = "(SELECT r.id FROM community_rsvp r WHERE r.event_id = community_event.id \
     AND r.status = 'waiting' ORDER BY r.since, r.id LIMIT 1)";

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

/// The condition for events with a free spot.
pub(crate) fn has_free_spot() -> Condition {
    let going_count = Expr::col((event::Entity, event::Column::GoingCount));
    let capacity = || Expr::col((event::Entity, event::Column::Capacity));
    Condition::any().add(capacity().is_null()).add(going_count.lt(capacity()))
}

/// The waiting list of an event, unordered.
pub(crate) fn waiting_list(event: EventId) -> Select<rsvp::Entity> {
    rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.status.eq(Attendance::Waiting))
}

/// Adds to the counts of attendees and of people on the waiting list.
pub(crate) async fn adjust_counts(conn: &impl ConnectionTrait, event: EventId, going: i64, waiting: i64) -> Result<()> {
    event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(going))
        .col_expr(event::Column::WaitingCount, Expr::col(event::Column::WaitingCount).add(waiting))
        .filter(event::COLUMN.id.eq(event))
        .exec(conn)
        .await?;
    Ok(())
}

/// Gives free spots to the first on the waiting list. The event has to be locked.
pub(crate) async fn fill_free_spots(conn: &impl ConnectionTrait, id: EventId, now: Timestamp) -> Result<()> {
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
pub(crate) async fn delete_outsider_rsvps(conn: &impl ConnectionTrait, event: EventId) -> Result<()> {
    for step in DELETE_OUTSIDER_RSVPS {
        db::execute(conn, step, [event.into()]).await?;
    }
    Ok(())
}

/// Does the same for all public events of a group that is no longer public, and fills the free spots.
pub(crate) async fn delete_outsider_rsvps_of_group(
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
        delete_outsider_rsvps(conn, event.id).await?;
        fill_free_spots(conn, event.id, now).await?;
    }
    Ok(())
}

/// The ids of the events that a user has an RSVP to.
fn answered_by(user: UserId) -> Select<rsvp::Entity> {
    rsvp::Entity::find().select_only().column(rsvp::Column::EventId).filter(rsvp::COLUMN.user_id.eq(user))
}

/// The ids of the events of a group that a user has an RSVP to, sorted.
fn answered_in_group(group: GroupId, user: UserId) -> Select<event::Entity> {
    event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::Column::Id.in_subquery(answered_by(user).into_query()))
        .order_by_asc(event::Column::Id)
}

/// Deletes all RSVPs of a user whose account is removed, and fills the free spots.
pub(crate) async fn delete_user_rsvps(tx: &Tx, user: UserId, now: Timestamp) -> Result<()> {
    let events = answered_by(user).order_by_asc(rsvp::Column::EventId).into_tuple::<EventId>().all(tx).await?;
    delete_rsvps(tx, user, &events, now).await
}

/// Deletes the RSVPs of a former member to events that are no longer visible to them, and fills the free spots. The
/// membership has to be deleted before.
pub(crate) async fn delete_hidden_rsvps(tx: &Tx, group: GroupId, user: UserId, now: Timestamp) -> Result<()> {
    let visible = visible_events(Viewer::User(user))
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group));
    let hidden = answered_in_group(group, user)
        .filter(event::Column::Id.not_in_subquery(visible.into_query()))
        .into_tuple::<EventId>()
        .all(tx)
        .await?;
    delete_rsvps(tx, user, &hidden, now).await
}

/// Deletes a user's RSVPs to all events of a group, and fills the free spots.
pub(crate) async fn delete_rsvps_in_group(tx: &Tx, group: GroupId, user: UserId, now: Timestamp) -> Result<()> {
    let events = answered_in_group(group, user).into_tuple::<EventId>().all(tx).await?;
    delete_rsvps(tx, user, &events, now).await
}

/// Deletes a user's RSVPs to these events, which have to be sorted by id. Fills the free spots, at most one per event.
async fn delete_rsvps(tx: &Tx, user: UserId, events: &[EventId], now: Timestamp) -> Result<()> {
    for chunk in events.chunks(CHUNK) {
        let in_chunk = event::COLUMN.id.is_in(chunk.iter().copied());
        // Everybody locks in the same order, to avoid deadlocks.
        let in_order = event::Entity::find().filter(in_chunk.clone()).order_by_asc(event::Column::Id);
        db::lock_rows(tx, || in_order, LockType::Update).await?;
        let own = rsvp::COLUMN.user_id.eq(user).and(rsvp::COLUMN.event_id.is_in(chunk.iter().copied()));
        for (count, status) in
            [(event::Column::GoingCount, Attendance::Going), (event::Column::WaitingCount, Attendance::Waiting)]
        {
            let counted = answered_by(user).filter(own.clone()).filter(rsvp::COLUMN.status.eq(status));
            event::Entity::update_many()
                .col_expr(count, Expr::col(count).sub(1))
                .filter(event::Column::Id.in_subquery(counted.into_query()))
                .exec(&tx.deferred())
                .await?;
        }
        rsvp::Entity::delete_many().filter(own).exec(&tx.deferred()).await?;
        let fillable = Condition::all().add(in_chunk).add(event::COLUMN.waiting_count.gt(0)).add(has_free_spot());
        let next = event::Entity::find().select_only().expr(Expr::cust(FIRST_WAITING)).filter(fillable.clone());
        rsvp::Entity::update_many()
            .col_expr(rsvp::Column::Status, Expr::value(Attendance::Going))
            .col_expr(rsvp::Column::Since, Expr::value(now))
            .filter(rsvp::Column::Id.in_subquery(next.into_query()))
            .exec(&tx.deferred())
            .await?;
        event::Entity::update_many()
            .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(1))
            .col_expr(event::Column::WaitingCount, Expr::col(event::Column::WaitingCount).sub(1))
            .filter(fillable)
            .exec(&tx.deferred())
            .await?;
    }
    Ok(())
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
        db.sql(SETUP).await.unwrap();
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

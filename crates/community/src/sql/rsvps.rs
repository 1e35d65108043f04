//! Who comes to an event, who waits for a place, and who moves up.
//!
//! Whatever changes an answer holds the lock of its event. So whoever asks first is served first, nobody waits
//! while a place is free, and the counts are exact.

use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select, Set, Statement,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlCommunity,
    events::{find_event, take_event},
    lock_group,
    members::is_banned,
    scope::{Viewer, visible_events},
};
use crate::{
    Answer, Attendance, Attendee, AttendeeFilter, Error, EventId, GroupId, Result, Rsvp,
    entity::{event, rsvp},
};

/// At how many events somebody's answers are forgotten at once.
const CHUNK: usize = 200;

/// What forgets somebody's answers to events that are locked, and has others move up: at each event one place
/// gets free at most.
const FORGET: [&str; 5] = [
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

/// What forgets the answers of those who are not in the group of an event that is locked.
const FORGET_OUTSIDERS: [&str; 2] = [
    "DELETE FROM community_rsvp WHERE event_id = $1 AND NOT EXISTS (SELECT 1 FROM community_membership m \
     JOIN community_event e ON e.group_id = m.group_id \
     WHERE e.id = community_rsvp.event_id AND m.user_id = community_rsvp.user_id)",
    "UPDATE community_event SET \
     going_count = (SELECT COUNT(*) FROM community_rsvp r WHERE r.event_id = $1 AND r.status = 'going'), \
     waiting_count = (SELECT COUNT(*) FROM community_rsvp r WHERE r.event_id = $1 AND r.status = 'waiting') \
     WHERE id = $1",
];

/// Those who wait for a place.
fn waiting(event: EventId) -> Select<rsvp::Entity> {
    rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.status.eq(Attendance::Waiting))
}

/// What somebody has said.
async fn own_answer(conn: &impl ConnectionTrait, event: EventId, user: UserId) -> Result<Option<rsvp::Model>> {
    let own = rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.user_id.eq(user));
    Ok(own.one(conn).await?)
}

/// Counts so many more who come, and so many more who wait.
async fn count(conn: &impl ConnectionTrait, event: EventId, going: i64, waiting: i64) -> Result<()> {
    event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(going))
        .col_expr(event::Column::WaitingCount, Expr::col(event::Column::WaitingCount).add(waiting))
        .filter(event::COLUMN.id.eq(event))
        .exec(conn)
        .await?;
    Ok(())
}

/// Counts one more who comes, if there is a place, else one more who waits.
async fn place_for_one(conn: &impl ConnectionTrait, event: EventId) -> Result<Attendance> {
    let going = || Expr::col((event::Entity, event::Column::GoingCount));
    let capacity = || Expr::col((event::Entity, event::Column::Capacity));
    let taken = event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(1))
        .filter(event::COLUMN.id.eq(event))
        .filter(Condition::any().add(capacity().is_null()).add(going().lt(capacity())))
        .exec(conn)
        .await?;
    if taken.rows_affected == 1 {
        return Ok(Attendance::Going);
    }
    count(conn, event, 0, 1).await?;
    Ok(Attendance::Waiting)
}

/// Takes somebody who has said this off the counts; a place that gets free goes to whoever has waited longest.
async fn release(conn: &impl ConnectionTrait, event: EventId, before: Attendance, now: Timestamp) -> Result<()> {
    match before {
        Attendance::Going => {
            count(conn, event, -1, 0).await?;
            move_up(conn, event, now).await
        }
        Attendance::Waiting => count(conn, event, 0, -1).await,
        Attendance::Maybe | Attendance::Declined => Ok(()),
    }
}

/// Gives the places that are free to those who have waited longest. The event is locked.
pub(super) async fn move_up(conn: &impl ConnectionTrait, id: EventId, now: Timestamp) -> Result<()> {
    let event = event::Entity::find_by_id(id).one(conn).await?.ok_or(Error::EventNotFound(id))?;
    let free = event.capacity.map_or(event.waiting_count, |places| places - event.going_count);
    let Some(moving) = u64::try_from(free).ok().filter(|free| *free > 0 && event.waiting_count > 0) else {
        return Ok(());
    };
    let first = waiting(id)
        .select_only()
        .column(rsvp::Column::Id)
        .order_by_asc(rsvp::Column::Since)
        .order_by_asc(rsvp::Column::Id)
        .limit(moving);
    let moved = rsvp::Entity::update_many()
        .col_expr(rsvp::Column::Status, Expr::value(Attendance::Going))
        .col_expr(rsvp::Column::Since, Expr::value(now))
        .filter(Expr::col((rsvp::Entity, rsvp::Column::Id)).in_subquery(first.into_query()))
        .exec(conn)
        .await?;
    let moved = i64::try_from(moved.rows_affected).unwrap_or_default();
    count(conn, id, moved, -moved).await
}

/// Forgets the answers of those who may not know of an event any more, now that it is for its group alone. The
/// event is locked; whoever waits does not move up yet.
pub(super) async fn forget_outsiders(conn: &impl ConnectionTrait, event: &event::Model) -> Result<()> {
    for step in FORGET_OUTSIDERS {
        let step = Statement::from_sql_and_values(conn.get_database_backend(), step, [event.id.into()]);
        conn.execute_raw(step).await?;
    }
    Ok(())
}

/// The same for all public events of a group that nobody but its members may know of any more, and has others
/// move up.
pub(super) async fn forget_outsiders_of(conn: &impl ConnectionTrait, group: GroupId, now: Timestamp) -> Result<()> {
    let public = event::Entity::find()
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::COLUMN.is_public.eq(true))
        .order_by_asc(event::Column::Id)
        .lock_exclusive()
        .all(conn)
        .await?;
    for event in public {
        forget_outsiders(conn, &event).await?;
        move_up(conn, event.id, now).await?;
    }
    Ok(())
}

/// Forgets every answer of somebody who goes, and has others move up.
pub(super) async fn forget_rsvps(conn: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<()> {
    let answered = rsvp::Entity::find()
        .select_only()
        .column(rsvp::Column::EventId)
        .filter(rsvp::COLUMN.user_id.eq(user))
        .order_by_asc(rsvp::Column::EventId)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    forget(conn, user, &answered, now).await
}

/// Forgets the answers of somebody who is in a group no longer to what they may not know of any more, and has
/// others move up. Their membership is gone by now.
pub(super) async fn forget_rsvps_in(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    let answered =
        rsvp::Entity::find().select_only().column(rsvp::Column::EventId).filter(rsvp::COLUMN.user_id.eq(user));
    let visible = visible_events(Viewer::Person(user))
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group));
    let hidden = event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::Column::Id.in_subquery(answered.into_query()))
        .filter(event::Column::Id.not_in_subquery(visible.into_query()))
        .order_by_asc(event::Column::Id)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    forget(conn, user, &hidden, now).await
}

/// Forgets every answer of somebody to the events of a group, and has others move up.
pub(super) async fn forget_rsvps_of(
    conn: &impl ConnectionTrait,
    group: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<()> {
    let answered =
        rsvp::Entity::find().select_only().column(rsvp::Column::EventId).filter(rsvp::COLUMN.user_id.eq(user));
    let events = event::Entity::find()
        .select_only()
        .column(event::Column::Id)
        .filter(event::COLUMN.group_id.eq(group))
        .filter(event::Column::Id.in_subquery(answered.into_query()))
        .order_by_asc(event::Column::Id)
        .into_tuple::<EventId>()
        .all(conn)
        .await?;
    forget(conn, user, &events, now).await
}

/// Forgets the answers of somebody to these events, which stand in the order of their ids.
async fn forget(conn: &impl ConnectionTrait, user: UserId, events: &[EventId], now: Timestamp) -> Result<()> {
    for chunk in events.chunks(CHUNK) {
        // In one order for all, so that no two wait for each other.
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
        for step in FORGET {
            let step = step.replace("{events}", &ids).replace("{user}", &user.to_string());
            let step = step.replace("{now}", &now.unix_micros().to_string());
            conn.execute_raw(Statement::from_string(conn.get_database_backend(), step)).await?;
        }
    }
    Ok(())
}

/// The place of somebody who waits, from 1.
async fn place_in_line(conn: &impl ConnectionTrait, own: &rsvp::Model) -> Result<Option<i64>> {
    if own.status != Attendance::Waiting {
        return Ok(None);
    }
    let earlier = Condition::any()
        .add(rsvp::COLUMN.since.lt(own.since))
        .add(Condition::all().add(rsvp::COLUMN.since.eq(own.since)).add(rsvp::COLUMN.id.lt(own.id)));
    let ahead = waiting(own.event_id).filter(earlier).count(conn).await?;
    Ok(Some(i64::try_from(ahead).unwrap_or_default() + 1))
}

/// Does what somebody has said before say the same already?
fn is_same(before: Attendance, answer: Answer) -> bool {
    matches!(
        (before, answer),
        (Attendance::Going | Attendance::Waiting, Answer::Going)
            | (Attendance::Maybe, Answer::Maybe)
            | (Attendance::Declined, Answer::Declined)
    )
}

impl SqlCommunity {
    pub(super) async fn store_answer(&self, caller: &Caller, id: EventId, answer: Answer) -> Result<Rsvp> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                // The group first, so that nobody answers while they are being removed from it.
                let group = find_event(conn, caller.into(), id).await?.group_id;
                lock_group(conn, group).await?;
                let event = take_event(conn, caller.into(), id).await?;
                if is_banned(conn, group, caller.user, self.host.clock.now()).await? {
                    return Err(Error::Banned);
                }
                if event.is_cancelled {
                    return Err(Error::EventCancelled);
                }
                // Only now that it is our turn, so that those who wait stand in the order of their turns.
                let now = self.host.clock.now();
                let own = own_answer(conn, id, caller.user).await?;
                let own = match own {
                    Some(own) if is_same(own.status, answer) => own,
                    own => store(conn, id, caller.user, own, answer, now).await?,
                };
                Ok(Rsvp { status: own.status, position: place_in_line(conn, &own).await? })
            })
            .await
    }

    pub(super) async fn remove_answer(&self, caller: &Caller, id: EventId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                take_event(conn, caller.into(), id).await?;
                let Some(own) = own_answer(conn, id, caller.user).await? else {
                    return Ok(());
                };
                rsvp::Entity::delete_by_id(own.id).exec(conn).await?;
                release(conn, id, own.status, self.host.clock.now()).await
            })
            .await
    }

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
            usual: "since",
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

/// Stores an answer in place of the one before, if there was one. The event is locked.
async fn store(
    conn: &impl ConnectionTrait,
    event: EventId,
    user: UserId,
    before: Option<rsvp::Model>,
    answer: Answer,
    now: Timestamp,
) -> Result<rsvp::Model> {
    let status = match answer {
        Answer::Going => place_for_one(conn, event).await?,
        Answer::Maybe => Attendance::Maybe,
        Answer::Declined => Attendance::Declined,
    };
    let Some(before) = before else {
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
        rsvp::ActiveModel { id: Unchanged(before.id), status: Set(status), since: Set(now), ..Default::default() };
    let own = rsvp::Entity::update(row).exec(conn).await?;
    release(conn, event, before.status, now).await?;
    Ok(own)
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::TestDb;

    use super::*;

    /// The first person has a place at one event, waits at another, and may come to a third. Nobody is in the
    /// group, and only the second event is for its members alone.
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
        let db = TestDb::new(crate::migrations::beside_people).await;
        db.write(|tx| async move { tx.conn().execute_unprepared(SETUP).await.map(|_| ()) }).await.unwrap();
        db
    }

    /// Who has said what to an event, and its counts.
    async fn answers(db: &TestDb, id: i64) -> (Vec<(i64, Attendance)>, i64, i64) {
        let event = event::Entity::find_by_id(EventId(id)).one(db.conn()).await.unwrap().unwrap();
        let rows = rsvp::Entity::find()
            .filter(rsvp::COLUMN.event_id.eq(EventId(id)))
            .order_by_asc(rsvp::Column::UserId)
            .all(db.conn())
            .await
            .unwrap();
        let answers = rows.into_iter().map(|row| (row.user_id.0, row.status)).collect();
        (answers, event.going_count, event.waiting_count)
    }

    #[tokio::test]
    async fn when_somebody_goes_others_move_up_and_the_counts_are_right() {
        use Attendance::{Going, Waiting};

        let db = set_up().await;
        db.write(|tx| async move { forget_rsvps(tx.conn(), UserId(1), Timestamp::EPOCH).await }).await.unwrap();
        assert_eq!(answers(&db, 1).await, (vec![(2, Waiting), (3, Going)], 1, 1));
        assert_eq!(answers(&db, 2).await, (vec![(2, Going), (3, Waiting)], 1, 1));
        assert_eq!(answers(&db, 3).await, (vec![], 0, 0));
    }

    #[tokio::test]
    async fn whoever_leaves_a_group_keeps_their_place_only_where_everybody_may_come() {
        use Attendance::{Going, Waiting};

        let db = set_up().await;
        let before = answers(&db, 1).await;
        db.write(|tx| async move { forget_rsvps_in(tx.conn(), GroupId(1), UserId(2), Timestamp::EPOCH).await })
            .await
            .unwrap();
        assert_eq!(answers(&db, 1).await, before);
        assert_eq!(answers(&db, 2).await, (vec![(1, Going), (3, Waiting)], 1, 1));
    }
}

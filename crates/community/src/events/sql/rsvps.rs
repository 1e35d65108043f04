//! RSVPs to events, and waiting lists.
//!
//! Every change of an RSVP holds the lock of its event. This keeps the order of the waiting list, fills free spots
//! immediately, and keeps the counts exact.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId, db};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlEvents,
    events::{find_event, find_event_for_update},
};
use crate::{
    core::{
        access::GroupAccess,
        membership::is_banned,
        rsvps::{adjust_counts, fill_free_spots, has_free_spot, waiting_list},
    },
    entity::{
        event, group,
        rsvp::{self, Attendance},
    },
    error::{Error, Result},
    events::{Answer, Attendee, AttendeeFilter, NewRsvp, Rsvp, Rsvps},
    id::EventId,
};

/// A user's RSVP to an event.
async fn find_rsvp(conn: &impl ConnectionTrait, event: EventId, user: UserId) -> Result<Option<rsvp::Model>> {
    let rsvp = rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(event)).filter(rsvp::COLUMN.user_id.eq(user));
    Ok(rsvp.one(conn).await?)
}

/// Reserves a spot if one is free; adds to the waiting list otherwise.
async fn reserve_spot(conn: &impl ConnectionTrait, event: EventId) -> Result<Attendance> {
    let updated = event::Entity::update_many()
        .col_expr(event::Column::GoingCount, Expr::col(event::Column::GoingCount).add(1))
        .filter(event::COLUMN.id.eq(event))
        .filter(has_free_spot())
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
    let stored = rsvp::Model { status, since: now, ..previous.clone() };
    db::store_changes(conn, &previous, &stored).await?;
    release_spot(conn, event, previous.status, now).await?;
    Ok(stored)
}

#[async_trait]
impl Rsvps for SqlEvents {
    async fn answer_event(&self, caller: &Caller, id: EventId, new: NewRsvp) -> Result<Rsvp> {
        let answer = new.status;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                // Lock the group first, so that a member who is being removed cannot answer meanwhile.
                let group = find_event(conn, caller.into(), id).await?.group_id;
                db::lock::<group::Entity>(conn, group).await?;
                let event = find_event_for_update(conn, caller.into(), id).await?;
                if is_banned(conn, group, caller.user, self.core.now()).await? {
                    return Err(Error::Banned);
                }
                if event.is_cancelled {
                    return Err(Error::EventCancelled);
                }
                // Read the time after locking, so that the waiting list is in the order in which the lock was acquired.
                let now = self.core.now();
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
        self.core
            .write(|tx| async move {
                let conn = &tx;
                find_event_for_update(conn, caller.into(), id).await?;
                let Some(rsvp) = find_rsvp(conn, id, caller.user).await? else {
                    return Ok(());
                };
                rsvp::Entity::delete_by_id(rsvp.id).exec(conn).await?;
                release_spot(conn, id, rsvp.status, self.core.now()).await
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
        let group = find_event(self.core.db.conn(), caller.into(), id).await?.group_id;
        GroupAccess::load(self.core.db.conn(), caller, group).await?.require_reader()?;
        let mut select = rsvp::Entity::find().filter(rsvp::COLUMN.event_id.eq(id));
        if let Some(status) = filter.status {
            select = select.filter(rsvp::COLUMN.status.eq(status));
        }
        let ordering = Ordering {
            fields: &[("since", rsvp::Column::Since), ("id", rsvp::Column::Id)],
            default: "since",
            id: rsvp::Column::Id,
        };
        let page = Page::<rsvp::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        let (rows, page) = page.split();
        let ids: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
        let people = self.core.people(ids).await?;
        let show = |row: rsvp::Model| Attendee {
            user: people.get(&row.user_id).cloned(),
            status: row.status,
            since: row.since,
        };
        Ok(page.with_results(|_| rows.into_iter().map(show).collect()))
    }
}

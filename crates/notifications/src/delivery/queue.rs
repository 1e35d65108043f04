//! The queue: the notifications that events have caused.

use std::time::Duration;

use guildhall_kernel::{
    Timestamp,
    db::{self, Tx},
    event::Emitted,
};
use sea_orm::{
    ActiveEnum, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Alias, Expr, ExprTrait, OnConflict, Query},
};

use crate::{NewNotification, core::Core, entity::queue};

/// How many notifications are read at a time.
const BATCH: u64 = 100;
/// The delay after the first failure; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(5);
const MAX_DELAY: Duration = Duration::from_secs(3600);
/// The number of attempts after which a notification is given up.
const MAX_ATTEMPTS: i64 = 20;
/// The longest texts that are stored, in characters; longer ones are cut.
const MAX_SUBJECT: usize = 200;
const MAX_KEY: usize = 100;
const MAX_URL: usize = 1000;

const POSTPONE: &str = "UPDATE notifications_queue SET attempts = attempts + 1, \
     next_at = CASE WHEN attempts + 1 >= $1 THEN NULL ELSE CAST($2 AS bigint) END \
     WHERE id = $3 AND next_at IS NOT NULL";

/// Stores a notification, unless the event has already notified its recipient. A recipient or an actor who was removed
/// since the event is left out.
pub(super) async fn store(core: &Core, tx: &Tx, event: &Emitted, new: NewNotification) -> Result<(), DbErr> {
    let users = Alias::new(core.host.tables.users);
    let id = || Expr::col((Alias::new(core.host.tables.users), Alias::new("id")));
    let existing = |user: i64| Query::select().expr(id()).from(users.clone()).and_where(id().eq(user)).take();
    let actor: Expr = match new.actor {
        Some(actor) => existing(actor.0).into(),
        None => Expr::val(Option::<i64>::None),
    };
    let (target_kind, target_id, target_url) = match new.target {
        Some(target) => (Some(cut(&target.kind, MAX_KEY)), Some(target.id), Some(cut(&target.url, MAX_URL))),
        None => (None, None, None),
    };
    let values = [
        Expr::val(event.id.0),
        id(),
        Expr::val(new.kind.to_value()),
        Expr::val(cut(&new.group_key, MAX_KEY)),
        actor,
        Expr::val(target_kind),
        Expr::val(target_id),
        Expr::val(target_url),
        Expr::val(cut(&new.subject, MAX_SUBJECT)),
        Expr::val(event.at),
        Expr::val(0_i64),
        Expr::val(core.now()),
    ];
    let columns = [
        queue::Column::EventId,
        queue::Column::RecipientId,
        queue::Column::Kind,
        queue::Column::GroupKey,
        queue::Column::ActorId,
        queue::Column::TargetKind,
        queue::Column::TargetId,
        queue::Column::TargetUrl,
        queue::Column::Subject,
        queue::Column::CreatedAt,
        queue::Column::Attempts,
        queue::Column::NextAt,
    ];
    let row = Query::select().exprs(values).from(users.clone()).and_where(id().eq(new.recipient.0)).take();
    let mut insert = Query::insert();
    insert.into_table(queue::Entity).columns(columns);
    insert.select_from(row).map_err(|error| DbErr::Custom(error.to_string()))?;
    insert
        .on_conflict(OnConflict::columns([queue::Column::EventId, queue::Column::RecipientId]).do_nothing().to_owned());
    tx.deferred().execute(&insert).await?;
    Ok(())
}

/// The first characters of a text, in one line.
fn cut(text: &str, length: usize) -> String {
    let one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if text.chars().count() <= length {
        return one_line.collect();
    }
    one_line.take(length - 1).chain(['…']).collect()
}

/// The notifications that wait for their delivery.
pub(super) fn waiting() -> Select<queue::Entity> {
    queue::Entity::find().filter(queue::COLUMN.next_at.is_not_null())
}

/// The notifications that are due, up to a batch.
pub(super) async fn due(core: &Core) -> Result<Vec<queue::Model>, DbErr> {
    waiting()
        .filter(queue::COLUMN.next_at.lte(core.now()))
        .order_by_asc(queue::Column::NextAt)
        .order_by_asc(queue::Column::Id)
        .limit(BATCH)
        .all(core.db.conn())
        .await
}

/// Marks notifications as delivered.
pub(super) async fn mark_delivered(tx: &Tx, rows: &[queue::Model]) -> Result<(), DbErr> {
    queue::Entity::update_many()
        .col_expr(queue::Column::NextAt, Expr::value(Option::<Timestamp>::None))
        .filter(queue::COLUMN.id.is_in(rows.iter().map(|row| row.id)))
        .exec(&tx.deferred())
        .await
        .map(|_| ())
}

/// Delivers notifications later, or gives them up after too many attempts.
pub(super) async fn postpone(core: &Core, rows: &[queue::Model]) -> Result<(), DbErr> {
    let now = core.now();
    core.db
        .write(|tx| async move {
            for row in rows {
                let factor = 2_u32.saturating_pow(u32::try_from(row.attempts).unwrap_or_default());
                let next_at = now + FIRST_DELAY.saturating_mul(factor).min(MAX_DELAY);
                db::execute(&tx, POSTPONE, [MAX_ATTEMPTS.into(), next_at.into(), row.id.into()]).await?;
            }
            Ok(())
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("ab\ncd", 9), "ab cd");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}

//! Messages that are not sent yet, for staff.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, DerivePartialModel, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};

use super::LEASE;
use crate::{Caller, Db, Error, Kind, Result, Timestamp, audit::AuditEvent, entity::outbox};

/// A message that is not sent yet, or could not be. Without its content, which may let its reader sign in.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "outbox::Entity")]
pub struct Unsent {
    /// The id.
    pub id: i64,
    /// The transport.
    pub channel: String,
    /// The title.
    pub title: String,
    /// The recipient.
    pub recipient: String,
    /// The number of attempts.
    pub attempts: i64,
    /// When it is tried next; `None` if it could not be sent.
    pub next_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}

/// The newest messages that are not sent yet, or could not be.
pub async fn unsent(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Unsent>, DbErr> {
    let is_open = outbox::Column::NextAt.is_not_null().or(outbox::Column::LastError.is_not_null());
    outbox::Entity::find()
        .filter(is_open)
        .filter(outbox::Column::SentAt.is_null())
        .order_by_desc(outbox::Column::Id)
        .limit(limit)
        .into_partial_model::<Unsent>()
        .all(conn)
        .await
}

/// Makes a message due, unless it is being delivered. Nothing tells a lease from a retry within its length, so both are
/// left alone: a message whose lease was overwritten would be sent twice.
///
/// # Errors
/// 404 if there is no such message; 409 if it was sent, could not be sent and has lost its content, or may be leased.
pub async fn send_soon(db: &Db, caller: &Caller, id: i64, now: Timestamp) -> Result<()> {
    db.write(|tx| async move {
        let update = outbox::Entity::update_many()
            .col_expr(outbox::Column::NextAt, Expr::value(now))
            .filter(outbox::COLUMN.id.eq(id))
            .filter(outbox::COLUMN.next_at.gt(now + LEASE));
        if update.exec(&tx).await?.rows_affected == 1 {
            let event = AuditEvent::new("kernel.send_soon").by(caller);
            event.of("kernel", format!("kernel/outbox/{id}")).record(&tx, now).await?;
            return Ok(());
        }
        let row = outbox::Entity::find_by_id(id).into_partial_model::<Unsent>().one(&tx).await?;
        match row.ok_or_else(|| Error::new(Kind::NotFound, "not_found", "Not found."))?.next_at {
            Some(next_at) if next_at <= now => Ok(()),
            Some(_) => {
                let detail = "The message is being sent, or is tried again within two minutes.";
                Err(Error::new(Kind::Conflict, "delivery_in_progress", detail))
            }
            None => Err(Error::new(Kind::Conflict, "not_waiting", "The message is not waiting.")),
        }
    })
    .await
}

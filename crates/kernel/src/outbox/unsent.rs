//! The messages of the outbox, for staff.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, DerivePartialModel, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};

use super::LEASE;
use crate::{
    Caller, CursorPage, CursorQuery, Db, Error, Keyed, Kind, Result, Timestamp, audit::AuditEvent, entity::outbox,
};

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is not sent yet.
    Waiting,
    /// It could not be sent.
    Failed,
    /// It was sent.
    Sent,
}

/// A message without its content, which may let its reader sign in.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "outbox::Entity")]
pub struct Summary {
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
    /// When it was caused.
    pub created_at: Timestamp,
    /// When it is tried next; `None` if it was sent or could not be.
    pub next_at: Option<Timestamp>,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}

impl Keyed for Summary {
    fn key(&self) -> i64 {
        self.id
    }
}

/// The newest messages that are not sent yet, or could not be.
pub async fn unsent(conn: &impl ConnectionTrait, limit: u64) -> Result<Vec<Summary>, DbErr> {
    let is_open = outbox::Column::NextAt.is_not_null().or(outbox::Column::LastError.is_not_null());
    outbox::Entity::find()
        .filter(is_open)
        .filter(outbox::Column::SentAt.is_null())
        .order_by_desc(outbox::Column::Id)
        .limit(limit)
        .into_partial_model::<Summary>()
        .all(conn)
        .await
}

/// A page of the messages of one stage, or of all.
pub async fn summaries(
    conn: &impl ConnectionTrait,
    stage: Option<Stage>,
    query: &CursorQuery,
) -> Result<CursorPage<Summary>> {
    let (messages, sent) = (outbox::Entity::find(), outbox::Column::SentAt);
    let messages = match stage {
        Some(Stage::Waiting) => messages.filter(sent.is_null()).filter(outbox::Column::NextAt.is_not_null()),
        Some(Stage::Failed) => messages.filter(sent.is_null()).filter(outbox::Column::NextAt.is_null()),
        Some(Stage::Sent) => messages.filter(sent.is_not_null()),
        None => messages,
    };
    CursorPage::fetch(messages, outbox::Column::Id, query, conn).await
}

/// Makes a message due, unless it is being delivered. A lease and a retry within its length look the same, so both are
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
        let row = outbox::Entity::find_by_id(id).into_partial_model::<Summary>().one(&tx).await?;
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

//! Publishing the state of something that is not stored with a stream.

use std::fmt::Display;

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::{Result, db::Tx};
use sea_orm::{DbErr, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};
use serde::Serialize;

use super::{Streams, to_json};
use crate::{Notice, StreamName, Version, entity::stream};

impl Streams {
    /// Waits for the transactions that have appended to a stream or locked it, and has others wait until this one ends.
    /// What a transaction counts then is not older than what those have counted. To avoid deadlocks, lock and append in
    /// a fixed order. Returns the version of what is [published](Self::publish_value) then. A stream that has not begun
    /// cannot be locked: its version is the oldest.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock(&self, tx: &Tx, name: &StreamName) -> Result<Version, DbErr> {
        // An event that is appended between two locks makes the version larger as well.
        let rows = stream::Entity::update_many()
            .col_expr(stream::Column::LockCount, Expr::col(stream::Column::LockCount).add(1))
            .filter(stream::COLUMN.name.eq(name.as_str()))
            .exec_with_returning(tx)
            .await?;
        Ok(rows.first().map(|row| Version(row.last_seq, row.lock_count)).unwrap_or_default())
    }

    /// Sends the state of something that is not stored with a stream, such as a number of unread messages, to its
    /// subscribers, once the transaction has committed. Its JSON must be an object. Transactions that commit at the same
    /// time may get here in any order: a version of the value of this name that is older than the last one is not sent.
    /// Take the version from [`lock`](Self::lock), or from something that only grows and is locked while the state
    /// changes.
    pub fn publish_value(
        &self,
        tx: &Tx,
        stream: &StreamName,
        name: impl Display,
        version: Version,
        event: &impl Serialize,
    ) -> Result<()> {
        let (streams, stream, name) = (self.clone(), stream.clone(), name.to_string());
        let body = Utf8Bytes::from(to_json(event)?);
        tx.after_commit(move || {
            streams.0.hub.publish_value(&stream, &name, version, &body);
            streams.0.bus.send(Notice::Value { stream, name, version, body });
        });
        Ok(())
    }
}

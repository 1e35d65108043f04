//! Errors of transactions.

use sea_orm::DbErr;

/// An error type of [`Db::write`](super::Db::write), which retries some database errors.
pub trait Failure: From<DbErr> {
    /// The database error that caused this one, if any.
    fn database(&self) -> Option<&DbErr>;
}

impl Failure for DbErr {
    fn database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

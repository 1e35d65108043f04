use guildhall_kernel::{self as kernel, Kind};
use sea_orm::DbErr;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The panel is for staff.
    #[error("Only staff may do this.")]
    NotStaff,
    /// No such table or row.
    #[error("Not found.")]
    NotFound,
    /// The table, or the column, is changed in another way.
    #[error("This cannot be changed here.")]
    ReadOnly,
    /// The row has changed since it was read.
    #[error("The object has changed since you read it.")]
    Stale,
    /// Another error, such as that of the service that a change went through.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

kernel::domain_error!(Error);

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotStaff => Self::new(Kind::Forbidden, "not_staff", detail),
            Error::NotFound => Self::new(Kind::NotFound, "not_found", detail),
            Error::ReadOnly => Self::new(Kind::Conflict, "read_only", detail),
            Error::Stale => Self::new(Kind::PreconditionFailed, "stale", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

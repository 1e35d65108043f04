use guildhall_kernel::{self as kernel, Kind, db::Failure};
use sea_orm::DbErr;

use crate::GroupId;

/// What the community refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such group, or the caller may not know of it.
    #[error("Group {0} does not exist.")]
    GroupNotFound(GroupId),
    /// Nobody is signed in, and the settings let nobody read without.
    #[error("Authentication credentials were not provided.")]
    NotAuthenticated,
    /// The caller sees the group but does not own it.
    #[error("Only the owner of the group or staff may do that.")]
    NotGroupOwner,
    /// The input is wrong, or the kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<garde::Report> for Error {
    fn from(report: garde::Report) -> Self {
        Self::Kernel(report.into())
    }
}

impl Failure for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(cause) => Some(cause),
            Self::Kernel(error) => error.database(),
            _ => None,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::GroupNotFound(_) => Self::new(Kind::NotFound, "group_not_found", detail),
            Error::NotAuthenticated => Self::new(Kind::Unauthenticated, "not_authenticated", detail),
            Error::NotGroupOwner => Self::new(Kind::Forbidden, "not_group_owner", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

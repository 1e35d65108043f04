use guildhall_kernel::{self as kernel, Kind};
use sea_orm::DbErr;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such object, or it belongs to somebody else; the text names what, such as `notification`.
    #[error("The {0} does not exist.")]
    NotFound(&'static str),
    /// The server sends no web pushes.
    #[error("Web push is disabled on this server.")]
    PushDisabled,
    /// A change without any field that can be changed.
    #[error("The body contains no field that can be changed.")]
    NothingToChange,
    /// An error of the kernel, such as invalid input.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// A database error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

kernel::domain_error!(Error);

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let (kind, code) = match error {
            Error::NotFound(_) => (Kind::NotFound, "not_found"),
            Error::PushDisabled => (Kind::NotFound, "push_disabled"),
            Error::NothingToChange => (Kind::Invalid, "invalid"),
            Error::Kernel(error) => return error,
            Error::Database(cause) => return cause.into(),
        };
        Self::new(kind, code, detail)
    }
}

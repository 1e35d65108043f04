use guildhall_kernel::{self as kernel, Kind};
use sea_orm::{DbErr, SqlErr};
use serde_json::json;

use crate::{ClientId, DealId, MemberBlocker, OrganizationId};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such organization, or the caller is not in it.
    #[error("Organization {0} does not exist.")]
    OrganizationNotFound(OrganizationId),
    /// A compatibility route needs to know which of the caller's organizations is meant.
    #[error("You are in several organizations. Choose one with the X-Organization header.")]
    OrganizationRequired,
    /// No such client, or the caller may not know of it.
    #[error("Client {0} does not exist.")]
    ClientNotFound(ClientId),
    /// The client was merged with another one.
    #[error("The client was merged with client {0}.")]
    ClientMerged(ClientId),
    /// No such deal, or the caller may not know of it.
    #[error("Deal {0} does not exist.")]
    DealNotFound(DealId),
    /// Something else does not exist, or the caller may not know of it.
    #[error("The {0} does not exist.")]
    NotFound(&'static str),
    /// The caller's role does not grant this permission, or not for this object.
    #[error("Your role does not grant the permission {0}.")]
    NotGranted(&'static str),
    /// The caller would grant permissions that they lack, or change their own role.
    #[error("{0}")]
    Escalation(&'static str),
    /// An organization needs an active owner.
    #[error("This is the last owner of the organization. Add another owner first.")]
    LastOwner,
    /// Other objects depend on it: the blockers, and the operations that resolve them.
    #[error("{0}")]
    Protected(&'static str, Vec<MemberBlocker>, &'static [&'static str]),
    /// The payments would exceed the value of the deal.
    #[error("The amount exceeds the outstanding balance of {max_allowed}.")]
    Overpayment {
        /// The outstanding balance.
        max_allowed: String,
    },
    /// The payment is in another currency than its deal.
    #[error("The currency must be {0}, as that of the deal.")]
    CurrencyMismatch(String),
    /// The currency of a deal with payments cannot change.
    #[error("The currency cannot be changed after payments were recorded.")]
    CurrencyLocked,
    /// The current state does not allow this.
    #[error("{0}")]
    IllegalTransition(&'static str),
    /// The deal has to be verified before it can be won.
    #[error("A deal of this value must be verified before it can be won.")]
    ApprovalRequired,
    /// It exists already.
    #[error("{0}")]
    Duplicate(&'static str),
    /// The data has changed since the preview.
    #[error("The data has changed since the preview.")]
    PreviewStale,
    /// The organization requires conditional changes.
    #[error("This organization requires the If-Match header.")]
    IfMatchRequired,
    /// Invalid input, or an error of the kernel.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The unique constraint that was violated: its name on PostgreSQL, a message with its columns on SQLite.
    pub(crate) fn violated_constraint(&self) -> Option<String> {
        match self {
            Self::Database(cause) => match cause.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(constraint)) => Some(constraint),
                _ => None,
            },
            _ => None,
        }
    }

    /// Converts the violation of a unique constraint whose name contains one of `names`; passes on other errors.
    pub(crate) fn or_duplicate(self, names: &[&str], message: &'static str) -> Self {
        match self.violated_constraint() {
            Some(constraint) if names.iter().any(|name| constraint.contains(name)) => Self::Duplicate(message),
            _ => self,
        }
    }
}

kernel::domain_error!(Error);

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::OrganizationNotFound(_) => Self::new(Kind::NotFound, "organization_not_found", detail),
            Error::OrganizationRequired => Self::new(Kind::Invalid, "organization_required", detail),
            Error::ClientNotFound(_) => Self::new(Kind::NotFound, "client_not_found", detail),
            Error::ClientMerged(id) => Self::new(Kind::NotFound, "client_merged", detail).with("merged_into", id.0),
            Error::DealNotFound(_) => Self::new(Kind::NotFound, "deal_not_found", detail),
            Error::NotFound(_) => Self::new(Kind::NotFound, "not_found", detail),
            Error::NotGranted(name) => Self::new(Kind::Forbidden, "not_granted", detail).with("permission", name),
            Error::Escalation(_) => Self::new(Kind::Forbidden, "escalation", detail),
            Error::LastOwner => Self::new(Kind::Conflict, "last_owner", detail),
            Error::Protected(_, blockers, resolutions) => Self::new(Kind::Conflict, "protected", detail)
                .with("blockers", json!(blockers))
                .with("resolutions", json!(resolutions)),
            Error::Overpayment { max_allowed } => {
                Self::new(Kind::Conflict, "overpayment", detail).with("max_allowed", max_allowed)
            }
            Error::CurrencyMismatch(_) => Self::new(Kind::Invalid, "currency_mismatch", detail),
            Error::CurrencyLocked => Self::new(Kind::Conflict, "currency_locked", detail),
            Error::IllegalTransition(_) => Self::new(Kind::Conflict, "illegal_transition", detail),
            Error::ApprovalRequired => Self::new(Kind::Conflict, "approval_required", detail),
            Error::Duplicate(_) => Self::new(Kind::Conflict, "duplicate", detail),
            Error::PreviewStale => Self::new(Kind::Conflict, "preview_stale", detail),
            Error::IfMatchRequired => Self::new(Kind::PreconditionRequired, "if_match_required", detail),
            Error::Kernel(error) => error,
            Error::Database(cause) => cause.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_kind_and_code() {
        for (error, kind, code) in [
            (Error::OrganizationNotFound(OrganizationId(1)), Kind::NotFound, "organization_not_found"),
            (Error::OrganizationRequired, Kind::Invalid, "organization_required"),
            (Error::ClientNotFound(ClientId(1)), Kind::NotFound, "client_not_found"),
            (Error::ClientMerged(ClientId(1)), Kind::NotFound, "client_merged"),
            (Error::DealNotFound(DealId(1)), Kind::NotFound, "deal_not_found"),
            (Error::NotFound("task"), Kind::NotFound, "not_found"),
            (Error::NotGranted("deal.read"), Kind::Forbidden, "not_granted"),
            (Error::Escalation("x"), Kind::Forbidden, "escalation"),
            (Error::LastOwner, Kind::Conflict, "last_owner"),
            (Error::Protected("x", Vec::new(), &[]), Kind::Conflict, "protected"),
            (Error::Overpayment { max_allowed: "1".to_owned() }, Kind::Conflict, "overpayment"),
            (Error::CurrencyMismatch("USD".to_owned()), Kind::Invalid, "currency_mismatch"),
            (Error::CurrencyLocked, Kind::Conflict, "currency_locked"),
            (Error::IllegalTransition("x"), Kind::Conflict, "illegal_transition"),
            (Error::ApprovalRequired, Kind::Conflict, "approval_required"),
            (Error::Duplicate("x"), Kind::Conflict, "duplicate"),
            (Error::PreviewStale, Kind::Conflict, "preview_stale"),
            (Error::IfMatchRequired, Kind::PreconditionRequired, "if_match_required"),
            (Error::field("title", "x"), Kind::Invalid, "invalid"),
        ] {
            let converted = kernel::Error::from(error);
            assert_eq!((converted.kind(), converted.code()), (kind, code));
        }
    }
}

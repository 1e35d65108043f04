use guildhall_kernel::{self as kernel, Kind, db::Failure};
use sea_orm::{DbErr, SqlErr};
use serde_json::json;

use crate::{ClientId, DealId, Holding, OrganizationId};

/// What deals refuse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such organization, or the caller is not in it.
    #[error("Organization {0} does not exist.")]
    OrganizationNotFound(OrganizationId),
    /// The short paths need to know which of several organizations is meant.
    #[error("Say which organization is meant: X-Organization.")]
    OrganizationRequired,
    /// No such client, or the caller may not know of it.
    #[error("Client {0} does not exist.")]
    ClientNotFound(ClientId),
    /// A client that has become another.
    #[error("The client has become client {0}.")]
    ClientMerged(ClientId),
    /// No such deal, or the caller may not know of it.
    #[error("Deal {0} does not exist.")]
    DealNotFound(DealId),
    /// Something else that is not there, or that the caller may not know of: what it is, in a word or two.
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    /// The caller's role does not grant it: the word of the catalogue.
    #[error("Your role does not grant {0}.")]
    NotGranted(&'static str),
    /// Nobody gives what they lack, or changes the role that they hold.
    #[error("{0}")]
    Escalation(&'static str),
    /// An organization has an active owner.
    #[error("An organization needs an owner: make somebody else one first.")]
    LastOwner,
    /// Others depend on it.
    #[error("{0}")]
    Protected(&'static str, Vec<Holding>, &'static [&'static str]),
    /// More money than a deal is worth.
    #[error("That is more than is left to be paid: {max_allowed}.")]
    Overpayment {
        /// What is left.
        max_allowed: String,
    },
    /// A payment in another currency than its deal.
    #[error("The deal is in {0}.")]
    CurrencyMismatch(String),
    /// A deal's currency stays once something was paid.
    #[error("The currency stays, since payments were recorded.")]
    CurrencyLocked,
    /// It cannot go from where it is to there.
    #[error("{0}")]
    IllegalTransition(&'static str),
    /// It has to be verified first.
    #[error("A deal that is worth this much is won only once somebody has verified it.")]
    ApprovalRequired,
    /// There is one already.
    #[error("{0}")]
    Duplicate(&'static str),
    /// What would go is not what was shown.
    #[error("It has changed since the preview.")]
    PreviewStale,
    /// The organization wants every change to be conditional.
    #[error("Say which version you know: If-Match.")]
    IfMatchRequired,
    /// The input is wrong, or the kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// The result of this crate's services.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What is wrong with one field of an input.
    pub(crate) fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Kernel(kernel::Error::field(name, message))
    }

    /// The name of the unique rule that the database says is broken, or what it says of it.
    pub(crate) fn broken_rule(&self) -> Option<String> {
        match self {
            Self::Database(cause) => match cause.sql_err() {
                Some(SqlErr::UniqueConstraintViolation(rule)) => Some(rule),
                _ => None,
            },
            _ => None,
        }
    }

    /// The same, said in our words where it is a unique rule that names one of these.
    pub(crate) fn or_duplicate(self, rules: &[&str], message: &'static str) -> Self {
        match self.broken_rule() {
            Some(rule) if rules.iter().any(|known| rule.contains(known)) => Self::Duplicate(message),
            _ => self,
        }
    }
}

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
            Error::OrganizationNotFound(_) => Self::new(Kind::NotFound, "organization_not_found", detail),
            Error::OrganizationRequired => Self::new(Kind::Invalid, "organization_required", detail),
            Error::ClientNotFound(_) => Self::new(Kind::NotFound, "client_not_found", detail),
            Error::ClientMerged(id) => Self::new(Kind::NotFound, "client_merged", detail).with("merged_into", id.0),
            Error::DealNotFound(_) => Self::new(Kind::NotFound, "deal_not_found", detail),
            Error::NotFound(_) => Self::new(Kind::NotFound, "not_found", detail),
            Error::NotGranted(word) => Self::new(Kind::Forbidden, "not_granted", detail).with("permission", word),
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
    fn every_refusal_has_its_status() {
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
            let told = kernel::Error::from(error);
            assert_eq!((told.kind(), told.code()), (kind, code));
        }
    }
}

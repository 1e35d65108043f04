//! The error type of all crates, and its wire format: a problem document (RFC 9457).

mod problem;

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sea_orm::{DbErr, RuntimeErr, SqlErr};
use serde_json::{Map, Value};

use crate::db::{Failure, sqlite_code};

pub use problem::Problem;

/// The kernel's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an error, which determines the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is invalid: 400.
    Invalid,
    /// The credentials are missing or invalid: 401.
    Unauthenticated,
    /// The caller may see the object but not do this: 403.
    Forbidden,
    /// The object does not exist or is not visible to the caller: 404.
    NotFound,
    /// The path does not support the method: 405.
    MethodNotAllowed,
    /// The request took too long to arrive or to process: 408.
    Timeout,
    /// The request conflicts with the current state: 409.
    Conflict,
    /// `If-Match` does not match the current version: 412.
    PreconditionFailed,
    /// The body is larger than the limit: 413.
    TooLarge,
    /// The media type of the body is not supported: 415.
    UnsupportedMediaType,
    /// The request is well-formed but contradicts an earlier one: 422.
    Unprocessable,
    /// The request must be conditional: 428 (RFC 6585 §3).
    PreconditionRequired,
    /// Too many requests or failures: 429.
    TooMany,
    /// An unexpected failure of the server: 500.
    Internal,
    /// A dependency is unreachable or full: 503.
    Unavailable,
}

impl Kind {
    /// The HTTP status of this kind.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Messages per field of an input.
pub type FieldErrors = BTreeMap<String, Vec<String>>;

/// An error with everything that its problem document contains.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    fields: FieldErrors,
    extensions: Map<String, Value>,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// The error for the status of a response that says nothing else, as those of the router do.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(Kind::NotFound, "not_found", "Not found."),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(Kind::MethodNotAllowed, "method_not_allowed", "Method not allowed.")
            }
            StatusCode::REQUEST_TIMEOUT => Self::new(Kind::Timeout, "timeout", "The request timed out."),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(Kind::TooLarge, "body_too_large", "The request body is too large.")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                Kind::UnsupportedMediaType,
                "unsupported_media_type",
                "The media type of the request body is not supported.",
            ),
            status if status.is_client_error() => Self::new(Kind::Invalid, "bad_request", "Bad request."),
            status => {
                tracing::error!(%status, "a handler returned an error without a body");
                Self::internal("a handler returned an error without a body")
            }
        }
    }

    /// An error with a stable `code` for programs and a `detail` for people.
    pub fn new(kind: Kind, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: code.into(),
            detail: detail.into(),
            fields: FieldErrors::new(),
            extensions: Map::new(),
            retry_after: None,
            cause: None,
        }))
    }

    /// 400 `invalid` with messages per field.
    pub fn invalid(fields: FieldErrors) -> Self {
        let mut error = Self::new(Kind::Invalid, "invalid", "The input is invalid.");
        error.0.fields = fields;
        error
    }

    /// 400 `invalid` with a message for one field.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(FieldErrors::from([(name.into(), vec![message.into()])]))
    }

    /// 500 `internal`; the cause is logged and not sent to the client.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        let mut error = Self::new(Kind::Internal, "internal", "An internal error occurred.");
        error.0.cause = Some(cause.into());
        error
    }

    /// 503 `unavailable`; the cause is logged and not sent to the client.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        let mut error = Self::new(
            Kind::Unavailable,
            "unavailable",
            "The service is temporarily unavailable. Try again in a moment.",
        );
        error.0.cause = Some(cause.into());
        error
    }

    /// Adds a message for a field.
    #[must_use]
    pub fn about(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.entry(field.into()).or_default().push(message.into());
        self
    }

    /// Adds an extension member to the problem document (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// An extension member that was added by [`with`](Self::with).
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.0.extensions.get(name)
    }

    /// The database error that caused this one, if any.
    pub fn database(&self) -> Option<&DbErr> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    /// The category.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable code for programs.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The message for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// How long the client should wait before it tries again, if that is known.
    pub fn delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The messages per field; empty except for invalid input.
    pub fn fields(&self) -> &FieldErrors {
        &self.0.fields
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)?;
        for (field, messages) in &self.0.fields {
            write!(f, " {field}: {}", messages.join(" "))?;
        }
        if let Some(cause) = &self.0.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {self}", self.0.kind, self.0.code)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| &**cause as _)
    }
}

/// A constraint violation that the service did not check for is a conflict; other errors are 503 or 500.
impl Failure for Error {
    fn database(&self) -> Option<&DbErr> {
        Self::database(self)
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                Self::new(Kind::Conflict, "conflict", "An object with the same value already exists.")
            }
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Self::new(
                Kind::Conflict,
                "conflict",
                "A referenced object does not exist, or the object is still in use.",
            ),
            _ if is_restrict_violation(&error) => Self::new(Kind::Conflict, "conflict", "The object is still in use."),
            _ if is_unavailable(&error) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// Whether `ON DELETE RESTRICT` prevented a deletion. PostgreSQL 18 and SQLite have separate codes for that.
fn is_restrict_violation(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let code = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "23001" | "1811"))
}

/// Whether the database is unreachable, busy or not writable, as opposed to a faulty statement.
fn is_unavailable(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => return true,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return false,
    };
    if let Some(code) = sqlite_code(error) {
        // SQLITE_BUSY, _INTERRUPT, _IOERR, _FULL, _CANTOPEN
        return matches!(code, 5 | 9 | 10 | 13 | 14);
    }
    match cause.as_ref() {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // PostgreSQL: connection lost (class 08, except protocol violation, a bug of ours), out of resources
            // (53), shutdown or cancellation (57), system error (58), read-only transaction (25006).
            let is_unavailable_class = ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class));
            (is_unavailable_class && code != "08P01") || code == "25006"
        }),
        _ => false,
    }
}

impl From<garde::Report> for Error {
    fn from(report: garde::Report) -> Self {
        let mut fields = FieldErrors::new();
        for (path, error) in report.iter() {
            fields.entry(path.to_string()).or_default().push(error.message().to_owned());
        }
        Self::invalid(fields)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.0.cause {
            tracing::error!(code = self.code(), error = %with_sources(cause.as_ref()), "a request failed");
        }
        Problem::from(self).into_response()
    }
}

/// The message of an error and of its sources.
fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// What the error enums of all crates have in common: conversions from validation reports, retries of transactions,
/// and `Error::field`. The enum needs the variants `Kernel(kernel::Error)` and `Database(DbErr)`.
#[macro_export]
macro_rules! domain_error {
    ($error:ident) => {
        impl $error {
            /// A validation error of one input field.
            pub(crate) fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
                Self::Kernel($crate::Error::field(name, message))
            }
        }

        impl From<$crate::__private::garde::Report> for $error {
            fn from(report: $crate::__private::garde::Report) -> Self {
                Self::Kernel(report.into())
            }
        }

        impl $crate::db::Failure for $error {
            fn database(&self) -> Option<&$crate::__private::sea_orm::DbErr> {
                match self {
                    Self::Database(cause) => Some(cause),
                    Self::Kernel(error) => error.database(),
                    _ => None,
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_not_sent_to_the_client() {
        let problem = Problem::from(Error::internal("SELECT secret FROM users"));
        assert!(!serde_json::to_string(&problem).unwrap().contains("SELECT"));
        assert_eq!(problem.status, 500);
    }

    #[test]
    fn a_401_lists_the_accepted_schemes() {
        let response = Error::new(Kind::Unauthenticated, "not_authenticated", "…").into_response();
        assert_eq!(response.headers().get_all(axum::http::header::WWW_AUTHENTICATE).iter().count(), 2);
    }
}

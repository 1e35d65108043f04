//! One error for every border: what a client did wrong, or what failed, as a problem document.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sea_orm::{DbErr, RuntimeErr, SqlErr};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::db::sqlite_code;

/// The kernel's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of refusal or failure an error is; each has one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is wrong: 400.
    Invalid,
    /// Nobody, or nobody valid, is signed in: 401.
    Unauthenticated,
    /// The caller can see it but may not do that: 403.
    Forbidden,
    /// It does not exist, or the caller may not know that it does: 404.
    NotFound,
    /// The path exists, but not for this method: 405.
    MethodNotAllowed,
    /// The request took too long to arrive or to answer: 408.
    Timeout,
    /// It contradicts what is there: 409.
    Conflict,
    /// `If-Match` names a version that is no longer the current one: 412.
    PreconditionFailed,
    /// The body is larger than the limit: 413.
    TooLarge,
    /// The body is not of a type that is understood: 415.
    UnsupportedMediaType,
    /// It is understood, but contradicts what was said before: 422.
    Unprocessable,
    /// The request has to be conditional: 428 (RFC 6585 §3).
    PreconditionRequired,
    /// Too many requests, or failures: 429.
    TooMany,
    /// Something broke that the client cannot mend: 500.
    Internal,
    /// Something that is needed cannot be reached, or is full: 503.
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

/// What is wrong with each field of an input, in words for people.
pub type FieldErrors = BTreeMap<String, Vec<String>>;

/// A refusal or failure on its way to a client.
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
    /// A refusal with a stable `code` for programs and a `detail` for people.
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

    /// 400 `invalid` with what is wrong with each field.
    pub fn invalid(fields: FieldErrors) -> Self {
        let mut error = Self::new(Kind::Invalid, "invalid", "The input is not valid.");
        error.0.fields = fields;
        error
    }

    /// 400 `invalid` about one field.
    pub fn field(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(FieldErrors::from([(name.into(), vec![message.into()])]))
    }

    /// 500 `internal`; the cause is logged and never shown.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        let mut error = Self::new(Kind::Internal, "internal", "Something went wrong on our side.");
        error.0.cause = Some(cause.into());
        error
    }

    /// 503 `unavailable`; the cause is logged and never shown.
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        let mut error = Self::new(Kind::Unavailable, "unavailable", "Please try again in a moment.");
        error.0.cause = Some(cause.into());
        error
    }

    /// The same with what is wrong with a field.
    #[must_use]
    pub fn about(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.entry(field.into()).or_default().push(message.into());
        self
    }

    /// The same with a member of its own in the problem document (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// The same with the time after which it makes sense to try again (`Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.0.retry_after = Some(pause);
        self
    }

    /// A member of the problem document that was added with [`with`](Self::with).
    pub fn extension(&self, name: &str) -> Option<&Value> {
        self.0.extensions.get(name)
    }

    /// The database's error, if one is behind it.
    pub fn database(&self) -> Option<&DbErr> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    /// What sort of error it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable word that programs act on.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What happened, in words for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with each field; empty for anything but invalid input.
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

/// A constraint of the database that nobody foresaw is a conflict; everything else is ours.
impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => {
                Self::new(Kind::Conflict, "conflict", "Something like it exists already.")
            }
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => Self::new(
                Kind::Conflict,
                "conflict",
                "Something that it refers to is gone, or something still refers to it.",
            ),
            _ if is_still_needed(&error) => Self::new(Kind::Conflict, "conflict", "Something still refers to it."),
            _ if is_out_of_reach(&error) => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }
}

/// Did a key that restricts keep a row? PostgreSQL 18 and SQLite have codes of their own for that.
fn is_still_needed(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let refusal = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    refusal.is_some_and(|code| matches!(&*code, "23001" | "1811"))
}

/// Is it the database that cannot be reached, is busy or cannot be written, rather than we who asked wrongly?
fn is_out_of_reach(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(RuntimeErr::Internal(_)) => return true,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause,
        _ => return false,
    };
    if let Some(code) = sqlite_code(error) {
        // Busy, interrupted, a fault of the disk, a full one, a file that cannot be opened.
        return matches!(code, 5 | 9 | 10 | 13 | 14);
    }
    match cause.as_ref() {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
            // PostgreSQL lost the connection (class 08, but for a protocol error, which is ours), has no room
            // for another (53), shuts down or was cancelled (57), has a fault of its disk (58), or is read-only.
            let class = ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class));
            (class && code != "08P01") || code == "25006"
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

/// A problem document (RFC 9457), the body of every answer from 400 up.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells the problems apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What happened, for programs: a word that does not change.
    #[schema(example = "not_found")]
    pub code: String,
    /// The request's id, to be named when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For invalid input: what is wrong with each field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, Vec<String>>,
    /// What else there is to say about this code.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extensions: Map<String, Value>,
    /// Goes into `Retry-After`, in seconds.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// The answer that carries this problem.
    fn into_body(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1: a 401 names every scheme that would do.
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Token realm=\"api\""));
        }
        let unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after.or(unavailable.then_some(1)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.clone().into_body();
        // Left for a layer that knows the request's id.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(Error(error): Error) -> Self {
        let status = error.kind.status();
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.detail.into_owned(),
            code: error.code.into_owned(),
            request_id: None,
            errors: error.fields,
            extensions: error.extensions,
            // Rounded up: sooner it would be refused again.
            retry_after: error
                .retry_after
                .map(|pause| u64::try_from(pause.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.0.cause {
            tracing::error!(code = self.code(), error = %chain(cause.as_ref()), "a request failed");
        }
        Problem::from(self).into_response()
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_never_shown_to_a_client() {
        let problem = Problem::from(Error::internal("SELECT secret FROM users"));
        assert!(!serde_json::to_string(&problem).unwrap().contains("SELECT"));
        assert_eq!(problem.status, 500);
    }

    #[test]
    fn a_401_names_the_schemes_that_would_do() {
        let answer = Error::new(Kind::Unauthenticated, "not_authenticated", "…").into_response();
        assert_eq!(answer.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
    }
}

//! The identity of callers, shared by all domains, and the ports for authentication and user lookup.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    num::NonZeroU32,
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use serde::{Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type},
};

use crate::{Error, KeyedLimiter, Kind, Result, Timestamp, define_id};

define_id!(
    /// A user. Never reused after the account is removed.
    UserId
);

define_id!(
    /// A sign-in on one device.
    SessionId
);

define_id!(
    /// A long-lived token of a user, for programs.
    UserTokenId
);

/// The roles of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// May open rooms and create courses.
    pub teacher: bool,
    /// May see and moderate everything.
    pub staff: bool,
    /// May also grant and revoke roles.
    pub superuser: bool,
}

impl Roles {
    /// The names of the roles on the wire and on the command line.
    pub const NAMES: [&'static str; 3] = ["teacher", "staff", "superuser"];

    /// Whether the user is staff or a superuser.
    pub fn is_staff(self) -> bool {
        self.staff || self.superuser
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flags = [self.teacher, self.staff, self.superuser];
        serializer.collect_seq(Self::NAMES.iter().zip(flags).filter_map(|(name, has_role)| has_role.then_some(name)))
    }
}

impl PartialSchema for Roles {
    fn schema() -> RefOr<Schema> {
        let names = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Self::NAMES));
        ArrayBuilder::new().items(names).into()
    }
}

impl ToSchema for Roles {}

/// The authenticated user of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The roles of the user.
    pub roles: Roles,
    /// The session; `None` for a token that does not belong to one.
    pub session: Option<SessionId>,
    /// The user token; `None` for other credentials.
    pub token: Option<UserTokenId>,
    /// Whether the token is read-only.
    pub read_only: bool,
    /// When the credentials expire; `None` if that is not known.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// A caller with these roles, without a session or a token and not read-only.
    pub fn new(user: UserId, roles: Roles) -> Self {
        Self { user, roles, session: None, token: None, read_only: false, expires_at: None }
    }
}

/// The credentials of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Bearer`: an access token.
    Bearer(String),
    /// `Authorization: Token`: a user token.
    Token(String),
    /// A ticket for one WebSocket connection.
    Ticket(String),
}

impl Credentials {
    /// The token or ticket.
    pub fn secret(&self) -> &str {
        let (Self::Bearer(secret) | Self::Token(secret) | Self::Ticket(secret)) = self;
        secret
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(…)",
            Self::Token(_) => "Token(…)",
            Self::Ticket(_) => "Ticket(…)",
        })
    }
}

impl Credentials {
    /// Reads the `Authorization` header. An unknown scheme is ignored; a malformed or repeated header is
    /// 401 `bad_authorization_header`.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>> {
        let refused = |detail| Error::new(Kind::Unauthenticated, "bad_authorization_header", detail);
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(refused("There is more than one Authorization header."));
        }
        let text = value.to_str().map_err(|_| refused("The Authorization header is not ASCII."))?;
        let mut words = text.split_ascii_whitespace();
        let scheme = words.next().unwrap_or_default().to_ascii_lowercase();
        let build = match scheme.as_str() {
            "bearer" => Self::Bearer,
            "token" => Self::Token,
            _ => return Ok(None),
        };
        match (words.next(), words.next()) {
            (Some(secret), None) => Ok(Some(build(secret.to_owned()))),
            _ => Err(refused("The Authorization header must consist of a scheme and a token.")),
        }
    }
}

/// Authenticates callers. The accounts crate implements it.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// The caller with these credentials, with the current roles.
    async fn authenticate(&self, credentials: Credentials) -> Result<Caller>;

    /// These callers as they are now, in the same order: with their current roles, and `None` instead of one whose session
    /// or token is no longer valid. By default, nothing has changed.
    async fn recheck(&self, callers: &[Caller]) -> Result<Vec<Option<Caller>>> {
        Ok(callers.iter().copied().map(Some).collect())
    }
}

/// An [`Authenticate`] in a router's state, for the extractor [`Caller`].
#[derive(Clone)]
pub struct Auth {
    authenticate: Arc<dyn Authenticate>,
    writes: Option<Arc<KeyedLimiter<UserId>>>,
}

impl Auth {
    /// Wraps an implementation.
    pub fn new(authenticate: impl Authenticate) -> Self {
        let authenticate: Arc<dyn Authenticate> = Arc::new(authenticate);
        authenticate.into()
    }

    /// The same with a limit on the write requests of one user per minute, in this process: 429 `rate_limited`
    /// above it.
    #[must_use]
    pub fn with_write_limit(self, per_minute: NonZeroU32) -> Self {
        Self { writes: Some(Arc::new(KeyedLimiter::per_minute(per_minute))), ..self }
    }

    /// The caller with these credentials.
    ///
    /// # Errors
    /// If they are not valid.
    pub async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
        self.authenticate.authenticate(credentials).await
    }

    /// These callers as they are now: see [`Authenticate::recheck`].
    ///
    /// # Errors
    /// Those of the implementation.
    pub async fn recheck(&self, callers: &[Caller]) -> Result<Vec<Option<Caller>>> {
        self.authenticate.recheck(callers).await
    }

    fn count_write(&self, user: UserId) -> Result<()> {
        let Some(writes) = &self.writes else { return Ok(()) };
        writes.count(&user, "Too many changes in a short time. Try again later.")
    }
}

impl From<Arc<dyn Authenticate>> for Auth {
    fn from(authenticate: Arc<dyn Authenticate>) -> Self {
        Self { authenticate, writes: None }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = <Self as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await?;
        caller.ok_or_else(|| {
            Error::new(Kind::Unauthenticated, "not_authenticated", "Authentication credentials were not provided.")
        })
    }
}

impl<S> OptionalFromRequestParts<S> for Caller
where
    Auth: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        let Some(credentials) = Credentials::from_headers(&parts.headers)? else {
            return Ok(None);
        };
        let auth = Auth::from_ref(state);
        let caller = auth.authenticate.authenticate(credentials).await?;
        tracing::Span::current().record("user.id", caller.user.0);
        if caller.read_only && !parts.method.is_safe() {
            let detail = "This token is read-only.";
            return Err(Error::new(Kind::Forbidden, "insufficient_scope", detail));
        }
        if !parts.method.is_safe() {
            auth.count_write(caller.user)?;
        }
        Ok(Some(caller))
    }
}

/// The public profile of a user, as embedded in other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Person {
    /// The user's id.
    pub id: UserId,
    /// The user name.
    pub username: String,
    /// The display name.
    pub display_name: String,
    /// Absolute URL of the profile picture, if there is one.
    pub avatar_url: Option<String>,
}

/// Looks up users. The accounts crate implements it.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The existing users with these ids, in any order, in at most one query.
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>>;

    /// The existing users with these user names, ignoring case. By default, none.
    async fn named(&self, names: &[String]) -> Result<Vec<Person>> {
        let _ = names;
        Ok(Vec::new())
    }

    /// The verified email addresses of these users. By default, none.
    async fn addresses(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
        let _ = ids;
        Ok(Vec::new())
    }

    /// Whether this is the user's email address, ignoring case. By default, never.
    async fn has_address(&self, user: UserId, email: &str) -> Result<bool> {
        let _ = (user, email);
        Ok(false)
    }
}

impl dyn Directory {
    /// The existing users with these ids, in at most one query; none for no ids.
    pub async fn people_by_id(&self, ids: impl IntoIterator<Item = UserId>) -> Result<HashMap<UserId, Person>> {
        let ids: Vec<UserId> = ids.into_iter().collect::<HashSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(self.people(&ids).await?.into_iter().map(|person| (person.id, person)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(values: &[&str]) -> Result<Option<Credentials>> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Credentials::from_headers(&headers)
    }

    #[test]
    fn a_scheme_is_case_insensitive() {
        let bearer = Some(Credentials::Bearer("x".into()));
        for value in ["Bearer x", "bearer x", "BEARER  x"] {
            assert_eq!(read(&[value]).unwrap(), bearer);
        }
        assert_eq!(read(&["Token x"]).unwrap(), Some(Credentials::Token("x".into())));
    }

    #[test]
    fn no_header_or_an_unknown_scheme_is_anonymous() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["Basic dXNlcjpwYXNz"]).unwrap(), None);
    }

    #[test]
    fn a_malformed_or_repeated_header_is_refused() {
        for values in [&["Bearer"][..], &["Bearer a b"], &["Bearer a", "Bearer a"], &["Token"]] {
            assert_eq!(read(values).unwrap_err().code(), "bad_authorization_header");
        }
    }

    struct AnyUser;

    #[async_trait]
    impl Authenticate for AnyUser {
        async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
            Ok(Caller::new(UserId(credentials.secret().parse().unwrap()), Roles::default()))
        }
    }

    #[tokio::test]
    async fn fault_14_write_requests_of_one_user_are_limited_per_minute() {
        let auth = Auth::new(AnyUser).with_write_limit(NonZeroU32::new(3).unwrap());
        let send = async |method: &str, user: i64| {
            let request =
                axum::http::Request::builder().method(method).header("authorization", format!("Token {user}"));
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            <Caller as FromRequestParts<Auth>>::from_request_parts(&mut parts, &auth).await
        };
        for _ in 0..3 {
            send("POST", 1).await.unwrap();
        }
        let refused = send("DELETE", 1).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (Kind::TooMany, "rate_limited"));
        send("GET", 1).await.unwrap();
        send("POST", 2).await.unwrap();
    }

    #[test]
    fn credentials_are_not_printed() {
        let output = format!("{:?}", Credentials::Bearer("secret".into()));
        assert!(!output.contains("secret"));
    }

    #[test]
    fn roles_serialize_as_a_list_of_names() {
        let roles = Roles { teacher: true, staff: false, superuser: true };
        assert_eq!(serde_json::to_string(&roles).unwrap(), r#"["teacher","superuser"]"#);
    }
}

use std::collections::HashMap;

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::{Auth, Authenticate, Caller, Credentials, Directory, Error, Kind, Person, Result, Roles, UserId};

/// Sends requests to a router, without a socket.
#[derive(Clone)]
pub struct TestClient {
    router: Router,
    authorization: Option<String>,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The `code` of the problem document; panics for other bodies.
    pub fn code(&self) -> String {
        let content_type = self.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap());
        assert_eq!(content_type, Some("application/problem+json"), "{}", self.text);
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl TestClient {
    /// An unauthenticated client of a router.
    pub fn new(router: Router) -> Self {
        Self { router, authorization: None }
    }

    /// The same client with an `Authorization` header.
    #[must_use]
    pub fn with(&self, authorization: impl Into<String>) -> Self {
        Self { router: self.router.clone(), authorization: Some(authorization.into()) }
    }

    /// Sends a request, with a JSON body unless it is `Null`.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = if body.is_null() {
            request.body(Body::empty())
        } else {
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
        };
        self.send_raw(request.unwrap()).await
    }

    /// Sends a request unchanged.
    pub async fn send_raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Value::Null).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Value::Null).await
    }
}

/// An [`Auth`] that takes every token as the id of the user: `Bearer 7` is user 7.
pub fn signed_in_as(roles: Roles) -> Auth {
    struct TokenIsUserId(Roles);

    #[async_trait]
    impl Authenticate for TokenIsUserId {
        async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
            let user = credentials.secret().parse().map(UserId);
            let user = user.map_err(|_| Error::new(Kind::Unauthenticated, "token_not_valid", "No such user."))?;
            Ok(Caller::new(user, self.0))
        }
    }

    Auth::new(TokenIsUserId(roles))
}

/// A [`Directory`] of users with these ids, named `person-<id>`, with the address `person-<id>@example.org`.
pub fn fake_directory(ids: impl IntoIterator<Item = i64>) -> impl Directory {
    struct People(HashMap<UserId, Person>);

    #[async_trait]
    impl Directory for People {
        async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
            Ok(ids.iter().filter_map(|id| self.0.get(id)).cloned().collect())
        }

        async fn named(&self, names: &[String]) -> Result<Vec<Person>> {
            let is_named = |person: &&Person| names.iter().any(|name| name.eq_ignore_ascii_case(&person.username));
            Ok(self.0.values().filter(is_named).cloned().collect())
        }

        async fn addresses(&self, ids: &[UserId]) -> Result<Vec<(UserId, String)>> {
            let address = |id: &UserId| (*id, format!("person-{id}@example.org"));
            Ok(ids.iter().filter(|id| self.0.contains_key(id)).map(address).collect())
        }

        async fn has_address(&self, user: UserId, email: &str) -> Result<bool> {
            Ok(email.eq_ignore_ascii_case(&format!("person-{user}@example.org")))
        }
    }

    let person = |id| {
        let name = format!("person-{id}");
        let person = Person { id: UserId(id), username: name.clone(), display_name: name, avatar_url: None };
        (UserId(id), person)
    };
    People(ids.into_iter().map(person).collect())
}

//! A client connection and the requests it sends.

use std::net::SocketAddr;

use anyhow::{bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::fill::{PASSWORD, username};

/// A request with a complete body.
pub type Ask = Request<Full<Bytes>>;

/// A keep-alive connection.
pub struct Wire(SendRequest<Full<Bytes>>);

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and reads the whole response, discarding its body.
    pub async fn send(&mut self, request: Ask) -> anyhow::Result<StatusCode> {
        let mut response = self.response_to(request).await?;
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
        }
        Ok(response.status())
    }

    /// Sends a request and returns the body of the response.
    pub async fn fetch(&mut self, request: Ask) -> anyhow::Result<(StatusCode, Bytes)> {
        let response = self.response_to(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    async fn response_to(&mut self, request: Ask) -> anyhow::Result<Response<Incoming>> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }
}

/// A `GET` request, with an optional access token.
pub fn get(path: &str, access: Option<&str>) -> anyhow::Result<Ask> {
    without_body(Method::GET, path, access)
}

/// A `PUT` request without a body.
pub fn put(path: &str, access: &str) -> anyhow::Result<Ask> {
    without_body(Method::PUT, path, Some(access))
}

/// A `DELETE` request.
pub fn delete(path: &str, access: &str) -> anyhow::Result<Ask> {
    without_body(Method::DELETE, path, Some(access))
}

fn without_body(method: Method, path: &str, access: Option<&str>) -> anyhow::Result<Ask> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
    if let Some(access) = access {
        request = request.header(AUTHORIZATION, format!("Bearer {access}"));
    }
    Ok(request.body(Full::default())?)
}

/// A `POST` request with a JSON body.
pub fn post(path: &str, access: Option<&str>, body: String) -> anyhow::Result<Ask> {
    let mut request = Request::post(path).header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(access) = access {
        request = request.header(AUTHORIZATION, format!("Bearer {access}"));
    }
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// The sign-in request of the user with this number.
pub fn sign_in(person: u32) -> anyhow::Result<Ask> {
    let name = username(person);
    post("/api/auth/login/", None, format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#))
}

/// The tokens of a signed-in user.
#[derive(Clone, Deserialize)]
pub struct TokenPair {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

/// The id in the response to a creation.
#[derive(Deserialize)]
struct Created {
    id: i64,
}

/// Builds the next request.
pub type Make = Box<dyn FnMut() -> anyhow::Result<Ask> + Send>;

/// The requests of a client.
pub enum RequestSource {
    /// The same request each time.
    Same(Box<Ask>),
    /// A different request each time.
    Each(Make),
    /// A token refresh, with the refresh token of the previous response.
    Refresh(String),
    /// Creates a group and deletes it; both count as one request.
    DeleteGroup {
        /// The owner's access token.
        access: String,
        /// Builds the creation requests.
        groups: Make,
    },
}

impl RequestSource {
    /// The same request each time.
    pub fn same(request: Ask) -> Self {
        Self::Same(Box::new(request))
    }

    /// A different request each time.
    pub fn each(make: impl FnMut() -> anyhow::Result<Ask> + Send + 'static) -> Self {
        Self::Each(Box::new(make))
    }

    fn request(&mut self) -> anyhow::Result<Ask> {
        match self {
            Self::Same(request) => Ok(Ask::clone(request)),
            Self::Each(make) | Self::DeleteGroup { groups: make, .. } => make(),
            Self::Refresh(token) => post("/api/auth/refresh/", None, format!(r#"{{"refresh":"{token}"}}"#)),
        }
    }
}

/// A connection that sends the requests of a [`RequestSource`].
pub struct Client {
    address: SocketAddr,
    wire: Wire,
    source: RequestSource,
    expected: StatusCode,
}

impl Client {
    /// Connects.
    pub async fn open(address: SocketAddr, source: RequestSource, expected: StatusCode) -> anyhow::Result<Self> {
        Ok(Self { address, wire: Wire::open(address).await?, source, expected })
    }

    /// Sends one request. Returns whether the response was the expected one; `false` if the server is overloaded.
    ///
    /// # Errors
    /// Any other response.
    pub async fn ask(&mut self) -> anyhow::Result<bool> {
        if self.wire.is_closed() {
            // Closed by the server, which was idle while the other one was measured.
            self.wire = Wire::open(self.address).await?;
        }
        match self.exchange(false).await?.0 {
            status if status == self.expected => Ok(true),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            status => bail!("unexpected response {status}"),
        }
    }

    /// Sends one request and returns the response body.
    pub async fn sample(&mut self) -> anyhow::Result<Value> {
        let (status, body) = self.exchange(true).await?;
        ensure!(status == self.expected, "unexpected response {status}: {}", String::from_utf8_lossy(&body));
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Sends one request. The body is returned if `keep_body` is set or the next request needs it.
    async fn exchange(&mut self, keep_body: bool) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = self.source.request()?;
        match &mut self.source {
            RequestSource::Same(_) | RequestSource::Each(_) if keep_body => self.wire.fetch(request).await,
            RequestSource::Same(_) | RequestSource::Each(_) => Ok((self.wire.send(request).await?, Bytes::new())),
            RequestSource::Refresh(token) => {
                let (status, body) = self.wire.fetch(request).await?;
                if status == self.expected {
                    *token = serde_json::from_slice::<TokenPair>(&body)?.refresh;
                }
                Ok((status, body))
            }
            RequestSource::DeleteGroup { access, .. } => {
                let (status, body) = self.wire.fetch(request).await?;
                if status != StatusCode::CREATED {
                    return Ok((status, body));
                }
                let id = serde_json::from_slice::<Created>(&body)?.id;
                self.wire.fetch(delete(&format!("/api/community/groups/{id}/"), access)?).await
            }
        }
    }
}

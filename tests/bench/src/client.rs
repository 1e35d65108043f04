//! A client connection and the requests it sends.

use std::net::SocketAddr;

use anyhow::{bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::fill::{PASSWORD, username};

/// A request with a complete body.
pub type Ask = Request<Full<Bytes>>;

/// A keep-alive connection. If the server closes it between two requests, it is opened again.
pub struct Wire {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { address, sender: connect(address).await? })
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

    async fn response_to(&mut self, mut request: Ask) -> anyhow::Result<Response<Incoming>> {
        if self.sender.ready().await.is_ok() {
            match self.sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        self.sender = connect(self.address).await?;
        Ok(self.sender.send_request(request).await?)
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A `GET` request, with an optional access token.
pub fn get(path: &str, access: Option<&str>) -> anyhow::Result<Ask> {
    without_body(Method::GET, path, access)
}

/// A `GET` request of a browser, for a page.
pub fn get_page(path: &str, tokens: &TokenPair) -> anyhow::Result<Ask> {
    let TokenPair { access, refresh } = tokens;
    let mut request = without_body(Method::GET, path, None)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
    // The cookie that signing in on the page would set; its tokens are not refreshed.
    headers.insert(COOKIE, format!("session=9999999999~measured-by-a-benchmark~{access}~{refresh}").parse()?);
    Ok(request)
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
    with_body(Method::POST, path, access, body)
}

/// A `PATCH` request with a JSON body.
pub fn patch(path: &str, access: &str, body: String) -> anyhow::Result<Ask> {
    with_body(Method::PATCH, path, Some(access), body)
}

fn with_body(method: Method, path: &str, access: Option<&str>, body: String) -> anyhow::Result<Ask> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
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

/// One of this many requests of a mixed load is a write.
pub const WRITE_INTERVAL: u32 = 20;

/// A connection that sends the requests of a [`RequestSource`].
pub struct Client {
    wire: Wire,
    requests: Requests,
    /// The writes of a mixed load, and the number of requests so far.
    writes: Option<(Requests, u32)>,
}

/// Requests and the expected status.
struct Requests {
    source: RequestSource,
    expected: StatusCode,
}

impl Client {
    /// Connects.
    pub async fn open(address: SocketAddr, source: RequestSource, expected: StatusCode) -> anyhow::Result<Self> {
        let requests = Requests { source, expected };
        Ok(Self { wire: Wire::open(address).await?, requests, writes: None })
    }

    /// Makes every [`WRITE_INTERVAL`]th request a write. Clients with different numbers write at different moments.
    #[must_use]
    pub fn with_writes(self, number: u32, source: RequestSource, expected: StatusCode) -> Self {
        Self { writes: Some((Requests { source, expected }, number)), ..self }
    }

    /// Sends one request. Returns whether the response was the expected one; `false` if the server is overloaded.
    ///
    /// # Errors
    /// Any other response.
    pub async fn ask(&mut self) -> anyhow::Result<bool> {
        let requests = match &mut self.writes {
            Some((writes, count)) => {
                *count += 1;
                if count.is_multiple_of(WRITE_INTERVAL) { writes } else { &mut self.requests }
            }
            None => &mut self.requests,
        };
        match requests.exchange(&mut self.wire, false).await?.0 {
            status if status == requests.expected => Ok(true),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            status => bail!("unexpected response {status}"),
        }
    }

    /// Sends one request and returns the response body.
    pub async fn sample(&mut self) -> anyhow::Result<Value> {
        let (status, body) = self.requests.exchange(&mut self.wire, true).await?;
        let expected = self.requests.expected;
        ensure!(status == expected, "unexpected response {status}: {}", String::from_utf8_lossy(&body));
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }
}

impl Requests {
    /// Sends one request. The body is returned if `keep_body` is set or the next request needs it.
    async fn exchange(&mut self, wire: &mut Wire, keep_body: bool) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = self.source.request()?;
        match &mut self.source {
            RequestSource::Same(_) | RequestSource::Each(_) if keep_body => wire.fetch(request).await,
            RequestSource::Same(_) | RequestSource::Each(_) => Ok((wire.send(request).await?, Bytes::new())),
            RequestSource::Refresh(token) => {
                let (status, body) = wire.fetch(request).await?;
                if status == self.expected {
                    *token = serde_json::from_slice::<TokenPair>(&body)?.refresh;
                }
                Ok((status, body))
            }
            RequestSource::DeleteGroup { access, .. } => {
                let (status, body) = wire.fetch(request).await?;
                if status != StatusCode::CREATED {
                    return Ok((status, body));
                }
                let id = serde_json::from_slice::<Created>(&body)?.id;
                wire.fetch(delete(&format!("/api/community/groups/{id}/"), access)?).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get as on_get};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_request_of_twenty_is_a_write() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reads, writes) = (on_get(|| async { StatusCode::OK }), on_get(|| async { StatusCode::CREATED }));
        let router = Router::new().route("/read", reads).route("/write", writes);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let source = |path| RequestSource::same(get(path, None).unwrap());
        let client = Client::open(address, source("/read"), StatusCode::OK).await.unwrap();
        // The wrong status makes the writes visible as errors.
        let mut client = client.with_writes(17, source("/write"), StatusCode::ACCEPTED);
        let mut written = Vec::new();
        for number in 1..=50 {
            if client.ask().await.is_err() {
                written.push(number);
            }
        }
        assert_eq!(written, [3, 23, 43]);
    }
}

//! One connection, and what is asked on it.

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

/// A request with its whole body.
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

    /// Sends a request and reads the answer to its end, without looking at it.
    pub async fn send(&mut self, request: Ask) -> anyhow::Result<StatusCode> {
        let mut response = self.answer(request).await?;
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
        }
        Ok(response.status())
    }

    /// Sends a request and keeps the body of the answer.
    pub async fn fetch(&mut self, request: Ask) -> anyhow::Result<(StatusCode, Bytes)> {
        let response = self.answer(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    async fn answer(&mut self, request: Ask) -> anyhow::Result<Response<Incoming>> {
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?)
    }
}

/// `GET`, with an access token where the path asks for one.
pub fn get(path: &str, access: Option<&str>) -> anyhow::Result<Ask> {
    bare(Method::GET, path, access)
}

/// `PUT` of nothing.
pub fn put(path: &str, access: &str) -> anyhow::Result<Ask> {
    bare(Method::PUT, path, Some(access))
}

/// `DELETE`.
pub fn delete(path: &str, access: &str) -> anyhow::Result<Ask> {
    bare(Method::DELETE, path, Some(access))
}

fn bare(method: Method, path: &str, access: Option<&str>) -> anyhow::Result<Ask> {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
    if let Some(access) = access {
        request = request.header(AUTHORIZATION, format!("Bearer {access}"));
    }
    Ok(request.body(Full::default())?)
}

/// `POST` of a JSON text.
pub fn post(path: &str, access: Option<&str>, body: String) -> anyhow::Result<Ask> {
    let mut request = Request::post(path).header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(access) = access {
        request = request.header(AUTHORIZATION, format!("Bearer {access}"));
    }
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// The sign-in of a person with this number.
pub fn sign_in(person: u32) -> anyhow::Result<Ask> {
    let name = username(person);
    post("/api/auth/login/", None, format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#))
}

/// The tokens of somebody who is signed in.
#[derive(Clone, Deserialize)]
pub struct TokenPair {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

/// The id of something that was made.
#[derive(Deserialize)]
struct Made {
    id: i64,
}

/// Makes one request after another.
pub type Make = Box<dyn FnMut() -> anyhow::Result<Ask> + Send>;

/// What a client asks, over and over.
pub enum Act {
    /// The same each time.
    Same(Box<Ask>),
    /// Another one each time.
    Each(Make),
    /// The next pair of tokens, with the refresh token of the last one.
    Refresh(String),
    /// A group, and at once that it goes again; both together count as one.
    DeleteGroup {
        /// The owner's access token.
        access: String,
        /// Makes the groups.
        groups: Make,
    },
}

impl Act {
    /// The same request each time.
    pub fn same(request: Ask) -> Self {
        Self::Same(Box::new(request))
    }

    /// Another request each time.
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

/// A connection with its act.
pub struct Client {
    address: SocketAddr,
    wire: Wire,
    act: Act,
    expected: StatusCode,
}

impl Client {
    /// Connects.
    pub async fn open(address: SocketAddr, act: Act, expected: StatusCode) -> anyhow::Result<Self> {
        Ok(Self { address, wire: Wire::open(address).await?, act, expected })
    }

    /// Asks once, and says whether the answer was the expected one or that the server is too busy.
    ///
    /// # Errors
    /// Any other answer: what answers something else is not measured.
    pub async fn ask(&mut self) -> anyhow::Result<bool> {
        if self.wire.is_closed() {
            // By the server: it had nothing to do while the other side was measured.
            self.wire = Wire::open(self.address).await?;
        }
        match self.exchange(false).await?.0 {
            status if status == self.expected => Ok(true),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            status => bail!("a request was answered with {status}"),
        }
    }

    /// Asks once and looks at the answer.
    pub async fn sample(&mut self) -> anyhow::Result<Value> {
        let (status, body) = self.exchange(true).await?;
        ensure!(status == self.expected, "a request was answered with {status}: {}", String::from_utf8_lossy(&body));
        Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
    }

    /// Asks once. The body is kept where somebody looks at it, or the next request needs it.
    async fn exchange(&mut self, look: bool) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = self.act.request()?;
        match &mut self.act {
            Act::Same(_) | Act::Each(_) if look => self.wire.fetch(request).await,
            Act::Same(_) | Act::Each(_) => Ok((self.wire.send(request).await?, Bytes::new())),
            Act::Refresh(token) => {
                let (status, body) = self.wire.fetch(request).await?;
                if status == self.expected {
                    *token = serde_json::from_slice::<TokenPair>(&body)?.refresh;
                }
                Ok((status, body))
            }
            Act::DeleteGroup { access, .. } => {
                let (status, body) = self.wire.fetch(request).await?;
                if status != StatusCode::CREATED {
                    return Ok((status, body));
                }
                let id = serde_json::from_slice::<Made>(&body)?.id;
                self.wire.fetch(delete(&format!("/api/community/groups/{id}/"), access)?).await
            }
        }
    }
}

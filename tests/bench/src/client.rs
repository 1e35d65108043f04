//! One connection, and what is asked on it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{bail, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
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
    let mut request = Request::get(path).header(HOST, "localhost").header(USER_AGENT, "guildhall-bench");
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

/// What a client asks, over and over.
pub enum Act {
    /// The same each time.
    Same(Box<Ask>),
    /// The next pair of tokens, with the refresh token of the last one.
    Refresh(String),
    /// Another group each time. Names are not used twice: the second would cost another attempt.
    CreateGroup {
        /// The creator's access token.
        access: String,
        /// The number of the next group.
        names: Arc<AtomicU32>,
    },
}

impl Act {
    /// The same request each time.
    pub fn same(request: Ask) -> Self {
        Self::Same(Box::new(request))
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
        let request = self.next()?;
        let status = if let Act::Refresh(token) = &mut self.act {
            let (status, body) = self.wire.fetch(request).await?;
            if status == self.expected {
                *token = serde_json::from_slice::<TokenPair>(&body)?.refresh;
            }
            status
        } else {
            self.wire.send(request).await?
        };
        match status {
            status if status == self.expected => Ok(true),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Ok(false),
            status => bail!("a request was answered with {status}"),
        }
    }

    /// Asks once and looks at the answer.
    pub async fn sample(&mut self) -> anyhow::Result<Value> {
        let request = self.next()?;
        let (status, body) = self.wire.fetch(request).await?;
        ensure!(status == self.expected, "a request was answered with {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }

    fn next(&self) -> anyhow::Result<Ask> {
        match &self.act {
            Act::Same(request) => Ok(Ask::clone(request)),
            Act::Refresh(token) => post("/api/auth/refresh/", None, format!(r#"{{"refresh":"{token}"}}"#)),
            Act::CreateGroup { access, names } => {
                let number = names.fetch_add(1, Ordering::Relaxed);
                let body = format!(r#"{{"name":"Made under load {number}","description":"One of very many."}}"#);
                post("/api/community/groups/", Some(access), body)
            }
        }
    }
}

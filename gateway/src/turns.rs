//! How many requests of one client are answered at a time: what one asks for at once does not take every core and every
//! connection to the database from all others.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Error, Kind, Origin};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests wait for each that is answered.
const QUEUE: usize = 16;
/// How many clients a network is taken for that sends no credentials.
const CLIENTS_OF_A_NETWORK: usize = 8;

/// The turns of all clients.
pub(crate) struct Turns {
    at_once: usize,
    clients: Mutex<HashMap<String, Client>>,
}

struct Client {
    permits: Arc<Semaphore>,
    /// How many requests are answered or wait.
    requests: usize,
}

/// The right to answer a request, until it is dropped.
struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    turns: Arc<Turns>,
    client: String,
}

impl Turns {
    pub(crate) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self { at_once, clients: Mutex::default() })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, as long as whoever asks does.
    async fn take(self: Arc<Self>, client: String, at_once: usize) -> Result<Turn, Error> {
        let permits = {
            let mut clients = self.clients();
            let new = || Client { permits: Arc::new(Semaphore::new(at_once)), requests: 0 };
            let known = clients.entry(client.clone()).or_insert_with(new);
            if known.requests >= at_once.saturating_mul(1 + QUEUE) {
                let detail = "Too many requests wait for an answer already. Wait for theirs before you send more.";
                let refusal = Error::new(Kind::TooMany, "too_many_requests", detail);
                return Err(refusal.retry_after(Duration::from_secs(1)));
            }
            known.requests += 1;
            known.permits.clone()
        };
        let mut turn = Turn { permit: None, turns: self, client };
        turn.permit = Some(permits.acquire_owned().await.map_err(Error::internal)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut clients = self.turns.clients();
        if let Some(client) = clients.get_mut(&self.client) {
            client.requests -= 1;
            if client.requests == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// Answers a request when its client's turn has come. A client is known by what it signs in with, or by its network.
pub(crate) async fn take_turn(State(turns): State<Arc<Turns>>, request: Request, next: Next) -> Response {
    let credentials = request.headers().get(header::AUTHORIZATION);
    let (client, at_once) = match credentials {
        Some(credentials) => (String::from_utf8_lossy(credentials.as_bytes()).into_owned(), turns.at_once),
        None => (Origin::current().network(), turns.at_once.saturating_mul(CLIENTS_OF_A_NETWORK)),
    };
    match turns.take(client, at_once).await {
        Ok(turn) => next.run(request).await.map(|body| Body::new(Held { body, _turn: turn })),
        Err(refusal) => refusal.into_response(),
    }
}

/// A body with the turn in which it is sent.
struct Held {
    body: Body,
    _turn: Turn,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_client_waits_for_itself_and_for_nobody_else() {
        let turns = Turns::new(1);
        let first = turns.clone().take("a".into(), 1).await.ok().unwrap();
        let waiting: Vec<_> = (0..QUEUE).map(|_| tokio::spawn(turns.clone().take("a".into(), 1))).collect();
        tokio::task::yield_now().await;
        assert_eq!(turns.clone().take("a".into(), 1).await.err().unwrap().code(), "too_many_requests");
        assert!(turns.clone().take("b".into(), 1).await.is_ok());
        drop(first);
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_ok());
        }
        assert!(turns.clients().is_empty(), "whoever is gone is forgotten");
    }
}

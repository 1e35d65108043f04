//! How many requests of one client are answered at a time: what one asks for at once does not take every core and every
//! connection to the database from all others.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
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
use tokio_util::sync::PollSemaphore;

/// How many requests wait for each that is answered.
const QUEUE: usize = 32;
/// A body that is larger, in bytes, comes in one at a time: to copy and to store it takes most of a core.
const LARGE: u64 = 1 << 20;
/// How many clients a network is taken for that sends no credentials.
const CLIENTS_OF_A_NETWORK: usize = 8;

/// The turns of all clients.
pub(crate) struct Turns {
    at_once: usize,
    clients: Mutex<HashMap<String, Client>>,
}

struct Client {
    permits: Arc<Semaphore>,
    /// For requests with a large body, before the others.
    bodies: Arc<Semaphore>,
    /// How many requests are answered or wait.
    requests: usize,
}

/// The right to answer a request, until it is dropped.
struct Turn {
    permits: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    body: Option<OwnedSemaphorePermit>,
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
    async fn take(self: Arc<Self>, client: String, clients: usize, is_large: bool) -> Result<Turn, Error> {
        let at_once = self.at_once.saturating_mul(clients);
        let (permits, bodies) = {
            let mut known = self.clients();
            let new = || Client {
                permits: Arc::new(Semaphore::new(at_once)),
                bodies: Arc::new(Semaphore::new(clients)),
                requests: 0,
            };
            let known = known.entry(client.clone()).or_insert_with(new);
            if known.requests >= at_once.saturating_mul(1 + QUEUE) {
                let detail = "Too many requests wait for an answer already. Wait for theirs before you send more.";
                let refusal = Error::new(Kind::TooMany, "too_many_requests", detail);
                return Err(refusal.retry_after(Duration::from_secs(1)));
            }
            known.requests += 1;
            (known.permits.clone(), known.bodies.clone())
        };
        let mut turn = Turn { permits, permit: None, body: None, turns: self, client };
        if is_large {
            turn.body = Some(bodies.acquire_owned().await.map_err(Error::internal)?);
        }
        turn.permit = Some(turn.permits.clone().acquire_owned().await.map_err(Error::internal)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        (self.permit, self.body) = (None, None);
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
    let (client, clients) = match credentials {
        Some(credentials) => (String::from_utf8_lossy(credentials.as_bytes()).into_owned(), 1),
        None => (Origin::current().network(), CLIENTS_OF_A_NETWORK),
    };
    // One that does not tell its length is taken for large.
    let is_large = request.body().size_hint().upper().is_none_or(|bytes| bytes > LARGE);
    match turns.take(client, clients, is_large).await {
        Ok(turn) => next.run(request).await.map(|body| turn.pass_to(body)),
        Err(refusal) => refusal.into_response(),
    }
}

impl Turn {
    /// Gives the turn to the body of the answer, where its pieces are still to be made.
    fn pass_to(mut self, body: Body) -> Body {
        self.body = None;
        if body.is_end_stream() || body.size_hint().exact().is_some() {
            return body;
        }
        let permits = PollSemaphore::new(self.permits.clone());
        Body::new(Paced { body, permits, turn: self })
    }
}

/// A body of which each piece is made in a turn; while a slow client takes a piece, others of its requests have the turn.
struct Paced {
    body: Body,
    permits: PollSemaphore,
    turn: Turn,
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.turn.permit.is_none() {
            self.turn.permit = ready!(self.permits.poll_acquire(context));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.turn.permit = None;
        Poll::Ready(frame)
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
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn one_client_waits_for_itself_and_for_nobody_else() {
        let turns = Turns::new(1);
        let take = |client: &str| turns.clone().take(client.into(), 1, false);
        let first = take("a").await.ok().unwrap();
        let waiting: Vec<_> = (0..QUEUE).map(|_| tokio::spawn(take("a"))).collect();
        tokio::task::yield_now().await;
        assert_eq!(take("a").await.err().unwrap().code(), "too_many_requests");
        assert!(take("b").await.is_ok());
        drop(first);
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_ok());
        }
        assert!(turns.clients().is_empty(), "whoever is gone is forgotten");
    }

    #[tokio::test]
    async fn large_bodies_come_one_at_a_time_and_hold_up_nothing_else() {
        let turns = Turns::new(2);
        let take = |is_large| turns.clone().take("a".into(), 1, is_large);
        let first = take(true).await.ok().unwrap();
        let second = tokio::spawn(take(true));
        tokio::task::yield_now().await;
        assert!(take(false).await.is_ok(), "a large body that waits has no turn yet");
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_slow_client_holds_its_turn_only_while_a_piece_is_made() {
        let turns = Turns::new(1);
        let take = || turns.clone().take("a".into(), 1, false);
        let pieces = futures_util::stream::iter(["one", "two"].map(Ok::<_, Infallible>));
        let mut body = take().await.ok().unwrap().pass_to(Body::from_stream(pieces));
        let waiting = tokio::spawn(take());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the first piece is still to be made");
        body.frame().await.unwrap().unwrap();
        let turn = waiting.await.unwrap().ok().unwrap();
        assert!(body.frame().now_or_never().is_none(), "the second waits for its turn");
        drop(turn);
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        drop(body);
        assert!(take().await.ok().unwrap().pass_to(Body::from("whole")).frame().await.is_some());
        assert!(turns.clients().is_empty(), "whoever is gone is forgotten");
    }
}

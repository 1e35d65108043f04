//! Limits the concurrent requests per client, so that one client cannot occupy all cores and database connections.

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

/// How many requests may be queued for each one that is processed.
const QUEUE: usize = 32;
/// Larger request bodies, in bytes, are received one at a time: copying and storing one takes most of a core.
const LARGE_BODY: u64 = 1 << 20;
/// The requests of a network without credentials get the share of this many clients.
const CLIENTS_OF_A_NETWORK: usize = 8;

/// The permits of all clients.
pub(crate) struct ConcurrencyLimiter {
    concurrency: usize,
    clients: Mutex<HashMap<String, Client>>,
}

struct Client {
    permits: Arc<Semaphore>,
    /// Acquired first by requests with a large body.
    bodies: Arc<Semaphore>,
    /// Requests that are processed or queued.
    requests: usize,
}

/// Allows a request to be processed, until it is dropped.
struct Permit {
    permits: Arc<Semaphore>,
    request: Option<OwnedSemaphorePermit>,
    body: Option<OwnedSemaphorePermit>,
    limiter: Arc<ConcurrencyLimiter>,
    client: String,
}

impl ConcurrencyLimiter {
    pub(crate) fn new(concurrency: usize) -> Arc<Self> {
        Arc::new(Self { concurrency, clients: Mutex::default() })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit.
    async fn acquire(self: Arc<Self>, client: String, clients: usize, is_large: bool) -> Result<Permit, Error> {
        let concurrency = self.concurrency.saturating_mul(clients);
        let (permits, bodies) = {
            let mut all = self.clients();
            let new = || Client {
                permits: Arc::new(Semaphore::new(concurrency)),
                bodies: Arc::new(Semaphore::new(clients)),
                requests: 0,
            };
            let entry = all.entry(client.clone()).or_insert_with(new);
            if entry.requests >= concurrency.saturating_mul(1 + QUEUE) {
                let detail = "Too many requests are pending. Wait for their responses before you send more.";
                let error = Error::new(Kind::TooMany, "too_many_requests", detail);
                return Err(error.retry_after(Duration::from_secs(1)));
            }
            entry.requests += 1;
            (entry.permits.clone(), entry.bodies.clone())
        };
        let mut permit = Permit { permits, request: None, body: None, limiter: self, client };
        if is_large {
            permit.body = Some(bodies.acquire_owned().await.map_err(Error::internal)?);
        }
        permit.request = Some(permit.permits.clone().acquire_owned().await.map_err(Error::internal)?);
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        (self.request, self.body) = (None, None);
        let mut clients = self.limiter.clients();
        if let Some(client) = clients.get_mut(&self.client) {
            client.requests -= 1;
            if client.requests == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// Processes a request once its client has a permit. Clients are told apart by their credentials, or by their network.
pub(crate) async fn limit_concurrency(
    State(limiter): State<Arc<ConcurrencyLimiter>>,
    request: Request,
    next: Next,
) -> Response {
    let credentials = request.headers().get(header::AUTHORIZATION);
    let (client, clients) = match credentials {
        Some(credentials) => (String::from_utf8_lossy(credentials.as_bytes()).into_owned(), 1),
        None => (Origin::current().network(), CLIENTS_OF_A_NETWORK),
    };
    // A body of unknown length counts as large.
    let is_large = request.body().size_hint().upper().is_none_or(|bytes| bytes > LARGE_BODY);
    match limiter.acquire(client, clients, is_large).await {
        Ok(permit) => next.run(request).await.map(|body| permit.move_to(body)),
        Err(error) => error.into_response(),
    }
}

impl Permit {
    /// Moves the permit to the response body if that is a stream.
    fn move_to(mut self, body: Body) -> Body {
        self.body = None;
        if body.is_end_stream() || body.size_hint().exact().is_some() {
            return body;
        }
        let permits = PollSemaphore::new(self.permits.clone());
        Body::new(ChunkedBody { body, permits, permit: self })
    }
}

/// A body that holds the permit only while it produces a chunk, not while a slow client receives it.
struct ChunkedBody {
    body: Body,
    permits: PollSemaphore,
    permit: Permit,
}

impl HttpBody for ChunkedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.permit.request.is_none() {
            self.permit.request = ready!(self.permits.poll_acquire(context));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.permit.request = None;
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
    async fn clients_wait_for_their_own_requests_only() {
        let limiter = ConcurrencyLimiter::new(1);
        let acquire = |client: &str| limiter.clone().acquire(client.into(), 1, false);
        let first = acquire("a").await.ok().unwrap();
        let waiting: Vec<_> = (0..QUEUE).map(|_| tokio::spawn(acquire("a"))).collect();
        tokio::task::yield_now().await;
        assert_eq!(acquire("a").await.err().unwrap().code(), "too_many_requests");
        assert!(acquire("b").await.is_ok());
        drop(first);
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_ok());
        }
        assert!(limiter.clients().is_empty(), "clients without requests are removed");
    }

    #[tokio::test]
    async fn large_bodies_are_received_one_at_a_time_and_do_not_block_other_requests() {
        let limiter = ConcurrencyLimiter::new(2);
        let acquire = |is_large| limiter.clone().acquire("a".into(), 1, is_large);
        let first = acquire(true).await.ok().unwrap();
        let second = tokio::spawn(acquire(true));
        tokio::task::yield_now().await;
        assert!(acquire(false).await.is_ok(), "a queued large body has no permit yet");
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_slow_client_holds_its_permit_only_while_a_chunk_is_produced() {
        let limiter = ConcurrencyLimiter::new(1);
        let acquire = || limiter.clone().acquire("a".into(), 1, false);
        let chunks = futures_util::stream::iter(["one", "two"].map(Ok::<_, Infallible>));
        let mut body = acquire().await.ok().unwrap().move_to(Body::from_stream(chunks));
        let waiting = tokio::spawn(acquire());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the first chunk has not been produced");
        body.frame().await.unwrap().unwrap();
        let permit = waiting.await.unwrap().ok().unwrap();
        assert!(body.frame().now_or_never().is_none(), "the second chunk waits for a permit");
        drop(permit);
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        drop(body);
        assert!(acquire().await.ok().unwrap().move_to(Body::from("whole")).frame().await.is_some());
        assert!(limiter.clients().is_empty(), "clients without requests are removed");
    }
}

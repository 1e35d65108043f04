//! Connections: limits, activity tracking for idle timeouts, and draining of unread request bodies.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use guildhall_kernel::{Origin, TrustedProxies};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

/// Shorter writes do not count as progress: answering an HTTP/2 ping takes 17 bytes.
const MIN_PROGRESS_BYTES: usize = 64;
/// Unread request bodies up to this size are drained, so that the connection can be reused.
const MAX_DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// The minimum interval between two log lines of the same [`Warning`].
const WARNING_INTERVAL: Duration = Duration::from_secs(60);
/// File descriptors reserved for other uses than connections.
const RESERVED_FILES: u64 = 128;

/// Limits the number of open connections.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Shared>);

struct Shared {
    all: usize,
    per_network: usize,
    proxies: TrustedProxies,
    open: Mutex<Open>,
    rejected: Warning,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<String, usize>,
}

/// An open connection's share of the limits, released on drop.
pub(crate) struct ConnectionPermit {
    limits: Limits,
    network: Option<String>,
}

impl Limits {
    /// Limits the connections in total and per network. Trusted proxies count toward the total only.
    pub(crate) fn new(all: usize, per_network: usize, proxies: TrustedProxies) -> Self {
        let rejected = Warning::new("connections rejected because there are too many");
        Self(Arc::new(Shared { all, per_network, proxies, open: Mutex::default(), rejected }))
    }

    /// Takes a permit for a connection from an address; `None` if a limit is reached.
    pub(crate) fn acquire(&self, peer: IpAddr) -> Option<ConnectionPermit> {
        let shared = &*self.0;
        let peer = peer.to_canonical();
        let network =
            (!shared.proxies.contains(peer)).then(|| Origin { ip: Some(peer), ..Origin::default() }.network());
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = network.as_ref().and_then(|network| open.by_network.get(network)).copied().unwrap_or_default();
        if open.all >= shared.all || of_network >= shared.per_network {
            drop(open);
            shared.rejected.record();
            return None;
        }
        open.all += 1;
        if let Some(network) = &network {
            open.by_network.insert(network.clone(), of_network + 1);
        }
        drop(open);
        Some(ConnectionPermit { limits: self.clone(), network })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limits.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        let Some(network) = &self.network else { return };
        if let Some(count) = open.by_network.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                open.by_network.remove(network);
            }
        }
    }
}

/// Raises the limit of open files as far as the system allows. Returns how many connections that leaves room for.
pub(crate) fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // On failure the current limit applies.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    let connections = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVED_FILES).max(16));
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// A rate-limited warning.
pub(crate) struct Warning {
    message: &'static str,
    /// When it was last logged, and how often it has occurred since.
    state: Mutex<(Option<Instant>, u64)>,
}

impl Warning {
    pub(crate) fn new(message: &'static str) -> Self {
        Self { message, state: Mutex::new((None, 0)) }
    }

    pub(crate) fn record(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, count) = &mut *state;
        *count += 1;
        if last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            tracing::warn!(count = *count, "{}", self.message);
            *state = (Some(Instant::now()), 0);
        }
    }
}

/// The activity of a connection.
pub(crate) struct Activity {
    started: Instant,
    /// Requests in progress, until the response is written.
    requests: AtomicU32,
    /// Those whose response has started.
    responses: AtomicU32,
    /// Those whose body has not been read completely.
    unread: AtomicU32,
    /// When a request last began or ended, in milliseconds since `started`.
    last_request: AtomicU64,
    /// When bytes were last read.
    read: AtomicU64,
    /// When bytes were last written.
    written: AtomicU64,
}

impl Activity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            requests: AtomicU32::new(0),
            responses: AtomicU32::new(0),
            unread: AtomicU32::new(0),
            last_request: AtomicU64::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn touch(&self, time: &AtomicU64) {
        time.store(self.now(), Ordering::Relaxed);
    }

    fn since(&self, time: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(time.load(Ordering::Relaxed)))
    }

    /// Whether no request has been in progress for `limit`.
    pub(crate) fn is_idle(&self, limit: Duration) -> bool {
        self.requests.load(Ordering::Relaxed) == 0 && self.since(&self.last_request) >= limit
    }

    /// Whether only responses are left to be written, and the client has not taken any of them for `limit`.
    pub(crate) fn is_stalled(&self, limit: Duration) -> bool {
        let responses = self.responses.load(Ordering::Relaxed);
        responses > 0 && responses == self.requests.load(Ordering::Relaxed) && self.since(&self.written) >= limit
    }

    /// Whether all requests wait for the rest of their bodies, and nothing has arrived for `limit`.
    pub(crate) fn waits_for_client(&self, limit: Duration) -> bool {
        self.requests.load(Ordering::Relaxed) == self.unread.load(Ordering::Relaxed) && self.since(&self.read) >= limit
    }
}

/// A socket that records its activity.
pub(crate) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> (Self, Arc<Activity>) {
        let activity = Activity::new();
        (Self { stream, activity: activity.clone() }, activity)
    }

    fn record_write(&self, outcome: &io::Result<usize>) {
        if outcome.as_ref().is_ok_and(|written| *written >= MIN_PROGRESS_BYTES) {
            self.activity.touch(&self.activity.written);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.activity.touch(&self.activity.read);
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.record_write(&outcome);
        Poll::Ready(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.record_write(&outcome);
        Poll::Ready(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request in progress.
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    has_response: bool,
}

impl InFlight {
    pub(crate) fn begin(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.touch(&activity.last_request);
        Self { activity, has_response: false }
    }

    /// Wraps the response body; the request ends when the body is dropped.
    pub(crate) fn respond<B>(mut self, body: B) -> ResponseBody<B> {
        self.has_response = true;
        self.activity.responses.fetch_add(1, Ordering::Relaxed);
        self.activity.touch(&self.activity.written);
        ResponseBody { body, request: self }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.has_response {
            self.activity.responses.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.touch(&self.activity.last_request);
    }
}

/// The body of a response.
pub(crate) struct ResponseBody<B> {
    body: B,
    request: InFlight,
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let activity = &self.request.activity;
        activity.touch(&activity.written);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request. If it is dropped before it is read completely, the rest goes to [`UnreadBody`].
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    rest: UnreadBody,
    activity: Arc<Activity>,
}

/// The unread rest of a request body, once the body has been dropped.
#[derive(Clone, Default)]
pub(crate) struct UnreadBody(Arc<Mutex<Option<Incoming>>>);

impl RequestBody {
    pub(crate) fn new(body: Incoming, activity: Arc<Activity>) -> (Self, UnreadBody) {
        let rest = UnreadBody::default();
        if !body.is_end_stream() {
            activity.unread.fetch_add(1, Ordering::Relaxed);
        }
        let body = (!body.is_end_stream()).then_some(body);
        (Self { body, rest: rest.clone(), activity }, rest)
    }

    fn end(&mut self) -> Option<Incoming> {
        let body = self.body.take()?;
        self.activity.unread.fetch_sub(1, Ordering::Relaxed);
        Some(body)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        if body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let unread = self.end();
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = unread;
    }
}

impl UnreadBody {
    /// Whether the body has been read completely.
    pub(crate) fn is_read(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Discards the rest of the body, so that the connection can be reused. Returns whether the body has ended; gives
    /// up on one that is too long or too slow (RFC 9112 §9.6).
    pub(crate) async fn drain(&self) -> bool {
        let unread = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = unread else { return true };
        if body.size_hint().lower() > MAX_DRAIN_BYTES as u64 {
            return false;
        }
        let read = async {
            let mut read = 0;
            while let Some(frame) = body.frame().await {
                read += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if read > MAX_DRAIN_BYTES {
                    return None;
                }
            }
            Some(())
        };
        matches!(timeout(DRAIN_TIMEOUT, read).await, Ok(Some(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_7_connections_are_limited_in_total_and_per_network() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let limits = Limits::new(6, 2, proxies);
        let acquire = |ip: &str| limits.acquire(ip.parse().unwrap());
        let held = [acquire("203.0.113.1"), acquire("203.0.113.2")];
        assert!(held.iter().all(Option::is_some));
        assert!(acquire("203.0.113.3").is_none(), "one network");
        assert!(acquire("::ffff:203.0.113.3").is_none(), "also as an IPv4-mapped address");
        let other: Vec<_> = ["198.51.100.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"].map(acquire).into();
        assert!(other.iter().all(Option::is_some), "proxies have no limit per network");
        assert!(acquire("192.0.2.1").is_none(), "too many in total");
        drop(held);
        assert!(acquire("203.0.113.3").is_some());
        drop(other);
        let open = limits.0.open.lock().unwrap();
        assert!(open.all == 0 && open.by_network.is_empty());
    }

    #[test]
    fn fault_19_a_warning_is_logged_once_per_minute() {
        let warning = Warning::new("test");
        for _ in 0..100 {
            warning.record();
        }
        assert_eq!(warning.state.lock().unwrap().1, 99);
    }
}

//! Connections: how many there may be, how long they may be idle, and what is left of a request on them.

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

/// A write of fewer bytes is no progress: HTTP/2 answers pings with 17.
const LEAST_WRITE: usize = 64;
/// How much of a body that nobody wants is read, in bytes, so that the connection can be used again.
const MOST_DRAINED: usize = 64 * 1024;
/// How long it is waited for.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);
/// How often a warning of one kind is logged.
const WARNING_PAUSE: Duration = Duration::from_secs(60);
/// How many files are kept for something else than connections.
const OTHER_FILES: u64 = 128;

/// How many connections there may be.
#[derive(Clone)]
pub(crate) struct Limits(Arc<Shared>);

struct Shared {
    all: usize,
    per_network: usize,
    proxies: TrustedProxies,
    open: Mutex<Open>,
    refused: Warning,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<String, usize>,
}

/// A place among the connections, until it is dropped.
pub(crate) struct Place {
    limits: Limits,
    network: Option<String>,
}

impl Limits {
    /// So many connections in all and from one network; networks of trusted proxies have no limit of their own.
    pub(crate) fn new(all: usize, per_network: usize, proxies: TrustedProxies) -> Self {
        let refused = Warning::new("connections were refused: there are too many");
        Self(Arc::new(Shared { all, per_network, proxies, open: Mutex::default(), refused }))
    }

    /// A place for a connection from an address; none where there are too many.
    pub(crate) fn place(&self, peer: IpAddr) -> Option<Place> {
        let shared = &*self.0;
        let peer = peer.to_canonical();
        let network =
            (!shared.proxies.contains(peer)).then(|| Origin { ip: Some(peer), ..Origin::default() }.network());
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = network.as_ref().and_then(|network| open.by_network.get(network)).copied().unwrap_or_default();
        if open.all >= shared.all || own >= shared.per_network {
            drop(open);
            shared.refused.note();
            return None;
        }
        open.all += 1;
        if let Some(network) = &network {
            open.by_network.insert(network.clone(), own + 1);
        }
        drop(open);
        Some(Place { limits: self.clone(), network })
    }
}

impl Drop for Place {
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

/// Lets this process open as many files as the system allows; gives how many connections that leaves room for.
pub(crate) fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised it stays as it is.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = if raised.is_ok() { limit.maximum } else { limit.current };
    let connections = files.map_or(u64::MAX, |files| files.saturating_sub(OTHER_FILES).max(16));
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Something that is worth a warning now and then, and not each time.
pub(crate) struct Warning {
    message: &'static str,
    /// When it was last logged, and how often it came since.
    state: Mutex<(Option<Instant>, u64)>,
}

impl Warning {
    pub(crate) fn new(message: &'static str) -> Self {
        Self { message, state: Mutex::new((None, 0)) }
    }

    pub(crate) fn note(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, times) = &mut *state;
        *times += 1;
        if last.is_none_or(|last| last.elapsed() >= WARNING_PAUSE) {
            tracing::warn!(times = *times, "{}", self.message);
            *state = (Some(Instant::now()), 0);
        }
    }
}

/// What goes on on a connection.
pub(crate) struct Activity {
    begun: Instant,
    /// Requests that are being answered, until the answer is written.
    requests: AtomicU32,
    /// Those among them whose answer has begun.
    answers: AtomicU32,
    /// Those among them whose body has not come to its end.
    unread: AtomicU32,
    /// When a request last began or ended, in milliseconds from the beginning.
    turned: AtomicU64,
    /// When something was last read.
    read: AtomicU64,
    /// When something was last written.
    written: AtomicU64,
}

impl Activity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            requests: AtomicU32::new(0),
            answers: AtomicU32::new(0),
            unread: AtomicU32::new(0),
            turned: AtomicU64::new(0),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self, what: &AtomicU64) {
        what.store(self.now(), Ordering::Relaxed);
    }

    fn since(&self, what: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(what.load(Ordering::Relaxed)))
    }

    /// Has no request been on it for so long?
    pub(crate) fn is_idle(&self, limit: Duration) -> bool {
        self.requests.load(Ordering::Relaxed) == 0 && self.since(&self.turned) >= limit
    }

    /// Is nothing left to be done but to write, and has none of it been taken for so long?
    pub(crate) fn is_stalled(&self, limit: Duration) -> bool {
        let answers = self.answers.load(Ordering::Relaxed);
        answers > 0 && answers == self.requests.load(Ordering::Relaxed) && self.since(&self.written) >= limit
    }

    /// Is it only waited for the rest of requests, of which nothing has come for so long?
    pub(crate) fn waits_for_client(&self, limit: Duration) -> bool {
        self.requests.load(Ordering::Relaxed) == self.unread.load(Ordering::Relaxed) && self.since(&self.read) >= limit
    }
}

/// A socket that notes what goes on on it.
pub(crate) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> (Self, Arc<Activity>) {
        let activity = Activity::new();
        (Self { stream, activity: activity.clone() }, activity)
    }

    fn wrote(&self, outcome: &io::Result<usize>) {
        if outcome.as_ref().is_ok_and(|written| *written >= LEAST_WRITE) {
            self.activity.note(&self.activity.written);
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.activity.note(&self.activity.read);
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.wrote(&outcome);
        Poll::Ready(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.wrote(&outcome);
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

/// A request that is being answered.
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    is_answered: bool,
}

impl InFlight {
    pub(crate) fn begin(activity: Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.note(&activity.turned);
        Self { activity, is_answered: false }
    }

    /// The body of the answer; the request is over when that is.
    pub(crate) fn answered<B>(mut self, body: B) -> AnswerBody<B> {
        self.is_answered = true;
        self.activity.answers.fetch_add(1, Ordering::Relaxed);
        self.activity.note(&self.activity.written);
        AnswerBody { body, request: self }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_answered {
            self.activity.answers.fetch_sub(1, Ordering::Relaxed);
        }
        self.activity.requests.fetch_sub(1, Ordering::Relaxed);
        self.activity.note(&self.activity.turned);
    }
}

/// The body of an answer.
pub(crate) struct AnswerBody<B> {
    body: B,
    request: InFlight,
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let activity = &self.request.activity;
        activity.note(&activity.written);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request. What is left of it, where nobody reads it to its end, goes back to whoever lent it.
pub(crate) struct RequestBody {
    body: Option<Incoming>,
    rest: Rest,
    activity: Arc<Activity>,
}

/// Where the rest of a request's body is, once nobody reads it any more.
#[derive(Clone, Default)]
pub(crate) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl RequestBody {
    pub(crate) fn new(body: Incoming, activity: Arc<Activity>) -> (Self, Rest) {
        let rest = Rest::default();
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
        let left = self.end();
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}

impl Rest {
    /// Has the body been read to its end?
    pub(crate) fn is_read(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Reads what is left of a body that nobody wants, so that the next request on the connection is found; gives
    /// whether all of it came. What is long or late is not waited for (RFC 9112 §9.6).
    pub(crate) async fn drain(&self) -> bool {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left else { return true };
        if body.size_hint().lower() > MOST_DRAINED as u64 {
            return false;
        }
        let read = async {
            let mut read = 0;
            while let Some(frame) = body.frame().await {
                read += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if read > MOST_DRAINED {
                    return None;
                }
            }
            Some(())
        };
        matches!(timeout(DRAIN_PATIENCE, read).await, Ok(Some(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_7_connections_are_limited_in_all_and_by_network() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let limits = Limits::new(6, 2, proxies);
        let place = |ip: &str| limits.place(ip.parse().unwrap());
        let held = [place("203.0.113.1"), place("203.0.113.2")];
        assert!(held.iter().all(Option::is_some));
        assert!(place("203.0.113.3").is_none(), "one network");
        assert!(place("::ffff:203.0.113.3").is_none(), "whatever it is written as");
        let other: Vec<_> = ["198.51.100.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"].map(place).into();
        assert!(other.iter().all(Option::is_some), "proxies are no network");
        assert!(place("192.0.2.1").is_none(), "too many in all");
        drop(held);
        assert!(place("203.0.113.3").is_some());
        drop(other);
        let open = limits.0.open.lock().unwrap();
        assert!(open.all == 0 && open.by_network.is_empty());
    }

    #[test]
    fn fault_19_a_warning_is_logged_once_a_minute() {
        let warning = Warning::new("test");
        for _ in 0..100 {
            warning.note();
        }
        assert_eq!(warning.state.lock().unwrap().1, 99);
    }
}

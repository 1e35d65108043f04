//! The activity of a connection, which decides when it has timed out.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::limits::ConnectionPermit;

/// Shorter writes do not count as progress: answering an HTTP/2 ping takes 17 bytes.
const MIN_PROGRESS_BYTES: usize = 64;

/// The activity of a connection.
pub(crate) struct Activity {
    started: Instant,
    /// Requests in progress, until the response is written.
    requests: AtomicU32,
    /// Those whose response has started.
    responses: AtomicU32,
    /// Those whose body has not been read completely.
    pub(super) unread: AtomicU32,
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
    /// Held until the connection is closed, also while it is a WebSocket.
    _permit: ConnectionPermit,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, permit: ConnectionPermit) -> (Self, Arc<Activity>) {
        let activity = Activity::new();
        (Self { stream, activity: activity.clone(), _permit: permit }, activity)
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

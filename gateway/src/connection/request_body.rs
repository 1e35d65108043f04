//! Request bodies, of which a handler may leave a part unread.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

use super::Activity;

/// Unread request bodies up to this size are drained, so that the connection can be reused.
const MAX_DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

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

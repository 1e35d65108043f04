//! The position of a subscriber in a stream.

use std::{collections::VecDeque, sync::Arc};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;
use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    Frame, Head, LogPage, Seq, StreamName,
    followers::Following,
    hub::{Channel, Hub, Ring, Slot},
};

/// How many events are replayed when a subscriber resumes; after more, it has to read the history.
pub const MAX_REPLAY: Seq = 500;

/// Follows a stream from a position. Every event after it is returned once and in order, or a [`Delivery::Gap`] says
/// which ones cannot be.
pub struct Subscription {
    hub: Hub,
    channel: Arc<Channel>,
    slot: Arc<Slot>,
    /// The last number that was returned; `None` until [`start`](Self::start).
    cursor: Option<Seq>,
    /// Removals up to this number are known to whoever checked the access.
    checked_at: Seq,
    pending: VecDeque<Delivery>,
    /// The largest known number when the database had nothing new.
    stalled_at: Option<Seq>,
    has_ended: bool,
    is_closed: bool,
    following: Option<Following>,
}

/// How a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the next event.
    Live,
    /// With the events after the requested number.
    Recovered,
    /// The events after the requested number cannot be returned.
    Gap,
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An event.
    Frame(Arc<Frame>),
    /// These events cannot be returned.
    Gap {
        /// The first of them.
        from: Seq,
        /// The last of them.
        to: Seq,
        /// Why.
        reason: GapReason,
    },
    /// Something that is not stored.
    Transient(Utf8Bytes),
}

/// Why events cannot be returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// They are no longer kept.
    TooOld,
    /// The numbers are those of another history: the database was restored.
    Epoch,
    /// They are too many.
    Limit,
}

/// The state of a subscription.
#[derive(Debug)]
pub enum Next {
    /// What to send.
    Deliver(Vec<Delivery>),
    /// The events after this number have to be read and passed to [`Subscription::feed`].
    Read(Seq),
    /// Nothing, until the subscriber is woken.
    Idle,
    /// The subscriber may not receive later events.
    Ended,
}

/// Where a subscriber wants to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last number that it has; `None` to begin with the next event.
    pub after: Option<Seq>,
    /// The epoch that the number belongs to; not compared if `None`.
    pub epoch: Option<i64>,
}

impl Hub {
    /// Follows a stream. `wake` is notified when [`Subscription::poll`] has something to return.
    pub fn subscribe(&self, stream: &StreamName, user: UserId, wake: &Arc<Notify>) -> Subscription {
        let (channel, slot) = self.add(stream, user, wake);
        Subscription {
            hub: self.clone(),
            channel,
            slot,
            cursor: None,
            checked_at: 0,
            pending: VecDeque::new(),
            stalled_at: None,
            has_ended: false,
            is_closed: false,
            following: None,
        }
    }
}

impl Subscription {
    /// The stream.
    pub fn stream(&self) -> &StreamName {
        self.channel.name()
    }

    /// Begins. `head` was read from the database after subscribing and before the access was checked; `visible_after`
    /// is the number up to which the subscriber may see nothing.
    pub fn start(&mut self, head: Head, position: Position, visible_after: Seq) -> Start {
        self.hub.begin(&self.channel, head.seq);
        self.checked_at = head.seq;
        let is_other_epoch = position.epoch.is_some_and(|epoch| epoch != head.epoch);
        let (cursor, start, reason) = match position.after {
            None => (head.seq, Start::Live, None),
            Some(after) if is_other_epoch || after > head.seq => {
                (head.seq, Start::Gap, Some((after, GapReason::Epoch)))
            }
            Some(after) if head.seq - after.max(visible_after) > MAX_REPLAY => {
                (head.seq, Start::Gap, Some((after, GapReason::Limit)))
            }
            Some(after) => (after.max(visible_after), Start::Recovered, None),
        };
        if let Some((after, reason)) = reason {
            let from = if reason == GapReason::Epoch { 1 } else { after.max(visible_after) + 1 };
            self.pending.push_back(Delivery::Gap { from, to: head.seq, reason });
        }
        self.cursor = Some(cursor);
        self.slot.set_ready();
        start
    }

    /// Whether [`poll`](Self::poll) may have something to return since the last call.
    pub(crate) fn take_ready(&self) -> bool {
        self.slot.take_ready()
    }

    /// Counts the subscription while it lasts.
    pub(crate) fn keep(&mut self, following: Following) {
        self.following = Some(following);
    }

    /// Whether the subscription has ended because the stream has, or was deleted.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The number of the last event when the subscription began.
    pub fn began_at(&self) -> Seq {
        self.checked_at
    }

    /// The last number that was returned.
    pub fn cursor(&self) -> Option<Seq> {
        self.cursor
    }

    /// How many events the subscriber is behind.
    pub fn lag(&self) -> Seq {
        self.cursor.map_or(0, |cursor| self.channel.head() - cursor)
    }

    /// What to do next. `limit` is the number of events to return.
    pub fn poll(&mut self, limit: usize) -> Next {
        let Some(cursor) = self.cursor else { return Next::Idle };
        let mut deliveries: Vec<Delivery> = self.pending.drain(..).collect();
        if self.has_ended {
            return if deliveries.is_empty() { Next::Ended } else { Next::Deliver(deliveries) };
        }
        if deliveries.is_empty() {
            // What is from before the subscription comes from the database: the ring has content that was erased since.
            let replays = cursor < self.checked_at;
            match if replays { Ring::Behind } else { self.channel.after(cursor, limit) } {
                Ring::Frames(frames) => {
                    deliveries.reserve(frames.len());
                    deliveries.extend(frames.into_iter().filter_map(|frame| self.take(frame)));
                }
                Ring::Behind | Ring::End if self.channel.has_ended() => {
                    self.has_ended = true;
                    self.is_closed = true;
                    return Next::Ended;
                }
                Ring::Behind if self.stalled_at != Some(self.channel.head()) => return Next::Read(cursor),
                Ring::Behind | Ring::End => {}
            }
        }
        if !self.has_ended {
            deliveries.extend(self.slot.take_transient().into_iter().map(Delivery::Transient));
        }
        if deliveries.is_empty() { Next::Idle } else { Next::Deliver(deliveries) }
    }

    /// Takes what the database has after the number that [`Next::Read`] asked for.
    pub fn feed(&mut self, page: LogPage) {
        let Some(cursor) = self.cursor else { return };
        let first = page.frames.first().map(|frame| frame.seq);
        // The events up to the first one that is stored were deleted.
        let gap_end = first.map_or(page.head, |first| first - 1);
        if gap_end > cursor {
            self.pending.push_back(Delivery::Gap { from: cursor + 1, to: gap_end, reason: GapReason::TooOld });
            self.cursor = Some(gap_end);
        } else if first.is_none() {
            self.stalled_at = Some(self.channel.head());
        }
        for frame in page.frames {
            let delivery = self.take(frame);
            self.pending.extend(delivery);
        }
        self.slot.set_ready();
    }

    /// An event to return, unless it was already returned or comes after the removal of the subscriber.
    fn take(&mut self, frame: Arc<Frame>) -> Option<Delivery> {
        if self.has_ended || self.cursor.is_none_or(|cursor| frame.seq <= cursor) {
            return None;
        }
        self.cursor = Some(frame.seq);
        let is_later = frame.seq > self.checked_at;
        self.is_closed = is_later && frame.closes;
        self.has_ended = self.is_closed || (is_later && frame.ends_access_of(self.slot.user()));
        Some(Delivery::Frame(frame))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.remove(&self.channel, &self.slot);
    }
}

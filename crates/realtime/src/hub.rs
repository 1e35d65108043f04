//! The streams of this process that somebody follows: their latest events, and the positions of the subscribers.
//!
//! Nothing here waits, reads the clock or does I/O, so that a test can run every order of events. A subscriber has a
//! position in a shared ring instead of a queue of its own, so a slow one costs no memory. The database is the truth:
//! what is not in the ring is read from there.

mod slot;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;
use tokio::sync::Notify;

pub(crate) use self::slot::Slot;
use self::slot::Transient;
use crate::{Frame, LogPage, Seq, StreamName, Version};

/// Of how many values of a stream the newest version is known.
const MAX_VALUES: usize = 64;

/// The followed streams of this process.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    channels: Mutex<HashMap<StreamName, Arc<Channel>>>,
    /// How many events a ring holds.
    capacity: usize,
    /// Notified when events are missing from a ring.
    missing: Notify,
    /// The streams of which events were announced that have to be read.
    announced: Mutex<BTreeSet<StreamName>>,
    /// Notified when there are such streams.
    has_announced: Notify,
}

/// A stream that somebody follows.
pub(crate) struct Channel {
    name: StreamName,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The latest events, with consecutive numbers.
    ring: VecDeque<Arc<Frame>>,
    /// The number of the event that the ring continues with; `None` until the first one.
    next: Option<Seq>,
    /// Events that arrived before an earlier one.
    early: BTreeMap<Seq, Arc<Frame>>,
    /// The largest known number.
    head: Seq,
    /// The newest version of each value, the last published one at the end.
    values: VecDeque<(Arc<str>, Version)>,
    subscribers: Vec<Arc<Slot>>,
    /// Whether the stream was deleted.
    has_ended: bool,
}

/// What the ring has for a position.
pub(crate) enum Ring {
    /// The next events.
    Frames(Vec<Arc<Frame>>),
    /// The next events are only in the database.
    Behind,
    /// There are no further events.
    End,
}

impl Hub {
    /// A hub whose rings hold this many events.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Inner {
            channels: Mutex::default(),
            capacity: capacity.max(1),
            missing: Notify::new(),
            announced: Mutex::default(),
            has_announced: Notify::new(),
        }))
    }

    /// Adds a subscriber.
    pub(crate) fn add(&self, stream: &StreamName, user: UserId, wake: &Arc<Notify>) -> (Arc<Channel>, Arc<Slot>) {
        let slot = Arc::new(Slot::new(user, wake.clone()));
        let mut channels = lock(&self.0.channels);
        let channel = channels.entry(stream.clone()).or_insert_with(|| Arc::new(Channel::new(stream.clone())));
        channel.lock().subscribers.push(slot.clone());
        (channel.clone(), slot)
    }

    /// Removes a subscriber, and forgets the stream after the last one.
    pub(crate) fn remove(&self, channel: &Channel, slot: &Arc<Slot>) {
        let mut channels = lock(&self.0.channels);
        let mut state = channel.lock();
        state.subscribers.retain(|other| !Arc::ptr_eq(other, slot));
        let is_current =
            || channels.get(&channel.name).is_some_and(|current| std::ptr::eq(Arc::as_ptr(current), channel));
        if state.subscribers.is_empty() && is_current() {
            channels.remove(&channel.name);
        }
    }

    /// Ends the subscriptions of a stream that was deleted, after the events that are in its ring. A stream of the same
    /// name has a ring of its own.
    pub fn end(&self, stream: &StreamName) {
        let Some(channel) = lock(&self.0.channels).remove(stream) else { return };
        let mut state = channel.lock();
        state.has_ended = true;
        for slot in &state.subscribers {
            slot.set_ready();
        }
    }

    /// Takes the largest number in the database, with which the first ring begins.
    pub(crate) fn begin(&self, channel: &Channel, head: Seq) {
        let mut state = channel.lock();
        state.next.get_or_insert(head + 1);
        state.head = state.head.max(head);
        if state.is_missing() {
            // It was announced between.
            self.read_later([channel.name.clone()]);
        }
    }

    fn channel(&self, stream: &StreamName) -> Option<Arc<Channel>> {
        lock(&self.0.channels).get(stream).cloned()
    }

    /// Takes an event whose transaction has committed. Events may come more than once and in any order.
    pub fn publish(&self, stream: &StreamName, frame: Arc<Frame>) {
        let Some(channel) = self.channel(stream) else { return };
        let mut state = channel.lock();
        state.head = state.head.max(frame.seq);
        state.take(frame, self.0.capacity);
        self.wake(&state);
    }

    /// Takes the number of an event without its content, which then is read from the database.
    pub fn announce(&self, stream: &StreamName, head: Seq) {
        let Some(channel) = self.channel(stream) else { return };
        let mut state = channel.lock();
        if head <= state.head {
            return;
        }
        state.head = head;
        if state.is_missing() {
            // Nothing can be returned before it is read.
            drop(state);
            self.read_later([stream.clone()]);
        } else {
            self.wake(&state);
        }
    }

    /// Has the announced events of streams read.
    pub(crate) fn read_later(&self, streams: impl IntoIterator<Item = StreamName>) {
        lock(&self.0.announced).extend(streams);
        self.0.has_announced.notify_one();
    }

    /// Waits until events have been announced, and returns their streams.
    pub(crate) async fn announced(&self) -> BTreeSet<StreamName> {
        loop {
            let announced = std::mem::take(&mut *lock(&self.0.announced));
            if !announced.is_empty() {
                return announced;
            }
            self.0.has_announced.notified().await;
        }
    }

    fn wake(&self, state: &State) {
        for slot in &state.subscribers {
            slot.set_ready();
        }
        if state.is_missing() {
            self.0.missing.notify_one();
        }
    }

    /// Sends something that is not stored to the subscribers of a stream, but not to `except`. A subscriber that does
    /// not read misses it.
    pub fn publish_transient(&self, stream: &StreamName, body: &Utf8Bytes, except: Option<UserId>) {
        let Some(channel) = self.channel(stream) else { return };
        for slot in channel.lock().subscribers.iter().filter(|slot| Some(slot.user()) != except) {
            slot.add_transient(Transient { value: None, body: body.clone() });
        }
    }

    /// Sends a version of a value that is not stored with the stream to its subscribers, unless a newer one was sent. A
    /// subscriber that does not read misses older versions.
    pub fn publish_value(&self, stream: &StreamName, name: &str, version: Version, body: &Utf8Bytes) {
        let Some(channel) = self.channel(stream) else { return };
        let mut state = channel.lock();
        let Some(name) = state.take_version(name, version) else { return };
        for slot in &state.subscribers {
            slot.add_transient(Transient { value: Some(name.clone()), body: body.clone() });
        }
    }

    /// Waits until events are missing from a ring.
    pub(crate) async fn wait_for_missing(&self) {
        self.0.missing.notified().await;
    }

    /// The streams whose rings miss events, and the number after which.
    pub fn missing(&self) -> Vec<(StreamName, Seq)> {
        let channels: Vec<_> = lock(&self.0.channels).values().cloned().collect();
        let missing = |channel: &Arc<Channel>| Some((channel.name.clone(), channel.lock().missing_after()?));
        channels.iter().filter_map(missing).collect()
    }

    /// The number after which the ring of a stream misses events, if it does.
    pub fn missing_after(&self, stream: &StreamName) -> Option<Seq> {
        self.channel(stream)?.lock().missing_after()
    }

    /// The streams that somebody follows, and their largest known number.
    pub fn followed(&self) -> Vec<(StreamName, Seq)> {
        let channels: Vec<_> = lock(&self.0.channels).values().cloned().collect();
        channels.iter().map(|channel| (channel.name.clone(), channel.lock().head)).collect()
    }

    /// Adds what the database has to a ring that misses events.
    pub fn fill(&self, stream: &StreamName, page: LogPage) {
        let Some(channel) = self.channel(stream) else { return };
        let mut state = channel.lock();
        let Some(next) = state.next else { return };
        match page.frames.first() {
            // The missing events are no longer stored: the ring starts again, and subscribers read the database.
            Some(first) if first.seq > next => state.restart(Some(first.seq)),
            None if page.head >= next => state.restart(None),
            // What was announced is not in the database.
            None => state.head = next - 1,
            Some(_) => {}
        }
        for frame in page.frames {
            state.take(frame, self.0.capacity);
        }
        self.wake(&state);
    }
}

impl Channel {
    fn new(name: StreamName) -> Self {
        Self { name, state: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &StreamName {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The events after this one, up to a number of them.
    pub(crate) fn after(&self, seq: Seq, limit: usize) -> Ring {
        let state = self.lock();
        let first = state.ring.front().map(|frame| frame.seq).or(state.next);
        match first.map(|first| usize::try_from(seq + 1 - first)) {
            Some(Ok(index)) if index < state.ring.len() => {
                Ring::Frames(state.ring.range(index..).take(limit).cloned().collect())
            }
            // The ring has all events up to here, or will have them once the missing ones are filled in.
            Some(Ok(_)) => Ring::End,
            _ if seq < state.head => Ring::Behind,
            _ => Ring::End,
        }
    }

    /// The largest known number.
    pub(crate) fn head(&self) -> Seq {
        self.lock().head
    }

    /// Whether the stream was deleted.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }
}

impl State {
    /// Stores the version of a value, and returns its name; `None` if it is older than the known one.
    fn take_version(&mut self, name: &str, version: Version) -> Option<Arc<str>> {
        let known = self.values.iter().position(|(known, _)| **known == *name);
        let name = match known.and_then(|index| self.values.remove(index)) {
            Some((name, newest)) if newest > version => {
                self.values.push_back((name, newest));
                return None;
            }
            Some((name, _)) => name,
            None => name.into(),
        };
        if self.values.len() == MAX_VALUES {
            self.values.pop_front();
        }
        self.values.push_back((name.clone(), version));
        Some(name)
    }

    fn restart(&mut self, next: Option<Seq>) {
        self.ring.clear();
        self.next = next;
    }

    fn is_missing(&self) -> bool {
        self.missing_after().is_some()
    }

    /// The last number before the events that are missing.
    fn missing_after(&self) -> Option<Seq> {
        self.next.filter(|next| self.head >= *next).map(|next| next - 1)
    }

    fn take(&mut self, frame: Arc<Frame>, capacity: usize) {
        let next = *self.next.get_or_insert(frame.seq);
        if frame.seq > next {
            if self.early.len() < capacity {
                self.early.insert(frame.seq, frame);
            }
            return;
        }
        if frame.seq < next {
            return;
        }
        self.push(frame, capacity);
        while let Some(entry) = self.early.first_entry() {
            match self.next {
                Some(next) if *entry.key() < next => drop(entry.remove()),
                Some(next) if *entry.key() == next => {
                    let frame = entry.remove();
                    self.push(frame, capacity);
                }
                _ => break,
            }
        }
    }

    fn push(&mut self, frame: Arc<Frame>, capacity: usize) {
        self.next = Some(frame.seq + 1);
        self.ring.push_back(frame);
        if self.ring.len() > capacity {
            self.ring.pop_front();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Streams: append events, and follow them.

mod background;
mod beginning;
mod deletion;
mod erasure;
mod unread;
mod values;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::{Auth, Caller, Clock, Db, Error, Kind, Result, UserId, cipher::KeyRing, db::Tx, job::Job};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::{
    About, Bus, Frame, Head, Hub, Notice, Position, Seq, Settings, Start, StreamHandler, StreamName, Subscription,
    connections::Connections,
    followers::Followers,
    frame::{CHECK, closing},
    handler::Handlers,
    log::{Log, NewEvent},
    unread::UnreadCounters,
};

/// How many events the ring of a stream holds.
const RING: usize = 256;
/// How long [`Streams::stop`] waits for clients.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`Streams::stop`] waits until the last notices are sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The streams of an installation; cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    auth: Auth,
    log: Log,
    hub: Hub,
    bus: Box<dyn Bus>,
    /// Whether the bus is connected.
    is_connected: watch::Sender<bool>,
    handlers: Handlers,
    unread: UnreadCounters,
    followers: Followers,
    /// Distinguishes this process from others in the notices about followers.
    process: u64,
    connections: Connections,
    settings: Settings,
}

/// A subscription that has begun.
pub struct Started {
    /// Follows the stream.
    pub subscription: Subscription,
    /// How it began.
    pub start: Start,
    /// The state of the stream when it began.
    pub head: Head,
}

impl Streams {
    /// Streams in a database.
    pub fn new(
        db: Db,
        clock: Clock,
        settings: Settings,
        auth: Auth,
        bus: impl Bus,
        handlers: Vec<Arc<dyn StreamHandler>>,
    ) -> Self {
        Self::encrypted(db, clock, settings, auth, bus, handlers, KeyRing::default())
    }

    /// Streams in a database whose stored events are encrypted with these keys.
    pub fn encrypted(
        db: Db,
        clock: Clock,
        settings: Settings,
        auth: Auth,
        bus: impl Bus,
        handlers: Vec<Arc<dyn StreamHandler>>,
        keys: KeyRing,
    ) -> Self {
        let streams = Self(Arc::new(Inner {
            auth,
            log: Log { db, clock, keys },
            hub: Hub::new(RING),
            followers: Followers::new(bus.has_peers()),
            bus: Box::new(bus),
            is_connected: watch::Sender::new(true),
            handlers: Handlers::default(),
            unread: UnreadCounters::default(),
            process: RandomState::new().hash_one(()),
            connections: Connections::default(),
            settings,
        }));
        for handler in handlers {
            streams.register(handler);
        }
        streams
    }

    /// Adds the handler of some kinds of streams, for a domain that needs the streams itself.
    pub fn register(&self, handler: Arc<dyn StreamHandler>) {
        self.0.handlers.register(&handler);
    }

    /// Appends an event in the transaction of the operation, and returns its number. Its JSON must be an object.
    /// Subscribers get it once the transaction has committed.
    pub async fn append(&self, tx: &Tx, stream: &StreamName, event: &impl Serialize) -> Result<Seq> {
        self.store(tx, stream, NewEvent::new(to_json(event)?)).await
    }

    /// Like [`append`](Self::append), for an event about something whose content may have to be
    /// [erased](Self::erase) later.
    pub async fn append_about(
        &self,
        tx: &Tx,
        stream: &StreamName,
        event: &impl Serialize,
        about: About,
    ) -> Result<Seq> {
        self.store(tx, stream, NewEvent { about: Some(about), ..NewEvent::new(to_json(event)?) }).await
    }

    /// Like [`append`](Self::append), for an event after which a user may not receive any further event of the stream.
    pub async fn append_removal(
        &self,
        tx: &Tx,
        stream: &StreamName,
        event: &impl Serialize,
        removes: UserId,
    ) -> Result<Seq> {
        self.store(tx, stream, NewEvent { removes: Some(removes), ..NewEvent::new(to_json(event)?) }).await
    }

    /// Like [`append`](Self::append), for the last event of a stream. All subscriptions end after it.
    pub async fn append_closing(&self, tx: &Tx, stream: &StreamName, event: &impl Serialize) -> Result<Seq> {
        self.store(tx, stream, NewEvent::new(closing(&to_json(event)?))).await
    }

    /// Appends the event `{"type": "access_changed"}`, after which the handler is asked again for each subscription
    /// whether its user may follow the stream. Those of users who may not end before the next event.
    pub async fn append_check(&self, tx: &Tx, stream: &StreamName) -> Result<Seq> {
        self.store(tx, stream, NewEvent::new(CHECK.to_owned())).await
    }

    /// Like [`append_check`](Self::append_check), for the subscriptions of one user, who may not exist any more. The
    /// others get the event too, but the handler is asked about them only if they read it from the database.
    pub async fn append_check_of(&self, tx: &Tx, stream: &StreamName, user: UserId) -> Result<Seq> {
        // The user is not stored: the row would need an existing one.
        let stored = self.0.log.append(tx, stream, NewEvent::new(CHECK.to_owned())).await?;
        Ok(self.publish_after_commit(tx, stream, Frame::new(stored.seq, CHECK, Some(user))))
    }

    async fn store(&self, tx: &Tx, stream: &StreamName, event: NewEvent) -> Result<Seq> {
        let frame = self.0.log.append(tx, stream, event).await?;
        Ok(self.publish_after_commit(tx, stream, frame))
    }

    fn publish_after_commit(&self, tx: &Tx, stream: &StreamName, frame: Arc<Frame>) -> Seq {
        let (streams, stream, seq) = (self.clone(), stream.clone(), frame.seq);
        tx.after_commit(move || streams.publish(stream, frame));
        seq
    }

    fn publish(&self, stream: StreamName, frame: Arc<Frame>) {
        self.0.hub.publish(&stream, frame.clone());
        self.0.bus.send(Notice::Appended { stream, frame });
    }

    /// Sends something that is not stored to the subscribers of a stream, but not to `except`. Its JSON must be an
    /// object. It may be lost.
    pub fn publish_transient(&self, stream: &StreamName, event: &impl Serialize, except: Option<UserId>) {
        let Ok(body) = serde_json::to_string(event) else { return };
        let body = Utf8Bytes::from(body);
        self.0.hub.publish_transient(stream, &body, except);
        self.0.bus.send(Notice::Transient { stream: stream.clone(), body, except });
    }

    /// Like [`publish_transient`](Self::publish_transient), to the subscribers of this process only: for what each
    /// process knows of itself.
    pub fn publish_transient_here(&self, stream: &StreamName, event: &impl Serialize, except: Option<UserId>) {
        let Ok(body) = serde_json::to_string(event) else { return };
        self.0.hub.publish_transient(stream, &body.into(), except);
    }

    /// Follows a stream from a position. `wake` is notified when the subscription has something to return.
    ///
    /// # Errors
    /// If the caller may not follow the stream, or it does not exist for them.
    pub async fn subscribe(
        &self,
        caller: &Caller,
        stream: &StreamName,
        position: Position,
        wake: &Arc<Notify>,
    ) -> Result<Started> {
        // In this order: what is appended after the head was read reaches the subscription, and a removal from before is
        // known to the check.
        let mut subscription = self.0.hub.subscribe(stream, caller.user, wake);
        let head = self.0.log.head(self.0.log.db.conn(), stream).await?;
        let visible_after = self
            .0
            .handlers
            .visible_after(caller, stream)
            .await?
            .ok_or_else(|| Error::new(Kind::Forbidden, "stream_not_allowed", "You cannot follow this stream."))?;
        let head = match head {
            Some(head) => head,
            None => Head { seq: 0, epoch: self.begin(stream).await? },
        };
        let start = subscription.start(head, position, visible_after);
        if let Some(handler) = self.0.handlers.get(stream).filter(|handler| handler.watches_followers()) {
            subscription.keep(self.0.followers.follow(handler, stream, caller.user));
        }
        Ok(Started { subscription, start, head })
    }

    /// Whether a user follows a stream over this process. Known only if the handler
    /// [watches](StreamHandler::watches_followers) its followers.
    pub fn is_followed_here_by(&self, stream: &StreamName, user: UserId) -> bool {
        self.0.followers.has(&(stream.clone(), user))
    }

    /// Like [`is_followed_here_by`](Self::is_followed_here_by), over any process. What happens at another one is known
    /// after a second, or after half a minute if its notice was lost or it has crashed.
    pub fn is_followed_by(&self, stream: &StreamName, user: UserId) -> bool {
        self.0.followers.is_following(&(stream.clone(), user))
    }

    /// Reads what a subscription has asked for, see [`Next::Read`](crate::Next::Read).
    pub async fn read(&self, stream: &StreamName, after: Seq) -> Result<crate::LogPage> {
        Ok(self.0.log.after(stream, after).await?)
    }

    /// Closes all sockets, so that their clients reconnect to another process, waits until they are closed, and reports
    /// to the other processes that nobody follows a stream over this one any more.
    pub async fn stop(&self) {
        self.0.connections.stop();
        let closed = async {
            while self.0.connections.count() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, closed).await.is_err() {
            tracing::warn!(sockets = self.0.connections.count(), "some sockets did not close in time");
        }
        if self.0.bus.has_peers() {
            self.report_followers(false);
            if tokio::time::timeout(FLUSH_TIMEOUT, self.0.bus.flush()).await.is_err() {
                tracing::warn!("the other processes may not know yet who has stopped following streams here");
            }
        }
    }

    /// The number of open sockets of this process.
    pub fn sockets(&self) -> usize {
        self.0.connections.count()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn handlers(&self) -> &Handlers {
        &self.0.handlers
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.log.clock
    }
}

fn to_json(event: &impl Serialize) -> Result<String> {
    serde_json::to_string(event).map_err(Error::internal)
}

/// Deletes old events.
#[async_trait::async_trait]
impl Job for Streams {
    fn name(&self) -> &'static str {
        "realtime.prune"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self) -> Result<()> {
        let kept = Duration::from_secs(u64::from(self.0.settings.keep_days) * 24 * 3600);
        let before = self.0.log.clock.now() - kept;
        let deleted = self.0.log.prune(before, self.0.settings.keep_events).await?;
        if deleted > 0 {
            tracing::info!(deleted, "deleted old events of streams");
        }
        Ok(())
    }
}

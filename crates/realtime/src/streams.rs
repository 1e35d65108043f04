//! Streams: append events, and follow them.

use std::{sync::Arc, time::Duration};

use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::{Auth, Caller, Clock, Db, Error, Kind, Result, UserId, db::Tx, job::Job};
use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    Bus, Frame, Head, Hub, Notice, Position, Seq, Settings, Start, StreamHandler, StreamName, Subscription,
    connections::Connections,
    handler::Handlers,
    log::{self, Log},
};

/// How many events the ring of a stream holds.
const RING: usize = 256;
/// How long to wait for an event that others have overtaken before it is read from the database.
const FILL_DELAY: Duration = Duration::from_millis(50);
/// How often the sessions of all sockets are checked, in case that nobody has said that one has ended.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How many sessions are checked in one query.
const CHECKED_AT_ONCE: usize = 500;
/// How long [`Streams::stop`] waits for clients.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the followed streams are compared with the database, which finds events of other processes whose notice
/// was lost.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);

/// The streams of an installation; cheap to clone.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    auth: Auth,
    log: Log,
    hub: Hub,
    bus: Box<dyn Bus>,
    handlers: Handlers,
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
        let streams = Self(Arc::new(Inner {
            auth,
            log: Log { db, clock },
            hub: Hub::new(RING),
            bus: Box::new(bus),
            handlers: Handlers::default(),
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
        self.store(tx, stream, event, None).await
    }

    /// Like [`append`](Self::append), for an event after which a user may not receive any further event of the stream.
    pub async fn append_removal(
        &self,
        tx: &Tx,
        stream: &StreamName,
        event: &impl Serialize,
        removes: UserId,
    ) -> Result<Seq> {
        self.store(tx, stream, event, Some(removes)).await
    }

    async fn store(
        &self,
        tx: &Tx,
        stream: &StreamName,
        event: &impl Serialize,
        removes: Option<UserId>,
    ) -> Result<Seq> {
        let body = serde_json::to_string(event).map_err(Error::internal)?;
        let frame = self.0.log.append(tx, stream, body, removes).await?;
        let (streams, stream, seq) = (self.clone(), stream.clone(), frame.seq);
        tx.after_commit(move || streams.publish(stream, frame));
        Ok(seq)
    }

    fn publish(&self, stream: StreamName, frame: Arc<Frame>) {
        self.0.hub.publish(&stream, frame.clone());
        let Frame { seq, removes, .. } = *frame;
        self.0.bus.send(Notice::Appended { stream, seq, body: frame.body().to_owned(), removes });
    }

    /// Sends something that is not stored to the subscribers of a stream, but not to `except`. Its JSON must be an
    /// object. It may be lost.
    pub fn publish_transient(&self, stream: &StreamName, event: &impl Serialize, except: Option<UserId>) {
        let Ok(body) = serde_json::to_string(event) else { return };
        let body = Utf8Bytes::from(body);
        self.0.hub.publish_transient(stream, &body, except);
        self.0.bus.send(Notice::Transient { stream: stream.clone(), body, except });
    }

    /// Closes the sockets of a user whose session or token has ended, in all processes.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub async fn close_ended(&self, user: UserId) -> Result<()> {
        self.0.bus.send(Notice::Ended { user });
        self.check_callers(self.0.connections.callers(Some(user))).await
    }

    async fn check_callers(&self, callers: Vec<Caller>) -> Result<()> {
        for some in callers.chunks(CHECKED_AT_ONCE) {
            for ended in self.0.auth.ended(some).await? {
                self.0.connections.revoke(&ended);
            }
        }
        Ok(())
    }

    /// Takes a notice of another process.
    pub fn receive(&self, notice: Notice) {
        match notice {
            Notice::Appended { stream, seq, body, removes } => {
                self.0.hub.publish(&stream, Frame::new(seq, body, removes));
            }
            Notice::Transient { stream, body, except } => self.0.hub.publish_transient(&stream, &body, except),
            Notice::Ended { user } => {
                let streams = self.clone();
                tokio::spawn(async move {
                    let callers = streams.0.connections.callers(Some(user));
                    if let Err(error) = streams.check_callers(callers).await {
                        tracing::error!(%error, "could not check the sessions of sockets");
                    }
                });
            }
        }
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
        let head = self.0.log.head(stream).await?;
        let visible_after = self
            .0
            .handlers
            .visible_after(caller, stream)
            .await?
            .ok_or_else(|| Error::new(Kind::Forbidden, "stream_not_allowed", "You cannot follow this stream."))?;
        let start = subscription.start(head, position, visible_after);
        Ok(Started { subscription, start, head })
    }

    /// Reads what a subscription has asked for, see [`Next::Read`](crate::Next::Read).
    pub async fn read(&self, stream: &StreamName, after: Seq) -> Result<crate::LogPage> {
        Ok(self.0.log.after(stream, after).await?)
    }

    /// Closes all sockets, so that their clients reconnect to another process, and waits until they are closed.
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
    }

    /// The number of open sockets of this process.
    pub fn sockets(&self) -> usize {
        self.0.connections.count()
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

    /// Reads events that are missing from the rings, and compares the followed streams with the database. Runs until it
    /// is dropped.
    pub async fn run(&self) {
        let fill = async {
            loop {
                self.0.hub.wait_for_missing().await;
                tokio::time::sleep(FILL_DELAY).await;
                if let Err(error) = self.fill_missing().await {
                    tracing::error!(%error, "could not read the events of streams");
                }
            }
        };
        let compare = async {
            loop {
                tokio::time::sleep(COMPARE_INTERVAL).await;
                if let Err(error) = self.compare().await {
                    tracing::error!(%error, "could not compare streams with the database");
                }
            }
        };
        let tick = async {
            let (heartbeat, idle) = (self.0.settings.heartbeat_seconds, self.0.settings.idle_seconds);
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.0.connections.tick(self.0.log.clock.now(), heartbeat.into(), idle.into());
            }
        };
        let check = async {
            loop {
                tokio::time::sleep(CHECK_INTERVAL).await;
                if let Err(error) = self.check_callers(self.0.connections.callers(None)).await {
                    tracing::error!(%error, "could not check the sessions of sockets");
                }
            }
        };
        tokio::join!(fill, compare, tick, check);
    }

    async fn fill_missing(&self) -> Result<()> {
        for (stream, after) in self.0.hub.missing() {
            let page = self.0.log.after(&stream, after).await?;
            self.0.hub.fill(&stream, page);
        }
        Ok(())
    }

    /// Compares the followed streams with the database, and reads what is missing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn compare_now(&self) -> Result<()> {
        self.compare().await?;
        self.fill_missing().await
    }

    async fn compare(&self) -> Result<()> {
        for known in self.0.hub.followed().chunks(500) {
            for (stream, head) in log::heads(self.0.log.db.conn(), known).await? {
                self.0.hub.announce(&stream, head);
            }
        }
        Ok(())
    }
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
        let deleted = self.0.log.prune(self.0.log.clock.now() - kept).await?;
        if deleted > 0 {
            tracing::info!(deleted, "deleted old events of streams");
        }
        Ok(())
    }
}

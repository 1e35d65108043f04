//! What runs beside the requests: the bus, reads of events that other processes have appended, and checks of sockets.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use guildhall_kernel::{Caller, Result, UserId};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use super::Streams;
use crate::{
    Arrival, Notice, StreamName,
    log::Difference,
    peers::{self, Follower, REPEAT_INTERVAL},
};

/// How long to wait for an event that others have overtaken before it is read from the database.
const FILL_DELAY: Duration = Duration::from_millis(100);
/// How many streams are read at a time.
const READ_AT_ONCE: usize = 4;
/// How long to wait after a failed read.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often the followed streams are compared with the database, which finds events of other processes whose notice
/// was lost.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);
/// The same while notices are not exchanged; also how often the sessions of all sockets are checked then.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait between two comparisons, and between two checks of all sessions, however often the bus reports that
/// notices may have been lost.
const PAUSE: Duration = Duration::from_millis(100);
/// How many streams are compared in one query.
const COMPARED_AT_ONCE: usize = 20_000;
/// How long [`Streams::can_connect`] waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the sessions and roles of all sockets are checked otherwise, in case that nobody has said that one has
/// ended or changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// How often the other processes get to know who has begun or ceased to follow streams over this one.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// How many sessions are checked in one query.
const CHECKED_AT_ONCE: usize = 500;

impl Streams {
    /// Exchanges notices with other processes, reads events that are missing from the rings, compares the followed
    /// streams with the database, and closes sockets that are silent or whose session has ended. Runs until it is
    /// dropped.
    pub async fn run(&self) {
        let arrive = |arrival| self.arrive(arrival);
        let (exchange, read, fill) = (self.0.bus.run(&arrive), self.read_announced(), self.fill_gaps());
        let (check, check_ended) = (self.check_regularly(), self.check_ended());
        let report = self.report_regularly();
        tokio::join!(exchange, read, fill, self.compare_regularly(), check, check_ended, self.tick(), report);
    }

    /// Whether notices are exchanged with the other processes, as far as is known. While they are not, events of other
    /// processes arrive within a second or two.
    pub fn is_connected(&self) -> bool {
        *self.0.is_connected.borrow()
    }

    /// Whether notices can be exchanged with other processes, which is waited for a few seconds. Not to be called while
    /// [`run`](Self::run) is running.
    pub async fn can_connect(&self) -> bool {
        let connected = Notify::new();
        let arrive = |arrival| {
            if matches!(arrival, Arrival::Connected) {
                connected.notify_one();
            }
        };
        tokio::select! {
            () = connected.notified() => true,
            () = self.0.bus.run(&arrive) => false,
            () = sleep(CONNECT_TIMEOUT) => false,
        }
    }

    fn arrive(&self, arrival: Arrival) {
        match arrival {
            Arrival::Notice(notice) => self.receive(notice),
            // Also wakes the comparison if it was not known that the connection had been lost.
            Arrival::Connected => drop(self.0.is_connected.send_replace(true)),
            Arrival::Disconnected => {
                self.0.is_connected.send_if_modified(std::mem::take);
            }
        }
    }

    /// Takes a notice of another process.
    pub fn receive(&self, notice: Notice) {
        match notice {
            Notice::Appended { stream, frame } => self.0.hub.publish(&stream, frame),
            Notice::Announced { stream, seq } => self.0.hub.announce(&stream, seq),
            Notice::Transient { stream, body, except } => self.0.hub.publish_transient(&stream, &body, except),
            Notice::Value { stream, name, version, body } => self.0.hub.publish_value(&stream, &name, version, &body),
            Notice::Followers { process, joined, left } => {
                let (peers, now) = (self.0.followers.peers(), self.0.log.clock.now());
                self.notify_of_peers(peers.take_report(process, joined, left, now));
            }
            Notice::Deleted { stream } => self.0.hub.end(&stream),
            Notice::Ended { user } => self.0.connections.check_later(user),
        }
    }

    /// Reads announced events: as soon as they are, since nobody else sends their content.
    async fn read_announced(&self) {
        loop {
            let announced = self.0.hub.announced().await;
            let reads = announced.into_iter().map(|stream| async move { (self.fill(&stream).await, stream) });
            let failed: Vec<_> = stream::iter(reads)
                .buffer_unordered(READ_AT_ONCE)
                .filter_map(async |(outcome, stream)| outcome.err().map(|error| (error, stream)))
                .collect()
                .await;
            if let Some((error, _)) = failed.first() {
                tracing::error!(%error, streams = failed.len(), "could not read the events of streams");
                self.0.hub.read_later(failed.into_iter().map(|(_, stream)| stream));
                sleep(RETRY_DELAY).await;
            }
        }
    }

    /// Reads events that are missing between others, unless they arrive soon.
    async fn fill_gaps(&self) {
        loop {
            self.0.hub.wait_for_missing().await;
            sleep(FILL_DELAY).await;
            if let Err(error) = self.fill_missing().await {
                tracing::error!(%error, "could not read the events of streams");
            }
        }
    }

    async fn fill_missing(&self) -> Result<()> {
        for (stream, _) in self.0.hub.missing() {
            self.fill(&stream).await?;
        }
        Ok(())
    }

    /// Reads what is missing from the ring of a stream.
    async fn fill(&self, stream: &StreamName) -> Result<()> {
        while let Some(after) = self.0.hub.missing_after(stream) {
            let page = self.0.log.after(stream, after).await?;
            self.0.hub.fill(stream, page);
        }
        Ok(())
    }

    async fn compare_regularly(&self) {
        let mut is_connected = self.0.is_connected.subscribe();
        loop {
            let interval = if *is_connected.borrow() { COMPARE_INTERVAL } else { POLL_INTERVAL };
            // At once when the bus was lost or has connected.
            let _ = timeout(interval, is_connected.changed()).await;
            if let Err(error) = self.compare_now().await {
                tracing::error!(%error, "could not compare streams with the database");
            }
            sleep(PAUSE).await;
        }
    }

    /// Compares the followed streams with the database, reads what is missing, and ends the subscriptions of streams that
    /// were deleted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn compare_now(&self) -> Result<()> {
        for known in self.0.hub.followed().chunks(COMPARED_AT_ONCE) {
            for (stream, difference) in self.0.log.compare(known).await? {
                match difference {
                    Difference::Newer(head) => self.0.hub.announce(&stream, head),
                    Difference::Deleted => self.0.hub.end(&stream),
                }
            }
        }
        self.fill_missing().await
    }

    async fn check_regularly(&self) {
        let mut is_connected = self.0.is_connected.subscribe();
        loop {
            let interval = if *is_connected.borrow() { CHECK_INTERVAL } else { POLL_INTERVAL };
            let _ = timeout(interval, is_connected.changed()).await;
            self.try_check(self.0.connections.callers()).await;
            sleep(PAUSE).await;
        }
    }

    /// Checks the sockets of users of whom other processes have sent a notice.
    async fn check_ended(&self) {
        loop {
            let callers = self.0.connections.to_check().await;
            self.try_check(callers).await;
        }
    }

    /// Closes the sockets of a user whose session or token has ended, and takes note of changed roles, in all processes.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub async fn check_user(&self, user: UserId) -> Result<()> {
        self.0.bus.send(Notice::Ended { user });
        self.check_callers(self.0.connections.callers_of([user])).await
    }

    async fn try_check(&self, callers: Vec<Caller>) {
        if let Err(error) = self.check_callers(callers).await {
            tracing::error!(%error, "could not check the sessions of sockets");
        }
    }

    /// Closes the sockets of a caller whose session or token has ended, and takes note of changed roles, in this process.
    pub(crate) async fn check_caller(&self, caller: &Caller) -> Result<()> {
        self.check_callers(vec![*caller]).await
    }

    async fn check_callers(&self, callers: Vec<Caller>) -> Result<()> {
        for some in callers.chunks(CHECKED_AT_ONCE) {
            for (caller, now) in some.iter().zip(self.0.auth.recheck(some).await?) {
                match now {
                    Some(now) => self.0.connections.set_roles(now.user, now.roles),
                    None => self.0.connections.revoke(caller),
                }
            }
        }
        Ok(())
    }

    async fn report_regularly(&self) {
        if !self.0.bus.has_peers() {
            return;
        }
        // Not by the clock of the system, which may be set back.
        let mut repeated_at: Option<Instant> = None;
        loop {
            sleep(REPORT_INTERVAL).await;
            let repeats = repeated_at.is_none_or(|at| at.elapsed() >= REPEAT_INTERVAL);
            if repeats {
                repeated_at = Some(Instant::now());
            }
            self.report_followers(repeats);
        }
    }

    /// Reports to the other processes who has begun or ceased to follow streams over this one and, if `repeats`, everybody
    /// who follows them.
    pub fn report_followers(&self, repeats: bool) {
        let followers = &self.0.followers;
        let mut changed = followers.peers().take_changed();
        if repeats {
            changed.extend(followers.here());
            self.notify_of_peers(followers.peers().forget_silent(self.0.log.clock.now()));
        }
        let changed = changed.into_iter().map(|follower| {
            let follows = followers.has(&follower);
            (follower, follows)
        });
        for report in peers::reports(self.0.process, changed) {
            self.0.bus.send(report);
        }
    }

    fn notify_of_peers(&self, changed: impl IntoIterator<Item = Follower>) {
        for (stream, user) in changed {
            if let Some(handler) = self.0.handlers.get(&stream) {
                handler.peer_follower_changed(&stream, user);
            }
        }
    }

    async fn tick(&self) {
        let (heartbeat, idle) = (self.0.settings.heartbeat_seconds, self.0.settings.idle_seconds);
        loop {
            sleep(Duration::from_secs(1)).await;
            self.0.connections.tick(self.0.log.clock.now(), heartbeat.into(), idle.into());
        }
    }
}

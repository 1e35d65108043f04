//! The bus over PostgreSQL's LISTEN and NOTIFY.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use guildhall_kernel::{
    Db, Result, UserId,
    db::{self, MAX_PAYLOAD},
    secret,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Arrival, Arrive, Bus, Notice};
use crate::{Seq, StreamName};

/// The PostgreSQL channel.
const CHANNEL: &str = "guildhall_streams";
/// How many notices of a kind wait to be sent.
const MAX_WAITING: usize = 10_000;
/// How long to wait before the next attempt to send or to connect.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long to wait for a connection, or for a notification to be sent.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How often a process sends something, be it empty, so that it hears itself.
const BEAT: Duration = Duration::from_secs(3);
/// Without hearing even itself for this long, a process connects again: the connection may have failed without closing.
const SILENCE: Duration = Duration::from_secs(10);

/// Exchanges notices over PostgreSQL's LISTEN and NOTIFY. A payload has at most 8,000 bytes, so events are only
/// announced, and read from the database by the processes in which somebody follows the stream.
pub struct PostgresBus {
    db: Db,
    /// Marks what this process has sent, which PostgreSQL sends back.
    node: String,
    waiting: Mutex<Waiting>,
    has_waiting: Notify,
}

/// What waits to be sent.
#[derive(Default)]
struct Waiting {
    /// The last number of each stream; the earlier ones follow from it.
    announced: BTreeMap<StreamName, Seq>,
    deleted: BTreeSet<StreamName>,
    ended: BTreeSet<UserId>,
    transient: VecDeque<String>,
}

impl PostgresBus {
    /// The bus of a PostgreSQL database; `None` for SQLite, which one process uses.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(db: Db) -> Result<Option<Self>> {
        if db.listener(CHANNEL).is_none() {
            return Ok(None);
        }
        let node = format!("{:016x}", u64::from_le_bytes(secret::random()?));
        Ok(Some(Self { db, node, waiting: Mutex::default(), has_waiting: Notify::new() }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_waiting(&self) {
        loop {
            // What comes while the previous notification is sent shares the next one.
            let _ = timeout(BEAT, self.has_waiting.notified()).await;
            if !self.send_now().await {
                sleep(RETRY_DELAY).await;
                self.has_waiting.notify_one();
            }
        }
    }

    /// Sends what waits; returns whether it could be sent.
    async fn send_now(&self) -> bool {
        let taken = std::mem::take(&mut *self.waiting());
        for payload in taken.payloads(&self.node) {
            if !self.notify(&payload).await {
                self.waiting().put_back(taken);
                return false;
            }
        }
        true
    }

    async fn notify(&self, payload: &str) -> bool {
        match timeout(TIMEOUT, db::notify(self.db.conn(), CHANNEL, payload)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "could not notify other processes");
                false
            }
            Err(_) => false,
        }
    }

    async fn listen(&self, arrive: Arrive<'_>) {
        let Some(mut listener) = self.db.listener(CHANNEL) else { return };
        let (mut is_heard, mut is_lost) = (false, false);
        loop {
            let error = match timeout(SILENCE, listener.next()).await {
                Ok(Ok(Some(payload))) => {
                    if !std::mem::replace(&mut is_heard, true) {
                        if std::mem::take(&mut is_lost) {
                            tracing::info!("notifications of other processes arrive again");
                        }
                        arrive(Arrival::Connected);
                    }
                    self.take(&payload, arrive);
                    continue;
                }
                Ok(Ok(None)) => {
                    // A pooler of transactions accepts LISTEN too, but passes on nothing: only a payload, be it that of
                    // this process, shows that the connection works.
                    is_heard = false;
                    self.has_waiting.notify_one();
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no notification arrives".to_owned(),
            };
            listener.disconnect();
            is_heard = false;
            arrive(Arrival::Disconnected);
            if !std::mem::replace(&mut is_lost, true) {
                tracing::warn!(error, "notifications of other processes are lost; polling the database instead");
            }
            sleep(RETRY_DELAY).await;
        }
    }

    fn take(&self, payload: &str, arrive: Arrive<'_>) {
        let mut lines = payload.lines();
        if lines.next() == Some(&self.node) {
            return;
        }
        for notice in lines.filter_map(Notice::decode) {
            arrive(Arrival::Notice(notice));
        }
    }
}

#[async_trait]
impl Bus for PostgresBus {
    fn send(&self, notice: Notice) {
        self.waiting().add(notice);
        self.has_waiting.notify_one();
    }

    async fn flush(&self) {
        self.send_now().await;
    }

    async fn run(&self, arrive: Arrive<'_>) {
        tokio::join!(self.send_waiting(), self.listen(arrive));
    }
}

impl Waiting {
    fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Appended { stream, frame } => self.announce(stream, frame.seq),
            Notice::Announced { stream, seq } => self.announce(stream, seq),
            Notice::Deleted { stream } if self.deleted.len() < MAX_WAITING => {
                self.deleted.insert(stream);
            }
            Notice::Ended { user } if self.ended.len() < MAX_WAITING => {
                self.ended.insert(user);
            }
            Notice::Transient { .. } | Notice::Value { .. } | Notice::Followers { .. }
                if self.transient.len() < MAX_WAITING =>
            {
                self.transient.extend(notice.encode());
            }
            Notice::Deleted { .. }
            | Notice::Ended { .. }
            | Notice::Transient { .. }
            | Notice::Value { .. }
            | Notice::Followers { .. } => {}
        }
    }

    fn announce(&mut self, stream: StreamName, seq: Seq) {
        if let Some(last) = self.announced.get_mut(&stream) {
            *last = seq.max(*last);
        } else if self.announced.len() < MAX_WAITING {
            self.announced.insert(stream, seq);
        }
    }

    /// Has everything sent again that could not be sent, but for transient events, which are out of date.
    fn put_back(&mut self, taken: Self) {
        for (stream, seq) in taken.announced {
            self.announce(stream, seq);
        }
        let deleted = taken.deleted.into_iter().map(|stream| Notice::Deleted { stream });
        let ended = taken.ended.into_iter().map(|user| Notice::Ended { user });
        deleted.chain(ended).for_each(|notice| self.add(notice));
    }

    /// The payloads of everything; one without a notice if there is none.
    fn payloads(&self, node: &str) -> Vec<String> {
        let ended = self.ended.iter().map(|user| Notice::Ended { user: *user });
        let announced = self.announced.iter();
        let announced = announced.map(|(stream, seq)| Notice::Announced { stream: stream.clone(), seq: *seq });
        let deleted = self.deleted.iter().map(|stream| Notice::Deleted { stream: stream.clone() });
        // What was appended before a stream was deleted comes before its end.
        let lines = ended
            .chain(announced)
            .chain(deleted)
            .filter_map(|notice| notice.encode())
            .chain(self.transient.iter().cloned());
        let mut payloads = vec![node.to_owned()];
        for line in lines {
            let last = payloads.len() - 1;
            if payloads[last].len() + 1 + line.len() > MAX_PAYLOAD {
                payloads.push(format!("{node}\n{line}"));
            } else {
                payloads[last].push('\n');
                payloads[last].push_str(&line);
            }
        }
        payloads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn notices_share_payloads_within_the_limit() {
        let mut waiting = Waiting::default();
        for id in 1..=2000 {
            let stream = StreamName::new("room", id);
            waiting.add(Notice::Appended { stream: stream.clone(), frame: Frame::new(4, "{}", None) });
            waiting.add(Notice::Announced { stream, seq: 3 });
        }
        waiting.add(Notice::Ended { user: UserId(5) });
        waiting.add(Notice::Deleted { stream: StreamName::new("room", 1_i64) });
        let body = format!(r#"{{"text":"{}"}}"#, "é".repeat(2000)).into();
        waiting.add(Notice::Transient { stream: StreamName::new("room", 1), body, except: None });
        let payloads = waiting.payloads("node");
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD && payload.starts_with("node\n")));
        let notices: Vec<_> = payloads.iter().flat_map(|payload| payload.lines().skip(1)).collect();
        assert_eq!((notices.len(), notices[0], notices[1]), (2003, "ended 5", "announced room/1 4"));
        assert_eq!(notices[2001], "deleted room/1");
        assert!(notices[2002].starts_with("transient room/1 0 {"));
    }

    #[test]
    fn what_could_not_be_sent_waits_on_within_the_limit() {
        let mut waiting = Waiting::default();
        let announce = |waiting: &mut Waiting, id, seq| {
            waiting.add(Notice::Announced { stream: StreamName::new("room", id), seq });
        };
        announce(&mut waiting, 1, 7);
        waiting.add(Notice::Transient { stream: StreamName::new("room", 1), body: "{}".into(), except: None });
        let taken = std::mem::take(&mut waiting);
        announce(&mut waiting, 1, 8);
        waiting.put_back(taken);
        assert_eq!((waiting.payloads("node").len(), waiting.transient.len()), (1, 0));
        assert_eq!(waiting.announced[&StreamName::new("room", 1)], 8);
        let fill = |waiting: &mut Waiting, first: i64| {
            for id in first..first + 20_000 {
                announce(waiting, id, 9);
                waiting.add(Notice::Deleted { stream: StreamName::new("room", id) });
                waiting.add(Notice::Ended { user: UserId(id) });
            }
        };
        fill(&mut waiting, 1);
        let taken = std::mem::take(&mut waiting);
        fill(&mut waiting, 100_000);
        waiting.put_back(taken);
        let lengths = [waiting.announced.len(), waiting.deleted.len(), waiting.ended.len()];
        assert_eq!(lengths, [MAX_WAITING; 3]);
    }
}

//! Several processes with the same streams, under a seed that decides what the bus between them delays, loses, repeats and
//! reorders, which processes it cuts off, when sockets break and resume, and when processes crash. Whatever happens, a
//! subscriber sees exactly the log from its first number on, and no older version of a value after a newer one.
//!
//! `GUILDHALL_SEEDS=first..end` runs other seeds than the usual ones.

use std::sync::Arc;

use guildhall_kernel::UserId;
use guildhall_realtime::{
    Delivery, Frame, Head, Hub, LogPage, Next, Notice, Position, Seq, StreamName, Subscription, Version,
};
use tokio::sync::Notify;

const STREAMS: usize = 3;
const PROCESSES: usize = 3;
const SUBSCRIBERS: usize = 6;
const STEPS: usize = 400;
/// The capacity of a ring: small, so that subscribers fall behind it.
const RING: usize = 8;
const PAGE: usize = 5;

/// `SplitMix64` (<https://prng.di.unimi.it/splitmix64.c>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A stream in the database.
#[derive(Default)]
struct Stored {
    frames: Vec<Arc<Frame>>,
    deleted: usize,
}

impl Stored {
    fn head(&self) -> Seq {
        Seq::try_from(self.frames.len()).unwrap()
    }

    fn after(&self, seq: Seq) -> LogPage {
        let start = usize::try_from(seq).unwrap().max(self.deleted);
        let frames = self.frames.iter().skip(start).take(PAGE).cloned().collect();
        LogPage { frames, head: self.head() }
    }
}

/// A notice on its way to a process.
struct Sent {
    from: usize,
    to: usize,
    line: String,
}

/// What a process has read from the database and not used yet.
enum Read {
    Page(usize, LogPage),
    Heads(Vec<Seq>),
}

struct Client {
    user: UserId,
    process: usize,
    stream: usize,
    subscription: Option<Subscription>,
    /// The last number that it has, and the next one that it must get.
    last: Option<Seq>,
    /// Whether an event has removed the user.
    removed_at: Option<Seq>,
    /// The newest version that it has got over this connection.
    version: i64,
    /// A read whose result has not been handed over yet.
    read: Option<LogPage>,
}

struct World {
    random: Random,
    names: Vec<StreamName>,
    /// The last version of the value of each stream.
    versions: Vec<i64>,
    stored: Vec<Stored>,
    hubs: Vec<Hub>,
    /// Whether the bus carries the content of events, or only their numbers.
    has_content: bool,
    /// The processes that do not exchange notices with the others.
    is_cut_off: [bool; PROCESSES],
    sent: Vec<Sent>,
    reads: Vec<(usize, Read)>,
    clients: Vec<Client>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let clients = (0..SUBSCRIBERS)
            .map(|index| Client {
                user: UserId(i64::try_from(index).unwrap() + 1),
                process: random.below(PROCESSES),
                stream: random.below(STREAMS),
                subscription: None,
                last: None,
                removed_at: None,
                version: 0,
                read: None,
            })
            .collect();
        Self {
            has_content: random.chance(50),
            random,
            names: (1..=STREAMS).map(|id| StreamName::new("room", i64::try_from(id).unwrap())).collect(),
            versions: vec![0; STREAMS],
            stored: (0..STREAMS).map(|_| Stored::default()).collect(),
            hubs: (0..PROCESSES).map(|_| Hub::new(RING)).collect(),
            is_cut_off: [false; PROCESSES],
            sent: Vec::new(),
            reads: Vec::new(),
            clients,
        }
    }

    fn user(&mut self) -> UserId {
        UserId(i64::try_from(self.random.below(SUBSCRIBERS)).unwrap() + 1)
    }

    fn append(&mut self) {
        let (process, stream) = (self.random.below(PROCESSES), self.random.below(STREAMS));
        let seq = self.stored[stream].head() + 1;
        let removes = self.random.chance(2).then(|| self.user());
        let frame = Frame::new(seq, format!("{{\"n\":{seq}}}"), removes);
        self.stored[stream].frames.push(frame.clone());
        let stream = self.names[stream].clone();
        // The process that appended it always gets it, unless it is killed before.
        let own = Notice::Appended { stream: stream.clone(), frame };
        self.sent.push(Sent { from: process, to: process, line: own.encode().unwrap() });
        let notice = if self.has_content { own } else { Notice::Announced { stream, seq } };
        self.send_to_others(process, &notice);
    }

    fn append_transient(&mut self) {
        let (process, stream) = (self.random.below(PROCESSES), self.random.below(STREAMS));
        let except = self.user();
        let (stream, body) = (self.names[stream].clone(), format!("{{\"except\":{except}}}").into());
        let notice = Notice::Transient { stream: stream.clone(), body, except: Some(except) };
        if let Notice::Transient { body, .. } = &notice {
            self.hubs[process].publish_transient(&stream, body, Some(except));
        }
        self.send_to_others(process, &notice);
    }

    /// Publishes the next version of a value: on its own process, too, versions may arrive in any order.
    fn publish_value(&mut self) {
        let (process, stream) = (self.random.below(PROCESSES), self.random.below(STREAMS));
        self.versions[stream] += 1;
        let (stream, version) = (self.names[stream].clone(), Version(self.versions[stream], 0));
        let body = format!("{{\"version\":{}}}", version.0).into();
        let notice = Notice::Value { stream, name: "count".to_owned(), version, body };
        self.sent.push(Sent { from: process, to: process, line: notice.encode().unwrap() });
        self.send_to_others(process, &notice);
    }

    fn send_to_others(&mut self, from: usize, notice: &Notice) {
        for to in (0..PROCESSES).filter(|to| *to != from) {
            // Lost notices are found by the comparison with the database.
            let copies = match self.random.below(10) {
                0 => 0,
                1 => 2,
                _ => 1,
            };
            for _ in 0..copies {
                self.sent.push(Sent { from, to, line: notice.encode().unwrap() });
            }
        }
    }

    fn arrive(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        // Usually the oldest one, sometimes any.
        let index = if self.random.chance(60) { 0 } else { self.random.below(self.sent.len()) };
        let Sent { from, to, line } = self.sent.remove(index);
        if from != to && (self.is_cut_off[from] || self.is_cut_off[to]) {
            return;
        }
        let hub = &self.hubs[to];
        match Notice::decode(&line).unwrap() {
            Notice::Appended { stream, frame } => hub.publish(&stream, frame),
            Notice::Announced { stream, seq } => hub.announce(&stream, seq),
            Notice::Transient { stream, body, except } => hub.publish_transient(&stream, &body, except),
            Notice::Value { stream, name, version, body } => hub.publish_value(&stream, &name, version, &body),
            Notice::Followers { .. } | Notice::Ended { .. } | Notice::Deleted { .. } => panic!("nobody has sent this"),
        }
    }

    /// Reads what a process lacks, or compares its streams with the database. The result is used later, after other
    /// things have happened.
    fn read(&mut self, process: usize) {
        let missing = self.hubs[process].missing();
        let read = if missing.is_empty() || self.random.chance(30) {
            Read::Heads(self.stored.iter().map(Stored::head).collect())
        } else {
            let (name, after) = &missing[self.random.below(missing.len())];
            let stream = self.names.iter().position(|other| other == name).unwrap();
            Read::Page(stream, self.stored[stream].after(*after))
        };
        self.reads.push((process, read));
    }

    fn use_read(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let (process, read) = self.reads.remove(self.random.below(self.reads.len()));
        let hub = &self.hubs[process];
        match read {
            Read::Page(stream, page) => hub.fill(&self.names[stream], page),
            Read::Heads(heads) => self.names.iter().zip(heads).for_each(|(name, head)| hub.announce(name, head)),
        }
    }

    /// Compares the streams of a process with the database, and reads everything that is missing.
    fn compare(&mut self, process: usize) {
        let hub = &self.hubs[process];
        for (name, stored) in self.names.iter().zip(&self.stored) {
            hub.announce(name, stored.head());
        }
        for (name, after) in hub.missing() {
            let stream = self.names.iter().position(|other| *other == name).unwrap();
            hub.fill(&name, self.stored[stream].after(after));
        }
    }

    fn connect(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.process = self.random.below(PROCESSES);
        let hub = &self.hubs[client.process];
        let mut subscription = hub.subscribe(&self.names[client.stream], client.user, &Arc::new(Notify::new()));
        let head = Head { seq: self.stored[client.stream].head(), epoch: 1 };
        subscription.start(head, Position { after: client.last, epoch: None }, 0);
        client.last.get_or_insert(head.seq);
        (client.subscription, client.read, client.removed_at, client.version) = (Some(subscription), None, None, 0);
    }

    fn poll(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        let Some(subscription) = &mut client.subscription else { return false };
        if let Some(page) = client.read.take() {
            subscription.feed(page);
        }
        match subscription.poll(1 + self.random.below(6)) {
            Next::Deliver(deliveries) => deliveries.into_iter().for_each(|delivery| client.take(delivery)),
            // The page is read now and handed over later, after other things have happened.
            Next::Read(after) => client.read = Some(self.stored[client.stream].after(after)),
            Next::Idle => return false,
            Next::Ended => {
                assert!(client.removed_at.is_some(), "ended without a removal");
                client.subscription = None;
            }
        }
        true
    }

    fn step(&mut self) {
        let process = self.random.below(PROCESSES);
        let client = self.random.below(SUBSCRIBERS);
        match self.random.below(100) {
            0..20 => self.append(),
            20 => self.append_transient(),
            21 => self.publish_value(),
            22..47 => self.arrive(),
            47..76 => drop(self.poll(client)),
            76..86 if self.clients[client].subscription.is_none() => self.connect(client),
            86..90 => self.clients[client].subscription = None,
            90..93 => self.read(process),
            93..96 => self.use_read(),
            96 => self.is_cut_off[process] = !self.is_cut_off[process],
            97 => {
                // The process is killed: all its sockets break, and what it reads and what is on its way to it is lost.
                self.hubs[process] = Hub::new(RING);
                self.sent.retain(|sent| sent.to != process);
                self.reads.retain(|(reader, _)| *reader != process);
                for client in self.clients.iter_mut().filter(|client| client.process == process) {
                    client.subscription = None;
                }
            }
            98 => {
                let stream = self.random.below(STREAMS);
                let stored = &mut self.stored[stream];
                stored.deleted = stored.deleted.max(self.random.below(stored.frames.len() + 1));
            }
            _ => {}
        }
    }

    /// Lets everything arrive that is not cut off, and checks that everybody who is connected has the whole log.
    fn settle(&mut self) {
        while !self.sent.is_empty() {
            self.arrive();
        }
        while !self.reads.is_empty() {
            self.use_read();
        }
        for _ in 0..2 * STEPS {
            for process in 0..PROCESSES {
                self.compare(process);
            }
            let mut is_busy = self.hubs.iter().any(|hub| !hub.missing().is_empty());
            for client in 0..SUBSCRIBERS {
                is_busy |= self.poll(client);
            }
            if !is_busy {
                break;
            }
        }
        for client in self.clients.iter().filter(|client| client.subscription.is_some()) {
            assert_eq!(client.last, Some(self.stored[client.stream].head()), "{} is not up to date", client.user);
        }
    }
}

impl Client {
    fn take(&mut self, delivery: Delivery) {
        let expected = self.last.unwrap_or_default() + 1;
        let (first, last) = match delivery {
            Delivery::Frame(frame) => {
                assert_eq!(frame.body(), format!("{{\"n\":{}}}", frame.seq));
                assert_eq!(self.removed_at, None, "an event after the removal");
                self.removed_at = (frame.removes == Some(self.user)).then_some(frame.seq);
                // Removals from before the subscription are not repeated.
                let is_ended = self.removed_at.is_some_and(|at| self.is_after_start(at));
                self.removed_at = self.removed_at.filter(|_| is_ended);
                (frame.seq, frame.seq)
            }
            Delivery::Gap { from, to, .. } => (from, to),
            Delivery::Transient(body) => {
                assert_ne!(body.as_str(), format!("{{\"except\":{}}}", self.user));
                assert_eq!(self.removed_at, None, "something after the removal");
                let version = body.strip_prefix("{\"version\":").and_then(|rest| rest.strip_suffix('}')?.parse().ok());
                if let Some(version) = version {
                    assert!(version >= self.version, "{}: version {version} after {}", self.user, self.version);
                    self.version = version;
                }
                return;
            }
        };
        assert_eq!(first, expected, "{}: an event was lost or repeated", self.user);
        self.last = Some(last);
    }

    fn is_after_start(&self, seq: Seq) -> bool {
        self.subscription.as_ref().is_some_and(|subscription| subscription.began_at() < seq)
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.settle();
}

#[test]
fn a_subscriber_sees_exactly_the_log() {
    let seeds = std::env::var("GUILDHALL_SEEDS").ok();
    let range = seeds.as_deref().and_then(|seeds| seeds.split_once(".."));
    let range = range.and_then(|(first, end)| Some((first.parse::<u64>().ok()?, end.parse::<u64>().ok()?)));
    let (first, end) = range.unwrap_or((0, 4000));
    for seed in first..end {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("failed with GUILDHALL_SEEDS={seed}..{}", seed + 1);
            std::panic::resume_unwind(panic);
        }
    }
}

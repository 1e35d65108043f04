//! A WebSocket client (RFC 6455) that costs little, because it shares the machine with the server.

use std::{
    mem,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, Semaphore},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::room::Participant;

/// How many sockets are opened at the same time.
const OPENED_AT_ONCE: usize = 100;
/// How long opening a socket may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);
/// Larger than any frame that is expected, in bytes.
const BUFFER: usize = 8 * 1024;
/// How much a slow reader reads, and how often.
const SLOW_READ: usize = 1024;
const SLOW_INTERVAL: Duration = Duration::from_millis(500);
/// How many frames a flooder sends in one write, and how long it waits after the server has closed its connection: as
/// often as the default limit of handshakes of an address allows.
const FLOOD_FRAMES: usize = 100;
const FLOOD_PAUSE: Duration = Duration::from_millis(100);
/// What the content of a message begins with.
const MARK: &[u8] = b"\"content\":\"bench ";
/// The rest of the content: a line as people write it.
const WORDS: &str = "and a line of text of the length that people write in a room, with a few words more than needed.";
const SEQ: &[u8] = b"\"seq\":";
/// Opcodes.
const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// How fast a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Everything that arrives.
    Fast,
    /// About 2 KiB per second.
    Slow,
}

/// A socket of a participant.
pub(crate) struct Socket {
    participant: Participant,
    /// `None` after the connection was broken off.
    writer: Option<OwnedWriteHalf>,
    reader: JoinHandle<()>,
    received: Arc<Received>,
    /// The number of this socket among all of a run.
    number: u32,
    /// How many messages it has sent.
    sent: u32,
}

/// What a socket has received.
#[derive(Default)]
pub(crate) struct Received {
    messages: AtomicU64,
    last_seq: AtomicI64,
    /// Messages that were lost, repeated or out of order.
    faults: AtomicU32,
    /// How many messages of each sender arrived, by the number of the sender.
    next: Mutex<Vec<(u32, u32)>>,
    /// In microseconds.
    latencies: Mutex<Vec<u32>>,
    /// An own message has arrived.
    own: Notify,
}

/// Microseconds since the first call.
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Opens sockets, and waits until all have their first frame.
pub(crate) async fn open_all(participants: Vec<Participant>, pace: Pace) -> anyhow::Result<Vec<Socket>> {
    let permits = Arc::new(Semaphore::new(OPENED_AT_ONCE));
    let mut opening = JoinSet::new();
    for (number, participant) in (0..).zip(participants) {
        let permits = permits.clone();
        opening.spawn(async move {
            let _permit = permits.acquire().await?;
            Socket::open(participant, number, pace).await
        });
    }
    let mut sockets = Vec::new();
    while let Some(socket) = opening.join_next().await {
        sockets.push(socket??);
    }
    sockets.sort_by_key(|socket| socket.number);
    Ok(sockets)
}

impl Socket {
    async fn open(participant: Participant, number: u32, pace: Pace) -> anyhow::Result<Self> {
        let received = Arc::new(Received::default());
        let (writer, reader) = timeout(OPEN_TIMEOUT, connect(&participant, None, &received, number, pace)).await??;
        Ok(Self { participant, writer: Some(writer), reader, received, number, sent: 0 })
    }

    /// Breaks the connection without a close frame.
    pub(crate) fn break_off(&mut self) {
        self.reader.abort();
        self.writer = None;
    }

    /// Connects again, and receives what was missed. Tried again until it works.
    pub(crate) async fn resume(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        // What the earlier reader still takes is not asked for again.
        let _ = (&mut self.reader).await;
        loop {
            let after = self.received.last_seq.load(Ordering::Relaxed);
            match connect(&self.participant, Some(after), &self.received, self.number, Pace::Fast).await {
                Ok((writer, reader)) => {
                    (self.writer, self.reader) = (Some(writer), reader);
                    return Ok(());
                }
                Err(error) if started.elapsed() > OPEN_TIMEOUT => return Err(error),
                Err(_) => sleep(Duration::from_millis(100 + u64::from(self.number % 400))).await,
            }
        }
    }

    /// Sends a message. `moment` is when it was due.
    pub(crate) async fn send(&mut self, moment: u64) -> anyhow::Result<()> {
        let (number, count) = (self.number, self.sent);
        let content = format!("bench {number} {count} {moment} {WORDS}");
        let text = format!(r#"{{"type":"message","content":"{content}","client_id":"{moment}-{number}-{count}"}}"#);
        let writer = self.writer.as_mut().context("the connection was broken off")?;
        writer.write_all(&masked(text.as_bytes())).await?;
        self.sent += 1;
        Ok(())
    }

    /// Waits until its last message has come back.
    pub(crate) async fn await_own(&self) -> anyhow::Result<()> {
        timeout(OPEN_TIMEOUT, self.received.own.notified()).await.context("a message does not come back")
    }

    /// How many messages it has sent.
    pub(crate) fn sent(&self) -> u32 {
        self.sent
    }

    /// How many messages have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received.messages.load(Ordering::Relaxed)
    }

    /// The latencies since the last call, in microseconds.
    ///
    /// # Errors
    /// If a message was lost, repeated or out of order.
    pub(crate) fn take_latencies(&self) -> anyhow::Result<Vec<u32>> {
        let faults = self.received.faults.load(Ordering::Relaxed);
        ensure!(faults == 0, "{faults} messages were lost, repeated or out of order");
        Ok(mem::take(&mut *self.received.latencies.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Sends frames as fast as the server takes them, and connects again whenever the server closes the connection. Counts
/// how often it does.
///
/// # Errors
/// If it cannot connect. Otherwise this does not end.
pub(crate) async fn flood(participant: &Participant, closed: &AtomicU32) -> anyhow::Result<()> {
    let pings = masked(br#"{"type":"ping"}"#).repeat(FLOOD_FRAMES);
    loop {
        let (mut writer, reader) = connect(participant, None, &Arc::default(), u32::MAX, Pace::Fast).await?;
        while writer.write_all(&pings).await.is_ok() {}
        reader.abort();
        closed.fetch_add(1, Ordering::Relaxed);
        sleep(FLOOD_PAUSE).await;
    }
}

/// Connects, and returns when the first frame has arrived.
async fn connect(
    participant: &Participant,
    after: Option<i64>,
    received: &Arc<Received>,
    number: u32,
    pace: Pace,
) -> anyhow::Result<(OwnedWriteHalf, JoinHandle<()>)> {
    let mut stream = TcpStream::connect(participant.address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(participant.handshake(after).as_bytes()).await?;
    let (mut buffer, mut filled, mut is_upgraded) = (vec![0; BUFFER], 0, false);
    loop {
        let free = buffer.get_mut(filled..).filter(|free| !free.is_empty()).context("an endless response")?;
        let read = stream.read(free).await?;
        ensure!(read > 0, "the server closed the connection");
        filled += read;
        let bytes = buffer.get(..filled).unwrap_or_default();
        if !is_upgraded {
            let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            ensure!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(bytes));
            buffer.copy_within(end + 4..filled, 0);
            (filled, is_upgraded) = (filled - end - 4, true);
        }
        let bytes = buffer.get(..filled).unwrap_or_default();
        if let Some((opcode, payload, _)) = frame(bytes) {
            if opcode == CLOSE {
                let code = payload.get(..2).map(|code| code.iter().fold(0, |code, byte| code * 256 + u32::from(*byte)));
                bail!("closed with {code:?}");
            }
            break;
        }
    }
    let (reader, writer) = stream.into_split();
    let received = received.clone();
    let reader = tokio::spawn(async move { read(reader, buffer, filled, &received, number, pace).await });
    Ok((writer, reader))
}

/// Reads until the connection ends.
async fn read(
    mut reader: OwnedReadHalf,
    mut buffer: Vec<u8>,
    mut filled: usize,
    received: &Received,
    number: u32,
    pace: Pace,
) {
    loop {
        let mut used = 0;
        while let Some((opcode, payload, length)) = frame(buffer.get(used..filled).unwrap_or_default()) {
            if opcode == TEXT {
                received.take(payload, number);
            }
            used += length;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        let Some(mut free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) else { return };
        if pace == Pace::Slow {
            sleep(SLOW_INTERVAL).await;
            let length = free.len().min(SLOW_READ);
            free = free.get_mut(..length).unwrap_or_default();
        }
        let Ok(read @ 1..) = reader.read(free).await else { return };
        filled += read;
    }
}

impl Received {
    fn take(&self, payload: &[u8], number: u32) {
        if let Some(seq) = number_after(payload, SEQ).and_then(|seq| i64::try_from(seq).ok()) {
            self.last_seq.store(seq, Ordering::Relaxed);
        }
        let Some(start) = find(payload, MARK) else { return };
        let text = payload.get(start..).unwrap_or_default();
        let mut numbers = text.split(|byte| *byte == b' ').map(parse);
        let (Some(Some(sender)), Some(Some(count)), Some(Some(moment))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return;
        };
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.check_order(sender, count);
        let latency = u32::try_from(now().saturating_sub(moment)).unwrap_or(u32::MAX);
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
        if sender == u64::from(number) {
            self.own.notify_one();
        }
    }

    /// The messages of one sender are counted.
    fn check_order(&self, sender: u64, count: u64) {
        let (sender, count) = (u32::try_from(sender).unwrap_or(u32::MAX), u32::try_from(count).unwrap_or(u32::MAX));
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match next.iter_mut().find(|(known, _)| *known == sender) {
            Some((_, expected)) => {
                if *expected != count {
                    self.faults.fetch_add(1, Ordering::Relaxed);
                }
                *expected = count + 1;
            }
            None => next.push((sender, count + 1)),
        }
    }
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark).map(|position| position + mark.len())
}

fn number_after(text: &[u8], mark: &[u8]) -> Option<u64> {
    let rest = text.get(find(text, mark)?..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    parse(rest.get(..digits)?)
}

fn parse(digits: &[u8]) -> Option<u64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The first frame of a server: opcode, payload, and the length of the frame (RFC 6455 §5.2). `None` if it is not
/// complete.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, second) = (bytes.first()?, bytes.get(1)?);
    let (start, length) = match second {
        0..=125 => (2, usize::from(*second)),
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        _ => return None,
    };
    Some((first & 0x0f, bytes.get(start..start + length)?, start + length))
}

/// A text frame of a client, with a mask of zeros. 126 in place of the length says that two more bytes have it.
fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | TEXT];
    match u16::try_from(payload.len()) {
        Ok(length) if length > 125 => {
            frame.push(0xfe);
            frame.extend(length.to_be_bytes());
        }
        length => frame.push(0x80 | u8::try_from(length.unwrap_or_default()).unwrap_or_default()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sender: u32, count: u32, seq: u32) -> String {
        format!(r#"{{"type":"message","seq":{seq},"content":"bench {sender} {count} 0 and","client_id":"x"}}"#)
    }

    #[test]
    fn lost_repeated_and_swapped_messages_are_noticed() {
        for (counts, faults) in [(vec![4, 5, 6], 0), (vec![1, 3], 1), (vec![1, 1], 1), (vec![1, 3, 2, 4], 3)] {
            let received = Received::default();
            for (seq, count) in (1..).zip(counts) {
                received.take(message(7, count, seq).as_bytes(), 7);
            }
            assert_eq!(received.faults.load(Ordering::Relaxed), faults);
        }
    }

    #[test]
    fn frames_are_found_one_after_the_other() {
        let text = message(7, 0, 1);
        let mut bytes = vec![0x81, 126, 0, u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes.extend([0x89, 1, b'p', 0x81]);
        let (opcode, payload, length) = frame(&bytes).unwrap();
        assert_eq!((opcode, payload), (TEXT, text.as_bytes()));
        assert_eq!(frame(&bytes[length..]).unwrap(), (9, b"p".as_slice(), 3));
        assert_eq!(frame(&bytes[length + 3..]), None);
        assert_eq!(number_after(payload, SEQ), Some(1));
    }
}

//! Messages to rooms, and what arrives of them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::{task::JoinSet, time::sleep};

use super::{
    results::{Burst, Figures, Storm},
    room::Participant,
    socket::{Pace, Socket, now, open_all},
};
use crate::{figures::Latency, usage::Usage};

/// How many sockets send at the same time.
pub(super) const SENDERS: usize = 32;
/// How long the last messages may take to arrive.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Messages per second while sockets reconnect.
const STORM_RATE: f64 = 5.0;

/// The first `senders` sockets send as fast as possible: each waits until its last message has come back. Ends when all
/// sockets have everything.
pub(super) async fn burst(
    sockets: &mut [Socket],
    senders: usize,
    pids: &[u32],
    length: Duration,
) -> anyhow::Result<Burst> {
    let (before, expected, usage) = (sent(sockets), received(sockets), Usage::of(pids)?);
    let started = Instant::now();
    try_join_all(sockets.iter_mut().take(senders).map(|socket| send_until(socket, started + length))).await?;
    let messages = sent(sockets) - before;
    let deliveries = u64::from(messages) * sockets.len() as u64;
    drain(sockets, expected + deliveries).await?;
    let seconds = started.elapsed().as_secs_f64();
    let cost = Usage::of(pids)?.cost_since(&usage, u32::try_from(deliveries)?);
    let latency = latency_of(sockets.iter())?;
    Ok(Burst {
        messages_per_second: f64::from(messages) / seconds,
        deliveries_per_second: f64::from(u32::try_from(deliveries)?) / seconds,
        cpu_us: cost.cpu_us,
        latency,
    })
}

async fn send_until(socket: &mut Socket, end: Instant) -> anyhow::Result<()> {
    while Instant::now() < end {
        socket.send(now()).await?;
        socket.await_own().await?;
    }
    Ok(())
}

/// One socket sends at this many messages per second, whether or not they arrive. The latency counts from when a
/// message was due.
pub(super) async fn pace(sockets: &mut [Socket], rate: f64, length: Duration) -> anyhow::Result<Latency> {
    let (before, expected) = (sent(sockets), received(sockets));
    let sender = sockets.first_mut().context("no sockets")?;
    send_at(sender, rate, length).await?;
    let deliveries = u64::from(sent(sockets) - before) * sockets.len() as u64;
    drain(sockets, expected + deliveries).await?;
    latency_of(sockets.iter())
}

async fn send_at(socket: &mut Socket, rate: f64, length: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    let start = now();
    for number in 0_u32.. {
        let due = Duration::from_secs_f64(f64::from(number) / rate);
        if due > length {
            break;
        }
        sleep(due.saturating_sub(started.elapsed())).await;
        socket.send(start + u64::try_from(due.as_micros())?).await?;
    }
    Ok(())
}

/// One socket of each of the first rooms sends as fast as possible; then all of them at a part of that.
pub(super) async fn in_rooms(
    rooms: Vec<Vec<Participant>>,
    pids: &[u32],
    runs: u32,
    length: Duration,
) -> anyhow::Result<Figures> {
    let mut open = Vec::new();
    for participants in rooms {
        open.push(open_all(participants, Pace::Fast).await?);
    }
    let mut bursts = Vec::new();
    for _ in 0..runs {
        let (before, usage, started) = (all(&open, sent), Usage::of(pids)?, Instant::now());
        try_join_all(
            open.iter_mut()
                .take(SENDERS)
                .filter_map(|sockets| sockets.first_mut())
                .map(|socket| send_until(socket, started + length)),
        )
        .await?;
        let messages = all(&open, sent) - before;
        for sockets in &open {
            drain(sockets, u64::from(sent(sockets)) * sockets.len() as u64).await?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let deliveries = messages * u32::try_from(open.first().map_or(0, Vec::len))?;
        let latency = latency_of(open.iter().flatten())?;
        bursts.push(Burst {
            messages_per_second: f64::from(messages) / seconds,
            deliveries_per_second: f64::from(deliveries) / seconds,
            cpu_us: Usage::of(pids)?.cost_since(&usage, deliveries).cpu_us,
            latency,
        });
    }
    let rate = super::paced_rate(&bursts, u32::try_from(open.first().map_or(1, Vec::len))?);
    // Every room has its own sender, so that the load is spread over all of them.
    let each = rate / f64::from(u32::try_from(open.len())?);
    let mut sending = JoinSet::new();
    for (number, mut sockets) in (0_u32..).zip(open) {
        let delay = Duration::from_secs_f64(f64::from(number) / rate);
        sending.spawn(async move {
            sleep(delay).await;
            if let Some(sender) = sockets.first_mut() {
                send_at(sender, each, length).await?;
            }
            drain(&sockets, u64::from(sent(&sockets)) * sockets.len() as u64).await?;
            Ok::<_, anyhow::Error>(sockets)
        });
    }
    let mut open = Vec::new();
    while let Some(sockets) = sending.join_next().await {
        open.push(sockets??);
    }
    Ok(Figures::of(&bursts, rate, latency_of(open.iter().flatten())?))
}

/// All sockets but the first break at once and come back at once, while the first goes on sending. Ends when all have
/// everything that was sent meanwhile.
pub(super) async fn storm(sockets: &mut [Socket]) -> anyhow::Result<Storm> {
    // Everybody has seen an event to resume after.
    let before = received(sockets);
    let (first, others) = sockets.split_first_mut().context("no sockets")?;
    first.send(now()).await?;
    first.await_own().await?;
    drain_all(first, others, before + 1 + others.len() as u64).await?;
    latency_of(others.iter())?;

    others.iter_mut().for_each(Socket::break_off);
    let started = Instant::now();
    let reconnecting = try_join_all(others.iter_mut().map(|socket| async move {
        socket.resume().await?;
        Ok::<_, anyhow::Error>(started.elapsed())
    }));
    let sending = send_at(first, STORM_RATE, Duration::from_secs(3));
    let (mut back, ()) = tokio::try_join!(reconnecting, sending)?;
    back.sort_unstable();
    let messages = first.sent();
    let expected = before + u64::from(messages) * (1 + others.len() as u64);
    drain_all(first, others, expected).await?;
    latency_of(others.iter())?;
    let moment = |index: usize| back.get(index).map_or(f64::NAN, Duration::as_secs_f64);
    Ok(Storm {
        sockets: u32::try_from(others.len())?,
        half_after: moment(back.len() / 2),
        last_after: moment(back.len().saturating_sub(1)),
        messages: messages - 1,
    })
}

async fn drain_all(first: &Socket, others: &[Socket], expected: u64) -> anyhow::Result<()> {
    let arrived = || first.received() + received(others);
    wait(arrived, expected).await
}

/// Waits until this many messages have arrived in total.
async fn drain(sockets: &[Socket], expected: u64) -> anyhow::Result<()> {
    wait(|| received(sockets), expected).await
}

async fn wait(arrived: impl Fn() -> u64, expected: u64) -> anyhow::Result<()> {
    let started = Instant::now();
    while arrived() < expected {
        ensure!(started.elapsed() < DRAIN_TIMEOUT, "{} of {expected} messages have arrived", arrived());
        sleep(POLL_INTERVAL).await;
    }
    ensure!(arrived() == expected, "{} messages have arrived, more than {expected}", arrived());
    Ok(())
}

fn sent(sockets: &[Socket]) -> u32 {
    sockets.iter().map(Socket::sent).sum()
}

fn received(sockets: &[Socket]) -> u64 {
    sockets.iter().map(Socket::received).sum()
}

fn all(rooms: &[Vec<Socket>], count: fn(&[Socket]) -> u32) -> u32 {
    rooms.iter().map(|sockets| count(sockets)).sum()
}

fn latency_of<'a>(sockets: impl IntoIterator<Item = &'a Socket>) -> anyhow::Result<Latency> {
    let mut histogram = Histogram::<u64>::new(3)?;
    for socket in sockets {
        for micros in socket.take_latencies()? {
            histogram.record(u64::from(micros).max(1))?;
        }
    }
    Ok(Latency::of(&histogram))
}

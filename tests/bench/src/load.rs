//! Loops that put a server to work.

use std::{
    collections::BTreeMap,
    mem,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use hyper::StatusCode;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

use crate::client::{Ask, Client, Wire};

/// How long the last answers may take once a run is over.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before a connection that broke is made again.
const PAUSE: Duration = Duration::from_millis(10);

/// What a closed loop got through.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Answers in a second.
    pub rate: f64,
    /// How many times the server said that it was too busy; these do not count as answers.
    pub refused: u32,
}

/// Every client asks again as soon as it has its answer.
pub async fn closed(clients: &mut Vec<Client>, length: Duration) -> anyhow::Result<Throughput> {
    let begun = Instant::now();
    let workers = mem::take(clients).into_iter().map(|mut client| {
        tokio::spawn(async move {
            let (mut done, mut refused) = (0_u32, 0_u32);
            while begun.elapsed() < length {
                if client.ask().await? {
                    done += 1;
                } else {
                    refused += 1;
                }
            }
            anyhow::Ok((client, done, refused))
        })
    });
    let parts = joined(workers.collect(), length).await?;
    let elapsed = begun.elapsed();
    let (mut done, mut refused) = (0, 0);
    for (client, its_done, its_refused) in parts {
        clients.push(client);
        done += its_done;
        refused += its_refused;
    }
    Ok(Throughput { rate: f64::from(done) / elapsed.as_secs_f64(), refused })
}

/// Requests fall due at a steady rate, whether or not those before are answered. How long one took is
/// counted, in microseconds, from when it fell due and not from when a client was free to send it.
pub async fn open(clients: &mut Vec<Client>, rate: f64, length: Duration) -> anyhow::Result<Histogram<u64>> {
    ensure!(rate.is_finite() && rate > 0.0, "there is no rate to send at");
    let (due, queue) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(queue));
    let workers = mem::take(clients).into_iter().map(|client| tokio::spawn(answer_due(client, queue.clone())));
    let workers: Vec<_> = workers.collect();
    // In a thread of its own: the timers of the runtime are no finer than a millisecond.
    let pacer = tokio::task::spawn_blocking(move || pace(&due, rate, length));
    let parts = joined(workers, length).await?;
    pacer.await?;
    let mut latency = Histogram::<u64>::new(3)?;
    for (client, its_latency) in parts {
        clients.push(client);
        latency.add(&its_latency)?;
    }
    Ok(latency)
}

async fn answer_due(
    mut client: Client,
    queue: Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>,
) -> anyhow::Result<(Client, Histogram<u64>)> {
    let mut latency = Histogram::<u64>::new(3)?;
    loop {
        let intended = queue.lock().await.recv().await;
        let Some(intended) = intended else { return Ok((client, latency)) };
        client.ask().await?;
        latency.record(u64::try_from(intended.elapsed().as_micros())?)?;
    }
}

/// Says when each request falls due.
fn pace(due: &mpsc::UnboundedSender<Instant>, rate: f64, length: Duration) {
    let gap = Duration::from_secs_f64(1.0 / rate);
    let begun = Instant::now();
    let mut intended = Duration::ZERO;
    while intended < length {
        thread::sleep(intended.saturating_sub(begun.elapsed()));
        if due.send(begun + intended).is_err() {
            return;
        }
        intended += gap;
    }
}

/// Sends each request over and over on a connection of its own, whatever comes back, and counts the
/// answers by their status.
pub async fn flood(address: SocketAddr, requests: Vec<Ask>, length: Duration) -> anyhow::Result<BTreeMap<String, u32>> {
    let end = Instant::now() + length;
    let workers: Vec<_> = requests.into_iter().map(|request| tokio::spawn(hammer(address, request, end))).collect();
    let mut answers = BTreeMap::new();
    for part in joined(workers, length).await? {
        for (status, count) in part {
            *answers.entry(status).or_insert(0) += count;
        }
    }
    Ok(answers)
}

async fn hammer(address: SocketAddr, request: Ask, end: Instant) -> anyhow::Result<BTreeMap<String, u32>> {
    let mut answers = BTreeMap::new();
    let mut wire = None;
    while Instant::now() < end {
        let answer = if let Ok(status) = strike(&mut wire, address, &request).await {
            status.as_str().to_owned()
        } else {
            wire = None;
            tokio::time::sleep(PAUSE).await;
            "broken".to_owned()
        };
        *answers.entry(answer).or_insert(0) += 1;
    }
    Ok(answers)
}

async fn strike(wire: &mut Option<Wire>, address: SocketAddr, request: &Ask) -> anyhow::Result<StatusCode> {
    let open = match wire.take() {
        Some(open) => open,
        None => Wire::open(address).await?,
    };
    wire.insert(open).send(request.clone()).await
}

async fn joined<T>(workers: Vec<JoinHandle<anyhow::Result<T>>>, length: Duration) -> anyhow::Result<Vec<T>> {
    let all = async {
        let mut parts = Vec::with_capacity(workers.len());
        for worker in workers {
            parts.push(worker.await??);
        }
        anyhow::Ok(parts)
    };
    tokio::time::timeout(length + PATIENCE, all).await.context("the last answers do not come")?
}

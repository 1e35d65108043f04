//! Load generators.

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

/// How long the last responses may take after the end of a run.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);
/// Delay before reconnecting a broken connection.
const RECONNECT_DELAY: Duration = Duration::from_millis(10);

/// The result of a closed loop.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Responses per second.
    pub rate: f64,
    /// Number of responses.
    pub answered: u32,
    /// Rejections because of overload; they do not count as responses.
    pub refused: u32,
}

/// Runs a closed loop: each client sends the next request when it has the response.
pub async fn closed(clients: &mut Vec<Client>, length: Duration) -> anyhow::Result<Throughput> {
    let start = Instant::now();
    let workers = mem::take(clients).into_iter().map(|mut client| {
        tokio::spawn(async move {
            let (mut done, mut refused) = (0_u32, 0_u32);
            while start.elapsed() < length {
                if client.ask().await? {
                    done += 1;
                } else {
                    refused += 1;
                }
            }
            anyhow::Ok((client, done, refused))
        })
    });
    let results = join_all(workers.collect(), length).await?;
    let elapsed = start.elapsed();
    let (mut done, mut refused) = (0, 0);
    for (client, client_done, client_refused) in results {
        clients.push(client);
        done += client_done;
        refused += client_refused;
    }
    Ok(Throughput { rate: f64::from(done) / elapsed.as_secs_f64(), answered: done, refused })
}

/// Runs an open loop: requests are due at a constant rate, independent of earlier responses. Returns the latency in
/// microseconds, measured from when a request was due and not from when a client was free to send it.
pub async fn open(clients: &mut Vec<Client>, rate: f64, length: Duration) -> anyhow::Result<Histogram<u64>> {
    ensure!(rate.is_finite() && rate > 0.0, "the rate must be positive");
    let (due, queue) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(queue));
    let workers = mem::take(clients).into_iter().map(|client| tokio::spawn(send_due_requests(client, queue.clone())));
    let workers: Vec<_> = workers.collect();
    // On a separate thread, because the runtime's timers have a resolution of one millisecond.
    let pacer = tokio::task::spawn_blocking(move || pace(&due, rate, length));
    let results = join_all(workers, length).await?;
    pacer.await?;
    let mut latency = Histogram::<u64>::new(3)?;
    for (client, client_latency) in results {
        clients.push(client);
        latency.add(&client_latency)?;
    }
    Ok(latency)
}

async fn send_due_requests(
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

/// Sends the time at which each request is due.
fn pace(due: &mpsc::UnboundedSender<Instant>, rate: f64, length: Duration) {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let start = Instant::now();
    let mut intended = Duration::ZERO;
    while intended < length {
        thread::sleep(intended.saturating_sub(start.elapsed()));
        if due.send(start + intended).is_err() {
            return;
        }
        intended += interval;
    }
}

/// Sends each request repeatedly on its own connection, whatever the response. Returns the number of responses by
/// status.
pub async fn flood(address: SocketAddr, requests: Vec<Ask>, length: Duration) -> anyhow::Result<BTreeMap<String, u32>> {
    let end = Instant::now() + length;
    let workers: Vec<_> =
        requests.into_iter().map(|request| tokio::spawn(send_repeatedly(address, request, end))).collect();
    let mut responses = BTreeMap::new();
    for counts in join_all(workers, length).await? {
        for (status, count) in counts {
            *responses.entry(status).or_insert(0) += count;
        }
    }
    Ok(responses)
}

async fn send_repeatedly(address: SocketAddr, request: Ask, end: Instant) -> anyhow::Result<BTreeMap<String, u32>> {
    let mut responses = BTreeMap::new();
    let mut wire = None;
    while Instant::now() < end {
        let outcome = if let Ok(status) = send_once(&mut wire, address, &request).await {
            status.as_str().to_owned()
        } else {
            wire = None;
            tokio::time::sleep(RECONNECT_DELAY).await;
            "broken".to_owned()
        };
        *responses.entry(outcome).or_insert(0) += 1;
    }
    Ok(responses)
}

async fn send_once(wire: &mut Option<Wire>, address: SocketAddr, request: &Ask) -> anyhow::Result<StatusCode> {
    let open = match wire.take() {
        Some(open) => open,
        None => Wire::open(address).await?,
    };
    wire.insert(open).send(request.clone()).await
}

async fn join_all<T>(workers: Vec<JoinHandle<anyhow::Result<T>>>, length: Duration) -> anyhow::Result<Vec<T>> {
    let all = async {
        let mut results = Vec::with_capacity(workers.len());
        for worker in workers {
            results.push(worker.await??);
        }
        anyhow::Ok(results)
    };
    tokio::time::timeout(length + FINISH_TIMEOUT, all).await.context("timed out waiting for the last responses")?
}

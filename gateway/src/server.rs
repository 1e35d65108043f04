use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::{Router, body::Body, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, service_fn};

use crate::{Services, Settings, background, health, metrics};

/// How long a client may take to send the head of a request, or leave a connection idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before accepting again when the system has no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    services: Services,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens and serves; returns as soon as requests are answered.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the settings contradict each other.
    pub async fn start(settings: &Settings, services: Services) -> anyhow::Result<Self> {
        metrics::install();
        let stop = CancellationToken::new();
        let patience = Duration::from_secs(settings.server.stop_seconds.into());

        let listener = listen(&settings.server.bind).await?;
        let address = listener.local_addr()?;
        let router = services.router(settings, &settings.public_url(address)?)?;
        let mut tasks =
            vec![tokio::spawn(accept(listener, router, stop.clone(), patience)), tokio::spawn(keep_up(stop.clone()))];
        if !settings.metrics.bind.is_empty() {
            let listener = listen(&settings.metrics.bind).await?;
            tasks.push(tokio::spawn(accept(
                listener,
                health::metrics_router(services.db.clone()),
                stop.clone(),
                patience,
            )));
        }
        tasks.extend(background::start(&services, &stop));
        Ok(Self { address, services, stop, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The services behind it.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Stops accepting, lets requests finish for a while, and stores what is pending.
    ///
    /// # Errors
    /// When the database does not close.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        for task in self.tasks {
            task.await?;
        }
        Ok(self.services.db.close().await?)
    }
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn keep_up(stop: CancellationToken) {
    stop.run_until_cancelled(metrics::keep_up()).await;
}

/// Serves connections until told to stop, then those that are open for `patience` longer.
async fn accept(listener: TcpListener, router: Router, stop: CancellationToken, patience: Duration) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_PATIENCE);
    let graceful = GracefulShutdown::new();
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let router = router.clone();
        let service = service_fn(move |request: axum::http::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let (server, watcher, stop, cut) = (server.clone(), graceful.watcher(), stop.clone(), cut.clone());
        connections.spawn(async move {
            // hyper waits for the first byte without a limit.
            let first_byte = tokio::time::timeout(HEAD_PATIENCE, stream.readable());
            if !matches!(stop.run_until_cancelled(first_byte).await, Some(Ok(Ok(())))) {
                return;
            }
            // Small answers must not wait for a packet to fill.
            let _ = stream.set_nodelay(true);
            let service = TowerToHyperService::new(service);
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            match cut.run_until_cancelled(watcher.watch(connection)).await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::debug!(%error, "a connection broke"),
                None => tracing::warn!("a request was still running and has been cut off"),
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(patience, graceful.shutdown()).await.is_err() {
        cut.cancel();
    }
    connections.wait().await;
}

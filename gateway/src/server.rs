//! Listens, serves connections, and shuts down gracefully.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, Version, header},
};
use guildhall_kernel::TrustedProxies;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, service_fn};

use crate::{
    background,
    connection::{
        Activity, ConnectionPermit, InFlight, Limits, RequestBody, ResponseBody, Socket, Warning, raise_file_limit,
    },
    health, metrics,
    settings::Settings,
    wiring::Services,
};

/// The shortest interval between two activity checks of a connection.
const MIN_CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a client may take to react to a graceful shutdown of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait after a connection could not be accepted, e.g. because there are too many open files.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A running server.
pub struct Server {
    address: SocketAddr,
    services: Services,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts listening and serving; returns once requests are accepted.
    ///
    /// # Errors
    /// An address cannot be listened on, or the settings contradict each other.
    pub async fn start(settings: &Settings, services: Services) -> anyhow::Result<Self> {
        metrics::install();
        let stop = CancellationToken::new();
        let stop_timeout = Duration::from_secs(settings.server.stop_seconds.into());

        let listener = listen(&settings.server.bind).await?;
        let address = listener.local_addr()?;
        let router = services.router(settings, &settings.public_url(address)?)?;
        let room = raise_file_limit();
        let limits = if settings.limits.enabled {
            let proxies = TrustedProxies::parse(&settings.server.trusted_proxies)?;
            Limits::new(settings.limits.connections.min(room), settings.limits.connections_per_network, proxies)
        } else {
            Limits::new(room, room, TrustedProxies::default())
        };
        let idle = Duration::from_secs(settings.limits.idle_seconds.into());
        let serving = Serving { router, limits, idle, stop: stop.clone(), stop_timeout };
        let mut tasks =
            vec![tokio::spawn(accept(listener, serving.clone())), tokio::spawn(maintain_metrics(stop.clone()))];
        if !settings.metrics.bind.is_empty() {
            let listener = listen(&settings.metrics.bind).await?;
            let router = health::metrics_router(services.db.clone());
            tasks.push(tokio::spawn(accept(listener, Serving { router, ..serving })));
        }
        tasks.extend(background::start(&services, &stop));
        Ok(Self { address, services, stop, tasks })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The services it uses.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// Shuts down gracefully: stops accepting, lets running requests finish within the time limit, and closes the
    /// database.
    ///
    /// # Errors
    /// The database cannot be closed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.services.streams.stop().await;
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

async fn maintain_metrics(stop: CancellationToken) {
    stop.run_until_cancelled(metrics::maintain()).await;
}

/// What the connections of a listener share.
#[derive(Clone)]
struct Serving {
    router: Router,
    limits: Limits,
    /// Idle timeout of a connection.
    idle: Duration,
    stop: CancellationToken,
    /// How long running requests may take to finish during shutdown.
    stop_timeout: Duration,
}

/// Accepts connections until the server stops, then lets the open ones finish within the time limit.
async fn accept(listener: TcpListener, serving: Serving) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(serving.idle);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(serving.idle);
    let (connections, abort) = (TaskTracker::new(), CancellationToken::new());
    let not_accepted = Warning::new("could not accept connections");
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "could not accept a connection");
                    not_accepted.record();
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                    continue;
                }
            },
            () = serving.stop.cancelled() => break,
        };
        // Close it without a response; the client has too many connections open.
        let Some(permit) = serving.limits.acquire(peer.ip()) else { continue };
        let (server, serving, abort) = (server.clone(), serving.clone(), abort.clone());
        connections.spawn(async move {
            serve(&server, stream, permit, peer, &serving, &abort).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(serving.stop_timeout, connections.wait()).await.is_err() {
        abort.cancel();
    }
    connections.wait().await;
}

/// Serves a connection until either side closes it.
async fn serve(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    permit: ConnectionPermit,
    peer: SocketAddr,
    serving: &Serving,
    abort: &CancellationToken,
) {
    // hyper waits for the first byte without a limit. (`readable` is ready at once on a new socket.)
    let first_byte = tokio::time::timeout(serving.idle, async { stream.peek(&mut [0]).await });
    if !matches!(serving.stop.run_until_cancelled(first_byte).await, Some(Ok(Ok(1..)))) {
        return;
    }
    // Without Nagle's algorithm, which would delay small responses.
    let _ = stream.set_nodelay(true);
    let (socket, activity) = Socket::new(stream, permit);
    let (router, service_activity) = (serving.router.clone(), activity.clone());
    let service = service_fn(move |request| respond(router.clone(), service_activity.clone(), peer, request));
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let mut checks = tokio::time::interval((serving.idle / 8).clamp(MIN_CHECK_INTERVAL, Duration::from_secs(5)));
    let mut closing: Option<Instant> = None;
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection failed");
                }
                return;
            }
            () = serving.stop.cancelled(), if closing.is_none() => {
                closing = Some(Instant::now());
                checks = tokio::time::interval(MIN_CHECK_INTERVAL);
                connection.as_mut().graceful_shutdown();
            }
            () = abort.cancelled() => {
                tracing::warn!("aborted a request that was still running");
                return;
            }
            _ = checks.tick() => {
                if activity.is_stalled(serving.idle) {
                    tracing::debug!("closed a connection whose client does not read the response");
                    return;
                }
                // Do not wait for requests that the client has not sent completely, or for a client that ignores the
                // shutdown.
                let closing_timed_out = closing.is_some_and(|since| since.elapsed() >= CLOSE_TIMEOUT);
                if closing_timed_out && activity.waits_for_client(CLOSE_TIMEOUT) {
                    return;
                }
                if closing.is_none() && activity.is_idle(serving.idle) {
                    closing = Some(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Handles one request.
async fn respond(
    router: Router,
    activity: Arc<Activity>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody<Body>>, Infallible> {
    let in_flight = InFlight::begin(activity.clone());
    let keeps_alive = request.version() <= Version::HTTP_11;
    let (parts, body) = request.into_parts();
    let expects_continue = parts.headers.contains_key(header::EXPECT);
    let (body, unread) = RequestBody::new(body, activity);
    let mut request = Request::from_parts(parts, Body::new(body));
    request.extensions_mut().insert(ConnectInfo(peer));
    let Ok(mut response) = router.oneshot(request).await;
    // HTTP/2 does not need this: each request has its own stream.
    if keeps_alive && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let is_read = if expects_continue { unread.is_read() } else { unread.drain().await };
        if !is_read {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    Ok(response.map(|body| in_flight.respond(body)))
}

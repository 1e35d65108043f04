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
    Services, Settings, background,
    connection::{Activity, AnswerBody, InFlight, Limits, RequestBody, Socket, Warning, raise_file_limit},
    health, metrics,
};

/// How often it is looked what goes on on a connection, at the most.
const LOOK: Duration = Duration::from_millis(250);
/// How long a client may take to notice that its connection is being closed.
const CLOSING: Duration = Duration::from_secs(2);
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
        let room = raise_file_limit();
        let limits = if settings.limits.enabled {
            let proxies = TrustedProxies::parse(&settings.server.trusted_proxies)?;
            Limits::new(settings.limits.connections.min(room), settings.limits.connections_per_network, proxies)
        } else {
            Limits::new(room, room, TrustedProxies::default())
        };
        let idle = Duration::from_secs(settings.limits.idle_seconds.into());
        let serving = Serving { router, limits, idle, stop: stop.clone(), patience };
        let mut tasks = vec![tokio::spawn(accept(listener, serving.clone())), tokio::spawn(keep_up(stop.clone()))];
        if !settings.metrics.bind.is_empty() {
            let listener = listen(&settings.metrics.bind).await?;
            let router = health::metrics_router(services.db.clone());
            tasks.push(tokio::spawn(accept(listener, Serving { router, ..serving })));
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

/// How a listener serves.
#[derive(Clone)]
struct Serving {
    router: Router,
    limits: Limits,
    /// How long a connection may be idle.
    idle: Duration,
    stop: CancellationToken,
    /// How long requests may still take once the server has been told to stop.
    patience: Duration,
}

/// Serves connections until told to stop, then those that are open for a while longer.
async fn accept(listener: TcpListener, serving: Serving) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(serving.idle);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(serving.idle);
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    let not_accepted = Warning::new("connections could not be accepted");
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be accepted");
                    not_accepted.note();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            () = serving.stop.cancelled() => break,
        };
        // Closed at once: whoever has so many open does not wait for an answer.
        let Some(place) = serving.limits.place(peer.ip()) else { continue };
        let (server, serving, cut) = (server.clone(), serving.clone(), cut.clone());
        connections.spawn(async move {
            serve(&server, stream, peer, &serving, &cut).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(serving.patience, connections.wait()).await.is_err() {
        cut.cancel();
    }
    connections.wait().await;
}

/// Serves a connection until it is closed, by either side.
async fn serve(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    peer: SocketAddr,
    serving: &Serving,
    cut: &CancellationToken,
) {
    // hyper waits for the first byte without a limit. (`readable` is ready at once on a new socket.)
    let first_byte = tokio::time::timeout(serving.idle, async { stream.peek(&mut [0]).await });
    if !matches!(serving.stop.run_until_cancelled(first_byte).await, Some(Ok(Ok(1..)))) {
        return;
    }
    // Small answers must not wait for a packet to fill.
    let _ = stream.set_nodelay(true);
    let (socket, activity) = Socket::new(stream);
    let (router, of_requests) = (serving.router.clone(), activity.clone());
    let service = service_fn(move |request| answer(router.clone(), of_requests.clone(), peer, request));
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(socket), service));
    let mut look = tokio::time::interval((serving.idle / 8).clamp(LOOK, Duration::from_secs(5)));
    let mut closing: Option<Instant> = None;
    loop {
        tokio::select! {
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = serving.stop.cancelled(), if closing.is_none() => {
                closing = Some(Instant::now());
                look = tokio::time::interval(LOOK);
                connection.as_mut().graceful_shutdown();
            }
            () = cut.cancelled() => {
                tracing::warn!("a request was still running and has been cut off");
                return;
            }
            _ = look.tick() => {
                if activity.is_stalled(serving.idle) {
                    tracing::debug!("a client has not taken its answer");
                    return;
                }
                // Nobody waits for what a client has not even sent, or does not take notice of.
                if closing.is_some_and(|since| since.elapsed() >= CLOSING) && activity.waits_for_client(CLOSING) {
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

/// Answers one request.
async fn answer(
    router: Router,
    activity: Arc<Activity>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody<Body>>, Infallible> {
    let in_flight = InFlight::begin(activity.clone());
    let keeps_alive = request.version() <= Version::HTTP_11;
    let (parts, body) = request.into_parts();
    let waits_for_word = parts.headers.contains_key(header::EXPECT);
    let (body, rest) = RequestBody::new(body, activity);
    let mut request = Request::from_parts(parts, Body::new(body));
    request.extensions_mut().insert(ConnectInfo(peer));
    let Ok(mut response) = router.oneshot(request).await;
    // HTTP/2 has a stream for each request, and can do without.
    if keeps_alive && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let is_read = if waits_for_word { rest.is_read() } else { rest.drain().await };
        if !is_read {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    Ok(response.map(|body| in_flight.answered(body)))
}

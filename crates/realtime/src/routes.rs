//! The handshakes of sockets.

use std::{num::NonZeroU32, sync::Arc};

use axum::{
    extract::{
        FromRef, Query, State,
        ws::{OnFailedUpgrade, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use guildhall_kernel::{Credentials, Error, KeyedLimiter, Kind, Origin, Result, openapi::OperationInput, routes};
use serde::Deserialize;
use serde_json::Map;
use utoipa::{
    IntoParams,
    openapi::{OpenApi, path::Operation},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Position, StreamName, Streams,
    close::Close,
    socket::{self, Mode},
};

/// The subprotocol that the server speaks. Clients that cannot set headers offer their token beside it.
const PROTOCOL: &str = "guildhall.v1";
/// Prefix of the subprotocol that contains an access token.
const BEARER: &str = "bearer.";
/// The size of the read buffer of a socket, in bytes; it is allocated for each. Most frames of clients are smaller.
const READ_BUFFER: usize = 1024;
/// How many bytes are written at once.
const WRITE_BUFFER: usize = 16 * 1024;
/// How many bytes a client may leave unread beyond that.
const MAX_WRITE_BUFFER: usize = 1024 * 1024;

/// What the handshakes need.
#[derive(Clone, FromRef)]
pub struct RealtimeState {
    /// The streams.
    pub streams: Streams,
    handshakes: Handshakes,
}

/// Counts the handshakes of each IPv4 address, and of each IPv6 network.
#[derive(Clone)]
pub struct Handshakes(Option<Arc<KeyedLimiter<String>>>);

impl RealtimeState {
    /// The state for these streams.
    pub fn new(streams: Streams) -> Self {
        let per_minute = NonZeroU32::new(streams.settings().handshakes_per_minute);
        let limiter = per_minute.map(|limit| Arc::new(KeyedLimiter::per_minute(limit)));
        Self { streams, handshakes: Handshakes(limiter) }
    }
}

impl Handshakes {
    /// Counts a handshake of the address of this request; 429 above the limit.
    fn count(&self) -> Result<()> {
        let origin = Origin::current();
        let (Some(limiter), Some(ip)) = (&self.0, origin.ip) else { return Ok(()) };
        // An IPv6 subscriber has a whole network of addresses.
        let key = if ip.is_ipv6() { origin.network() } else { ip.to_string() };
        limiter.count(&key, "Too many connections in a short time. Try again later.")
    }
}

/// What the address of a socket may contain. It is never logged, since it contains secrets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Parameters {
    /// An access token.
    token: Option<String>,
    /// A ticket, from `POST /api/auth/ws-ticket/`.
    ticket: Option<String>,
    /// The number of the last event that the client has, if it follows one stream.
    #[param(value_type = Option<i64>)]
    after: Option<String>,
    /// The epoch of that number, from the first frame.
    #[param(value_type = Option<i64>)]
    epoch: Option<String>,
}

impl Parameters {
    /// Where the client wants to begin; `None` if that is not a number.
    fn position(&self) -> Option<Position> {
        let number = |text: &Option<String>| match text {
            None => Some(None),
            Some(text) => text.parse::<i64>().ok().filter(|number| *number >= 0).map(Some),
        };
        Some(Position { after: number(&self.after)?, epoch: number(&self.epoch)? })
    }
}

/// The handshake of a socket: its parameters, credentials and limits.
pub struct Handshake {
    upgrade: WebSocketUpgrade,
    credentials: Result<Option<Credentials>>,
    parameters: Parameters,
}

impl<S> axum::extract::FromRequestParts<S> for Handshake
where
    RealtimeState: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> std::result::Result<Self, Response> {
        let RealtimeState { streams, handshakes, .. } = RealtimeState::from_ref(state);
        let upgrade = WebSocketUpgrade::from_request_parts(parts, state).await.map_err(|rejection| {
            let detail = "This address is for WebSocket connections.";
            let mut response = Error::new(Kind::Invalid, "websocket_expected", detail).into_response();
            if rejection.status() == axum::http::StatusCode::METHOD_NOT_ALLOWED {
                *response.status_mut() = rejection.status();
            }
            response
        })?;
        handshakes.count().map_err(IntoResponse::into_response)?;
        let query = Query::<Parameters>::from_request_parts(parts, state).await;
        let Query(parameters) = query
            .map_err(|_| Error::new(Kind::Invalid, "bad_query", "The query string is not valid.").into_response())?;
        let credentials = credentials(&parts.headers, &parameters, streams.settings().query_token);
        Ok(Self { upgrade, credentials, parameters })
    }
}

/// The credentials of a handshake: a ticket, a header, a subprotocol or a token in the query string.
fn credentials(headers: &HeaderMap, parameters: &Parameters, allows_query_token: bool) -> Result<Option<Credentials>> {
    if let Some(ticket) = &parameters.ticket {
        return Ok(Some(Credentials::Ticket(ticket.clone())));
    }
    if let Some(credentials) = Credentials::from_headers(headers)? {
        return Ok(Some(credentials));
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|value| value.split(',')).map(str::trim);
    if let Some(token) = offered.find_map(|protocol| protocol.strip_prefix(BEARER)) {
        return Ok(Some(Credentials::Bearer(token.to_owned())));
    }
    match &parameters.token {
        Some(token) if allows_query_token => Ok(Some(Credentials::Bearer(token.clone()))),
        Some(_) => Err(Error::new(Kind::Unauthenticated, "query_token_disabled", "Use a ticket instead of ?token=.")),
        None => Ok(None),
    }
}

impl Handshake {
    /// Accepts the connection and follows one stream. `hello` are further members of the first frame.
    pub fn follow(self, state: RealtimeState, stream: StreamName, hello: Map<String, serde_json::Value>) -> Response {
        match self.parameters.position() {
            Some(position) => self.serve(state, Mode::One { stream, position, hello }),
            None => self.refuse(Close::Protocol),
        }
    }

    /// Accepts the connection and follows the stream of the user.
    fn follow_own(self, state: RealtimeState) -> Response {
        match self.parameters.position() {
            Some(position) => self.serve(state, Mode::Own { position }),
            None => self.refuse(Close::Protocol),
        }
    }

    fn serve(self, state: RealtimeState, mode: Mode) -> Response {
        // The connection is accepted and then closed with a code, because a browser cannot see the status of a failed
        // handshake.
        let Ok(credentials) = self.credentials else { return self.refuse(Close::NotAuthenticated) };
        let frame_bytes = state.streams.settings().frame_bytes;
        let upgrade = configure(self.upgrade, frame_bytes);
        upgrade.on_upgrade(move |socket| socket::serve(socket, state.streams, credentials, mode))
    }

    fn refuse(self, reason: Close) -> Response {
        let upgrade = configure(self.upgrade, READ_BUFFER);
        upgrade.on_upgrade(move |socket: WebSocket| socket::close(socket, reason, None))
    }
}

/// Sets all limits: the defaults allocate 128 KiB for each socket and do not limit what waits to be written.
fn configure(upgrade: WebSocketUpgrade, frame_bytes: usize) -> WebSocketUpgrade<impl OnFailedUpgrade> {
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(frame_bytes)
        .max_frame_size(frame_bytes)
        .on_failed_upgrade(|error: axum::Error| tracing::debug!(%error, "a socket was not opened"))
}

impl OperationInput for Handshake {
    fn describe(operation: &mut Operation, path: &str) {
        <guildhall_kernel::Query<Parameters> as OperationInput>::describe(operation, path);
    }
}

/// `/ws/…`.
pub fn router(state: RealtimeState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The API description of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<RealtimeState> {
    OpenApiRouter::new().routes(routes!(follow_many)).routes(routes!(follow_own))
}

/// Open a WebSocket that follows any number of streams.
///
/// Credentials: `?token=` with an access token, `?ticket=`, the `Authorization` header, the subprotocols `guildhall.v1`
/// and `bearer.TOKEN`, or a first frame `{"type": "auth", "token"}`. The connection is accepted and then closed with
/// 4401 if they are not valid. A client sends `{"type": "subscribe", "stream", "after"?, "epoch"?}` and
/// `{"type": "unsubscribe", "stream"}`. Each frame of a stream contains its name and, unless it is transient, its
/// number `seq`; `after` continues behind a number without gaps or duplicates. An old event that the user may no longer
/// see has the type `hidden`. After one of the type `access_changed`, `unsubscribed` follows if the user may no longer
/// follow the stream.
#[utoipa::path(get, path = "/ws/", tag = "realtime", security(()),
    responses((status = 101, description = "The WebSocket is open.")),
)]
async fn follow_many(State(state): State<RealtimeState>, handshake: Handshake) -> Response {
    handshake.serve(state, Mode::Many)
}

/// Open a WebSocket that follows the caller's own stream: notifications, direct messages and unread counts.
#[utoipa::path(get, path = "/ws/notifications/", tag = "realtime", security(()),
    responses((status = 101, description = "The WebSocket is open.")),
)]
async fn follow_own(State(state): State<RealtimeState>, handshake: Handshake) -> Response {
    handshake.follow_own(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshakes(per_minute: u32) -> Handshakes {
        Handshakes(Some(Arc::new(KeyedLimiter::per_minute(NonZeroU32::new(per_minute).unwrap()))))
    }

    async fn is_allowed(handshakes: &Handshakes, ip: &str) -> bool {
        let origin = Origin { ip: ip.parse().ok(), ..Origin::default() };
        origin.scope(async { handshakes.count().is_ok() }).await
    }

    #[tokio::test]
    async fn the_addresses_of_an_ipv6_network_count_as_one() {
        let handshakes = handshakes(1);
        assert!(is_allowed(&handshakes, "2001:db8::1").await);
        assert!(!is_allowed(&handshakes, "2001:db8::ffff:2").await);
        assert!(is_allowed(&handshakes, "2001:db8:0:1::1").await);
    }

    #[tokio::test]
    async fn each_ipv4_address_counts_for_itself() {
        let handshakes = handshakes(1);
        assert!(is_allowed(&handshakes, "203.0.113.9").await);
        assert!(is_allowed(&handshakes, "203.0.113.10").await);
        assert!(!is_allowed(&handshakes, "203.0.113.9").await);
    }
}

//! Sockets: each has a task that sends what its subscriptions have, and handles what the client sends.

mod commands;
mod incoming;
mod limits;
mod outcome;
mod outgoing;
mod task;

use std::{sync::Arc, time::Duration};

use axum::extract::ws::{Message, WebSocket};
use guildhall_kernel::{Caller, Credentials, Kind};
use serde_json::{Map, Value};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use self::{incoming::Incoming, limits::Limits, outcome::Outcome, task::Task};
use crate::{Position, StreamName, Streams, close::Close};

/// How long a client may take to take note of the close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client whose frames cannot be read has time to read why.
const READ_TIME: Duration = Duration::from_millis(500);
/// The longest delay before clients reconnect to a server that restarts.
const MAX_RESTART_DELAY_MS: u64 = 5000;

/// The streams of a socket.
pub(crate) enum Mode {
    /// One stream, named by the path. Frames do not name it.
    One {
        /// The stream.
        stream: StreamName,
        /// Where the client wants to begin.
        position: Position,
        /// Further members of the first frame.
        hello: Map<String, Value>,
    },
    /// The stream of the user.
    Own {
        /// Where the client wants to begin.
        position: Position,
    },
    /// Any number of streams. Each frame names its stream.
    Many,
}

/// Serves a socket until either side closes it. `credentials` are those of the handshake; without any, the first frame
/// has to contain them.
pub(crate) async fn serve(mut socket: WebSocket, streams: Streams, credentials: Option<Credentials>, mode: Mode) {
    // What ends before the socket is served, and what follows after, takes no memory meanwhile.
    let caller = match Box::pin(authenticate(&mut socket, &streams, credentials)).await {
        Ok(caller) => caller,
        Err(reason) => return Box::pin(close(socket, reason, None)).await,
    };
    let wake = Arc::new(Notify::new());
    let connection = streams.connections().add(&caller, wake.clone(), streams.settings().sockets_per_user);
    let mut task = Task {
        socket: &mut socket,
        streams: &streams,
        caller,
        connection: &connection,
        wake,
        subscriptions: Vec::new(),
        is_many: matches!(mode, Mode::Many),
        limits: Limits::new(streams.settings().frames_per_second),
        has_announced_expiry: false,
    };
    if let Err(reason) = task.run(mode).await {
        drop(task);
        let jitter = connection.id.wrapping_mul(7919) % MAX_RESTART_DELAY_MS;
        let delay = (reason == Close::Restart).then(|| Duration::from_millis(jitter));
        Box::pin(close(socket, reason, delay)).await;
    }
}

/// Closes a socket for a reason. `delay` is how long the client should wait before it reconnects.
pub(crate) async fn close(mut socket: WebSocket, reason: Close, delay: Option<Duration>) {
    let closing = async {
        for frame in reason.frames(delay) {
            socket.send(frame).await?;
        }
        // Waits until the client has closed too: it might not get the frames otherwise.
        while let Some(Ok(_)) = socket.recv().await {}
        Ok::<_, axum::Error>(())
    };
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
    if matches!(reason, Close::TooLarge | Close::NotText | Close::NotWebSocket) {
        // The rest of what the client has sent cannot be read. The connection is reset when it is dropped, and a client
        // that has not read the frames by then does not get them.
        sleep(READ_TIME).await;
    }
}

/// The user of a socket. Without credentials in the handshake, they have to come in the first frame.
async fn authenticate(socket: &mut WebSocket, streams: &Streams, credentials: Option<Credentials>) -> Outcome<Caller> {
    let credentials = if let Some(credentials) = credentials {
        credentials
    } else {
        let limit = Duration::from_secs(streams.settings().auth_seconds.into());
        let Ok(Some(Ok(Message::Text(text)))) = timeout(limit, socket.recv()).await else {
            return Err(Close::NotAuthenticated);
        };
        match Incoming::parse(&text) {
            Ok(Incoming { kind, token: Some(token), .. }) if kind == "auth" => Credentials::Bearer(token),
            _ => return Err(Close::NotAuthenticated),
        }
    };
    streams.auth().authenticate(credentials).await.map_err(|error| match error.kind() {
        Kind::Internal => Close::Internal,
        _ => Close::NotAuthenticated,
    })
}

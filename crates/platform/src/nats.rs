use std::{
    sync::{Mutex as SyncMutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Event, RequestErrorKind, ServerAddr, Subscriber};
use async_trait::async_trait;
use axum::{body::Bytes, http::Uri};
use futures_util::StreamExt;
use guildhall_realtime::{Arrival, Arrive, Bus, Notice};
use tokio::{
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};

use crate::{error::message_of, percent::percent_decoded};

/// How many notices wait to be sent.
const QUEUE: usize = 10_000;
/// How many commands the client holds: few, since they are out of date when a connection comes back.
const CLIENT_QUEUE: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server that does not read is waited for before a notice is dropped.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
const FLUSH_INTERVAL: Duration = Duration::from_millis(10);
/// A server that does not answer two pings is taken for lost.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Exchanges notices over a NATS server or cluster, at most once and without storing them there.
pub struct NatsBus {
    servers: Vec<ServerAddr>,
    login: Option<Login>,
    subject: String,
    outgoing: mpsc::Sender<Notice>,
    waiting: Mutex<mpsc::Receiver<Notice>>,
    /// While it is connected.
    client: SyncMutex<Option<Client>>,
}

/// What a server asks for.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    User(String, String),
    Token(String),
}

/// The URL of a NATS server is malformed. It is not shown: it may contain a secret.
#[derive(Debug, thiserror::Error)]
#[error("must be a URL like nats://user:password@nats.example.org:4222, or several of them separated by commas")]
pub struct InvalidNatsServer;

impl NatsBus {
    /// The bus on one subject of a server, or of the servers of a cluster, separated by commas: `nats://` or `tls://`,
    /// with `user:password@`, `token@` or no login. Only the processes of one installation may use the subject. Nothing is connected before the bus runs.
    ///
    /// # Errors
    /// If a URL is malformed.
    pub fn new(urls: &str, subject: String) -> Result<Self, InvalidNatsServer> {
        let (mut servers, mut login) = (Vec::new(), None);
        for url in urls.split(',') {
            let uri: Uri = url.parse().map_err(|_| InvalidNatsServer)?;
            let has_host = uri.host().is_some_and(|host| !host.is_empty());
            if !has_host || !matches!(uri.scheme_str(), Some("nats" | "tls")) {
                return Err(InvalidNatsServer);
            }
            let server: ServerAddr = url.parse().map_err(|_| InvalidNatsServer)?;
            if let Some(user) = server.username() {
                let decode = |text| percent_decoded(text).ok_or(InvalidNatsServer);
                login = Some(match server.password() {
                    Some(password) => Login::User(decode(user)?, decode(password)?),
                    None => Login::Token(decode(user)?),
                });
            }
            servers.push(server);
        }
        let (outgoing, waiting) = mpsc::channel(QUEUE);
        let (waiting, client) = (Mutex::new(waiting), SyncMutex::default());
        Ok(Self { servers, login, subject, outgoing, waiting, client })
    }

    fn client(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges notices over a connection, until it is lost.
    async fn exchange(&self, arrive: Arrive<'_>) -> Result<(), async_nats::Error> {
        let (events, mut changes) = mpsc::unbounded_channel();
        let options = ConnectOptions::new()
            .name("guildhall")
            .no_echo()
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(CONNECT_TIMEOUT))
            .client_capacity(CLIENT_QUEUE)
            .subscription_capacity(QUEUE)
            // So that a login needs no permission outside the subject.
            .custom_inbox_prefix(format!("{}.inbox", self.subject))
            .ignore_discovered_servers()
            // It connects again with the next call, without what the lost connection has not sent.
            .max_reconnects(self.servers.len())
            .event_callback(move |event| {
                // Nobody is there any more after the connection was given up.
                let _ = events.send(event);
                async {}
            });
        let options = match &self.login {
            Some(Login::User(name, password)) => options.user_and_password(name.clone(), password.clone()),
            Some(Login::Token(token)) => options.token(token.clone()),
            None => options,
        };
        let client = options.connect(self.servers.as_slice()).await?;
        let notices = client.subscribe(self.subject.clone()).await?;
        self.await_subscription(&client).await?;
        *self.client() = Some(client.clone());
        arrive(Arrival::Connected);
        let lost = async {
            while let Some(event) = changes.recv().await {
                match event {
                    Event::Disconnected | Event::Closed => break,
                    // The client has dropped notices that this process did not take in time.
                    Event::SlowConsumer(_) => arrive(Arrival::Connected),
                    _ => {}
                }
            }
        };
        tokio::select! {
            () = lost => {}
            () = self.send_waiting(&client) => {}
            () = receive(notices, arrive) => {}
        }
        Ok(())
    }

    /// Waits until the server has the subscription. It handles the commands of a connection in their order, so it has
    /// if it answers a later request; that nobody is there to take the request is the expected answer.
    async fn await_subscription(&self, client: &Client) -> Result<(), async_nats::Error> {
        match client.request(format!("{}.ready", self.subject), Bytes::new()).await {
            Err(error) if error.kind() != RequestErrorKind::NoResponders => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn send_waiting(&self, client: &Client) {
        let mut waiting = self.waiting.lock().await;
        while let Some(notice) = waiting.recv().await {
            let Some(line) = notice.encode() else { continue };
            if let Ok(Err(error)) = timeout(SEND_TIMEOUT, client.publish(self.subject.clone(), line.into())).await {
                tracing::debug!(%error, "could not send a notice");
            }
        }
    }
}

async fn receive(mut notices: Subscriber, arrive: Arrive<'_>) {
    while let Some(message) = notices.next().await {
        let line = str::from_utf8(&message.payload);
        if let Some(notice) = line.ok().and_then(Notice::decode) {
            arrive(Arrival::Notice(notice));
        }
    }
}

#[async_trait]
impl Bus for NatsBus {
    fn send(&self, notice: Notice) {
        if self.client().is_some() {
            // If the queue is full, the notice is dropped: the others find events in the database, and what is not stored
            // may be lost.
            let _ = self.outgoing.try_send(notice);
        }
    }

    async fn flush(&self) {
        let Some(client) = self.client().clone() else { return };
        while self.outgoing.capacity() < QUEUE {
            sleep(FLUSH_INTERVAL).await;
        }
        // The last notice was taken from the queue, but perhaps not yet given to the client.
        sleep(FLUSH_INTERVAL).await;
        if let Err(error) = client.flush().await {
            tracing::debug!(%error, "the last notices may not have been sent");
        }
    }

    async fn run(&self, arrive: Arrive<'_>) {
        let mut is_lost = false;
        loop {
            let was_lost = is_lost;
            let arrive_here = |arrival| {
                if matches!(arrival, Arrival::Connected) && was_lost {
                    tracing::info!("NATS is connected again");
                }
                arrive(arrival);
            };
            let outcome = self.exchange(&arrive_here).await;
            let was_connected = self.client().take().is_some();
            if was_connected || !is_lost {
                let error = outcome.err().map(|error| message_of(&*error)).unwrap_or_default();
                tracing::warn!(error, "NATS is not connected; polling the database instead");
            }
            is_lost = true;
            arrive(Arrival::Disconnected);
            let mut waiting = self.waiting.lock().await;
            while waiting.try_recv().is_ok() {}
            drop(waiting);
            sleep(RETRY_DELAY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers_and_a_login() {
        let bus = NatsBus::new("nats://guild:s%2Fcret@one.example.org,tls://two.example.org:4333", "a".to_owned());
        let bus = bus.unwrap();
        assert_eq!(bus.login, Some(Login::User("guild".to_owned(), "s/cret".to_owned())));
        let ports: Vec<_> = bus.servers.iter().map(|server| (server.port(), server.tls_required())).collect();
        assert_eq!(ports, [(4222, false), (4333, true)]);
        let bus = NatsBus::new("nats://s%2Fcret@one.example.org", "a".to_owned()).unwrap();
        assert_eq!(bus.login, Some(Login::Token("s/cret".to_owned())));
        for bad in ["", "nats://", "http://one.example.org", "one.example.org", "nats://one,", "nats://a:b%zz@one"] {
            assert!(NatsBus::new(bad, "a".to_owned()).is_err(), "{bad}");
        }
    }
}

//! Notifications between the processes on a PostgreSQL database.

use sea_orm::{ConnectionTrait, DbErr, RuntimeErr};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::sql::execute;

/// The channel on which processes without a dispatcher of events notify those that have one.
pub(crate) const EVENTS: &str = "guildhall_events";

/// A transaction of its own, whose commit does not wait for the disk: PostgreSQL commits transactions that notify one
/// after the other. Nobody needs a notification after a crash.
const NOTIFY: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

/// The greatest length of a payload that PostgreSQL accepts, in bytes.
pub const MAX_PAYLOAD: usize = 7999;

/// Sends a notification to all who listen on a PostgreSQL channel, also to this process. Its payload may have up to
/// [`MAX_PAYLOAD`] bytes.
///
/// # Errors
/// Those of the database.
pub async fn notify(conn: &impl ConnectionTrait, channel: &str, payload: &str) -> Result<(), DbErr> {
    execute(conn, NOTIFY, [channel.into(), payload.into()]).await.map(|_| ())
}

/// Listens on a PostgreSQL channel, on a connection of its own.
pub struct Listener {
    options: PgConnectOptions,
    channel: &'static str,
    connected: Option<PgListener>,
}

impl Listener {
    pub(super) fn new(options: PgConnectOptions, channel: &'static str) -> Self {
        Self { options, channel, connected: None }
    }

    /// The payload of the next notification. `None` when a connection begins, the first one or another one after it was
    /// lost: notifications from before may be missing. May be cancelled.
    ///
    /// # Errors
    /// If the database cannot be reached. The next call connects again; the caller decides when.
    pub async fn next(&mut self) -> Result<Option<String>, DbErr> {
        let Some(listener) = &mut self.connected else {
            self.connected = Some(self.connect().await.map_err(failed)?);
            return Ok(None);
        };
        match listener.try_recv().await {
            Ok(Some(notification)) => return Ok(Some(notification.payload().to_owned())),
            Ok(None) => self.connected = None,
            Err(error) => {
                // The driver would go on with the same connection.
                self.connected = None;
                return Err(failed(error));
            }
        }
        self.connected = Some(self.connect().await.map_err(failed)?);
        Ok(None)
    }

    /// Closes the connection; the next call of [`next`](Self::next) opens another one.
    pub fn disconnect(&mut self) {
        self.connected = None;
    }

    async fn connect(&self) -> Result<PgListener, sqlx::Error> {
        // Not from the pool of the requests: it would be short of a connection, and could not close.
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let mut listener = PgListener::connect_with(&pool.connect_with(self.options.clone()).await?).await?;
        // Whoever listens has to know that notifications were lost.
        listener.eager_reconnect(false);
        listener.listen(self.channel).await?;
        Ok(listener)
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

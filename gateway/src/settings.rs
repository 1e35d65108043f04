//! The settings of the server.

mod check;
mod effective;
mod encryption;
mod keys;
mod load;
mod urls;

use std::{num::NonZero, path::PathBuf, thread::available_parallelism};

use guildhall_kernel::outbox::EmailLimits;
use serde::{Deserialize, Deserializer, de};

use self::encryption::Encryption;

pub use load::Sources;
pub(crate) use urls::sqlite_url;

/// All settings. They are documented in `config/default.toml`, which is also the source of the defaults.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// The folder of the embedded database and uploaded files.
    pub data_dir: PathBuf,
    /// The server itself.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// Rate limits, sizes and connection limits.
    pub limits: Limits,
    /// Storage of uploaded files.
    pub files: Files,
    /// Outgoing email.
    pub mail: Mail,
    /// Encryption of direct messages at rest.
    pub encryption: Encryption,
    /// Cross-origin access to the API.
    pub cors: Cors,
    /// Logging.
    pub log: Log,
    /// The metrics endpoint.
    pub metrics: Metrics,
    /// Accounts and tokens.
    pub accounts: guildhall_accounts::Settings,
    /// Groups.
    pub community: guildhall_community::Settings,
    /// Organizations.
    pub deals: guildhall_deals::Settings,
    /// Direct messages.
    pub messaging: guildhall_messaging::Settings,
    /// Chat rooms.
    pub chat: guildhall_chat::Settings,
    /// Sockets.
    pub realtime: guildhall_realtime::Settings,
    /// The connection to other processes.
    pub nats: Nats,
}

/// The section `server`.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Address and port to listen on.
    pub bind: String,
    /// The display name of the service.
    pub name: String,
    /// The public base URL; if empty, it is derived from the listening address.
    pub public_url: String,
    /// Networks of the proxies whose `X-Forwarded-For` header is trusted.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// Request timeout, in seconds.
    pub request_seconds: u32,
    /// How long running requests may take to finish during shutdown, in seconds.
    pub stop_seconds: u32,
}

/// The section `database`.
#[derive(Clone, Debug, Deserialize)]
pub struct Database {
    /// The URL; if empty, an SQLite file in the data folder.
    pub url: String,
    /// Maximum number of connections; 0 derives it from the number of cores.
    pub connections: u32,
    /// Statement timeout, in seconds.
    pub statement_seconds: u32,
}

/// The section `limits`.
#[derive(Clone, Debug, Deserialize)]
pub struct Limits {
    /// Whether rate limits and throttles are enforced.
    pub enabled: bool,
    /// Maximum size of a request body, in bytes.
    pub body_bytes: usize,
    /// Maximum size of an uploaded file, in bytes.
    pub upload_bytes: usize,
    /// Maximum number of bytes that a user may upload per day.
    pub upload_bytes_per_day: u64,
    /// Uploads are rejected if less than this share of the disk is free, in percent.
    pub free_disk_percent: u8,
    /// Maximum number of write requests per user and minute.
    pub writes_per_minute: u32,
    /// Maximum number of concurrent requests per client; further requests wait.
    pub requests_at_once: usize,
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections from one network.
    pub connections_per_network: usize,
    /// Idle timeout of a connection, in seconds.
    pub idle_seconds: u32,
}

/// The section `files`.
#[derive(Clone, Debug, Deserialize)]
pub struct Files {
    /// The URL of the object store; if empty, a folder in the data folder.
    pub url: String,
}

/// The section `mail`.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The URL of the mail server; if empty, emails stay in the outbox.
    pub smtp_url: String,
    /// The sender of emails.
    pub from: String,
    /// Limits on emails to one address that other users trigger.
    pub limits: EmailLimits,
}

/// The section `nats`.
#[derive(Clone, Debug, Deserialize)]
pub struct Nats {
    /// The URL of a NATS server that joins several processes; if empty, PostgreSQL does.
    pub url: String,
}

/// The section `cors`.
#[derive(Clone, Debug, Deserialize)]
pub struct Cors {
    /// Origins whose pages may call the API.
    #[serde(deserialize_with = "list")]
    pub origins: Vec<String>,
}

/// The section `log`.
#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    /// The log filter.
    pub filter: String,
    /// The log format.
    pub format: LogFormat,
}

/// The log format.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The section `metrics`.
#[derive(Clone, Debug, Deserialize)]
pub struct Metrics {
    /// A separate listening address; if empty, the server's own, where only staff have access.
    pub bind: String,
}

impl Settings {
    /// The maximum number of database connections.
    pub fn connections(&self) -> u32 {
        if self.database.connections > 0 {
            return self.database.connections;
        }
        let cores = available_parallelism().map_or(1, NonZero::get);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        if self.database_url().starts_with("sqlite:") { (cores * 2).max(4) } else { cores * 4 }
    }
}

/// Deserializes a list, or the comma-separated items of an environment variable.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> de::Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of strings")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_any(List)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads the settings with these environment variables.
    pub(super) fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::load(&Sources { variables, ..Sources::default() })
    }

    #[test]
    fn the_default_file_matches_the_default_settings() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.accounts, guildhall_accounts::Settings::default());
        assert_eq!(settings.community, guildhall_community::Settings::default());
        assert_eq!(settings.deals, guildhall_deals::Settings::default());
        assert_eq!(settings.chat, guildhall_chat::Settings::default());
        assert_eq!(settings.mail.limits, EmailLimits::default());
        assert_eq!(settings.server.bind, "127.0.0.1:8000");
        assert_eq!(settings.database_url(), "sqlite://data/guildhall.db?mode=rwc");
        assert_eq!(settings.files_folder(), Some("data/files".into()));
    }
}

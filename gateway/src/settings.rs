use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use config::{Config, Environment, File, FileFormat, Value, ValueKind};
use guildhall_kernel::{PublicUrl, TrustedProxies, outbox::EmailLimits};
use serde::{Deserialize, Deserializer, de};

const DEFAULTS: &str = include_str!("../../config/default.toml");
const PRODUCTION: &str = "production";

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

/// The sources of settings besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `GUILDHALL_ENV`: the name of a file in `folder`.
    pub environment: Option<String>,
    /// The folder `config`.
    pub folder: PathBuf,
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// Settings from the command line: key and value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The sources of this process, with its command-line flags.
    pub fn of_process(flags: Vec<(&'static str, String)>) -> Self {
        let variables: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = variables.get("GUILDHALL_ENV").filter(|name| !name.is_empty()).cloned();
        Self { environment, folder: "config".into(), variables, flags }
    }

    /// The file that `GUILDHALL_ENV` names, if it does not exist. That is allowed, as all settings can come from the
    /// environment, but it is also what a typo in the name looks like.
    pub fn missing_file(&self) -> Option<PathBuf> {
        let name = self.environment.as_ref()?;
        let file = self.folder.join(format!("{name}.toml"));
        (!file.exists()).then_some(file)
    }
}

impl Settings {
    /// Reads, merges and validates the settings.
    ///
    /// # Errors
    /// All errors, one per line: unknown keys with the nearest known key, invalid values with their key.
    pub fn load(sources: &Sources) -> Result<Self, String> {
        let merged = merge(sources)?;
        let known = flatten(&defaults()?);
        let mut errors: Vec<String> =
            flatten(&merged).keys().filter(|key| !known.contains_key(*key)).map(|key| unknown(key, &known)).collect();
        if !errors.is_empty() {
            return Err(errors.join("\n"));
        }
        let settings: Self = merged.try_deserialize().map_err(|error| error.to_string().replace('\n', " "))?;
        errors.extend(settings.errors(sources.environment.as_deref()));
        if errors.is_empty() { Ok(settings) } else { Err(errors.join("\n")) }
    }

    /// The effective value of each key, with secrets masked.
    ///
    /// # Errors
    /// The settings cannot be loaded.
    pub fn effective(sources: &Sources) -> Result<Vec<(String, String)>, String> {
        Self::load(sources)?;
        Ok(flatten(&merge(sources)?).into_iter().map(|(key, value)| (key, mask(&value))).collect())
    }

    fn errors(&self, environment: Option<&str>) -> Vec<String> {
        let mut errors = Vec::new();
        if !self.limits.enabled && environment == Some(PRODUCTION) {
            errors.push("limits.enabled must not be false with GUILDHALL_ENV=production".to_owned());
        }
        for (key, value) in [
            ("limits.body_bytes", self.limits.body_bytes),
            ("limits.upload_bytes", self.limits.upload_bytes),
            ("limits.writes_per_minute", self.limits.writes_per_minute as usize),
            ("limits.requests_at_once", self.limits.requests_at_once),
            ("limits.connections", self.limits.connections),
            ("limits.connections_per_network", self.limits.connections_per_network),
            ("limits.idle_seconds", self.limits.idle_seconds as usize),
            ("database.statement_seconds", self.database.statement_seconds as usize),
            ("server.request_seconds", self.server.request_seconds as usize),
        ] {
            if value == 0 {
                errors.push(format!("{key} must be at least 1"));
            }
        }
        if self.limits.free_disk_percent > 100 {
            errors.push("limits.free_disk_percent must be at most 100".to_owned());
        }
        for (key, address) in [("server.bind", &self.server.bind), ("metrics.bind", &self.metrics.bind)] {
            let optional = key == "metrics.bind" && address.is_empty();
            if !optional
                && address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                errors.push(format!("{key} must be an address and port like 127.0.0.1:8000, but is {address:?}"));
            }
        }
        if !self.server.public_url.is_empty()
            && let Err(error) = self.server.public_url.parse::<PublicUrl>()
        {
            errors.push(format!("server.public_url {error}"));
        }
        if let Err(error) = TrustedProxies::parse(&self.server.trusted_proxies) {
            errors.push(format!("server.trusted_proxies: {error}"));
        }
        if self.server.name.trim().is_empty() || self.server.name.chars().any(char::is_control) {
            errors.push("server.name must not be empty or contain control characters".to_owned());
        }
        let smtp = ["smtp://", "smtps://"];
        if !self.mail.smtp_url.is_empty() && !smtp.iter().any(|scheme| self.mail.smtp_url.starts_with(scheme)) {
            errors.push("mail.smtp_url must begin with smtp:// or smtps://".to_owned());
        }
        if !self.files.url.is_empty() && !self.files.url.starts_with("s3://") {
            errors.push("files.url must begin with s3://".to_owned());
        }
        let schemes = ["sqlite:", "postgres://", "postgresql://"];
        if !self.database.url.is_empty() && !schemes.iter().any(|scheme| self.database.url.starts_with(scheme)) {
            errors.push("database.url must begin with sqlite:// or postgres://".to_owned());
        }
        for origin in &self.cors.origins {
            let parsed = origin.parse::<PublicUrl>();
            if parsed.is_err() || origin.matches('/').count() != 2 {
                errors.push(format!("cors.origins: {origin:?} is not an origin like https://example.org"));
            }
        }
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::EnvFilter>() {
            errors.push(format!("log.filter: {error}"));
        }
        errors.extend(self.accounts.errors());
        errors
    }

    /// The URL of the database.
    pub fn database_url(&self) -> String {
        if self.database.url.is_empty() {
            let path = self.data_dir.join("guildhall.db").display().to_string();
            // Escape the characters that are special in a URL.
            let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
            return format!("sqlite://{path}?mode=rwc");
        }
        self.database.url.clone()
    }

    /// The folder of uploaded files, unless they are in an object store.
    pub fn files_folder(&self) -> Option<PathBuf> {
        self.files.url.is_empty().then(|| self.data_dir.join("files"))
    }

    /// Host and port of the mail server, without credentials.
    pub fn mail_host(&self) -> Option<&str> {
        let (_, rest) = self.mail.smtp_url.split_once("://")?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        rest.split(['/', '?']).next()
    }

    /// The maximum number of database connections.
    pub fn connections(&self) -> u32 {
        if self.database.connections > 0 {
            return self.database.connections;
        }
        let cores = available_parallelism().map_or(1, NonZero::get);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        if self.database_url().starts_with("sqlite:") { (cores * 2).max(4) } else { cores * 4 }
    }

    /// The public URL as far as the settings determine it, before the server listens.
    ///
    /// # Errors
    /// The settings do not form a valid URL.
    pub fn expected_url(&self) -> anyhow::Result<PublicUrl> {
        match self.server.bind.parse() {
            Ok(address) => self.public_url(address),
            Err(_) if self.server.public_url.is_empty() => Ok(format!("http://{}", self.server.bind).parse()?),
            Err(_) => Ok(self.server.public_url.parse()?),
        }
    }

    /// The public URL of a server that listens on `listening`.
    ///
    /// # Errors
    /// `server.public_url` is not a valid URL.
    pub fn public_url(&self, listening: SocketAddr) -> anyhow::Result<PublicUrl> {
        if !self.server.public_url.is_empty() {
            return Ok(self.server.public_url.parse()?);
        }
        let host = if listening.ip().is_unspecified() {
            format!("localhost:{}", listening.port())
        } else {
            listening.to_string()
        };
        Ok(format!("http://{host}").parse()?)
    }
}

fn defaults() -> Result<Config, String> {
    let file = File::from_str(DEFAULTS, FileFormat::Toml);
    Config::builder().add_source(file).build().map_err(|error| error.to_string())
}

fn merge(sources: &Sources) -> Result<Config, String> {
    let variables = Environment::with_prefix("GUILDHALL")
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true)
        .source(Some(sources.variables.clone().into_iter().collect()));
    let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(name) = &sources.environment
        && let Some(file) = environment_file(&sources.folder, name)?
    {
        builder = builder.add_source(file);
    }
    builder = builder.add_source(variables);
    for (key, value) in &sources.flags {
        builder = builder.set_override(key, value.as_str()).map_err(|error| error.to_string())?;
    }
    builder.build().map_err(|error| error.to_string())
}

/// Reads the file that `GUILDHALL_ENV` names; `None` if it does not exist. Values must have the types of the defaults,
/// because the library would accept a number for a boolean.
fn environment_file(folder: &Path, name: &str) -> Result<Option<Config>, String> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(format!("GUILDHALL_ENV must be a plain word like production, but is {name:?}"));
    }
    let path = folder.join(format!("{name}.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    if let Err(error) = text.parse::<toml::Table>() {
        let text_before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, message) = (text_before.matches('\n').count() + 1, error.message().replace('\n', " "));
        return Err(format!("{}: line {line}: {message}", path.display()));
    }
    let file = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
    let file = file.map_err(|error| error.to_string().replace('\n', " "))?;
    let (known, mut errors) = (value_types(&defaults()?), Vec::new());
    for (key, actual) in value_types(&file) {
        if let Some(expected) = known.get(&key)
            && *expected != actual
        {
            errors.push(format!("{key} must be {expected}, but is {actual} in {}", path.display()));
        }
    }
    if errors.is_empty() { Ok(Some(file)) } else { Err(errors.join("\n")) }
}

/// The types of all values, as named in messages.
fn value_types(config: &Config) -> BTreeMap<String, &'static str> {
    fn walk(prefix: &str, value: &Value, into: &mut BTreeMap<String, &'static str>) {
        let kind = match &value.kind {
            ValueKind::Table(table) => {
                for (key, value) in table {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, into);
                }
                return;
            }
            ValueKind::Boolean(_) => "true or false",
            ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => "a whole number",
            ValueKind::Float(_) => "a decimal number",
            ValueKind::String(_) => "a string",
            ValueKind::Array(_) => "a list",
            ValueKind::Nil => "null",
        };
        into.insert(prefix.to_owned(), kind);
    }
    let mut types = BTreeMap::new();
    walk("", &config.cache, &mut types);
    types
}

fn flatten(config: &Config) -> BTreeMap<String, String> {
    fn walk(prefix: &str, value: &Value, into: &mut BTreeMap<String, String>) {
        match &value.kind {
            ValueKind::Table(table) => {
                for (key, value) in table {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, into);
                }
            }
            ValueKind::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| format!("{:?}", item.to_string())).collect();
                into.insert(prefix.to_owned(), format!("[{}]", items.join(", ")));
            }
            ValueKind::String(text) => {
                into.insert(prefix.to_owned(), format!("{text:?}"));
            }
            other => {
                into.insert(prefix.to_owned(), other.to_string());
            }
        }
    }
    let mut flat = BTreeMap::new();
    walk("", &config.cache, &mut flat);
    flat
}

fn unknown(key: &str, known: &BTreeMap<String, String>) -> String {
    let nearest =
        known.keys().max_by(|one, other| strsim::jaro_winkler(key, one).total_cmp(&strsim::jaro_winkler(key, other)));
    match nearest {
        Some(nearest) => format!("unknown setting {key}; did you mean {nearest}?"),
        None => format!("unknown setting {key}"),
    }
}

/// URL parameters that do not contain secrets.
const PUBLIC_PARAMETERS: [&str; 9] =
    ["application_name", "host", "mode", "port", "region", "sslmode", "tls", "user", "dbname"];

/// Masks the password of a URL and all parameters that are not known to be public.
fn mask(value: &str) -> String {
    if !value.contains("://") {
        return value.to_owned();
    }
    let (address, query) = value.split_once('?').unwrap_or((value, ""));
    let quote = if query.ends_with('"') { "\"" } else { "" };
    let mut result = mask_login(address);
    for (index, parameter) in
        query.trim_end_matches('"').split('&').filter(|parameter| !parameter.is_empty()).enumerate()
    {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        let separator = if index == 0 { '?' } else { '&' };
        let masked = if PUBLIC_PARAMETERS.contains(&name) { parameter.to_owned() } else { format!("{name}=…") };
        result = format!("{result}{separator}{masked}");
    }
    format!("{result}{quote}")
}

fn mask_login(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return value.to_owned() };
    match login.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:…@{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::load(&Sources { variables, ..Sources::default() })
    }

    /// Loads the settings with `text` as the file `config/test.toml`.
    fn load_file(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.toml"), text).unwrap();
        let folder = folder.path().to_owned();
        Settings::load(&Sources { environment: Some("test".into()), folder, ..Sources::default() })
    }

    #[test]
    fn fault_t11_an_invalid_value_prevents_the_start_with_a_one_line_message() {
        for (text, expected) in [
            ("[limits]\nenabled = 7", "limits.enabled must be true or false"),
            ("[limits]\nenabled = \"yes\"", "limits.enabled must be true or false"),
            ("[server]\nrequest_seconds = 1.5", "server.request_seconds must be a whole number"),
            ("[server]\nrequest_seconds = true", "server.request_seconds must be a whole number"),
            ("[cors]\norigins = 3", "cors.origins must be a list"),
            ("data_dir = 5", "data_dir must be a string"),
            ("[limits]\nconnections = -1", "limits.connections"),
            ("[limits]\n\nenabled = = 7\n", "line 3"),
            ("[limits\nx", "line 1"),
        ] {
            let error = load_file(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{text:?}: {error:?}");
        }
        assert!(load_file("[limits]\nenabled = false").unwrap().limits.body_bytes > 0);
    }

    #[test]
    fn fault_19_url_parameters_that_may_be_secret_are_masked() {
        for (value, masked) in [
            (
                "\"s3://key:secret@s3.example.org/b?region=eu&q=SECRET\"",
                "\"s3://key:…@s3.example.org/b?region=eu&q=…\"",
            ),
            (
                "\"postgres://u@h/d?password=hunter2&sslmode=require\"",
                "\"postgres://u@h/d?password=…&sslmode=require\"",
            ),
            ("\"plain text?x=1\"", "\"plain text?x=1\""),
        ] {
            assert_eq!(mask(value), masked);
        }
    }

    #[test]
    fn the_default_file_matches_the_default_settings() {
        let settings = load(&[]).unwrap();
        assert_eq!(settings.accounts, guildhall_accounts::Settings::default());
        assert_eq!(settings.community, guildhall_community::Settings::default());
        assert_eq!(settings.deals, guildhall_deals::Settings::default());
        assert_eq!(settings.mail.limits, EmailLimits::default());
        assert_eq!(settings.server.bind, "127.0.0.1:8000");
        assert_eq!(settings.database_url(), "sqlite://data/guildhall.db?mode=rwc");
        assert_eq!(settings.files_folder(), Some("data/files".into()));
    }

    #[test]
    fn every_key_of_the_default_file_has_a_comment() {
        let mut previous = "";
        for line in DEFAULTS.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(previous.starts_with('#'), "{line}");
            }
            previous = line;
        }
    }

    #[test]
    fn the_environment_overrides_the_defaults_unless_empty() {
        let settings = load(&[
            ("GUILDHALL__SERVER__BIND", "0.0.0.0:9000"),
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "60"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "32768"),
            ("GUILDHALL__LIMITS__ENABLED", "false"),
            ("GUILDHALL__CORS__ORIGINS", "https://a.example, http://localhost:3000"),
            ("GUILDHALL__DATABASE__URL", ""),
        ])
        .unwrap();
        assert_eq!(settings.server.bind, "0.0.0.0:9000");
        assert_eq!((settings.accounts.access_token_seconds, settings.accounts.hash.memory_kib), (60, 32_768));
        assert!(!settings.limits.enabled);
        assert_eq!(settings.cors.origins, ["https://a.example", "http://localhost:3000"]);
        assert!(settings.database.url.is_empty());
    }

    #[test]
    fn the_error_for_an_unknown_key_names_the_nearest_one() {
        let error = load(&[("GUILDHALL__SERVER__BNID", "x")]).unwrap_err();
        assert_eq!(error, "unknown setting server.bnid; did you mean server.bind?");
    }

    #[test]
    fn the_error_for_an_invalid_value_names_its_key() {
        for (key, value, expected) in [
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "soon", "accounts.access_token_seconds"),
            ("GUILDHALL__ACCOUNTS__ACCESS_TOKEN_SECONDS", "0", "accounts.access_token_seconds"),
            ("GUILDHALL__ACCOUNTS__PASSWORD_MIN_LENGTH", "4", "accounts.password_min_length"),
            ("GUILDHALL__ACCOUNTS__USER_TOKEN_DAYS", "4000000000", "accounts.user_token_days"),
            ("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "1", "accounts.hash"),
            ("GUILDHALL__SERVER__BIND", "8000", "server.bind"),
            ("GUILDHALL__SERVER__PUBLIC_URL", "example.org", "server.public_url"),
            ("GUILDHALL__DATABASE__URL", "mysql://x/y", "database.url"),
            ("GUILDHALL__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, proxy", "server.trusted_proxies"),
            ("GUILDHALL__SERVER__NAME", " ", "server.name"),
            ("GUILDHALL__MAIL__SMTP_URL", "mail.example.org", "mail.smtp_url"),
            ("GUILDHALL__ACCOUNTS__LINK_BASE", "example.org", "accounts.link_base"),
            ("GUILDHALL__LIMITS__BODY_BYTES", "0", "limits.body_bytes"),
            ("GUILDHALL__LIMITS__UPLOAD_BYTES", "0", "limits.upload_bytes"),
            ("GUILDHALL__FILES__URL", "https://s3.example.org/bucket", "files.url"),
            ("GUILDHALL__CORS__ORIGINS", "*", "cors.origins"),
            ("GUILDHALL__CORS__ORIGINS", "https://a.example/path", "cors.origins"),
            ("GUILDHALL__LOG__FILTER", "=[", "log.filter"),
            ("GUILDHALL__LOG__FORMAT", "xml", "log.format"),
        ] {
            let error = load(&[(key, value)]).unwrap_err();
            assert!(error.contains(expected) && error.lines().count() == 1, "{key}={value}: {error}");
        }
        let both = load(&[("GUILDHALL__SERVER__BIND", "x"), ("GUILDHALL__LIMITS__BODY_BYTES", "0")]).unwrap_err();
        assert_eq!(both.lines().count(), 2, "all errors are reported");
    }

    #[test]
    fn limits_cannot_be_disabled_in_production() {
        let variables = BTreeMap::from([("GUILDHALL__LIMITS__ENABLED".to_owned(), "false".to_owned())]);
        let environment = Some("production".to_owned());
        let sources = Sources { environment, variables, ..Sources::default() };
        assert!(Settings::load(&sources).unwrap_err().contains("limits.enabled"));
        let outside = Sources { environment: Some("../etc/passwd".to_owned()), ..Sources::default() };
        assert!(Settings::load(&outside).unwrap_err().contains("GUILDHALL_ENV"));
    }

    #[test]
    fn the_environment_file_overrides_defaults_and_flags_override_everything() {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config"));
        let environment = Some("production".to_owned());
        let flags = vec![("server.bind", "[::1]:1".to_owned())];
        let variables = BTreeMap::from([("GUILDHALL__SERVER__BIND".to_owned(), "[::1]:2".to_owned())]);
        let settings = Settings::load(&Sources { environment, folder, variables, flags }).unwrap();
        assert_eq!(settings.accounts.password_min_length, 15);
        assert_eq!(settings.server.bind, "[::1]:1", "flags override the environment");
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(mask("\"postgres://guild:s3cr:et@db/x\""), "\"postgres://guild:…@db/x\"");
        assert_eq!(mask("\"sqlite://data/x.db\""), "\"sqlite://data/x.db\"");
        assert_eq!(mask("\"smtps://u:s3cret@mail.example.org\""), "\"smtps://u:…@mail.example.org\"");
        assert_eq!(mask("\"postgres://db/x?user=u&password=s3cret&a=b\""), "\"postgres://db/x?user=u&password=…&a=…\"");
        assert_eq!(mask("\"s3://key:s%2Fcret@s3.example.org/x?tls=off\""), "\"s3://key:…@s3.example.org/x?tls=off\"");
    }

    #[test]
    fn the_mail_host_has_no_password() {
        let host = |url: &str| load(&[("GUILDHALL__MAIL__SMTP_URL", url)]).unwrap().mail_host().map(str::to_owned);
        assert_eq!(host(""), None);
        assert_eq!(host("smtps://u:p@ss@mail.example.org:465/x?tls=required").as_deref(), Some("mail.example.org:465"));
        assert_eq!(host("smtp://localhost:25").as_deref(), Some("localhost:25"));
    }

    #[test]
    fn the_public_url_defaults_to_the_listening_address() {
        let settings = load(&[]).unwrap();
        let url = |address: &str| settings.public_url(address.parse().unwrap()).unwrap().to_string();
        assert_eq!(url("127.0.0.1:8000"), "http://127.0.0.1:8000");
        assert_eq!(url("0.0.0.0:8000"), "http://localhost:8000");
        assert_eq!(url("[::1]:80"), "http://[::1]:80");
    }
}

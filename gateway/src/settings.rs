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

/// Every setting. The manual is `config/default.toml`, which is where the defaults come from.
#[derive(Clone, Debug, Deserialize)]
pub struct Settings {
    /// Where the embedded database and uploaded files live.
    pub data_dir: PathBuf,
    /// The server itself.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// What a client may ask for.
    pub limits: Limits,
    /// Where uploaded files lie.
    pub files: Files,
    /// How letters leave.
    pub mail: Mail,
    /// Whose pages may call the API.
    pub cors: Cors,
    /// What is logged, and how.
    pub log: Log,
    /// Where the metrics are.
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
    /// What people know the service as.
    pub name: String,
    /// What clients reach the server as; empty: what it listens on.
    pub public_url: String,
    /// Networks of the proxies whose word about a client's address is taken.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// How long a request may take, in seconds.
    pub request_seconds: u32,
    /// How long requests may still take once the server has been told to stop, in seconds.
    pub stop_seconds: u32,
}

/// The section `database`.
#[derive(Clone, Debug, Deserialize)]
pub struct Database {
    /// The address; empty: an SQLite file in the data folder.
    pub url: String,
    /// Connections at most; 0: by the number of cores.
    pub connections: u32,
    /// How long one statement may run, in seconds.
    pub statement_seconds: u32,
}

/// The section `limits`.
#[derive(Clone, Debug, Deserialize)]
pub struct Limits {
    /// Are rate limits and throttles in force?
    pub enabled: bool,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The largest file that may be uploaded, in bytes.
    pub upload_bytes: usize,
    /// How many bytes one person may upload in a day.
    pub upload_bytes_per_day: u64,
    /// How much of the disk uploads leave free, in percent.
    pub free_disk_percent: u8,
    /// How many requests that change something one person may send in a minute.
    pub writes_per_minute: u32,
    /// How many requests of one client are answered at a time; others of its wait.
    pub requests_at_once: usize,
    /// Connections at most.
    pub connections: usize,
    /// Connections at most from one network.
    pub connections_per_network: usize,
    /// How long a connection may be idle, in seconds.
    pub idle_seconds: u32,
}

/// The section `files`.
#[derive(Clone, Debug, Deserialize)]
pub struct Files {
    /// The object store; empty: a folder in the data folder.
    pub url: String,
}

/// The section `mail`.
#[derive(Clone, Debug, Deserialize)]
pub struct Mail {
    /// The mail server; empty: letters stay in the outbox.
    pub smtp_url: String,
    /// Who letters are from.
    pub from: String,
    /// How many emails an address is sent that others cause.
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
    /// What to log.
    pub filter: String,
    /// How to write it.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// For programs, one object a line.
    Json,
}

/// The section `metrics`.
#[derive(Clone, Debug, Deserialize)]
pub struct Metrics {
    /// An address of its own; empty: the server's, for staff.
    pub bind: String,
}

/// A list, or in the environment its items separated by commas.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct List;

    impl<'de> de::Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of texts")
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

/// Where settings come from, beside the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `GUILDHALL_ENV`: names a file in `folder`.
    pub environment: Option<String>,
    /// The folder `config`.
    pub folder: PathBuf,
    /// The variables of the process.
    pub variables: BTreeMap<String, String>,
    /// What was said on the command line: key and value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// Those of this process, with the flags that it was given.
    pub fn of_process(flags: Vec<(&'static str, String)>) -> Self {
        let variables: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let environment = variables.get("GUILDHALL_ENV").filter(|name| !name.is_empty()).cloned();
        Self { environment, folder: "config".into(), variables, flags }
    }

    /// The file that `GUILDHALL_ENV` names, if it is not there. It need not be, everything may be in
    /// the environment; but a name that was mistyped looks just the same.
    pub fn missing_file(&self) -> Option<PathBuf> {
        let name = self.environment.as_ref()?;
        let file = self.folder.join(format!("{name}.toml"));
        (!file.exists()).then_some(file)
    }
}

impl Settings {
    /// Reads, merges and checks the settings.
    ///
    /// # Errors
    /// Every fault, one to a line: unknown keys with the nearest known one, bad values with their key.
    pub fn load(sources: &Sources) -> Result<Self, String> {
        let merged = merge(sources)?;
        let known = flatten(&defaults()?);
        let mut faults: Vec<String> =
            flatten(&merged).keys().filter(|key| !known.contains_key(*key)).map(|key| unknown(key, &known)).collect();
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let settings: Self = merged.try_deserialize().map_err(|error| error.to_string().replace('\n', " "))?;
        faults.extend(settings.faults(sources.environment.as_deref()));
        if faults.is_empty() { Ok(settings) } else { Err(faults.join("\n")) }
    }

    /// What is in force, key by key, with secrets masked.
    ///
    /// # Errors
    /// Where the settings cannot be read.
    pub fn effective(sources: &Sources) -> Result<Vec<(String, String)>, String> {
        Self::load(sources)?;
        Ok(flatten(&merge(sources)?).into_iter().map(|(key, value)| (key, mask(&value))).collect())
    }

    fn faults(&self, environment: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.limits.enabled && environment == Some(PRODUCTION) {
            faults.push("limits.enabled must not be false where GUILDHALL_ENV=production".to_owned());
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
                faults.push(format!("{key} must be at least 1"));
            }
        }
        if self.limits.free_disk_percent > 100 {
            faults.push("limits.free_disk_percent must be at most 100".to_owned());
        }
        for (key, address) in [("server.bind", &self.server.bind), ("metrics.bind", &self.metrics.bind)] {
            let optional = key == "metrics.bind" && address.is_empty();
            if !optional
                && address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
            {
                faults.push(format!("{key} must be an address and a port like 127.0.0.1:8000, it is {address:?}"));
            }
        }
        if !self.server.public_url.is_empty()
            && let Err(error) = self.server.public_url.parse::<PublicUrl>()
        {
            faults.push(format!("server.public_url {error}"));
        }
        if let Err(error) = TrustedProxies::parse(&self.server.trusted_proxies) {
            faults.push(format!("server.trusted_proxies: {error}"));
        }
        if self.server.name.trim().is_empty() || self.server.name.chars().any(char::is_control) {
            faults.push("server.name must be a name on one line".to_owned());
        }
        let smtp = ["smtp://", "smtps://"];
        if !self.mail.smtp_url.is_empty() && !smtp.iter().any(|scheme| self.mail.smtp_url.starts_with(scheme)) {
            faults.push("mail.smtp_url must begin with smtp:// or smtps://".to_owned());
        }
        if !self.files.url.is_empty() && !self.files.url.starts_with("s3://") {
            faults.push("files.url must begin with s3://".to_owned());
        }
        let schemes = ["sqlite:", "postgres://", "postgresql://"];
        if !self.database.url.is_empty() && !schemes.iter().any(|scheme| self.database.url.starts_with(scheme)) {
            faults.push("database.url must begin with sqlite:// or postgres://".to_owned());
        }
        for origin in &self.cors.origins {
            let parsed = origin.parse::<PublicUrl>();
            if parsed.is_err() || origin.matches('/').count() != 2 {
                faults.push(format!("cors.origins: {origin:?} is no origin like https://example.org"));
            }
        }
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::EnvFilter>() {
            faults.push(format!("log.filter: {error}"));
        }
        faults.extend(self.accounts.faults());
        faults
    }

    /// The address of the database.
    pub fn database_url(&self) -> String {
        if self.database.url.is_empty() {
            let path = self.data_dir.join("guildhall.db").display().to_string();
            // What means something in an address.
            let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
            return format!("sqlite://{path}?mode=rwc");
        }
        self.database.url.clone()
    }

    /// The folder of uploaded files, where they are in no object store.
    pub fn files_folder(&self) -> Option<PathBuf> {
        self.files.url.is_empty().then(|| self.data_dir.join("files"))
    }

    /// The mail server, without what it takes to sign in there.
    pub fn mail_host(&self) -> Option<&str> {
        let (_, rest) = self.mail.smtp_url.split_once("://")?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        rest.split(['/', '?']).next()
    }

    /// How many connections to open to it at most.
    pub fn connections(&self) -> u32 {
        if self.database.connections > 0 {
            return self.database.connections;
        }
        let cores = available_parallelism().map_or(1, NonZero::get);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        if self.database_url().starts_with("sqlite:") { (cores * 2).max(4) } else { cores * 4 }
    }

    /// What clients will reach the server as, as far as the settings tell.
    ///
    /// # Errors
    /// Where the settings are no address.
    pub fn expected_url(&self) -> anyhow::Result<PublicUrl> {
        match self.server.bind.parse() {
            Ok(address) => self.public_url(address),
            Err(_) if self.server.public_url.is_empty() => Ok(format!("http://{}", self.server.bind).parse()?),
            Err(_) => Ok(self.server.public_url.parse()?),
        }
    }

    /// What clients reach the server as, once it is known where it listens.
    ///
    /// # Errors
    /// Where the setting is no address.
    pub fn public_url(&self, listening: SocketAddr) -> anyhow::Result<PublicUrl> {
        if !self.server.public_url.is_empty() {
            return Ok(self.server.public_url.parse()?);
        }
        let shown = if listening.ip().is_unspecified() {
            format!("localhost:{}", listening.port())
        } else {
            listening.to_string()
        };
        Ok(format!("http://{shown}").parse()?)
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
        && let Some(file) = operators_file(&sources.folder, name)?
    {
        builder = builder.add_source(file);
    }
    builder = builder.add_source(variables);
    for (key, value) in &sources.flags {
        builder = builder.set_override(key, value.as_str()).map_err(|error| error.to_string())?;
    }
    builder.build().map_err(|error| error.to_string())
}

/// The file that `GUILDHALL_ENV` names, with values of the kinds that the defaults have: the library would take a number
/// for a truth value. None where there is no such file.
fn operators_file(folder: &Path, name: &str) -> Result<Option<Config>, String> {
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(format!("GUILDHALL_ENV must be a plain word like production, it is {name:?}"));
    }
    let path = folder.join(format!("{name}.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    if let Err(error) = text.parse::<toml::Table>() {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, message) = (before.matches('\n').count() + 1, error.message().replace('\n', " "));
        return Err(format!("{}: line {line}: {message}", path.display()));
    }
    let file = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
    let file = file.map_err(|error| error.to_string().replace('\n', " "))?;
    let (known, mut faults) = (kinds(&defaults()?), Vec::new());
    for (key, given) in kinds(&file) {
        if let Some(expected) = known.get(&key)
            && *expected != given
        {
            faults.push(format!("{key} must be {expected}, in {} it is {given}", path.display()));
        }
    }
    if faults.is_empty() { Ok(Some(file)) } else { Err(faults.join("\n")) }
}

/// The kinds of all values, in words for people.
fn kinds(config: &Config) -> BTreeMap<String, &'static str> {
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
            ValueKind::Float(_) => "a number with a point",
            ValueKind::String(_) => "a text",
            ValueKind::Array(_) => "a list",
            ValueKind::Nil => "nothing",
        };
        into.insert(prefix.to_owned(), kind);
    }
    let mut kinds = BTreeMap::new();
    walk("", &config.cache, &mut kinds);
    kinds
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

/// What may be shown of the parameters of an address.
const SHOWN: [&str; 9] = ["application_name", "host", "mode", "port", "region", "sslmode", "tls", "user", "dbname"];

/// Hides what may be secret in an address: the password before its host, and parameters that are not known to hold none.
fn mask(value: &str) -> String {
    if !value.contains("://") {
        return value.to_owned();
    }
    let (address, query) = value.split_once('?').unwrap_or((value, ""));
    let quote = if query.ends_with('"') { "\"" } else { "" };
    let mut shown = mask_login(address);
    for (at, parameter) in query.trim_end_matches('"').split('&').filter(|parameter| !parameter.is_empty()).enumerate()
    {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        let before = if at == 0 { '?' } else { '&' };
        let masked = if SHOWN.contains(&name) { parameter.to_owned() } else { format!("{name}=…") };
        shown = format!("{shown}{before}{masked}");
    }
    format!("{shown}{quote}")
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

    /// Loads a file `config/test.toml` that holds this.
    fn load_file(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.toml"), text).unwrap();
        let folder = folder.path().to_owned();
        Settings::load(&Sources { environment: Some("test".into()), folder, ..Sources::default() })
    }

    #[test]
    fn fault_t11_a_bad_value_stops_the_start_with_one_clear_line() {
        for (text, expected) in [
            ("[limits]\nenabled = 7", "limits.enabled must be true or false"),
            ("[limits]\nenabled = \"yes\"", "limits.enabled must be true or false"),
            ("[server]\nrequest_seconds = 1.5", "server.request_seconds must be a whole number"),
            ("[server]\nrequest_seconds = true", "server.request_seconds must be a whole number"),
            ("[cors]\norigins = 3", "cors.origins must be a list"),
            ("data_dir = 5", "data_dir must be a text"),
            ("[limits]\nconnections = -1", "limits.connections"),
            ("[limits]\n\nenabled = = 7\n", "line 3"),
            ("[limits\nx", "line 1"),
        ] {
            let told = load_file(text).unwrap_err();
            assert!(told.contains(expected) && !told.contains('\n'), "{text:?}: {told:?}");
        }
        assert!(load_file("[limits]\nenabled = false").unwrap().limits.body_bytes > 0);
    }

    #[test]
    fn fault_19_no_parameter_of_an_address_is_shown_that_may_be_secret() {
        for (value, shown) in [
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
            assert_eq!(mask(value), shown);
        }
    }

    #[test]
    fn the_manual_tells_the_defaults() {
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
    fn every_key_of_the_manual_has_its_comment() {
        let mut above = "";
        for line in DEFAULTS.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(above.starts_with('#'), "{line}");
            }
            above = line;
        }
    }

    #[test]
    fn the_environment_is_stronger_than_the_defaults_and_empty_is_unset() {
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
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let refused = load(&[("GUILDHALL__SERVER__BNID", "x")]).unwrap_err();
        assert_eq!(refused, "unknown setting server.bnid; did you mean server.bind?");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_key() {
        for (key, value, told) in [
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
            let refused = load(&[(key, value)]).unwrap_err();
            assert!(refused.contains(told) && refused.lines().count() == 1, "{key}={value}: {refused}");
        }
        let both = load(&[("GUILDHALL__SERVER__BIND", "x"), ("GUILDHALL__LIMITS__BODY_BYTES", "0")]).unwrap_err();
        assert_eq!(both.lines().count(), 2, "every fault is told at once");
    }

    #[test]
    fn production_keeps_its_limits() {
        let variables = BTreeMap::from([("GUILDHALL__LIMITS__ENABLED".to_owned(), "false".to_owned())]);
        let environment = Some("production".to_owned());
        let sources = Sources { environment, variables, ..Sources::default() };
        assert!(Settings::load(&sources).unwrap_err().contains("limits.enabled"));
        let outside = Sources { environment: Some("../etc/passwd".to_owned()), ..Sources::default() };
        assert!(Settings::load(&outside).unwrap_err().contains("GUILDHALL_ENV"));
    }

    #[test]
    fn the_operators_file_lies_between_defaults_and_environment() {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../config"));
        let environment = Some("production".to_owned());
        let flags = vec![("server.bind", "[::1]:1".to_owned())];
        let variables = BTreeMap::from([("GUILDHALL__SERVER__BIND".to_owned(), "[::1]:2".to_owned())]);
        let settings = Settings::load(&Sources { environment, folder, variables, flags }).unwrap();
        assert_eq!(settings.accounts.password_min_length, 15);
        assert_eq!(settings.server.bind, "[::1]:1", "flags are the strongest");
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
    fn the_mail_server_is_told_without_its_password() {
        let host = |url: &str| load(&[("GUILDHALL__MAIL__SMTP_URL", url)]).unwrap().mail_host().map(str::to_owned);
        assert_eq!(host(""), None);
        assert_eq!(host("smtps://u:p@ss@mail.example.org:465/x?tls=required").as_deref(), Some("mail.example.org:465"));
        assert_eq!(host("smtp://localhost:25").as_deref(), Some("localhost:25"));
    }

    #[test]
    fn absolute_urls_follow_the_address_unless_told() {
        let settings = load(&[]).unwrap();
        let url = |address: &str| settings.public_url(address.parse().unwrap()).unwrap().to_string();
        assert_eq!(url("127.0.0.1:8000"), "http://127.0.0.1:8000");
        assert_eq!(url("0.0.0.0:8000"), "http://localhost:8000");
        assert_eq!(url("[::1]:80"), "http://[::1]:80");
    }
}

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use guildhall_kernel::testing::TestDb;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment variable with the path of another server than the release build.
const PROGRAM: &str = "GUILDHALL_BIN";
pub(crate) const PASSWORD: &str = "correct horse é";

/// An installation whose server runs as a separate process.
pub(crate) struct Installation {
    folder: TempDir,
    database: Option<TestDb>,
    address: String,
    /// Additional settings as environment variables.
    more: Vec<(String, String)>,
    /// Ignore `SIGXFSZ`, so that a write beyond the file size limit is an error and does not kill the process.
    survives_large_files: bool,
}

/// A user with an organization.
pub(crate) struct Person {
    /// The value of the authorization header.
    pub(crate) token: String,
    /// The path of the organization.
    pub(crate) org: String,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let database = TestDb::new(Vec::new).await;
        let on_postgres = database.url().starts_with("postgres");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let database = on_postgres.then_some(database);
        Self { folder, database, address: free.to_string(), more: Vec::new(), survives_large_files: false }
    }

    /// The same with commits of PostgreSQL that survive its crash, whatever the settings of the server.
    pub(crate) fn with_durable_commits(self) -> Self {
        let url = self.database.as_ref().unwrap().url();
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}options=-c%20synchronous_commit=on");
        self.with(&[("GUILDHALL__DATABASE__URL", &url)])
    }

    /// A second process on the PostgreSQL database of this one, with its own address and folder.
    pub(crate) async fn beside(&self) -> Self {
        let url = self.database.as_ref().unwrap().url().to_owned();
        let more = [vec![("GUILDHALL__DATABASE__URL".to_owned(), url)], self.more.clone()].concat();
        Self { more, ..Self::new().await }
    }

    pub(crate) fn with(mut self, more: &[(&str, &str)]) -> Self {
        self.more.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    pub(crate) fn surviving_large_files(self) -> Self {
        Self { survives_large_files: true, ..self }
    }

    pub(crate) fn is_on_postgres(&self) -> bool {
        self.database.is_some()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let release = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/guildhall");
        let program = std::env::var_os(PROGRAM).map_or_else(release, Into::into);
        let mut command = if self.survives_large_files {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program);
            shell
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null());
        // Tests send more requests than the default limits allow.
        command.env("GUILDHALL__ACCOUNTS__LIMITS__REGISTRATIONS_PER_HOUR", "1000000");
        command.env("GUILDHALL__LIMITS__WRITES_PER_MINUTE", "1000000");
        command.env("GUILDHALL__SERVER__BIND", &self.address).env("GUILDHALL__DATABASE__CONNECTIONS", "8");
        command.env("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "64").env("GUILDHALL__ACCOUNTS__HASH__PASSES", "1");
        if let Some(database) = &self.database {
            command.env("GUILDHALL__DATABASE__URL", database.url());
        }
        command.envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) async fn serve(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log.txt")).unwrap();
        let server = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let client = client();
        let start = Instant::now();
        while client.get(self.url("/readyz")).send().await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Registers a user, who gets a token and creates an organization.
    pub(crate) async fn sign_up(&self, name: &str) -> Person {
        let client = client();
        let post = async |path: &str, token: &str, body: Value| {
            let response = client.post(self.url(path)).header("authorization", token).json(&body).send().await.unwrap();
            let (status, text) = (response.status(), response.text().await.unwrap());
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let credentials = json!({"username": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        post("/api/auth/register/", "", credentials.clone()).await;
        let token = post("/api/auth/token/", "", credentials).await;
        let token = format!("Token {}", token["token"].as_str().unwrap());
        let orgs = "/api/crm/organizations/";
        let org = post(orgs, &token, json!({"name": format!("{name}'s")})).await;
        Person { token, org: format!("{orgs}{}/", org["id"]) }
    }

    /// Asserts that `guildhall doctor` reports no errors except the expected ones. The server must not be running.
    pub(crate) fn assert_healthy(&self, expected: &[&str]) {
        let output = self.run(&["doctor", "--json"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        for finding in findings {
            let check = finding["check"].as_str().unwrap();
            let is_expected = check == "superusers" || expected.contains(&check);
            assert!(is_expected || finding["severity"] != "error", "{finding}");
        }
    }
}

/// An HTTP client. It needs a TLS provider even for plain HTTP.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

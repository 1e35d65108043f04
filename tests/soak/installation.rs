use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use guildhall_kernel::testing::TestDb;
use reqwest::Client;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse é";

/// An installation whose server is started, and killed, as a process.
pub(crate) struct Installation {
    folder: TempDir,
    database: Option<TestDb>,
    address: String,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let database = TestDb::new(Vec::new).await;
        let on_postgres = database.url().starts_with("postgres");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, database: on_postgres.then_some(database), address: free.to_string() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut command = Command::new(root.join("target/release/guildhall"));
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null());
        command.env("GUILDHALL__SERVER__BIND", &self.address).env("GUILDHALL__DATABASE__CONNECTIONS", "8");
        command.env("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "64").env("GUILDHALL__ACCOUNTS__HASH__PASSES", "1");
        if let Some(database) = &self.database {
            command.env("GUILDHALL__DATABASE__URL", database.url());
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) async fn serve(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log.txt")).unwrap();
        let server = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let client = client();
        let begun = Instant::now();
        while client.get(self.url("/readyz")).send().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the server does not come up again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The doctor finds no fault, while no server runs.
    pub(crate) fn assert_sound(&self) {
        let output = self.run(&["doctor", "--json"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        for finding in findings {
            let known = ["superusers"].contains(&finding["check"].as_str().unwrap());
            assert!(known || finding["severity"] != "fault", "{finding}");
        }
    }
}

/// A client; which TLS it would use has to be said before one is made, even to a server without.
pub(crate) fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

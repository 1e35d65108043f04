use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use guildhall_kernel::testing::TestDb;
use tempfile::TempDir;

/// A folder to run the program in, with an empty database.
pub(crate) struct Terminal {
    pub(crate) folder: TempDir,
    database: Option<TestDb>,
    variables: Vec<(String, String)>,
}

impl Terminal {
    /// Uses the embedded database in the folder, or PostgreSQL if the tests run against it.
    pub(crate) async fn new() -> Self {
        let database = TestDb::new(Vec::new).await;
        let on_postgres = database.url().starts_with("postgres");
        Self { folder: tempfile::tempdir().unwrap(), database: on_postgres.then_some(database), variables: Vec::new() }
    }

    /// The URL of the database.
    pub(crate) fn database_url(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite://{}", self.folder.path().join("data/guildhall.db").display()),
        }
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.variables.push((key.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guildhall"));
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null());
        command.env_remove("GUILDHALL_ENV").env("GUILDHALL__ACCOUNTS__HASH__MEMORY_KIB", "64");
        command.env("GUILDHALL__DATABASE__CONNECTIONS", "2");
        if let Some(database) = &self.database {
            command.env("GUILDHALL__DATABASE__URL", database.url());
        }
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command with `input` on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Starts the server and waits until it prints its address.
    pub(crate) fn serve(&self) -> Running {
        let mut command = self.command(&["serve", "--bind", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut errors = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            let _ = errors.read_to_string(&mut log);
            log
        });
        let first = lines.recv_timeout(Duration::from_secs(20)).unwrap();
        let url = first.rsplit(' ').next().unwrap().to_owned();
        Running { child, url, first, lines, log }
    }
}

/// A server in a process of its own; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    pub(crate) first: String,
    lines: mpsc::Receiver<String>,
    log: thread::JoinHandle<String>,
}

impl Running {
    /// The lines printed so far, after the first.
    pub(crate) fn output(&self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
            lines.push(line);
        }
        lines
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Stops the server; returns its exit code and log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code();
        let log = std::mem::replace(&mut self.log, thread::spawn(String::new)).join().unwrap();
        (code, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// An HTTP client. It needs a TLS provider even for plain HTTP.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use guildhall_kernel::UserId;
use guildhall_platform::NatsBus;
use guildhall_realtime::{Arrival, Bus, Frame, Notice, StreamName};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    sync::mpsc,
    time::timeout,
};

/// A server that accepts one login, stopped on drop.
struct Server {
    program: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
        let Some(program) = folders.map(|folder| folder.join("nats-server")).find(|program| program.exists()) else {
            eprintln!("SKIPPED: nats-server is not installed (Debian's package has this name).");
            return None;
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let process = Self::spawn(&program, port);
        Some(Self { program, port, process })
    }

    fn spawn(program: &Path, port: u16) -> Child {
        let mut command = Command::new(program);
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--user", "guild", "--pass", "s/cret"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.program, self.port);
    }

    fn bus(&self, password: &str, subject: &str) -> Process {
        Process::new(&format!("nats://guild:{password}@127.0.0.1:{}", self.port), subject)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A bus that runs, and what arrives.
struct Process {
    bus: Arc<NatsBus>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Process {
    fn new(url: &str, subject: &str) -> Self {
        let bus = Arc::new(NatsBus::new(url, subject.to_owned()).unwrap());
        let (sender, arrivals) = mpsc::unbounded_channel();
        let running = bus.clone();
        tokio::spawn(async move {
            let arrive = |arrival| sender.send(arrival).unwrap();
            running.run(&arrive).await;
        });
        Self { bus, arrivals }
    }

    async fn next(&mut self) -> Arrival {
        timeout(Duration::from_secs(10), self.arrivals.recv()).await.unwrap().unwrap()
    }

    async fn connected(mut self) -> Self {
        while !matches!(self.next().await, Arrival::Connected) {}
        self
    }

    async fn notice(&mut self) -> String {
        match self.next().await {
            Arrival::Notice(notice) => notice.encode().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn ended(user: i64) -> Notice {
    Notice::Ended { user: UserId(user) }
}

#[tokio::test]
async fn notices_reach_the_other_processes_of_the_installation() {
    let Some(server) = Server::start() else { return };
    let mut one = server.bus("s%2Fcret", "guildhall.a").connected().await;
    let mut two = server.bus("s%2Fcret", "guildhall.a").connected().await;
    let mut other = server.bus("s%2Fcret", "guildhall.b").connected().await;
    let stream = StreamName::new("room", 7);
    let notices = [
        Notice::Appended { stream: stream.clone(), frame: Frame::new(3, r#"{"content":"é\n"}"#, Some(UserId(5))) },
        Notice::Transient { stream, body: r#"{"type":"typing"}"#.into(), except: Some(UserId(2)) },
        ended(9),
    ];
    for notice in &notices {
        one.bus.send(notice.clone());
    }
    for notice in &notices {
        assert_eq!(two.notice().await, notice.encode().unwrap());
    }
    two.bus.send(ended(10));
    assert_eq!(one.notice().await, "ended 10", "nobody gets their own notices");
    assert!(timeout(Duration::from_millis(200), other.arrivals.recv()).await.is_err(), "another installation");
}

#[tokio::test]
async fn a_lost_server_is_reported_and_connected_to_again() {
    let Some(mut server) = Server::start() else { return };
    let mut one = server.bus("s%2Fcret", "guildhall.a").connected().await;
    let mut two = server.bus("s%2Fcret", "guildhall.a").connected().await;
    server.stop();
    assert!(matches!(one.next().await, Arrival::Disconnected));
    assert!(matches!(two.next().await, Arrival::Disconnected));
    let started = Instant::now();
    (0..100_000).for_each(|user| one.bus.send(ended(user)));
    assert!(started.elapsed() < Duration::from_secs(1), "nothing waits");
    server.restart();
    let (one, mut two) = (one.connected().await, two.connected().await);
    one.bus.send(ended(9));
    assert_eq!(two.notice().await, "ended 9");
}

#[tokio::test]
async fn a_server_that_is_out_of_reach_or_refuses_the_login_is_reported() {
    let mut nowhere = Process::new("nats://127.0.0.1:9", "guildhall.a");
    assert!(matches!(nowhere.next().await, Arrival::Disconnected));
    let Some(server) = Server::start() else { return };
    let mut refused = server.bus("wrong", "guildhall.a");
    assert!(matches!(refused.next().await, Arrival::Disconnected));
}

/// Answers pings, but handles nothing else.
async fn run_slow_server(listener: tokio::net::TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufStream::new(stream);
    stream.write_all(b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 0 {
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n").await.unwrap();
            stream.flush().await.unwrap();
        }
        line.clear();
    }
}

#[tokio::test]
async fn it_is_connected_only_once_the_server_has_its_subscription() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    tokio::spawn(run_slow_server(listener));
    let mut process = Process::new(&url, "guildhall.a");
    assert!(matches!(process.next().await, Arrival::Disconnected), "the subscription may not be there yet");
}

//! Misbehaving clients: idle, stalled, excessive and half-sent connections.

use std::time::{Duration, Instant};

use guildhall_kernel::{Db, db::Options};
use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::server::TestServer;

const IDLE: (&str, &str) = ("GUILDHALL__LIMITS__IDLE_SECONDS", "1");
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty `SETTINGS` frame and its acknowledgement (RFC 9113 §6.5).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
const SETTINGS_ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.server.address()).await.unwrap()
}

/// Reads until the server closes the connection. Returns whether it did in time.
async fn closed(mut stream: TcpStream) -> bool {
    let mut received = Vec::new();
    matches!(timeout(Duration::from_secs(6), stream.read_to_end(&mut received)).await, Ok(Ok(_) | Err(_)))
}

#[tokio::test]
async fn fault_7_idle_and_incomplete_connections_are_closed() {
    let server = TestServer::start_with(&[IDLE]).await;
    for data in [&b""[..], b"G", b"GET /healthz HT", &PREFACE[..14], PREFACE] {
        let mut stream = connect(&server).await;
        stream.write_all(data).await.unwrap();
        assert!(closed(stream).await, "{:?}", String::from_utf8_lossy(data));
    }
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(closed(stream).await, "after a request");
}

#[tokio::test]
async fn fault_7_an_idle_http_2_connection_is_closed_even_if_it_answers_pings() {
    let server = TestServer::start_with(&[IDLE]).await;
    let mut stream = connect(&server).await;
    stream.write_all(&[PREFACE, &SETTINGS].concat()).await.unwrap();
    let start = Instant::now();
    let mut head = [0; 9];
    // Answer every ping and every settings frame.
    while start.elapsed() < Duration::from_secs(8) {
        let Ok(read) = timeout(Duration::from_secs(7), stream.read_exact(&mut head)).await else { break };
        if read.is_err() {
            return;
        }
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        let answer = match (head[3], head[4] & 1) {
            (4, 0) => SETTINGS_ACK.to_vec(),
            (6, 0) => [&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &payload].concat(),
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn fault_7_a_client_that_does_not_read_responses_is_disconnected() {
    let server = TestServer::start_with(&[IDLE]).await;
    let mut stream = connect(&server).await;
    let requests = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200);
    let start = Instant::now();
    // The write blocks once the buffers are full.
    let _ = timeout(Duration::from_secs(2), stream.write_all(&requests)).await;
    while stream.write_all(b"GET").await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(12), "the connection is still open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn fault_7_connections_per_network_are_limited() {
    let server = TestServer::start_with(&[("GUILDHALL__LIMITS__CONNECTIONS_PER_NETWORK", "4")]).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&server).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 100]).await.unwrap() > 0);
        open.push(stream);
    }
    let mut excess = connect(&server).await;
    let _ = excess.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(matches!(excess.read(&mut [0; 100]).await, Ok(0) | Err(_)));
    open.clear();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.get("/healthz", "").await.status, StatusCode::OK);
}

/// Reads one response, which must have a content length. Returns its head.
async fn read_response(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.unwrap().unwrap_or_default();
        received.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if read == 0 || length.is_some_and(|length: usize| body.len() >= length) {
                return head.to_owned();
            }
        }
        assert!(read > 0, "the connection was closed: {text:?}");
    }
}

#[tokio::test]
async fn fault_t6_a_connection_can_be_reused_after_an_early_rejection() {
    let server = TestServer::start().await;
    let body = "x".repeat(1000);
    for (status, head) in [
        ("401", "POST /api/community/groups/ HTTP/1.1\r\nContent-Type: application/json\r\n"),
        ("404", "POST /api/nowhere/ HTTP/1.1\r\nContent-Type: application/json\r\n"),
        ("405", "POST /api/users/ HTTP/1.1\r\nContent-Type: application/json\r\n"),
        ("415", "POST /api/auth/login/ HTTP/1.1\r\nContent-Type: text/plain\r\n"),
    ] {
        let mut stream = connect(&server).await;
        let head = format!("{head}Host: x\r\nContent-Length: 1000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let first = read_response(&mut stream).await;
        assert!(first.starts_with(&format!("HTTP/1.1 {status}")), "{first}");
        assert!(!first.to_lowercase().contains("connection: close"), "{first}");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"), "after {status}");
    }
    // A body that is too long to be drained closes the connection.
    let mut stream = connect(&server).await;
    let head = "POST /api/community/groups/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_response(&mut stream).await.to_lowercase().contains("connection: close"));
}

#[tokio::test]
async fn fault_19_an_incomplete_request_does_not_delay_the_shutdown() {
    let server = TestServer::start().await;
    let mut without_body = connect(&server).await;
    let head =
        "POST /api/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    without_body.write_all(head.as_bytes()).await.unwrap();
    let mut without_head = connect(&server).await;
    without_head.write_all(b"GET /heal").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    server.server.stop().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn fault_1_the_server_is_not_ready_if_the_database_cannot_be_written() {
    let server = TestServer::start().await;
    if server.db.backend() != DbBackend::Sqlite {
        return;
    }
    assert_eq!(server.get("/readyz", "").await.status, StatusCode::OK);
    // Like another process that holds the write lock.
    let other = Db::connect_with(server.db.url(), &Options { connections: 1, statement_limit: None }).await.unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let locked = std::sync::Mutex::new(Some(locked));
    let holder = tokio::spawn(async move {
        let locked = &locked;
        other
            .write(|tx| async move {
                tx.execute_unprepared("PRAGMA user_version = 1").await?;
                locked.lock().unwrap().take().unwrap().send(()).unwrap();
                std::future::pending::<Result<(), DbErr>>().await
            })
            .await
    });
    is_locked.await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let ready = server.get("/readyz", "").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["parts"]["database"]), (503, &json!("down")));
    holder.abort();
    let _ = holder.await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(server.get("/readyz", "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn fault_18_a_database_of_a_newer_version_is_rejected() {
    let server = TestServer::start().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20990101_000000_newer', 0)";
    server.sql(newer).await;
    let settings = crate::server::settings(server.db.url(), &[]);
    for migrate in [true, false] {
        let error = guildhall_gateway::Services::open(&settings, migrate).await.err().unwrap();
        let message = format!("{error:#}");
        assert!(message.contains("newer version") && message.contains("m20990101_000000_newer"), "{message}");
    }
}

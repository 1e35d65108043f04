use std::time::Duration;

use guildhall_kernel::Roles;
use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{TestServer, bearer};

#[tokio::test]
async fn readyz_reports_the_state_of_the_server() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/healthz", "").await.json(), json!({"status": "ok"}));
    let ready = server.get("/readyz", "").await;
    assert_eq!(ready.json(), json!({"status": "ok", "parts": {"database": "ok", "migrations": "ok", "bus": "ok"}}));

    let delete = "DELETE FROM seaql_migrations WHERE version LIKE '%community_groups'";
    server.db.write(|tx| async move { tx.execute_unprepared(delete).await }).await.unwrap();
    // The result is cached for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let ready = server.get("/readyz", "").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["parts"]["migrations"]), (503, &json!("pending")));
    tokio::time::sleep(Duration::from_millis(1100)).await;

    server.server.services().db.close().await.unwrap();
    let ready = server.get("/readyz", "").await;
    let down = json!({"status": "down", "parts": {"database": "down", "migrations": "unknown", "bus": "ok"}});
    assert_eq!((ready.status.as_u16(), ready.json()), (503, down));
    assert_eq!(server.get("/healthz", "").await.status, 200);
    let refused = server.post("/api/auth/login/", "", json!({"username": "a", "password": "b"})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "unavailable"));
}

#[tokio::test]
async fn metrics_are_for_staff_unless_they_have_a_separate_address() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let staff = bearer(&server.sign_up_with_roles("staff", Roles { staff: true, ..Roles::default() }).await);
    assert_eq!(server.get("/metrics", "").await.status, 401);
    assert_eq!(server.get("/metrics", &anna).await.status, 403);
    let metrics = server.get("/metrics", &staff).await;
    assert!(metrics.text.contains(r#"http_requests_total{method="POST",route="/api/auth/login/",status="200"}"#));
    assert!(metrics.text.contains("db_statements_total"));
    assert!(!metrics.text.contains("anna"));

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = TestServer::start_with(&[("GUILDHALL__METRICS__BIND", &port)]).await;
    assert_eq!(server.get("/metrics", "").await.status, 404);
    let metrics = server.send(server.client.get(format!("http://{port}/metrics"))).await;
    assert_eq!(metrics.status, 200);
}

#[tokio::test]
async fn shutdown_waits_for_running_requests() {
    let server = TestServer::start().await;
    let address = server.server.address();
    let body = json!({"username": "anna", "email": "anna@example.org", "password": "correct horse é"}).to_string();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/auth/register/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = [0; 25];
    connection.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 100 Continue\r\n\r\n", "the request is in progress");
    let idle = TcpStream::connect(address).await.unwrap();

    let (url, client) = (server.url.clone(), server.client.clone());
    let stopping = tokio::spawn(server.server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 201 Created"), "{response}");
    stopping.await.unwrap().unwrap();
    assert!(client.get(format!("{url}/healthz")).send().await.is_err(), "the server no longer listens");
    drop(idle);
}

#[tokio::test]
async fn shutdown_aborts_requests_after_the_time_limit() {
    let server = TestServer::start_with(&[("GUILDHALL__SERVER__STOP_SECONDS", "0")]).await;
    let mut connection = TcpStream::connect(server.server.address()).await.unwrap();
    let head = "POST /api/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.read_exact(&mut [0; 25]).await.unwrap();
    server.server.stop().await.unwrap();
}

#[tokio::test]
async fn responses_are_compressed_on_request() {
    let server = TestServer::start().await;
    let request = server.request(Method::GET, "/api/openapi.json").header("accept-encoding", "gzip");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let plain = server.get("/api/openapi.json", "").await;
    assert!(plain.text.starts_with('{'));
}

#[tokio::test]
async fn nodes_on_the_same_database_share_sessions() {
    let first = TestServer::start().await;
    let anna = first.sign_up("anna").await;
    let settings = crate::server::settings(first.db.url(), &[]);
    let services = guildhall_gateway::Services::open(&settings, true).await.unwrap();
    let second = guildhall_gateway::Server::start(&settings, services).await.unwrap();
    let me = async |token: &str| {
        let request = first.client.get(format!("http://{}/api/auth/me/", second.address()));
        request.header("authorization", token).send().await.unwrap().status().as_u16()
    };
    assert_eq!(me(&bearer(&anna)).await, 200);
    first.post("/api/auth/logout/", "", json!({"refresh": anna["refresh"]})).await;
    assert_eq!(me(&bearer(&anna)).await, 401, "a sign-out takes effect on all nodes immediately");
    second.stop().await.unwrap();
}

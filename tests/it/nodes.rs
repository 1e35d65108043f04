//! Several gateways on one database.

use std::time::{Duration, Instant};

use guildhall_gateway::{Server, Services};
use serde_json::json;
use tokio_tungstenite::connect_async;

use crate::{
    server::{TestServer, bearer, settings},
    sockets::Socket,
};

#[tokio::test]
async fn without_its_nats_server_a_node_starts_and_serves_degraded() {
    let server = TestServer::start_with(&[("GUILDHALL__NATS__URL", "nats://127.0.0.1:9")]).await;
    let started = Instant::now();
    loop {
        let ready = server.get("/readyz", "").await;
        assert_eq!(ready.status, 200);
        if ready.json()["status"] == "degraded" {
            assert_eq!(ready.json()["parts"], json!({"database": "ok", "migrations": "ok", "bus": "degraded"}));
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{}", ready.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let anna = server.sign_up("anna").await;
    assert_eq!(server.get("/api/auth/me/", &bearer(&anna)).await.status, 200);
}

#[tokio::test]
async fn nodes_on_one_postgresql_share_events_and_the_ends_of_sessions() {
    let first = TestServer::start().await;
    let url = first.db.url();
    if !url.starts_with("postgres") {
        return;
    }
    let settings = settings(url, &[]);
    let second = Server::start(&settings, Services::open(&settings, true).await.unwrap()).await.unwrap();
    let (anna, ben) = (first.sign_up("anna").await, first.sign_up("ben").await);
    let address = format!("ws://{}/ws/notifications/?token=", second.address());
    let mut socket = Socket(connect_async(format!("{address}{}", ben["access"].as_str().unwrap())).await.unwrap().0);
    socket.next_of("hello").await;
    let message = json!({"receiver_id": ben["user"]["id"], "content": "hello"});
    let started = Instant::now();
    assert_eq!(first.post("/messaging/api/send/", &bearer(&anna), message).await.status, 201);
    assert_eq!(socket.next_of("direct_message").await["message"]["content"], "hello");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());

    let signed_out = first.post("/api/auth/logout/", &bearer(&ben), json!({"refresh": ben["refresh"]})).await;
    assert!(signed_out.status.is_success(), "{}", signed_out.text);
    let closed = tokio::time::timeout(Duration::from_secs(1), socket.close_code()).await;
    assert_eq!(closed.unwrap(), 4401);
    second.stop().await.unwrap();
}

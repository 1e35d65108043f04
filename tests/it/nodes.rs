//! Several gateways on one database.

use std::time::{Duration, Instant};

use guildhall_gateway::{Server, Services};
use guildhall_kernel::Roles;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;

use crate::{
    server::{TestServer, bearer, settings},
    sockets::Socket,
};

/// How long a room stays open without its host.
const GRACE: (&str, &str) = ("GUILDHALL__CHAT__HOST_GRACE_SECONDS", "3");

/// A socket of a room over a node.
async fn follow_room(node: &Server, room: i64, who: &Value) -> Socket {
    let token = who["access"].as_str().unwrap();
    let address = format!("ws://{}/ws/chat/{room}/?token={token}", node.address());
    let mut socket = Socket(connect_async(address).await.unwrap().0);
    socket.next_of("hello").await;
    socket
}

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

#[tokio::test]
async fn a_room_is_one_room_on_all_nodes() {
    let first = TestServer::start_with(&[GRACE]).await;
    let url = first.db.url();
    if !url.starts_with("postgres") {
        return;
    }
    let settings = settings(url, &[GRACE]);
    let second = Server::start(&settings, Services::open(&settings, true).await.unwrap()).await.unwrap();
    let tom = first.sign_up_with_roles("tom", Roles { teacher: true, ..Roles::default() }).await;
    let (ben, eve) = (first.sign_up("ben").await, first.sign_up("eve").await);
    let created = first.post("/api/chat/create/", &bearer(&tom), json!({"name": "den", "auto_approve": true})).await;
    let room = created.json()["id"].as_i64().unwrap();
    let path = |call: &str| format!("/api/chat/{room}/{call}/");
    for who in [&ben, &eve] {
        assert!(first.post(&path("join"), &bearer(who), Value::Null).await.status.is_success());
    }
    // The host is connected to the second node only.
    let host = follow_room(&second, room, &tom).await;
    let (mut ben_there, mut eve_there) =
        (follow_room(&second, room, &ben).await, follow_room(&second, room, &eve).await);
    let mut eve_here = Socket::of(&first, &format!("/ws/chat/{room}/"), &eve).await;
    let sent = first.post(&path("messages"), &bearer(&ben), json!({"content": "hi"})).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    for socket in [&mut ben_there, &mut eve_there, &mut eve_here] {
        assert_eq!(socket.next_of("message").await["content"], "hi");
    }
    // Nobody on the first node believes that the host is away.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let shown = first.get(&format!("/api/chat/{room}/"), &bearer(&eve)).await.json();
    assert_eq!(shown["is_active"], true, "{shown}");
    // Whoever is removed over one node gets nothing more over the other.
    let removal = json!({"user_id": ben["user"]["id"]});
    assert_eq!(first.post(&path("remove"), &bearer(&tom), removal).await.status, 200);
    assert_eq!(ben_there.close_code().await, 4403);
    // The connection of the host is lost, and comes back over the other node.
    drop(host);
    eve_here.next_of("host_away").await;
    let back = Socket::of(&first, &format!("/ws/chat/{room}/"), &tom).await;
    eve_there.next_of("host_back").await;
    // The host leaves: the room is closed everywhere.
    let started = Instant::now();
    assert_eq!(first.post(&path("leave"), &bearer(&tom), json!({})).await.status, 204);
    for mut socket in [eve_there, eve_here, back] {
        assert_eq!(socket.close_code().await, 4410);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    second.stop().await.unwrap();
}

//! Sockets of the whole server.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::server::{PASSWORD, TestServer, bearer};

/// A WebSocket client.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(server: &TestServer, path: &str) -> Self {
        let address = server.url.strip_prefix("http").unwrap();
        Self(connect_async(format!("ws{address}{path}")).await.unwrap().0)
    }

    /// A socket of a signed-in user.
    pub(crate) async fn of(server: &TestServer, path: &str, signed_in: &Value) -> Self {
        let mut socket = Self::open(server, &format!("{path}?token={}", signed_in["access"].as_str().unwrap())).await;
        assert_eq!(socket.next().await["type"], "hello");
        socket
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    /// The next frame of a type; others are skipped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code with which the server closes.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.unwrap().code.into();
            }
        }
    }
}

#[tokio::test]
async fn the_unread_count_has_the_numbers_of_messages_and_of_notifications() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let ben = server.sign_up("ben").await;
    let mut socket = Socket::of(&server, "/ws/notifications/", &anna).await;
    let body = json!({"receiver_id": anna["user"]["id"], "content": "hi"});
    server.post("/messaging/api/send/", &bearer(&ben), body).await;
    let first = socket.next_of("unread_count").await;
    assert_eq!((&first["messages"], &first["notifications"]), (&json!(1), &json!(0)), "{first}");
    let second = socket.next_of("unread_count").await;
    assert_eq!((&second["messages"], &second["notifications"]), (&json!(1), &json!(1)), "{second}");
}

#[tokio::test]
async fn signing_out_closes_the_sockets_of_the_session_within_a_second() {
    let server = TestServer::start().await;
    let first = server.sign_up("anna").await;
    let second = server.sign_in("anna").await;
    let mut closed = Socket::of(&server, "/ws/notifications/", &first).await;
    let mut kept = Socket::of(&server, "/ws/", &second).await;
    let refresh = json!({ "refresh": first["refresh"] });
    let started = Instant::now();
    let signed_out = server.post("/api/auth/logout/", &bearer(&first), refresh).await;
    assert!(signed_out.status.is_success(), "{}", signed_out.text);
    assert_eq!(closed.close_code().await, 4401);
    assert!(started.elapsed() < Duration::from_secs(1));
    kept.send(json!({ "type": "ping" })).await;
    assert_eq!(kept.next().await["type"], "pong");

    let body = json!({ "current_password": PASSWORD, "new_password": "another correct horse é" });
    let changed = server.post("/api/auth/password/change/", &bearer(&second), body).await;
    assert!(changed.status.is_success(), "{}", changed.text);
    assert_eq!(kept.close_code().await, 4401);
}

#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let ticket = server.post("/api/auth/ws-ticket/", &bearer(&anna), json!({})).await.json();
    let path = format!("/ws/notifications/?ticket={}", ticket["ticket"].as_str().unwrap());
    assert_eq!(Socket::open(&server, &path).await.next().await["user_id"], anna["user"]["id"]);
    assert_eq!(Socket::open(&server, &path).await.close_code().await, 4401);
    assert_eq!(Socket::open(&server, "/ws/?token=x.y.z").await.close_code().await, 4401);
}

#[tokio::test]
async fn a_path_of_a_socket_without_a_handshake_is_an_error() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    for path in ["/ws/", "/ws", "/ws/notifications/"] {
        let response = server.get(path, &anna).await;
        assert_eq!((response.status.as_u16(), response.code().as_str()), (400, "websocket_expected"), "{path}");
    }
}

#[tokio::test]
async fn members_learn_of_a_new_post_and_outsiders_do_not() {
    let server = TestServer::start().await;
    let (anna, ben, eve) = (server.sign_up("anna").await, server.sign_up("ben").await, server.sign_up("eve").await);
    let group = json!({ "name": "den", "is_private": true, "is_listed": true });
    let group = server.post("/api/community/groups/", &bearer(&anna), group).await.json()["id"].as_i64().unwrap();
    let requested = server.post(&format!("/api/community/groups/{group}/join/"), &bearer(&ben), json!({})).await;
    let request = requested.json()["request_id"].as_i64().unwrap();
    let approve = format!("/api/community/groups/{group}/requests/{request}/approve/");
    let approved = server.post(&approve, &bearer(&anna), json!({})).await;
    assert!(approved.status.is_success(), "{} {}", requested.text, approved.text);

    let stream = format!("group/{group}");
    let mut member = Socket::of(&server, "/ws/", &ben).await;
    member.send(json!({ "type": "subscribe", "stream": stream })).await;
    assert_eq!(member.next_of("subscribed").await["stream"], json!(stream));
    let mut outsider = Socket::of(&server, "/ws/", &eve).await;
    outsider.send(json!({ "type": "subscribe", "stream": stream })).await;
    assert_eq!(outsider.next().await["code"], "stream_not_allowed");

    let post = json!({ "content": "hello", "group": group });
    assert_eq!(server.post("/api/community/posts/", &bearer(&anna), post.clone()).await.status, 201);
    assert_eq!(member.next_of("feed_changed").await["stream"], json!(stream));
    let ben_id = ben["user"]["id"].as_i64().unwrap();
    let path = format!("/api/community/groups/{group}/members/{ben_id}/");
    let removed = server.send(server.request(Method::DELETE, &path).header("authorization", bearer(&anna))).await;
    assert!(removed.status.is_success(), "{}", removed.text);
    assert_eq!(member.next().await["type"], "access_changed");
    assert_eq!(member.next().await["type"], "unsubscribed");
    assert_eq!(server.post("/api/community/posts/", &bearer(&anna), post).await.status, 201);
    member.send(json!({ "type": "ping" })).await;
    assert_eq!(member.next().await["type"], "pong", "nothing after the removal");
}

#[tokio::test]
async fn a_server_that_stops_closes_its_sockets() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let mut socket = Socket::of(&server, "/ws/", &anna).await;
    let stopping = tokio::spawn(server.server.stop());
    assert_eq!(socket.close_code().await, 1012);
    drop(socket);
    stopping.await.unwrap().unwrap();
}

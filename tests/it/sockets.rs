//! Sockets of the whole server.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, redirect::Policy};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

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

/// The cookie of a browser in which somebody has signed in.
async fn session_cookie(server: &TestServer, name: &str) -> String {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let page = client.get(format!("{}/login/", server.url)).send().await.unwrap();
    let visit = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let text = page.text().await.unwrap();
    let csrf = text.split_once("name=\"csrf_token\" value=\"").unwrap().1.split('"').next().unwrap();
    let password = PASSWORD.replace(' ', "+");
    let request = client.post(format!("{}/login/", server.url)).header("cookie", visit);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let form = format!("username={name}&password={password}&csrf_token={csrf}");
    let signed_in = request.body(form).send().await.unwrap();
    let cookies = signed_in.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.filter_map(|cookie| cookie.split(';').next()).find(|cookie| cookie.starts_with("session="));
    session.unwrap().to_owned()
}

#[tokio::test]
async fn only_pages_of_this_service_open_sockets_with_the_session_of_a_browser() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let cookie = session_cookie(&server, "anna").await;
    let open = async |origin: &str| {
        let address = server.url.strip_prefix("http").unwrap();
        let mut request = format!("ws{address}/ws/").into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        Socket(connect_async(request).await.unwrap().0)
    };
    assert_eq!(open(&server.url).await.next_of("hello").await["user_id"], anna["user"]["id"]);
    let mut foreign = open("https://evil.example").await;
    foreign.send(json!({"type": "ping"})).await;
    assert_eq!(foreign.close_code().await, 4401, "the cookie does not count");
}

/// Answers a ping, and prints the first direct message.
const PYTHON_CLIENT: &str = r#"
import asyncio, json, sys, websockets

async def main():
    async with websockets.connect(sys.argv[1]) as socket:
        assert json.loads(await socket.recv())["type"] == "hello"
        await socket.send(json.dumps({"type": "ping", "n": 7}))
        frame = {}
        while frame.get("type") != "direct_message":
            frame = json.loads(await socket.recv())
            if frame["type"] == "pong":
                print("pong", frame["n"], flush=True)
        print(frame["message"]["content"], flush=True)

asyncio.run(asyncio.wait_for(main(), 30))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_not_ours_gets_messages() {
    let python = || Command::new("python3");
    if !python().args(["-c", "import websockets"]).output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let server = TestServer::start().await;
    let (anna, ben) = (server.sign_up("anna").await, server.sign_up("ben").await);
    let address = server.url.strip_prefix("http").unwrap();
    let url = format!("ws{address}/ws/notifications/?token={}", anna["access"].as_str().unwrap());
    let mut client = python().args(["-c", PYTHON_CLIENT, &url]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let (sender, mut printed) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    assert_eq!(printed.recv().await.as_deref(), Some("pong 7"));
    let body = json!({"receiver_id": anna["user"]["id"], "content": "grüße"});
    assert_eq!(server.post("/messaging/api/send/", &bearer(&ben), body).await.status, 201);
    assert_eq!(printed.recv().await.as_deref(), Some("grüße"));
    assert!(client.wait().unwrap().success());
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

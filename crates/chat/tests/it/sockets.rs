use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use guildhall_chat::{Changes, NewRoom, Participants, Rooms, sockets};
use guildhall_kernel::UserId;
use guildhall_realtime::RealtimeState;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::harness::{Harness, chat, person};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(address: SocketAddr, path: &str) -> Self {
        Self(connect_async(format!("ws://{address}{path}")).await.unwrap().0)
    }

    /// Sends a frame.
    async fn send(&mut self, frame: Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next frame, but not one about who is there.
    async fn next(&mut self) -> Value {
        loop {
            let Message::Text(text) = self.message().await else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] != "presence" {
                return frame;
            }
        }
    }

    /// The frames until the server closes, and its code.
    async fn close(&mut self) -> (Vec<Value>, u16) {
        let mut frames = Vec::new();
        loop {
            match self.message().await {
                Message::Text(text) => frames.push(serde_json::from_str(&text).unwrap()),
                Message::Close(Some(frame)) => return (frames, frame.code.into()),
                _ => {}
            }
        }
    }
}

async fn serve(harness: &Harness) -> SocketAddr {
    let state = RealtimeState::new(harness.streams.clone());
    let app = axum::Router::from(guildhall_realtime::router(state.clone())).merge(sockets(state));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn an_error_says_when_to_try_again() {
    let harness = chat().await;
    let room = harness.room_with(1, &[2], NewRoom { slow_mode_seconds: 10, ..NewRoom::named("den") }).await;
    let address = serve(&harness).await;
    let mut client = Client::connect(address, &format!("/ws/chat/{room}/?token=2")).await;
    client.next().await;
    for _ in 0..2 {
        client.send(json!({"message": "hi"})).await;
    }
    assert_eq!(client.next().await["content"], "hi");
    let refused = client.next().await;
    assert_eq!(refused["code"], "slow_mode", "{refused}");
    assert!(refused["retry_after_ms"].as_u64().is_some_and(|delay| (1..=10_000).contains(&delay)), "{refused}");
}

#[tokio::test]
async fn p55_both_forms_of_a_message_are_stored_and_sent_to_all() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let address = serve(&harness).await;
    let path = |user: i64| format!("/ws/chat/{room}/?token={user}");
    let (mut host, mut other) = (Client::connect(address, &path(1)).await, Client::connect(address, &path(2)).await);
    let hello = host.next().await;
    assert_eq!((&hello["type"], &hello["room_id"]), (&json!("hello"), &json!(room)));
    assert_eq!((&hello["last_seq"], &hello["user_id"]), (&json!(1), &json!(1)));
    other.next().await;
    for (frame, content) in [
        (json!({"message": "hi"}), "hi"),
        (json!({"type": "chat_message", "content": "ho"}), "ho"),
        (json!({"type": "message", "content": "hu", "client_id": "c-1"}), "hu"),
    ] {
        host.send(frame).await;
        let (own, others) = (host.next().await, other.next().await);
        assert_eq!((&own, &own["content"]), (&others, &json!(content)));
        assert_eq!((&own["type"], &own["sender"]["username"]), (&json!("message"), &json!("person-1")));
    }
    assert_eq!(harness.history(2, room).await, ["person-2 joined.", "hi", "ho", "hu"]);
    host.send(json!({"type": "message", "content": "hu", "client_id": "c-1"})).await;
    assert_eq!(host.next().await["duplicate"], true);
    for (frame, code) in [
        (json!({"type": "dance"}), "unknown_type"),
        (json!({"type": "message", "content": ""}), "invalid"),
        (json!({"type": "edit", "id": 1}), "invalid"),
    ] {
        host.send(frame).await;
        let error = host.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)));
    }
    host.send(json!({"type": "ping", "n": 7})).await;
    assert_eq!(host.next().await, json!({"type": "pong", "n": 7}));
}

#[tokio::test]
async fn p56_a_socket_resumes_with_exactly_the_missed_events() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let address = serve(&harness).await;
    for content in ["a", "b", "c"] {
        harness.say(1, room, content).await;
    }
    let mut client = Client::connect(address, &format!("/ws/chat/{room}/?token=2&after=2")).await;
    assert_eq!(client.next().await["last_seq"], 4);
    for (seq, content) in [(3, "b"), (4, "c")] {
        let frame = client.next().await;
        assert_eq!((&frame["seq"], &frame["content"]), (&json!(seq), &json!(content)));
    }
    harness.say(1, room, "d").await;
    assert_eq!(client.next().await["seq"], 5);
}

#[tokio::test]
async fn p54_the_close_code_says_why_a_socket_is_refused() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let (closed, left) = (harness.room_of(1, &[2]).await, harness.room_of(1, &[2]).await);
    harness.close_room(&person(1), closed).await.unwrap();
    harness.leave_room(1, left).await.unwrap();
    let address = serve(&harness).await;
    for (room, reason) in [(closed, "closed"), (left, "host_left")] {
        let (frames, _) = Client::connect(address, &format!("/ws/chat/{room}/?token=2")).await.close().await;
        assert!(frames.contains(&json!({ "type": "room_closed", "reason": reason })), "{frames:?}");
    }
    for (path, expected) in [
        (format!("/ws/chat/{room}/?token=x"), 4401),
        (format!("/ws/chat/{room}/?token=3"), 4403),
        ("/ws/chat/4711/?token=1".to_owned(), 4404),
        ("/ws/chat/x/?token=1".to_owned(), 4404),
        (format!("/ws/chat/{room}/?token=1&after=x"), 4400),
        (format!("/ws/chat/{room}/?token=1&after=-1"), 4400),
        (format!("/ws/chat/{closed}/?token=2"), 4410),
        (format!("/ws/chat/{closed}/?token=3"), 4403),
    ] {
        let (frames, code) = Client::connect(address, &path).await.close().await;
        assert_eq!(code, expected, "{path}");
        assert_eq!(frames.iter().any(|frame| frame["type"] == "room_closed"), expected == 4410, "{path}");
    }
}

#[tokio::test]
async fn a_removed_socket_closes_with_4403_and_that_of_a_closed_room_with_4410() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let address = serve(&harness).await;
    let mut clients = Vec::new();
    for user in [2, 3] {
        let mut client = Client::connect(address, &format!("/ws/chat/{room}/?token={user}")).await;
        assert_eq!(client.next().await["type"], "hello");
        clients.push(client);
    }
    harness.remove(&person(1), room, UserId(2)).await.unwrap();
    harness.say(1, room, "alone").await;
    let (frames, code) = clients[0].close().await;
    assert_eq!(code, 4403);
    let events: Vec<&Value> = frames.iter().filter(|frame| frame.get("seq").is_some()).collect();
    assert_eq!((events.len(), &events[0]["event"]), (1, &json!("member_removed")));
    harness.leave_room(1, room).await.unwrap();
    let (frames, code) = clients[1].close().await;
    assert_eq!(code, 4410);
    let types: Vec<&Value> = frames.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(types[types.len() - 2..], ["room_closed", "bye"]);
    assert_eq!(frames[frames.len() - 2]["reason"], "host_left");
}

#[tokio::test]
async fn a_room_is_one_of_many_streams_of_a_socket() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2]).await;
    let address = serve(&harness).await;
    let stream = format!("chat/{room}");
    let mut client = Client::connect(address, "/ws/?token=2").await;
    assert_eq!(client.next().await["type"], "hello");
    client.send(json!({"type": "subscribe", "stream": stream, "after": 0})).await;
    assert_eq!(client.next().await["last_seq"], 1);
    assert_eq!(client.next().await["event"], "member_joined");
    client.send(json!({"type": "message", "stream": stream, "content": "hi"})).await;
    let frame = client.next().await;
    assert_eq!((&frame["stream"], &frame["seq"]), (&json!(stream), &json!(2)));
    harness.leave_room(1, room).await.unwrap();
    assert_eq!(client.next().await["event"], "room_closed");
    assert_eq!(client.next().await["type"], "room_closed");
    assert_eq!(client.next().await, json!({"type": "unsubscribed", "stream": stream}));
    client.send(json!({"type": "subscribe", "stream": stream})).await;
    assert_eq!(client.next().await["code"], "room_closed");
}

#[tokio::test]
async fn the_content_of_a_deleted_message_is_not_replayed() {
    let harness = chat().await;
    let room = harness.room_of(1, &[]).await;
    let message = harness.say(1, room, "secret").await;
    harness.say(1, room, "hello").await;
    harness.delete(&person(1), room, message.id).await.unwrap();
    let address = serve(&harness).await;
    let mut client = Client::connect(address, &format!("/ws/chat/{room}/?token=1&after=0")).await;
    client.next().await;
    let frames = [client.next().await, client.next().await, client.next().await];
    let types: Vec<&Value> = frames.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(types, ["hidden", "message", "message_deleted"]);
    assert_eq!(frames.iter().map(|frame| frame["seq"].clone()).collect::<Vec<_>>(), [1, 2, 3]);
}

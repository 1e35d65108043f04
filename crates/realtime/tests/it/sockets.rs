use std::time::Duration;

use guildhall_kernel::{SessionId, UserId};
use guildhall_realtime::{OwnStream, Settings};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Client, harness, harness_with, room};

#[tokio::test]
async fn a_socket_gets_the_events_of_its_stream_in_order() {
    let harness = harness().await;
    harness.append(&room(7), json!({ "type": "message", "text": "before" })).await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/rooms/7/?token=5").await;
    let hello = client.next().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!((&hello["room_id"], &hello["last_seq"], &hello["user_id"]), (&json!(7), &json!(1), &json!(5)));
    assert_eq!((&hello["state"], &hello["heartbeat_s"]), (&json!("live"), &json!(25)));
    for number in 2..=30 {
        harness.append(&room(7), json!({ "type": "message", "text": number })).await;
    }
    for number in 2..=30 {
        assert_eq!(client.next().await, json!({ "type": "message", "text": number, "seq": number }));
    }
}

#[tokio::test]
async fn a_socket_that_reconnects_gets_what_it_has_missed() {
    let harness = harness().await;
    let address = harness.serve().await;
    for number in 1..=5 {
        harness.append(&room(7), json!({ "type": "message", "text": number })).await;
    }
    let mut client = Client::connect(address, "/rooms/7/?token=5&after=2").await;
    assert_eq!(client.next().await["state"], "recovered");
    harness.append(&room(7), json!({ "type": "message", "text": 6 })).await;
    for number in 3..=6 {
        assert_eq!(client.next().await["seq"], number);
    }
    for after in ["-1", "x", "1.5", "99999999999999999999"] {
        let mut client = Client::connect(address, &format!("/rooms/7/?token=5&after={after}")).await;
        assert_eq!(client.close().await.0, 4400, "{after}");
    }
}

#[tokio::test]
async fn one_socket_can_follow_many_streams() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/ws/?token=5").await;
    assert_eq!(client.next().await["type"], "hello");
    client.send(json!({ "type": "subscribe", "stream": "room/7" })).await;
    let subscribed = client.next().await;
    let epoch = &subscribed["epoch"];
    let expected = json!({ "type": "subscribed", "stream": "room/7", "last_seq": 0, "epoch": epoch, "state": "live" });
    assert_eq!((&subscribed, epoch.is_i64()), (&expected, true));
    client.send(json!({ "type": "subscribe", "stream": "user/5" })).await;
    assert_eq!(client.next().await["stream"], "user/5");
    harness.append(&room(7), json!({ "type": "message" })).await;
    assert_eq!(client.next().await, json!({ "type": "message", "stream": "room/7", "seq": 1 }));
    harness.append(&OwnStream::of(UserId(5)), json!({ "type": "notification" })).await;
    assert_eq!(client.next().await, json!({ "type": "notification", "stream": "user/5", "seq": 1 }));
    harness.streams.publish_transient(&room(7), &json!({ "type": "typing" }), None);
    assert_eq!(client.next().await, json!({ "type": "typing", "stream": "room/7" }));

    client.send(json!({ "type": "subscribe", "stream": "room/7", "after": "x" })).await;
    assert_eq!(client.next().await["code"], "invalid");
    harness.append(&room(7), json!({ "type": "message" })).await;
    assert_eq!(client.next().await["seq"], 2, "a failed subscription does not end the running one");

    client.send(json!({ "type": "unsubscribe", "stream": "room/7" })).await;
    assert_eq!(client.next().await["type"], "unsubscribed");
    harness.append(&room(7), json!({ "type": "message" })).await;
    for (stream, code) in [
        ("user/6", "stream_not_allowed"),
        ("nothing/1", "stream_not_allowed"),
        ("room/404", "room_not_found"),
        ("room/", "bad_stream"),
    ] {
        client.send(json!({ "type": "subscribe", "stream": stream })).await;
        let error = client.next().await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{stream}");
    }
}

#[tokio::test]
async fn a_subscription_ends_with_the_removal_of_its_user() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut single = Client::connect(address, "/rooms/7/?token=5").await;
    let mut many = Client::connect(address, "/ws/?token=5").await;
    many.next_of("hello").await;
    many.send(json!({ "type": "subscribe", "stream": "room/7" })).await;
    many.next_of("subscribed").await;
    single.next_of("hello").await;
    harness.rooms.removed.lock().unwrap().push(UserId(5));
    harness.append_removal(&room(7), UserId(5)).await;
    harness.append(&room(7), json!({ "type": "message", "text": "secret" })).await;
    assert_eq!(single.next().await["type"], "member_removed");
    assert_eq!(single.close().await.0, 4403);
    assert_eq!(many.next().await["type"], "member_removed");
    assert_eq!(many.next().await, json!({ "type": "unsubscribed", "stream": "room/7" }));
    let mut again = Client::connect(address, "/rooms/7/?token=5").await;
    assert_eq!(again.close().await.0, 4403);
}

#[tokio::test]
async fn credentials_come_in_the_query_a_header_a_subprotocol_or_the_first_frame() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut by_query = Client::connect(address, "/ws/notifications/?token=5").await;
    assert_eq!(by_query.next().await["user_id"], 5);
    let mut by_header = Client::connect_with(address, "/ws/notifications/", "authorization", "Bearer 5").await;
    assert_eq!(by_header.next().await["user_id"], 5);
    let protocols = "guildhall.v1, bearer.5";
    let mut by_protocol =
        Client::connect_with(address, "/ws/notifications/", "sec-websocket-protocol", protocols).await;
    assert_eq!(by_protocol.next().await["user_id"], 5);
    let mut by_frame = Client::connect(address, "/ws/notifications/").await;
    by_frame.send(json!({ "type": "auth", "token": "5" })).await;
    assert_eq!(by_frame.next().await["user_id"], 5);

    for path in ["/ws/?token=x", "/ws/notifications/?token=", "/rooms/7/?ticket=x"] {
        let mut client = Client::connect(address, path).await;
        assert_eq!(client.close().await, (4401, "not_authenticated".to_owned()), "{path}");
    }
    let mut client = Client::connect(address, "/ws/").await;
    client.send(json!({ "type": "subscribe", "stream": "room/7" })).await;
    assert_eq!(client.close().await.0, 4401);
    for (path, code) in [("/rooms/7/?token=13", 4403), ("/rooms/404/?token=5", 4404)] {
        assert_eq!(Client::connect(address, path).await.close().await.0, code, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_sends_no_credentials_is_disconnected() {
    let harness = harness_with(Settings { auth_seconds: 1, ..Settings::default() }).await;
    let address = harness.serve().await;
    assert_eq!(Client::connect(address, "/ws/").await.close().await.0, 4401);
}

#[tokio::test]
async fn a_token_in_the_query_string_can_be_forbidden() {
    let harness = harness_with(Settings { query_token: false, ..Settings::default() }).await;
    let address = harness.serve().await;
    assert_eq!(Client::connect(address, "/ws/?token=5").await.close().await.0, 4401);
    let mut by_ticket = Client::connect(address, "/ws/?ticket=5").await;
    assert_eq!(by_ticket.next().await["type"], "hello");
}

#[tokio::test]
async fn frames_that_are_not_understood_are_answered_and_the_fifth_closes_the_socket() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/rooms/7/?token=5").await;
    client.next_of("hello").await;
    client.send(json!({ "type": "ping", "n": 3 })).await;
    assert_eq!(client.next().await, json!({ "type": "pong", "n": 3 }));
    client.send(json!({ "message": "hi" })).await;
    assert_eq!(client.next().await, json!({ "type": "echo", "user": 5, "content": "hi" }));
    client.send(json!({ "type": "dance", "client_id": "a-1" })).await;
    let error = client.next().await;
    assert_eq!((&error["code"], &error["client_id"]), (&json!("unknown_type"), &json!("a-1")));
    for _ in 0..3 {
        client.send_raw(Message::Text("{".into())).await;
        assert_eq!(client.next().await["code"], "bad_frame");
    }
    client.send_raw(Message::Text("[]".into())).await;
    assert_eq!(client.close().await.0, 4400);
}

#[tokio::test]
async fn limits_on_what_a_client_sends() {
    let harness = harness_with(Settings { frame_bytes: 1000, frames_per_second: 5, ..Settings::default() }).await;
    let address = harness.serve().await;
    let connect = async || {
        let mut client = Client::connect(address, "/rooms/7/?token=5").await;
        client.next_of("hello").await;
        client
    };
    let mut binary = connect().await;
    binary.send_raw(Message::Binary(vec![1].into())).await;
    assert_eq!(binary.close().await.0, 1003);
    let mut large = connect().await;
    large.send(json!({ "type": "message", "content": "x".repeat(1000) })).await;
    assert_eq!(large.close().await.0, 1009);
    let mut flood = connect().await;
    for n in 0..20 {
        flood.send(json!({ "type": "ping", "n": n })).await;
    }
    assert_eq!(flood.close().await.0, 4429);
    let mut control = connect().await;
    for _ in 0..20 {
        control.send_raw(Message::Ping(vec![1].into())).await;
    }
    assert_eq!(control.close().await.0, 4429);
    let mut read_only = Client::connect(address, "/rooms/7/?token=5.1.600.r").await;
    read_only.next_of("hello").await;
    read_only.send(json!({ "message": "hi" })).await;
    assert_eq!(read_only.next().await["code"], "insufficient_scope");
}

#[tokio::test]
async fn a_revoked_session_is_disconnected_within_a_second() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut first = Client::connect(address, "/ws/?token=5.1").await;
    let mut second = Client::connect(address, "/ws/?token=5.2").await;
    let mut other = Client::connect(address, "/ws/?token=6.3").await;
    for client in [&mut first, &mut second, &mut other] {
        client.next_of("hello").await;
    }
    harness.auth.ended.lock().unwrap().push(SessionId(1));
    harness.streams.check_user(UserId(5)).await.unwrap();
    let close = tokio::time::timeout(Duration::from_secs(1), first.close()).await.unwrap();
    assert_eq!(close, (4401, "revoked".to_owned()));
    for client in [&mut second, &mut other] {
        client.send(json!({ "type": "ping" })).await;
        assert_eq!(client.next().await["type"], "pong");
    }
}

#[tokio::test]
async fn an_expiring_token_can_be_replaced() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/ws/?token=5.1.90").await;
    let mut silent = Client::connect(address, "/ws/?token=6.1.90").await;
    client.next_of("hello").await;
    silent.next_of("hello").await;
    harness.advance(40);
    assert_eq!(client.next_of("auth_expiring").await["in_s"], 50);
    client.send(json!({ "type": "auth", "token": "6.1.900" })).await;
    assert_eq!(client.next_of("error").await["code"], "other_user");
    client.send(json!({ "type": "auth", "token": "5.1.900" })).await;
    client.next_of("authenticated").await;
    harness.advance(85);
    assert_eq!(silent.close().await, (4401, "expired".to_owned()));
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.next().await["type"], "pong");
}

#[tokio::test]
async fn a_socket_belongs_to_the_session_of_its_latest_token() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/ws/?token=5.1.900").await;
    client.next_of("hello").await;
    client.send(json!({ "type": "auth", "token": "5.2.900" })).await;
    client.next_of("authenticated").await;
    harness.auth.ended.lock().unwrap().push(SessionId(1));
    harness.streams.check_user(UserId(5)).await.unwrap();
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.next().await["type"], "pong");
    harness.auth.ended.lock().unwrap().push(SessionId(2));
    harness.streams.check_user(UserId(5)).await.unwrap();
    assert_eq!(client.close().await, (4401, "revoked".to_owned()));
}

#[tokio::test]
async fn another_socket_replaces_the_oldest_one() {
    let harness = harness_with(Settings { sockets_per_user: 2, ..Settings::default() }).await;
    let address = harness.serve().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(address, "/ws/?token=5").await;
        client.next_of("hello").await;
        clients.push(client);
    }
    assert_eq!(clients[0].close().await.0, 4409);
    clients[1].send(json!({ "type": "ping" })).await;
    assert_eq!(clients[1].next().await["type"], "pong");
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_disconnected() {
    let harness = harness_with(Settings { heartbeat_seconds: 1, idle_seconds: 3, ..Settings::default() }).await;
    let address = harness.serve().await;
    // This one answers pings while it waits.
    let mut alive = Client::connect(address, "/ws/?token=5").await;
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    handshake_without_reading(&silent, address).await;
    alive.next_of("hello").await;
    let started = std::time::Instant::now();
    while harness.streams.sockets() > 1 && started.elapsed() < Duration::from_secs(15) {
        alive.send(json!({ "type": "ping" })).await;
        alive.next_of("pong").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(harness.streams.sockets(), 1);
    drop(silent);
}

async fn handshake_without_reading(stream: &tokio::net::TcpStream, address: std::net::SocketAddr) {
    let request = format!(
        "GET /ws/?token=6 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.writable().await.unwrap();
    stream.try_write(request.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_server_that_stops_asks_its_clients_to_reconnect() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/ws/?token=5").await;
    client.next_of("hello").await;
    let streams = harness.streams.clone();
    let stopping = tokio::spawn(async move { streams.stop().await });
    let bye = client.next_of("bye").await;
    assert_eq!((&bye["code"], bye["retry_after_ms"].is_u64()), (&json!(1012), true));
    assert_eq!(client.close().await.0, 1012);
    stopping.await.unwrap();
}

#[tokio::test]
async fn handshakes_are_limited_per_address() {
    let harness = harness_with(Settings { handshakes_per_minute: 2, ..Settings::default() }).await;
    let address = harness.serve().await;
    for _ in 0..2 {
        Client::connect(address, "/ws/?token=5").await.next_of("hello").await;
    }
    let refused = Client::try_connect(address, "/ws/?token=5").await;
    assert_eq!(refused.err(), Some(429));
}

//! Access that ends while a socket follows a stream, or while it is away.

use guildhall_kernel::{SessionId, UserId, UserTokenId};
use serde_json::json;

use crate::harness::{Client, harness, room};

async fn subscribe(address: std::net::SocketAddr, token: &str) -> Client {
    let mut client = Client::connect(address, &format!("/ws/?token={token}")).await;
    client.next_of("hello").await;
    client.send(json!({ "type": "subscribe", "stream": "room/7" })).await;
    client.next_of("subscribed").await;
    client
}

#[tokio::test]
async fn a_check_ends_the_subscriptions_of_those_who_may_no_longer_follow_before_the_next_event() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut single = Client::connect(address, "/rooms/7/?token=5").await;
    single.next_of("hello").await;
    let mut many = subscribe(address, "5").await;
    let mut other = subscribe(address, "6").await;
    harness.rooms.removed.lock().unwrap().push(UserId(5));
    harness.append_check(&room(7)).await;
    harness.append(&room(7), json!({ "type": "message", "text": "secret" })).await;
    assert_eq!(single.next().await, json!({ "type": "access_changed", "seq": 1 }));
    assert_eq!(single.close().await.0, 4403);
    assert_eq!(many.next().await["type"], "access_changed");
    assert_eq!(many.next().await, json!({ "type": "unsubscribed", "stream": "room/7" }));
    many.send(json!({ "type": "ping" })).await;
    assert_eq!(many.next().await["type"], "pong", "nothing after the end");
    assert_eq!(other.next().await["type"], "access_changed");
    assert_eq!(other.next().await["text"], "secret");
}

#[tokio::test]
async fn a_check_of_one_user_asks_about_nobody_else() {
    let harness = harness().await;
    let address = harness.serve().await;
    let (mut leaving, mut staying) = (subscribe(address, "5").await, subscribe(address, "6").await);
    harness.rooms.checked.lock().unwrap().clear();
    harness.append_check_of(&room(7), UserId(5)).await;
    harness.append(&room(7), json!({ "type": "message", "text": "first" })).await;
    for client in [&mut leaving, &mut staying] {
        assert_eq!(client.next().await, json!({ "type": "access_changed", "stream": "room/7", "seq": 1 }));
        assert_eq!(client.next().await["text"], "first", "who may still follow the stream stays");
    }
    assert_eq!(*harness.rooms.checked.lock().unwrap(), [UserId(5)]);
    harness.rooms.removed.lock().unwrap().push(UserId(5));
    harness.append_check_of(&room(7), UserId(5)).await;
    harness.append(&room(7), json!({ "type": "message", "text": "second" })).await;
    assert_eq!(leaving.next().await["type"], "access_changed");
    assert_eq!(leaving.next().await["type"], "unsubscribed");
    assert_eq!(staying.next().await["type"], "access_changed");
    assert_eq!(staying.next().await["text"], "second");
}

#[tokio::test]
async fn access_of_a_user_who_no_longer_exists_can_be_checked() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = subscribe(address, "5").await;
    harness.append_check_of(&room(7), UserId(404)).await;
    assert_eq!(client.next().await, json!({ "type": "access_changed", "stream": "room/7", "seq": 1 }));
}

#[tokio::test]
async fn an_event_that_only_looks_like_a_check_is_none() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = subscribe(address, "5").await;
    harness.rooms.removed.lock().unwrap().push(UserId(5));
    harness.append(&room(7), json!({ "type": "access_changed", "by": 6 })).await;
    harness.append(&room(7), json!({ "type": "message" })).await;
    assert_eq!(client.next().await["seq"], 1);
    assert_eq!(client.next().await["seq"], 2);
}

#[tokio::test]
async fn who_resumes_does_not_get_what_they_may_no_longer_see() {
    let harness = harness().await;
    let address = harness.serve().await;
    for text in ["first", "second", "third"] {
        harness.append(&room(7), json!({ "type": "message", "text": text })).await;
    }
    harness.rooms.hidden.lock().unwrap().push(2);
    let mut client = Client::connect(address, "/rooms/7/?token=5&after=0").await;
    client.next_of("hello").await;
    assert_eq!(client.next().await["text"], "first");
    assert_eq!(client.next().await, json!({ "type": "hidden", "seq": 2 }));
    assert_eq!(client.next().await["text"], "third");
    assert_eq!(*harness.rooms.questions.lock().unwrap(), [[1, 2, 3]], "one question for a page");
}

#[tokio::test]
async fn a_socket_has_the_current_roles_of_its_user() {
    let harness = harness().await;
    let address = harness.serve().await;
    let set_staff = async |users: &[i64]| {
        *harness.auth.staff.lock().unwrap() = users.iter().copied().map(UserId).collect();
        harness.streams.check_user(UserId(5)).await.unwrap();
    };
    set_staff(&[5]).await;
    let mut client = subscribe(address, "5").await;
    client.send(json!({ "type": "subscribe", "stream": "room/100" })).await;
    client.next_of("subscribed").await;
    set_staff(&[]).await;
    assert_eq!(client.next().await, json!({ "type": "unsubscribed", "stream": "room/100" }));
    client.send(json!({ "type": "roles", "stream": "room/7" })).await;
    assert_eq!(client.next().await["roles"], json!([]));
    set_staff(&[5]).await;
    client.send(json!({ "type": "roles", "stream": "room/7" })).await;
    assert_eq!(client.next().await["roles"], json!(["staff"]));
}

#[tokio::test]
async fn a_socket_is_closed_with_its_user_token_but_not_with_another_one() {
    let harness = harness().await;
    let address = harness.serve().await;
    let mut first = subscribe(address, "5.0.900.w.1").await;
    let mut second = subscribe(address, "5.0.900.w.2").await;
    harness.auth.deleted.lock().unwrap().push(UserTokenId(1));
    harness.streams.check_user(UserId(5)).await.unwrap();
    assert_eq!(first.close().await, (4401, "revoked".to_owned()));
    second.send(json!({ "type": "ping" })).await;
    assert_eq!(second.next().await["type"], "pong");
}

#[tokio::test]
async fn nobody_asks_about_events_that_have_just_happened() {
    let harness = harness().await;
    let address = harness.serve().await;
    harness.rooms.hidden.lock().unwrap().push(1);
    let mut client = subscribe(address, "5").await;
    harness.append(&room(7), json!({ "type": "message", "text": "new" })).await;
    assert_eq!(client.next().await["text"], "new");
    assert!(harness.rooms.questions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_ends_before_its_socket_is_known_closes_it() {
    let harness = harness().await;
    let address = harness.serve().await;
    // Its token is accepted, since that was checked before the end.
    harness.auth.ended.lock().unwrap().push(SessionId(9));
    let mut client = Client::connect(address, "/ws/?token=5.9").await;
    assert_eq!(client.close().await, (4401, "revoked".to_owned()));
    let mut other = Client::connect(address, "/ws/?token=5.8.900").await;
    other.next_of("hello").await;
    other.send(json!({ "type": "auth", "token": "5.9.900" })).await;
    assert_eq!(other.close().await, (4401, "revoked".to_owned()));
}

use axum::{Router, body::Body, http::Request};
use guildhall_chat::{ChatState, RoomId, router, verify_export};
use guildhall_kernel::{
    Roles,
    testing::{Answer, TestClient, signed_in_as},
};
use serde_json::{Value, json};

use crate::harness::{Harness, chat};

const API: &str = "/api/chat";

struct Http {
    client: TestClient,
    harness: Harness,
}

async fn http() -> Http {
    let harness = chat().await;
    let auth = signed_in_as(Roles { teacher: true, ..Roles::default() });
    let state = ChatState::new(&harness.chat, auth, "https://example.org".parse().unwrap());
    let app = Router::new().nest("/api", router(state).into()).merge(guildhall_files::router(harness.files.clone()));
    Http { client: TestClient::new(app), harness }
}

impl Http {
    fn of(&self, user: i64) -> TestClient {
        self.client.with(format!("Bearer {user}"))
    }

    async fn get(&self, user: i64, path: &str) -> Answer {
        self.of(user).get(&format!("{API}{path}")).await
    }

    async fn post(&self, user: i64, path: &str, body: Value) -> Answer {
        self.of(user).post(&format!("{API}{path}"), body).await
    }

    /// Posts and expects this status and code.
    async fn expect(&self, user: i64, path: &str, body: Value, expected: (u16, &str)) {
        let answer = self.post(user, path, body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{path}: {}", answer.text);
    }

    /// A room of user 1.
    async fn create(&self) -> RoomId {
        let created = self.post(1, "/create/", json!({"name": "den"})).await;
        assert_eq!(created.status, 201, "{}", created.text);
        RoomId(created.json()["id"].as_i64().unwrap())
    }

    async fn send_form(&self, user: i64, room: RoomId, parts: &[(&str, &str)]) -> Answer {
        let part = |(header, content): &(&str, &str)| {
            format!("--x\r\nContent-Disposition: form-data; {header}\r\n\r\n{content}\r\n")
        };
        let body: String = parts.iter().map(part).chain(["--x--\r\n".to_owned()]).collect();
        let request = Request::post(format!("{API}/{room}/messages/"))
            .header("authorization", format!("Bearer {user}"))
            .header("content-type", "multipart/form-data; boundary=x")
            .body(Body::from(body));
        self.client.send_raw(request.unwrap()).await
    }
}

#[tokio::test]
async fn p45_every_route_needs_authentication() {
    let http = http().await;
    for path in ["/", "/1/", "/1/participants/", "/1/requests/", "/1/messages/", "/1/export/", "/search/?q=x"] {
        let answer = http.client.get(&format!("{API}{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "not_authenticated"), "{path}");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    assert_eq!(http.client.post(&format!("{API}/create/"), json!({"name": "x"})).await.status, 401);
}

#[tokio::test]
async fn a_room_has_the_members_of_the_contract() {
    let http = http().await;
    let created = http.post(1, "/create/", json!({"name": "den", "description": "ours"})).await;
    assert_eq!(created.status, 201);
    assert!(created.headers.contains_key("etag"));
    let room = created.json();
    for member in [
        "id",
        "name",
        "description",
        "host",
        "is_active",
        "participant_count",
        "is_participant",
        "last_seq",
        "created_at",
        "closed_at",
    ] {
        assert!(room.get(member).is_some(), "{member}: {room}");
    }
    assert_eq!((&room["host"]["username"], &room["participant_count"]), (&json!("person-1"), &json!(1)));
    let list = http.get(2, "/").await.json();
    assert_eq!((&list["count"], &list["results"][0]["is_participant"]), (&json!(1), &json!(false)));
    for body in [json!({}), json!({"name": ""}), json!({"name": "x", "max_participants": 10_001})] {
        http.expect(1, "/create/", body, (400, "invalid")).await;
    }
    let card = http.get(2, &format!("/{}/", room["id"])).await;
    assert_eq!((card.status.as_u16(), &card.json()["name"]), (200, &json!("den")));
    assert_eq!(http.get(2, "/4711/").await.code(), "room_not_found");
    assert_eq!(http.get(2, "/x/").await.status, 404);
}

#[tokio::test]
async fn joining_is_asked_for_and_decided() {
    let http = http().await;
    let room = http.create().await;
    let join = format!("/{room}/join/");
    let asked = http.post(2, &join, Value::Null).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["status"]), (201, &json!("pending")));
    let again = http.post(2, &join, Value::Null).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, asked.json()));
    http.expect(1, &join, Value::Null, (409, "already_participant")).await;
    for call in ["approve", "deny"] {
        http.expect(2, &format!("/{room}/{call}/"), json!({"user_id": 2}), (403, "not_moderator")).await;
        http.expect(1, &format!("/{room}/{call}/"), json!({"user_id": 3}), (404, "not_found")).await;
    }
    assert_eq!(http.get(2, &format!("/{room}/requests/")).await.status, 403);
    assert_eq!(http.get(1, &format!("/{room}/requests/")).await.json()["results"][0]["user"]["id"], 2);
    let request = asked.json()["id"].clone();
    let approved = http.post(1, &format!("/{room}/approve/"), json!({"request_id": request})).await;
    assert_eq!((approved.status.as_u16(), &approved.json()["status"]), (200, &json!("approved")));
    http.expect(2, &join, Value::Null, (409, "already_participant")).await;
    let people = http.get(2, &format!("/{room}/participants/")).await.json();
    assert_eq!((&people["count"], &people["results"][1]["user"]["id"]), (&json!(2), &json!(2)));
    http.post(3, &join, Value::Null).await;
    assert_eq!(http.of(3).delete(&format!("{API}{join}")).await.status, 204);
    assert_eq!(http.of(3).delete(&format!("{API}{join}")).await.status, 404);
}

#[tokio::test]
async fn people_are_invited_removed_muted_and_leave() {
    let http = http().await;
    let room = http.create().await;
    let call = |name: &str| format!("/{room}/{name}/");
    assert_eq!(http.post(1, &call("invite"), json!({"user_id": 2})).await.status, 200);
    http.expect(2, &call("invite"), json!({"user_id": 3}), (403, "not_moderator")).await;
    http.expect(2, &call("remove"), json!({"user_id": 1}), (403, "not_moderator")).await;
    http.expect(1, &call("remove"), json!({"user_id": 1}), (400, "is_host")).await;
    http.expect(1, &call("mute"), json!({"user_id": 2}), (400, "invalid")).await;
    let muted = json!({"user_id": 2, "muted_until": "2999-01-01T00:00:00Z"});
    assert_eq!(http.post(1, &call("mute"), muted).await.status, 200);
    http.expect(2, &call("messages"), json!({"content": "x"}), (403, "muted")).await;
    let removed = http.post(1, &call("remove"), json!({"user_id": 2})).await;
    assert_eq!((removed.status.as_u16(), &removed.json()["state"]), (200, &json!("removed")));
    http.expect(2, &call("join"), Value::Null, (403, "removed")).await;
    assert_eq!(http.post(1, &call("invite"), json!({"user_id": 2})).await.status, 200);
    assert_eq!(http.post(2, &call("leave"), Value::Null).await.status, 204);
    http.expect(2, &call("leave"), json!({}), (403, "not_participant")).await;
    assert_eq!(http.post(1, &call("invite"), json!({"user_id": 3})).await.status, 200);
    let cohost = format!("{API}/{room}/cohosts/3/");
    assert_eq!(http.of(1).send(axum::http::Method::PUT, &cohost, Value::Null).await.status, 204);
    assert_eq!(http.of(1).delete(&cohost).await.status, 204);
    let handed = http.post(1, &call("hand-over"), json!({"user_id": 3})).await;
    assert_eq!((handed.status.as_u16(), &handed.json()["host"]["id"]), (200, &json!(3)));
    assert_eq!(http.post(3, &call("leave"), json!({})).await.status, 204);
    http.expect(4, &call("join"), Value::Null, (409, "room_closed")).await;
    http.expect(3, &call("approve"), json!({"user_id": 4}), (409, "room_closed")).await;
}

#[tokio::test]
async fn messages_are_sent_and_listed_by_their_numbers() {
    let http = http().await;
    let room = http.create().await;
    let path = format!("/{room}/messages/");
    http.expect(2, &path, json!({"content": "x"}), (403, "not_participant")).await;
    assert_eq!(http.get(2, &path).await.status, 403);
    for body in [json!({}), json!({"content": " "}), json!({"content": "x".repeat(10_001)}), json!({"content": 5})] {
        http.expect(1, &path, body, (400, "invalid")).await;
    }
    for content in ["a", "b", "c"] {
        assert_eq!(http.post(1, &path, json!({"content": content, "client_id": content})).await.status, 201);
    }
    let page = http.get(1, &format!("{path}?limit=2")).await.json();
    let message = &page["results"][0];
    assert_eq!((&message["type"], &message["content"], &message["seq"]), (&json!("message"), &json!("c"), &json!(3)));
    for member in ["id", "room_id", "message_type", "sender", "file", "timestamp", "client_id"] {
        assert!(message.get(member).is_some(), "{member}: {message}");
    }
    assert_eq!(page["next"], format!("https://example.org{API}{path}?limit=2&before=2"));
    let older = http.get(1, &format!("{path}?before=2")).await.json();
    assert_eq!((&older["results"][0]["content"], older["results"].as_array().unwrap().len()), (&json!("a"), 1));
    let newer = http.get(1, &format!("{path}?after=1")).await.json();
    assert_eq!(newer["results"][0]["content"], "b");
    assert_eq!(http.get(1, &format!("{path}?around=2&limit=2")).await.json()["results"][0]["content"], "c");
    assert_eq!(http.get(1, &format!("{path}?after=x")).await.status, 400);
    let again = http.post(1, &path, json!({"content": "a", "client_id": "a"})).await;
    assert_eq!((again.status.as_u16(), &again.json()["duplicate"]), (200, &json!(true)));
    http.expect(1, &path, json!({"content": "b", "client_id": "a"}), (409, "idempotency_mismatch")).await;
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_answer() {
    let http = http().await;
    let room = http.create().await;
    let send = async |body: Value| {
        let request = Request::post(format!("{API}/{room}/messages/"))
            .header("authorization", "Bearer 1")
            .header("content-type", "application/json")
            .header("idempotency-key", "key with spaces")
            .body(Body::from(body.to_string()));
        http.client.send_raw(request.unwrap()).await
    };
    let (first, again) = (send(json!({"content": "x"})).await, send(json!({"content": "x"})).await);
    assert_eq!((first.status.as_u16(), again.status.as_u16(), &first.json()), (201, 201, &again.json()));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    for body in [json!({"content": "y"}), json!({"content": "x", "reply_to": first.json()["id"]})] {
        let other = send(body).await;
        assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "idempotency_key_reused"));
    }
}

#[tokio::test]
async fn a_message_is_changed_and_reacted_to() {
    let http = http().await;
    let room = http.create().await;
    let message = http.post(1, &format!("/{room}/messages/"), json!({"content": "a"})).await.json();
    let path = format!("{API}/{room}/messages/{}/", message["id"]);
    let client = http.of(1);
    let edited = client.patch(&path, json!({"content": "b"})).await;
    assert_eq!((edited.status.as_u16(), &edited.json()["content"]), (200, &json!("b")));
    assert!(client.get(&path).await.headers.contains_key("etag"));
    assert_eq!(client.get(&format!("{path}revisions/")).await.json()["results"][0]["content"], "a");
    let put = async |path: &str| client.send(axum::http::Method::PUT, path, Value::Null).await.status.as_u16();
    assert_eq!(put(&format!("{path}reactions/%F0%9F%91%8D/")).await, 204);
    assert_eq!(put(&format!("{path}reactions/like/")).await, 400);
    assert_eq!(client.get(&path).await.json()["reactions"]["👍"], 1);
    assert_eq!(client.delete(&format!("{path}reactions/%F0%9F%91%8D/")).await.status, 204);
    let pin = format!("{API}/{room}/pins/{}/", message["id"]);
    assert_eq!(put(&pin).await, 204);
    assert_eq!(http.get(1, &format!("/{room}/pins/")).await.json()["results"][0]["message"]["content"], "b");
    assert_eq!(client.delete(&pin).await.status, 204);
    assert_eq!(http.get(1, "/search/?q=b").await.json()["results"], json!([]), "one letter is no word");
    assert_eq!(http.post(1, &format!("/{room}/read/"), json!({})).await.status, 204);
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.get(&path).await.json()["is_deleted"], true);
}

#[tokio::test]
async fn a_form_sends_a_file() {
    let http = http().await;
    let room = http.create().await;
    let file = ("name=\"file\"; filename=\"a.txt\"", "hello");
    let sent = http.send_form(1, room, &[("name=\"content\"", "look"), ("name=\"client_id\"", "f"), file]).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let message = sent.json();
    assert_eq!((&message["message_type"], &message["content"]), (&json!("file"), &json!("look")));
    let shown = &message["file"];
    assert_eq!((&shown["name"], &shown["size"]), (&json!("a.txt"), &json!(5)));
    let url = shown["url"].as_str().unwrap().strip_prefix("https://example.org/api").unwrap();
    assert_eq!(http.client.get(url).await.text, "hello");
    let path = format!("/{room}/messages/{}/file/", message["id"]);
    let redirect = http.get(1, &path).await;
    assert_eq!(
        (redirect.status.as_u16(), redirect.headers["location"].to_str().unwrap()),
        (307, shown["url"].as_str().unwrap())
    );
    assert_eq!(http.get(2, &path).await.status, 403);
    for parts in [&[("name=\"content\"", "look")][..], &[file, ("name=\"reply_to\"", "x")]] {
        let answer = http.send_form(1, room, parts).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid"), "{}", answer.text);
    }
    let text = http.post(1, &format!("/{room}/messages/"), json!({"content": "x"})).await.json();
    assert_eq!(http.get(1, &format!("/{room}/messages/{}/file/", text["id"])).await.code(), "not_found");
}

#[tokio::test]
async fn a_room_is_changed_audited_exported_and_closed() {
    let http = http().await;
    let room = http.create().await;
    let path = format!("{API}/{room}/");
    http.post(1, &format!("/{room}/messages/"), json!({"content": "x"})).await;
    assert_eq!(http.of(2).patch(&path, json!({"name": "x"})).await.code(), "not_host");
    let changed = http.of(1).patch(&path, json!({"name": "new", "slow_mode_seconds": 5})).await;
    assert_eq!((&changed.json()["name"], &changed.json()["slow_mode_seconds"]), (&json!("new"), &json!(5)));
    assert_eq!(http.of(1).patch(&path, json!({"name": null})).await.status, 400);
    let audit = http.get(1, &format!("/{room}/audit/?from=1&to=1")).await.json();
    assert_eq!((&audit["last_seq"], audit["events"].as_array().unwrap().len()), (&json!(2), 1));
    let export = http.get(1, &format!("/{room}/export/")).await;
    assert_eq!(export.headers["content-type"], "application/jsonl");
    assert_eq!(verify_export(export.text.as_bytes()).unwrap().events, 2);
    assert_eq!(http.get(2, &format!("/{room}/export/")).await.code(), "not_host");
    assert_eq!(http.of(2).delete(&path).await.status, 403);
    assert_eq!(http.of(1).delete(&path).await.status, 204);
    assert_eq!(http.of(1).delete(&path).await.status, 204);
    assert_eq!(http.get(2, &format!("/{room}/")).await.status, 404);
    assert_eq!(http.get(1, &format!("/{room}/")).await.json()["is_active"], false);
    assert_eq!(http.get(1, "/?closed=true").await.json()["count"], 1);
    assert!(http.harness.examine(false).await.unwrap().iter().all(|finding| !finding.is_error()));
}

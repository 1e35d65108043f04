//! Chat rooms of the whole server.

use guildhall_chat::verify_export;
use guildhall_kernel::Roles;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    server::{TestServer, bearer},
    sockets::Socket,
};

/// A room of the teacher Tom, with Ben as a participant.
struct Fixture {
    server: TestServer,
    tom: Value,
    ben: Value,
    room: i64,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let server = TestServer::start_with(settings).await;
        let tom = server.sign_up_with_roles("tom", Roles { teacher: true, ..Roles::default() }).await;
        let ben = server.sign_up("ben").await;
        let created = server.post("/api/chat/create/", &bearer(&tom), json!({"name": "den"})).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let room = created.json()["id"].as_i64().unwrap();
        let fixture = Self { server, tom, ben, room };
        assert_eq!(fixture.post(&fixture.ben, "join", Value::Null).await, 201);
        assert_eq!(fixture.post(&fixture.tom, "approve", json!({"user_id": fixture.ben["user"]["id"]})).await, 200);
        fixture
    }

    fn path(&self, call: &str) -> String {
        format!("/api/chat/{}/{call}/", self.room)
    }

    async fn post(&self, who: &Value, call: &str, body: Value) -> u16 {
        self.server.post(&self.path(call), &bearer(who), body).await.status.as_u16()
    }

    async fn socket(&self, who: &Value) -> Socket {
        Socket::of(&self.server, &format!("/ws/chat/{}/", self.room), who).await
    }
}

#[tokio::test]
async fn only_teachers_open_rooms() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let refused = server.post("/api/chat/create/", &anna, json!({"name": "den"})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "not_a_teacher"));
}

#[tokio::test]
async fn people_talk_until_the_host_leaves() {
    let fixture = Fixture::new().await;
    let (mut tom, mut ben) = (fixture.socket(&fixture.tom).await, fixture.socket(&fixture.ben).await);
    tom.send(json!({"message": "hi"})).await;
    let (own, other) = (tom.next_of("message").await, ben.next_of("message").await);
    assert_eq!((&own, &own["content"], &own["seq"]), (&other, &json!("hi"), &json!(2)));
    let eve = fixture.server.sign_up("eve").await;
    let token = eve["access"].as_str().unwrap();
    let mut outsider = Socket::open(&fixture.server, &format!("/ws/chat/{}/?token={token}", fixture.room)).await;
    assert_eq!(outsider.close_code().await, 4403);
    assert_eq!(fixture.post(&fixture.tom, "leave", json!({})).await, 204);
    assert_eq!(ben.next_of("room_closed").await["reason"], "host_left");
    assert_eq!(ben.close_code().await, 4410);
    assert_eq!(tom.close_code().await, 4410);
    let history = fixture.server.get(&fixture.path("messages"), &bearer(&fixture.ben)).await.json();
    assert_eq!(history["results"].as_array().unwrap().len(), 3);
    assert_eq!(fixture.post(&fixture.ben, "messages", json!({"content": "x"})).await, 409);
}

#[tokio::test]
async fn a_removed_participant_is_cut_off() {
    let fixture = Fixture::new().await;
    let mut ben = fixture.socket(&fixture.ben).await;
    assert_eq!(fixture.post(&fixture.tom, "remove", json!({"user_id": fixture.ben["user"]["id"]})).await, 200);
    assert_eq!(ben.next_of("message").await["event"], "member_removed");
    assert_eq!(ben.close_code().await, 4403);
}

#[tokio::test]
async fn a_room_closes_after_the_grace_when_the_host_has_no_connection() {
    let fixture = Fixture::with(&[("GUILDHALL__CHAT__HOST_GRACE_SECONDS", "3")]).await;
    let mut ben = fixture.socket(&fixture.ben).await;
    let tom = fixture.socket(&fixture.tom).await;
    while fixture.server.row_counts().await["chat_host_connection"] < 1 {
        tokio::task::yield_now().await;
    }
    drop(tom);
    assert!(ben.next_of("host_away").await["closes_at"].is_string());
    let back = fixture.socket(&fixture.tom).await;
    ben.next_of("host_back").await;
    drop(back);
    ben.next_of("host_away").await;
    assert_eq!(ben.next_of("room_closed").await["reason"], "host_away");
    assert_eq!(ben.close_code().await, 4410);
}

#[tokio::test]
async fn a_file_is_sent_and_the_exported_room_is_verified() {
    let fixture = Fixture::new().await;
    let part = Part::bytes(b"hello".to_vec()).file_name("a.txt").mime_str("text/plain").unwrap();
    let request = fixture.server.request(reqwest::Method::POST, &fixture.path("messages"));
    let request = request.header("authorization", bearer(&fixture.ben)).multipart(Form::new().part("file", part));
    let sent = fixture.server.send(request).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    let url = sent.json()["file"]["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&fixture.server.url), "{url}");
    assert_eq!(fixture.server.client.get(url).send().await.unwrap().text().await.unwrap(), "hello");
    let export = fixture.server.get(&fixture.path("export"), &bearer(&fixture.tom)).await;
    assert_eq!(verify_export(export.text.as_bytes()).unwrap().events, 2);
}

#[tokio::test]
async fn rooms_of_a_deleted_host_close_and_messages_stay() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.post(&fixture.tom, "messages", json!({"content": "bye"})).await, 201);
    let mut ben = fixture.socket(&fixture.ben).await;
    let staff = fixture.server.sign_up_with_roles("root", Roles { superuser: true, ..Roles::default() }).await;
    let path = format!("/api/users/{}/", fixture.tom["user"]["id"]);
    assert_eq!(fixture.server.delete(&path, &bearer(&staff)).await.status, 204);
    assert_eq!(ben.next_of("room_closed").await["reason"], "host_deleted");
    assert_eq!(ben.close_code().await, 4410);
    let history = fixture.server.get(&fixture.path("messages"), &bearer(&fixture.ben)).await.json();
    let bye = history["results"].as_array().unwrap().iter().find(|one| one["content"] == "bye").unwrap();
    assert_eq!(bye["sender"], Value::Null);
}

//! Notifications of the events of all domains.

mod chat;
mod community;
mod deals;
mod emails;
mod messaging;

use reqwest::Method;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::server::{Response, TestServer, bearer};

const LIST: &str = "/api/notifications/";

/// A user who is signed in.
struct Person {
    id: i64,
    token: String,
}

/// Checks what a notification is about.
fn assert_target(notification: &Value, kind: &str, id: i64, path: &str) {
    let target = &notification["target"];
    assert_eq!((&target["kind"], &target["id"]), (&json!(kind), &json!(id)));
    let url = target["url"].as_str().unwrap();
    assert!(url.starts_with("http://") && url.ends_with(path), "{url}");
}

/// A server with three users.
struct Fixture {
    server: TestServer,
    anna: Person,
    ben: Person,
    eve: Person,
}

async fn sign_up(server: &TestServer, name: &str) -> Person {
    let signed_in = server.sign_up(name).await;
    Person { id: signed_in["user"]["id"].as_i64().unwrap(), token: bearer(&signed_in) }
}

async fn fixture() -> Fixture {
    let server = TestServer::start().await;
    let anna = sign_up(&server, "anna").await;
    let ben = sign_up(&server, "ben").await;
    let eve = sign_up(&server, "eve").await;
    Fixture { server, anna, ben, eve }
}

impl Fixture {
    async fn send(&self, method: Method, path: &str, who: &Person, body: Value) -> Response {
        let request = self.server.request(method, path).header("authorization", &who.token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = self.server.send(request).await;
        assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
        response
    }

    /// Sends a POST request, which has to succeed; returns the body of the response.
    async fn post(&self, path: &str, who: &Person, body: Value) -> Value {
        self.send(Method::POST, path, who, body).await.json()
    }

    /// Waits until all events have been handled and all notifications delivered.
    async fn deliver(&self) {
        self.server.handle_events().await;
        let waiting = "SELECT COUNT(*) FROM notifications_queue WHERE next_at IS NOT NULL";
        loop {
            let query = Statement::from_string(self.server.db.backend(), waiting);
            let row = self.server.db.conn().query_one_raw(query).await.unwrap().unwrap();
            if row.try_get_by_index::<i64>(0).unwrap() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The notifications of a user, newest first, after all have been delivered.
    async fn notifications(&self, who: &Person) -> Vec<Value> {
        self.deliver().await;
        let list = self.server.get(LIST, &who.token).await;
        assert_eq!(list.status, 200, "{}", list.text);
        list.json()["results"].as_array().unwrap().clone()
    }

    /// The texts of the notifications of a user.
    async fn texts(&self, who: &Person) -> Vec<String> {
        let text = |one: &Value| one["text"].as_str().unwrap().to_owned();
        self.notifications(who).await.iter().map(text).collect()
    }

    async fn unread(&self, who: &Person) -> i64 {
        self.deliver().await;
        let count = self.server.get("/api/notifications/unread-count/", &who.token).await.json();
        count["unread_count"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn nobody_else_sees_or_reads_a_notification() {
    let fixture = fixture().await;
    let post = fixture.post("/api/community/posts/", &fixture.anna, json!({"content": "hi", "title": "Hello"})).await;
    fixture
        .post(&format!("/api/community/posts/{}/comments/", post["id"]), &fixture.ben, json!({"content": "x"}))
        .await;
    let own = fixture.notifications(&fixture.anna).await;
    assert_eq!((own.len(), fixture.notifications(&fixture.eve).await.len()), (1, 0));
    let read = format!("{LIST}{}/read/", own[0]["id"]);
    assert_eq!(fixture.server.post(&read, &fixture.eve.token, Value::Null).await.status, 404);
    assert_eq!(fixture.unread(&fixture.anna).await, 1);
    fixture.post(&read, &fixture.anna, Value::Null).await;
    assert_eq!(fixture.unread(&fixture.anna).await, 0);
}

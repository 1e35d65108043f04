use axum::{Router, body::Body, http::Request};
use guildhall_kernel::{
    Roles,
    testing::{Answer, TestClient, signed_in_as},
};
use guildhall_messaging::{MessagingState, router};
use serde_json::{Value, json};

use crate::harness::{Harness, messaging};

const API: &str = "/messaging/api";

async fn client_with(roles: Roles) -> (TestClient, Harness) {
    let harness = messaging().await;
    let state = MessagingState::new(&harness.messaging, signed_in_as(roles), "https://example.org".parse().unwrap());
    (TestClient::new(Router::new().nest(API, router(state).into())), harness)
}

async fn client() -> (TestClient, Harness) {
    client_with(Roles::default()).await
}

fn token(user: i64) -> String {
    format!("Bearer {user}")
}

async fn send(client: &TestClient, from: i64, body: Value) -> Answer {
    client.with(token(from)).post(&format!("{API}/send/"), body).await
}

async fn get(client: &TestClient, user: i64, path: &str) -> Answer {
    client.with(token(user)).get(&format!("{API}{path}")).await
}

#[tokio::test]
async fn p29_sending_answers_201_with_the_message() {
    let (client, _harness) = client().await;
    for receiver in ["receiver_id", "recipient_id"] {
        let sent = send(&client, 1, json!({receiver: 2, "content": "hello", "message_type": "question"})).await;
        assert_eq!(sent.status, 201, "{}", sent.text);
        let body = sent.json();
        assert_eq!(body["success"], true);
        let message = &body["message"];
        let members =
            ["id", "content", "sender_id", "receiver_id", "timestamp", "is_read", "message_type", "client_id"];
        assert!(members.iter().all(|member| message.get(member).is_some()), "{message}");
        assert_eq!((&message["content"], &message["sender_id"]), (&json!("hello"), &json!(1)));
        assert_eq!((&message["receiver_id"], &message["is_read"]), (&json!(2), &json!(false)));
        assert_eq!((&message["message_type"], &message["client_id"]), (&json!("question"), &Value::Null));
    }
}

#[tokio::test]
async fn every_problem_says_that_it_is_no_success() {
    let (client, _harness) = client().await;
    for (body, status) in [
        (json!({"receiver_id": 1, "content": "x"}), 400),
        (json!({"receiver_id": 2, "content": ""}), 400),
        (json!({"receiver_id": 2}), 400),
        (json!({"content": "x"}), 400),
        (json!({"receiver_id": 2, "content": 5}), 400),
        (json!({"receiver_id": 2, "content": "x", "message_type": "tea"}), 400),
        (json!({"receiver_id": 2, "content": "x".repeat(10_001)}), 400),
        (json!({"receiver_id": 5000, "content": "x"}), 404),
    ] {
        let answer = send(&client, 1, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["success"]), (status, &json!(false)), "{}", answer.text);
        assert!(!answer.code().is_empty());
    }
    let anonymous = client.get(&format!("{API}/unread-count/")).await;
    assert_eq!((anonymous.status.as_u16(), &anonymous.json()["success"]), (401, &json!(false)));
    assert!(anonymous.headers.contains_key("www-authenticate"));
    assert_eq!(get(&client, 1, "/messages/x/").await.json()["success"], false);
}

#[tokio::test]
async fn the_same_client_id_answers_200_with_the_first_message() {
    let (client, _harness) = client().await;
    let body = json!({"receiver_id": 2, "content": "x", "client_id": "a"});
    let first = send(&client, 1, body.clone()).await;
    let again = send(&client, 1, body).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.json()["message"], again.json()["message"]);
    assert_eq!((first.json().get("duplicate"), &again.json()["duplicate"]), (None, &json!(true)));
    let other = send(&client, 1, json!({"receiver_id": 2, "content": "y", "client_id": "a"})).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (409, "idempotency_mismatch"));
}

#[tokio::test]
async fn an_idempotency_key_replays_the_first_answer() {
    let (client, harness) = client().await;
    let send = async |key: &str, content: &str| {
        let request = Request::post(format!("{API}/send/"))
            .header("authorization", token(1))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::from(json!({"receiver_id": 2, "content": content}).to_string()));
        client.send_raw(request.unwrap()).await
    };
    let first = send("key with spaces", "x").await;
    let again = send("key with spaces", "x").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16(), &first.json()), (201, 201, &again.json()));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = send("key with spaces", "y").await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "idempotency_key_reused"));
    assert_eq!(send("", "x").await.status, 400);
    assert_eq!(harness.db.count_rows("messaging_message").await, 1);
}

#[tokio::test]
async fn the_history_and_the_inbox_have_their_members() {
    let (client, _harness) = client().await;
    for content in ["a", "b", "c"] {
        send(&client, 2, json!({"receiver_id": 1, "content": content})).await;
    }
    let history = get(&client, 1, "/messages/2/?limit=2").await.json();
    assert_eq!((&history["success"], &history["has_more"]), (&json!(true), &json!(true)));
    assert_eq!(history["other_user"]["username"], "person-2");
    let contents = |history: &Value| -> Vec<Value> {
        history["messages"].as_array().unwrap().iter().map(|message| message["content"].clone()).collect()
    };
    assert_eq!(contents(&history), ["b", "c"]);
    let oldest = &history["messages"][0]["id"];
    let before = get(&client, 1, &format!("/messages/2/?before={oldest}")).await.json();
    assert_eq!((contents(&before), &before["has_more"]), (vec![json!("a")], &json!(false)));
    let after = get(&client, 1, &format!("/messages/2/?after={oldest}&limit=1000")).await.json();
    assert_eq!(contents(&after), ["c"]);
    for query in ["limit=0", "limit=x", "before=x", "before=1&after=1"] {
        assert_eq!(get(&client, 1, &format!("/messages/2/?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(get(&client, 1, "/messages/5000/").await.status, 404);
    let inbox = get(&client, 1, "/conversations/").await.json();
    let row = &inbox["conversations"][0];
    assert_eq!((&inbox["success"], &inbox["next"]), (&json!(true), &Value::Null));
    assert_eq!((&row["other_user"]["id"], &row["unread_count"]), (&json!(2), &json!(3)));
    assert_eq!(row["last_message"]["content"], "c");
    send(&client, 3, json!({"receiver_id": 1, "content": "x"})).await;
    let next = get(&client, 1, "/conversations/?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with("https://example.org/messaging/api/conversations/?limit=1&before="), "{next}");
    let second = client.with(token(1)).get(next.trim_start_matches("https://example.org")).await.json();
    assert_eq!(second["conversations"][0]["other_user"]["id"], 2);
    let id = &row["conversation_id"];
    let around = get(&client, 1, &format!("/conversations/{id}/messages/?around={oldest}&limit=3")).await.json();
    assert_eq!(contents(&around), ["a", "b", "c"]);
}

#[tokio::test]
async fn marking_as_read_answers_success() {
    let (client, _harness) = client().await;
    let message = send(&client, 2, json!({"receiver_id": 1, "content": "a"})).await.json()["message"]["id"].clone();
    send(&client, 2, json!({"receiver_id": 1, "content": "b"})).await;
    let unread = async || get(&client, 1, "/unread-count/").await.json();
    assert_eq!(unread().await, json!({"success": true, "unread_count": 2}));
    let post = async |user, path: &str, body| client.with(token(user)).post(&format!("{API}{path}"), body).await;
    let marked = post(1, &format!("/mark-read/{message}/"), Value::Null).await;
    assert_eq!((marked.status.as_u16(), marked.json()), (200, json!({"success": true})));
    assert_eq!(unread().await["unread_count"], 1);
    assert_eq!(post(2, &format!("/mark-read/{message}/"), Value::Null).await.status, 404);
    assert_eq!(post(1, "/mark-read/", json!({"user_id": 2, "up_to": message})).await.json(), json!({"success": true}));
    assert_eq!(post(1, "/mark-read/", json!({"user_id": 2})).await.json(), json!({"success": true}));
    assert_eq!(unread().await["unread_count"], 0);
    assert_eq!(post(1, "/mark-read/", json!({})).await.status, 400);
}

#[tokio::test]
async fn people_are_blocked_and_searched() {
    let (client, _harness) = client().await;
    let client = client.with(token(1));
    let put = client.send(axum::http::Method::PUT, &format!("{API}/blocks/2/"), Value::Null).await;
    assert_eq!((put.status.as_u16(), put.json()), (200, json!({"success": true})));
    let blocks = client.get(&format!("{API}/blocks/")).await.json();
    assert_eq!(blocks["blocks"][0]["user"]["id"], 2);
    let refused = send(&client, 2, json!({"receiver_id": 1, "content": "x"})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "blocked"));
    let found = client.get(&format!("{API}/search-users/?q=person-2")).await.json();
    assert_eq!((&found["success"], &found["users"][0]["username"]), (&json!(true), &json!("person-20")));
    assert_eq!(client.get(&format!("{API}/search-users/?q=x&limit=0")).await.status, 400);
    assert_eq!(client.delete(&format!("{API}/blocks/2/")).await.json(), json!({"success": true}));
    assert_eq!(send(&client, 2, json!({"receiver_id": 1, "content": "x"})).await.status, 201);
}

#[tokio::test]
async fn a_message_is_edited_reacted_to_and_deleted() {
    let (client, _harness) = client().await;
    let message = send(&client, 1, json!({"receiver_id": 2, "content": "helo"})).await.json()["message"].clone();
    let path = format!("{API}/conversations/{}/messages/{}/", message["conversation_id"], message["id"]);
    let client = client.with(token(1));
    let etag = client.get(&path).await.headers["etag"].clone();
    let edited = client.patch(&path, json!({"content": "hello"})).await;
    assert_eq!(edited.json()["message"]["content"], "hello");
    assert_ne!(edited.headers["etag"], etag);
    let stale = Request::patch(&path)
        .header("authorization", token(1))
        .header("content-type", "application/json")
        .header("if-match", etag)
        .body(Body::from(r#"{"content": "x"}"#));
    assert_eq!(client.send_raw(stale.unwrap()).await.status, 412);
    assert_eq!(client.get(&format!("{path}revisions/")).await.json()["revisions"][0]["content"], "helo");
    let reaction = format!("{path}reactions/%F0%9F%91%8D/");
    assert_eq!(client.send(axum::http::Method::PUT, &reaction, Value::Null).await.status, 204);
    assert_eq!(client.get(&path).await.json()["message"]["reactions"], json!({"👍": 1}));
    assert_eq!(client.delete(&reaction).await.status, 204);
    assert_eq!(client.with(token(2)).delete(&format!("{path}?for=me")).await.status, 204);
    assert_eq!(client.with(token(2)).get(&path).await.status, 404);
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.get(&path).await.json()["message"]["is_deleted"], true);
    assert_eq!(client.delete(&format!("{path}?for=nobody")).await.status, 400);
}

#[tokio::test]
async fn a_group_is_created_used_and_left() {
    let (client, _harness) = client().await;
    let own = client.with(token(1));
    let created = own.post(&format!("{API}/conversations/"), json!({"name": "Lunch", "user_ids": [2]})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["conversation"]["conversation_id"].clone();
    let path = format!("{API}/conversations/{id}/");
    assert_eq!(own.post(&format!("{path}messages/"), json!({"content": "hi"})).await.status, 201);
    assert_eq!(own.patch(&path, json!({"name": "Dinner"})).await.json()["conversation"]["name"], "Dinner");
    let added = own.post(&format!("{path}members/"), json!({"user_ids": [3]})).await.json();
    assert_eq!(added["members"].as_array().unwrap().len(), 3);
    assert_eq!(own.delete(&format!("{path}members/3/")).await.status, 204);
    assert_eq!(own.post(&format!("{path}transfer/"), json!({"user_id": 2})).await.status, 200);
    let state = own.patch(&format!("{path}state/"), json!({"is_pinned": true, "draft": "x"})).await.json();
    assert_eq!((&state["conversation"]["is_pinned"], &state["conversation"]["draft"]), (&json!(true), &json!("x")));
    assert_eq!(own.get(&path).await.json()["conversation"]["owner"]["id"], 2);
    assert_eq!(own.delete(&path).await.status, 204);
    assert_eq!(own.post(&format!("{path}leave/"), Value::Null).await.status, 204);
    assert_eq!(own.get(&path).await.status, 404);
}

#[tokio::test]
async fn requests_preferences_types_and_the_search_have_routes() {
    let (client, _harness) = client_with(Roles::default()).await;
    let own = client.with(token(2));
    let changed = own.patch(&format!("{API}/preferences/"), json!({"accepts_requests_only": true})).await.json();
    assert_eq!(changed["preferences"]["accepts_requests_only"], true);
    let null = own.patch(&format!("{API}/preferences/"), json!({"sends_receipts": null})).await;
    assert_eq!(null.status, 400);
    let message = send(&client, 1, json!({"receiver_id": 2, "content": "hello"})).await.json()["message"].clone();
    let requests = own.get(&format!("{API}/requests/")).await.json();
    assert_eq!(requests["conversations"][0]["other_user"]["id"], 1);
    let id = &message["conversation_id"];
    assert_eq!(own.post(&format!("{API}/requests/{id}/accept/"), Value::Null).await.status, 200);
    assert_eq!(own.post(&format!("{API}/requests/{id}/decline/"), Value::Null).await.status, 404);
    let found = own.get(&format!("{API}/search/?q=hel")).await.json();
    assert_eq!(found["messages"][0]["id"], message["id"]);
    let types = own.get(&format!("{API}/message-types/")).await.json();
    assert_eq!((types["message_types"].as_array().unwrap().len(), &types["success"]), (6, &json!(true)));
    assert_eq!(own.post(&format!("{API}/message-types/"), json!({"name": "lunch"})).await.status, 403);
}

#[tokio::test]
async fn staff_manage_types_over_http() {
    let (client, _harness) = client_with(Roles { staff: true, ..Roles::default() }).await;
    let client = client.with(token(1));
    let created = client.post(&format!("{API}/message-types/"), json!({"name": "lunch"})).await;
    assert_eq!(created.status, 201);
    let id = created.json()["message_type"]["id"].clone();
    let changed = client.patch(&format!("{API}/message-types/{id}/"), json!({"is_active": false})).await;
    assert_eq!(changed.json()["message_type"]["is_active"], false);
}

//! Notifications of messages.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, Person, fixture};

const API: &str = "/messaging/api/";

impl Fixture {
    async fn write_to(&self, receiver: &Person, sender: &Person, content: &str) -> Value {
        let body = json!({"receiver_id": receiver.id, "content": content});
        self.post(&format!("{API}send/"), sender, body).await["message"].clone()
    }
}

#[tokio::test]
async fn messages_of_one_person_are_one_notification_without_their_content() {
    let fixture = fixture().await;
    fixture.write_to(&fixture.anna, &fixture.ben, "the secret").await;
    assert_eq!(fixture.texts(&fixture.anna).await, ["ben sent you a message"]);
    fixture.write_to(&fixture.anna, &fixture.ben, "the other secret").await;
    let list = fixture.notifications(&fixture.anna).await;
    assert_eq!((list.len(), &list[0]["text"]), (1, &json!("ben sent you 2 messages")));
    assert_eq!((&list[0]["kind"], &list[0]["target"]["kind"]), (&json!("direct_message"), &json!("conversation")));
    let url = list[0]["target"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/messaging/conversation/{}/", fixture.ben.id)), "{url}");
    assert!(!list[0].to_string().contains("secret"));
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
    fixture.write_to(&fixture.anna, &fixture.eve, "hi").await;
    assert_eq!(fixture.texts(&fixture.anna).await, ["eve sent you a message", "ben sent you 2 messages"]);
}

#[tokio::test]
async fn a_conversation_that_has_to_be_accepted_notifies_once() {
    let fixture = fixture().await;
    let preferences = format!("{API}preferences/");
    fixture.send(Method::PATCH, &preferences, &fixture.anna, json!({"accepts_requests_only": true})).await;
    fixture.write_to(&fixture.anna, &fixture.ben, "hi").await;
    fixture.write_to(&fixture.anna, &fixture.ben, "hello?").await;
    assert_eq!(fixture.texts(&fixture.anna).await, ["ben sent you a message"]);
}

#[tokio::test]
async fn a_group_notifies_its_members_unless_they_have_muted_or_left_it() {
    let fixture = fixture().await;
    let new = json!({"name": "Hikers", "user_ids": [fixture.ben.id, fixture.eve.id]});
    let group = fixture.post(&format!("{API}conversations/"), &fixture.anna, new).await;
    let group = format!("{API}conversations/{}/", group["conversation"]["conversation_id"]);
    let state = format!("{group}state/");
    fixture.send(Method::PATCH, &state, &fixture.eve, json!({"muted_until": "2999-01-01T00:00:00Z"})).await;
    fixture.post(&format!("{group}messages/"), &fixture.anna, json!({"content": "hi"})).await;
    assert_eq!(fixture.texts(&fixture.ben).await, ["anna sent you a message"]);
    assert!(fixture.notifications(&fixture.eve).await.is_empty());
    fixture.post(&format!("{group}leave/"), &fixture.ben, Value::Null).await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn nobody_is_notified_of_messages_from_people_whom_they_have_blocked() {
    let fixture = fixture().await;
    let new = json!({"name": "Hikers", "user_ids": [fixture.ben.id, fixture.eve.id]});
    let group = fixture.post(&format!("{API}conversations/"), &fixture.anna, new).await;
    let messages = format!("{API}conversations/{}/messages/", group["conversation"]["conversation_id"]);
    fixture.send(Method::PUT, &format!("{API}blocks/{}/", fixture.anna.id), &fixture.ben, Value::Null).await;
    fixture.post(&messages, &fixture.anna, json!({"content": "hi"})).await;
    assert_eq!(fixture.texts(&fixture.eve).await, ["anna sent you a message"]);
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn a_group_that_has_to_be_accepted_is_an_invitation() {
    let fixture = fixture().await;
    let preferences = format!("{API}preferences/");
    fixture.send(Method::PATCH, &preferences, &fixture.ben, json!({"accepts_requests_only": true})).await;
    let new = json!({"name": "Hikers", "user_ids": [fixture.ben.id]});
    fixture.post(&format!("{API}conversations/"), &fixture.anna, new).await;
    assert_eq!(fixture.texts(&fixture.ben).await, ["anna invited you to the conversation “Hikers”"]);
}

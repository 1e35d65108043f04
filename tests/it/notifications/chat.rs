//! Notifications of chat rooms.

use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Person, assert_target, fixture};
use crate::server::bearer;

#[tokio::test]
async fn hosts_learn_of_requests_and_users_of_their_approval() {
    let fixture = fixture().await;
    let teacher = fixture.server.sign_up_with_roles("tom", Roles { teacher: true, ..Roles::default() }).await;
    let tom = Person { id: teacher["user"]["id"].as_i64().unwrap(), token: bearer(&teacher) };
    let room = fixture.post("/api/chat/create/", &tom, json!({"name": "den"})).await["id"].as_i64().unwrap();
    let call = |name: &str| format!("/api/chat/{room}/{name}/");
    fixture.post(&call("join"), &fixture.ben, Value::Null).await;
    let list = fixture.notifications(&tom).await;
    assert_eq!((list.len(), &list[0]["kind"]), (1, &json!("room_request")));
    assert_eq!(list[0]["text"], "ben asked to join the room “den”");
    assert_target(&list[0], "room", room, &format!("/chat/{room}/"));
    fixture.post(&call("approve"), &tom, json!({"user_id": fixture.ben.id})).await;
    assert_eq!(fixture.notifications(&fixture.ben).await[0]["kind"], "room_approved");
    assert_eq!(fixture.texts(&fixture.ben).await, ["Your request to join the room “den” was approved"]);
    fixture.post(&call("invite"), &tom, json!({"user_id": fixture.eve.id})).await;
    assert_eq!(fixture.texts(&fixture.eve).await, ["tom invited you to the room “den”"]);
    fixture.send(Method::DELETE, &format!("/api/chat/{room}/"), &tom, Value::Null).await;
    fixture.post(&call("leave"), &fixture.eve, json!({})).await;
    assert!(fixture.texts(&fixture.eve).await.is_empty(), "a closed room is known only to its participants");
}

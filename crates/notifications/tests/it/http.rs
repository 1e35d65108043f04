use axum::Router;
use guildhall_kernel::{
    Roles,
    testing::{TestClient, signed_in_as},
};
use guildhall_notifications::{NotificationsState, router};
use serde_json::{Value, json};

use crate::harness::{Harness, notifications, url};

fn client(harness: &Harness) -> TestClient {
    let state = NotificationsState::new(&harness.service, signed_in_as(Roles::default()), url(""));
    TestClient::new(Router::new().nest("/api", router(state).into())).with("Token 1")
}

#[tokio::test]
async fn notifications_are_listed() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    let answer = client(&harness).get("/api/notifications/").await;
    let notification = harness.list(1).await.remove(0);
    let expected = json!({
        "id": notification.id,
        "kind": "comment",
        "actor": {"id": 2, "username": "person-2", "display_name": "person-2", "avatar_url": null},
        "actor_count": 1,
        "target": {"kind": "post", "id": 7, "url": "https://example.org/app/posts/7/"},
        "text": "person-2 commented on your post “Hello”",
        "created_at": notification.created_at,
        "updated_at": notification.updated_at,
        "is_read": false,
    });
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({"next": null, "previous": null, "results": [expected]}))
    );
}

#[tokio::test]
async fn pages_and_filters_are_in_the_query_string() {
    let harness = notifications().await;
    for post in 1..=3 {
        harness.comment(2, post).await;
    }
    let client = client(&harness);
    let page = client.get("/api/notifications/?unread=true&limit=2").await.json();
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap().strip_prefix("https://example.org").unwrap();
    assert_eq!(client.get(next).await.json()["results"].as_array().unwrap().len(), 1);
    for query in ["unread=perhaps", "limit=0", "before=x"] {
        assert_eq!(client.get(&format!("/api/notifications/?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn reading_agrees_with_the_number_of_unread_ones() {
    let harness = notifications().await;
    for post in 1..=3 {
        harness.comment(2, post).await;
    }
    let client = client(&harness);
    let unread = async || client.get("/api/notifications/unread-count/").await.json()["unread_count"].clone();
    assert_eq!(unread().await, 3);
    let list = harness.list(1).await;
    let read = client.post(&format!("/api/notifications/{}/read/", list[0].id), Value::Null).await;
    assert_eq!((read.status.as_u16(), unread().await), (204, json!(2)));
    let read = client.post("/api/notifications/read-all/", json!({"up_to": list[2].id})).await;
    assert_eq!((read.status.as_u16(), read.json()), (200, json!({"unread_count": 1})));
    let read = client.post("/api/notifications/read-all/", Value::Null).await;
    assert_eq!((read.json(), unread().await), (json!({"unread_count": 0}), json!(0)));
    let of_others = client.with("Token 2").post(&format!("/api/notifications/{}/read/", list[0].id), Value::Null).await;
    assert_eq!((of_others.status.as_u16(), of_others.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn preferences_are_shown_and_changed() {
    let harness = notifications().await;
    let client = client(&harness);
    let path = "/api/notifications/preferences/";
    let before = client.get(path).await;
    assert_eq!(before.headers["etag"], "\"0\"");
    assert_eq!(before.json()["kinds"]["reaction"], json!({"page": true, "email": false, "push": true}));
    let patch = json!({
        "kinds": {"reaction": {"page": false}},
        "quiet_hours": {"from": "22:00", "until": "07:00"},
        "time_zone": "Europe/Vienna",
        "digest": "weekly",
        "sends_emails": false,
    });
    let after = client.patch(path, patch).await;
    assert_eq!(after.status, 200, "{}", after.text);
    assert_eq!(after.json()["kinds"]["reaction"], json!({"page": false, "email": false, "push": true}));
    assert_eq!(after.json()["quiet_hours"], json!({"from": "22:00", "until": "07:00"}));
    assert_eq!(client.get(path).await.json(), after.json());
    for (patch, field) in [
        (json!({"kinds": {"gossip": {"page": true}}}), "kinds"),
        (json!({"kinds": {"system": {"page": null}}}), "kinds.system.page"),
        (json!({"digest": "hourly"}), "digest"),
        (json!({"time_zone": "here"}), "time_zone"),
        (json!({"quiet_hours": {"from": "25:00", "until": "07:00"}}), "quiet_hours.from"),
        (json!({"quiet_hours": {"from": "22:00"}}), "until"),
    ] {
        let refused = client.patch(path, patch.clone()).await;
        assert_eq!(refused.status, 400, "{patch}");
        let errors = refused.json()["errors"].clone();
        assert!(errors.as_object().is_some_and(|errors| errors.keys().any(|key| key.starts_with(field))), "{errors}");
    }
}

#[tokio::test]
async fn a_change_of_preferences_ignores_unknown_fields_but_needs_a_known_one() {
    let harness = notifications().await;
    let client = client(&harness);
    let path = "/api/notifications/preferences/";
    let before = client.get(path).await.json();
    for patch in [json!({}), json!({"name": 7}), json!({"updated_at": before["updated_at"]})] {
        let refused = client.patch(path, patch.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "invalid"), "{patch}");
    }
    assert_eq!(client.get(path).await.json(), before);
    assert_eq!(client.patch(path, before).await.status, 200, "what was read can be sent back");
}

#[tokio::test]
async fn a_misspelled_condition_marks_nothing_as_read() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    let client = client(&harness);
    let refused = client.post("/api/notifications/read-all/", json!({"upto": 1})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "invalid"));
    assert_eq!(harness.unread(1).await, 1);
}

#[tokio::test]
async fn web_push_is_absent_where_it_is_disabled() {
    let harness = notifications().await;
    let client = client(&harness);
    let key = client.get("/api/notifications/push-key/").await;
    assert_eq!((key.status.as_u16(), key.code().as_str()), (404, "push_disabled"));
    let body =
        json!({"endpoint": "https://push.example/a", "expirationTime": null, "keys": {"p256dh": "x", "auth": "y"}});
    assert_eq!(client.post("/api/notifications/push-subscriptions/", body.clone()).await.code(), "push_disabled");
    let removed = client.send(axum::http::Method::DELETE, "/api/notifications/push-subscriptions/", body).await;
    assert_eq!(removed.status, 404);
}

#[tokio::test]
async fn everything_requires_authentication() {
    let harness = notifications().await;
    let anonymous = TestClient::new(Router::new().nest(
        "/api",
        router(NotificationsState::new(&harness.service, signed_in_as(Roles::default()), url(""))).into(),
    ));
    for path in ["", "unread-count/", "preferences/", "push-key/"] {
        assert_eq!(anonymous.get(&format!("/api/notifications/{path}")).await.status, 401, "{path}");
    }
    for path in ["1/read/", "read-all/"] {
        assert_eq!(anonymous.post(&format!("/api/notifications/{path}"), Value::Null).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn every_operation_is_described() {
    let description = serde_json::to_value(guildhall_notifications::openapi()).unwrap();
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths.len(), 7, "{paths:?}");
    let list = &description["paths"]["/notifications/"]["get"];
    let parameters: Vec<&str> =
        list["parameters"].as_array().unwrap().iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    assert_eq!(parameters, ["unread", "limit", "before", "after"]);
}

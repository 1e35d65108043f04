//! Invites to groups.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, GROUPS};
use crate::server::PASSWORD;

#[tokio::test]
async fn invites_are_created_listed_revoked_and_accepted() {
    let fixture = Fixture::new().await;
    fixture.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let den = fixture.group(json!({"name": "den", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let created = fixture.post(&invites, &fixture.anna, json!({"user_id": fixture.ids[1], "expires_days": 3})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json();
    for field in ["id", "token", "url", "status", "expires_at"] {
        assert!(created.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(created["status"], "pending");
    let accept = |token: &Value| format!("/api/community/invites/{}/accept/", token.as_str().unwrap());
    assert_eq!(fixture.post(&accept(&created["token"]), &fixture.eve, Value::Null).await.status, 403);
    assert_eq!(fixture.get("/api/community/invites/", &fixture.ben).await.json()[0]["group_name"], "den");
    assert_eq!(fixture.post(&accept(&created["token"]), &fixture.ben, Value::Null).await.status, 200);
    assert_eq!(fixture.get(&invites, &fixture.ben).await.status, 403);
    let listed = fixture.get(&invites, &fixture.anna).await.json();
    assert_eq!((&listed["results"][0]["status"], listed["results"][0].get("token")), (&json!("accepted"), None));
    let mailed = fixture.post(&invites, &fixture.anna, json!({"email": "EVE@example.org"})).await.json();
    let revoked = fixture.post(&invites, &fixture.anna, json!({})).await.json();
    assert_eq!(fixture.delete(&format!("{invites}{}/", revoked["id"]), &fixture.anna).await.status, 204);
    assert_eq!(fixture.post(&accept(&revoked["token"]), &fixture.eve, Value::Null).await.status, 400);
    assert_eq!(fixture.post(&accept(&mailed["token"]), &fixture.eve, Value::Null).await.status, 200);
    let email = fixture.server.query_one("SELECT title FROM kernel_outbox WHERE recipient = 'EVE@example.org'").await;
    assert_eq!(email.try_get_by_index::<String>(0).unwrap(), "An invitation to den");
}

#[tokio::test]
async fn fault_13_an_invitation_by_email_requires_a_verified_address() {
    let fixture = Fixture::new().await;
    let den = fixture.group(json!({"name": "den", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let created = fixture.post(&invites, &fixture.anna, json!({"email": "eve@example.org"})).await.json();
    let accept = format!("/api/community/invites/{}/accept/", created["token"].as_str().unwrap());
    assert_eq!(
        fixture.post(&accept, &fixture.eve, Value::Null).await.code(),
        "invite_for_other",
        "an unverified address proves nothing"
    );
    fixture.server.sql("UPDATE users SET email_verified_at = created_at").await;
    assert_eq!(fixture.post(&accept, &fixture.eve, Value::Null).await.status, 200);
}

#[tokio::test]
async fn an_invitation_is_accepted_on_its_page() {
    let fixture = Fixture::new().await;
    fixture.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let den = fixture.group(json!({"name": "den & co", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let created = fixture.post(&invites, &fixture.anna, json!({"email": "ben@example.org"})).await.json();
    let page = created["url"].as_str().unwrap().strip_prefix(&fixture.server.url).unwrap().to_owned();
    assert_eq!(fixture.get(&page, "").await.status, 200);
    let accept = async |name: &str, password: &str| {
        let form = [("username", name), ("password", password)];
        let request = fixture.server.request(Method::POST, &page);
        fixture.server.send(request.form(&form)).await
    };
    assert_eq!(accept("ben", "wrong").await.status, 400);
    assert_eq!(accept("eve", PASSWORD).await.status, 403, "it is for another user");
    let done = accept("ben", PASSWORD).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("den &#38; co"), "{}", done.text);
    assert_eq!(fixture.get(&format!("{GROUPS}{den}/"), &fixture.ben).await.json()["is_member"], true);
    let open = fixture.server.query_one("SELECT COUNT(*) FROM accounts_session WHERE revoked_at IS NULL").await;
    assert_eq!(open.try_get_by_index::<i64>(0).unwrap(), 3, "accepting leaves no session behind");
}

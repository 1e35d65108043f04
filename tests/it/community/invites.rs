//! Invites to groups.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, GROUPS};
use crate::server::{PASSWORD, TestServer};

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

/// A browser without scripts that follows no redirects and keeps the last cookie.
struct Browser<'a> {
    server: &'a TestServer,
    client: reqwest::Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(server: &'a TestServer) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { server, client, cookie: String::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String) {
        let request = request.header("cookie", &self.cookie).header("accept", "text/html").build().unwrap();
        let response = self.client.execute(request).await.unwrap();
        if let Some(cookie) = response.headers().get("set-cookie") {
            cookie.to_str().unwrap().split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Opens a page and submits its form.
    async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let (_, text) = self.send(self.server.request(Method::GET, path)).await;
        let (_, rest) = text.split_once("name=\"csrf_token\" value=\"").unwrap();
        let token = rest.split('"').next().unwrap();
        let form: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf_token", token)]).collect();
        self.send(self.server.request(Method::POST, path).form(&form)).await
    }
}

#[tokio::test]
async fn an_invitation_is_accepted_on_its_page() {
    let fixture = Fixture::new().await;
    fixture.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let den = fixture.group(json!({"name": "den & co", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let created = fixture.post(&invites, &fixture.anna, json!({"email": "ben@example.org"})).await.json();
    let page = created["url"].as_str().unwrap().strip_prefix(&fixture.server.url).unwrap().to_owned();
    let shown = fixture.get(&page, "").await;
    assert!(shown.status == 200 && shown.text.contains("/login/?next=/invites/"), "{}", shown.text);
    let accept = async |name: &str| {
        let mut browser = Browser::new(&fixture.server);
        let (status, text) = browser.submit("/login/", &[("username", name), ("password", PASSWORD)]).await;
        assert_eq!(status, 303, "{text}");
        browser.submit(&page, &[]).await.0
    };
    assert_eq!(accept("eve").await, 403, "it is for another user");
    assert_eq!(accept("ben").await, 303);
    assert_eq!(fixture.get(&format!("{GROUPS}{den}/"), &fixture.ben).await.json()["is_member"], true);
}

//! Routes kept for older front ends.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Fixture, GROUPS, POSTS};
use crate::server::Response;

fn statuses(responses: &[Response]) -> Vec<u16> {
    responses.iter().map(|response| response.status.as_u16()).collect()
}

#[tokio::test]
async fn compatibility_routes_reach_the_same_operations() {
    let fixture = Fixture::new().await;
    let [_, ben, eve] = fixture.ids;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let den = fixture.group(json!({"name": "den", "is_private": true})).await;
    let route = |group: i64, operation: &str| format!("{GROUPS}{group}/{operation}/");
    let invite =
        fixture.post(&route(den, "create_invite"), &fixture.anna, json!({"invitee_id": ben, "expires_days": 2})).await;
    assert_eq!(invite.status, 201, "{}", invite.text);
    let token = invite.json()["token"].clone();
    assert_eq!(fixture.get(&route(den, "list_invites"), &fixture.anna).await.json()["count"], 1);
    assert_eq!(fixture.post(&route(den, "accept_invite"), &fixture.ben, json!({"token": token})).await.status, 200);
    fixture.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let mailed = json!({"invitee_email": "eve@example.org"});
    let token = fixture.post(&route(den, "create_invite"), &fixture.anna, mailed).await.json()["token"].clone();
    assert_eq!(fixture.post(&route(den, "revoke_invite"), &fixture.anna, json!({"token": token})).await.status, 204);
    let revoked = fixture.post(&format!("{GROUPS}accept_invite/"), &fixture.eve, json!({"token": token})).await;
    assert_eq!(revoked.status, 400);
    let link = fixture.post(&route(den, "create_invite"), &fixture.anna, json!({})).await.json()["token"].clone();
    let joined = fixture.post(&route(den, "join"), &fixture.eve, json!({"invite_token": link})).await;
    assert_eq!(joined.status, 201);
    assert_eq!(fixture.post(&route(hall, "add_moderator"), &fixture.anna, json!({"user_id": ben})).await.status, 400);
    for who in [&fixture.ben, &fixture.eve] {
        fixture.post(&route(hall, "join"), who, Value::Null).await;
    }
    let responses = [
        fixture.post(&route(hall, "add_moderator"), &fixture.anna, json!({"user_id": ben})).await,
        fixture.post(&route(hall, "remove_moderator"), &fixture.anna, json!({"user_id": ben})).await,
        fixture.post(&route(hall, "remove_member"), &fixture.anna, json!({"user_id": eve})).await,
    ];
    assert_eq!(statuses(&responses), [200, 204, 204]);
    let rows = fixture.get(&format!("/api/community/group-memberships/?group={hall}"), &fixture.ben).await.json();
    assert_eq!(rows["count"], 2);
    let own = fixture.get("/api/community/group-memberships/", &fixture.eve).await.json();
    assert_eq!((&own["count"], &own["results"][0]["group"]), (&json!(1), &json!(den)));
    let refused =
        fixture.post("/api/community/group-memberships/", &fixture.eve, json!({"group": hall, "user": eve})).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "memberships cannot be written directly");

    let body = json!({"content": "hi", "group_id": hall, "feed_visibility": "public_global", "post_category": "event"});
    let post = fixture.post(POSTS, &fixture.anna, body).await.json();
    assert_eq!((&post["visibility"], &post["category"]), (&json!("public"), &json!("event")));
    let path = format!("{POSTS}{}/", post["id"]);
    for bookmarked in [true, false] {
        let response = fixture.post(&format!("{path}toggle_bookmark/"), &fixture.ben, Value::Null).await;
        assert_eq!((response.status.as_u16(), &response.json()["is_bookmarked"]), (200, &json!(bookmarked)));
    }
    for count in [json!({"love": 1}), json!({})] {
        let response =
            fixture.post(&format!("{path}toggle_reaction/"), &fixture.ben, json!({"reaction_type": "love"})).await;
        assert_eq!((response.status.as_u16(), &response.json()["reactions"]), (200, &count));
    }
    let comment = fixture.post(&format!("{path}comments/"), &fixture.ben, json!({"content": "x"})).await.json();
    for likes in [1, 0] {
        let like = format!("/api/community/comments/{}/toggle_like/", comment["id"]);
        let response = fixture.post(&like, &fixture.anna, Value::Null).await;
        assert_eq!((response.status.as_u16(), &response.json()["like_count"]), (200, &json!(likes)));
    }
    assert_eq!(fixture.get("/api/community/search/?q=hi", &fixture.ben).await.json()["posts"][0]["id"], post["id"]);
    assert_eq!(fixture.get("/api/community/search/?q=hi", "").await.status, 401);
}

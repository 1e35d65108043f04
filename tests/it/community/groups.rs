//! Groups: fields, joining and leaving.

use serde_json::{Value, json};

use super::{Fixture, GROUPS};

#[tokio::test]
async fn a_group_has_the_expected_fields() {
    let fixture = Fixture::new().await;
    let body = json!({
        "name": "Readers", "description": "Books", "category": "general", "is_private": false,
        "is_corporate_group": false,
    });
    let created = fixture.post(GROUPS, &fixture.anna, body).await;
    assert_eq!(created.status, 201);
    let group = created.json();
    for field in [
        "id",
        "name",
        "slug",
        "description",
        "category",
        "is_private",
        "is_corporate_group",
        "image_url",
        "creator",
        "member_count",
        "is_member",
        "is_moderator",
        "courses",
        "created_at",
        "updated_at",
        "banner_url",
        "moderators",
    ] {
        assert!(group.get(field).is_some(), "{field} is missing");
    }
    assert!(group["image_url"].as_str().unwrap().starts_with(&fixture.server.url));
    assert_eq!(group["moderators"], json!([fixture.ids[0]]));
    assert_eq!(
        (&group["member_count"], &group["is_member"], &group["is_moderator"]),
        (&json!(1), &json!(true), &json!(true))
    );
    assert!(group["creator"]["id"].is_i64() && group["creator"].get("avatar_url").is_some());
}

#[tokio::test]
async fn joining_and_leaving_have_the_expected_responses() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let (join, leave) = (format!("{GROUPS}{hall}/join/"), format!("{GROUPS}{hall}/leave/"));
    let first = fixture.post(&join, &fixture.ben, Value::Null).await;
    assert_eq!((first.status.as_u16(), first.json()), (201, json!({"status": "member"})));
    assert_eq!(fixture.post(&join, &fixture.ben, json!({})).await.status, 200);
    assert_eq!(fixture.post(&leave, &fixture.ben, Value::Null).await.status, 204);
    assert_eq!(fixture.post(&leave, &fixture.ben, Value::Null).await.status, 204);
    fixture.post(&join, &fixture.ben, Value::Null).await;
    let refused = fixture.post(&leave, &fixture.anna, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "last_moderator"));

    let listed = fixture.group(json!({"name": "club", "is_private": true, "is_listed": true})).await;
    let join_listed = format!("{GROUPS}{listed}/join/");
    for _ in 0..2 {
        let requested = fixture.post(&join_listed, &fixture.ben, Value::Null).await;
        assert_eq!((requested.status.as_u16(), &requested.json()["status"]), (202, &json!("requested")));
    }
    let requests = format!("{GROUPS}{listed}/requests/");
    assert_eq!(fixture.get(&requests, &fixture.ben).await.status, 403);
    let waiting = fixture.get(&requests, &fixture.anna).await.json();
    assert_eq!((&waiting["count"], &waiting["results"][0]["user"]["username"]), (&json!(1), &json!("ben")));
    let request = waiting["results"][0]["id"].clone();
    assert_eq!(fixture.post(&format!("{requests}{request}/deny/"), &fixture.anna, Value::Null).await.status, 200);
    let again = fixture.post(&join_listed, &fixture.ben, Value::Null).await;
    assert_eq!(again.status, 202, "a denied user may request again");
    let request = again.json()["request_id"].clone();
    assert_eq!(fixture.post(&format!("{requests}{request}/approve/"), &fixture.anna, Value::Null).await.status, 200);
    assert_eq!(fixture.post(&join_listed, &fixture.ben, Value::Null).await.status, 200);

    let secret = fixture.group(json!({"name": "den", "is_private": true})).await;
    assert_eq!(fixture.post(&format!("{GROUPS}{secret}/join/"), &fixture.ben, Value::Null).await.status, 404);
    let ban = json!({"user_id": fixture.ids[1], "reason": "spam"});
    assert_eq!(fixture.post(&format!("{GROUPS}{hall}/bans/"), &fixture.anna, ban).await.status, 201);
    let refused = fixture.post(&join, &fixture.ben, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "banned"));
}

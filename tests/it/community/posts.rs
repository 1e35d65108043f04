//! Posts, comments and reactions.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, GROUPS, POSTS};

#[tokio::test]
async fn posts_comments_and_reactions_have_the_expected_responses() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let outsider = fixture.post(POSTS, &fixture.ben, json!({"content": "hi", "group": hall})).await;
    assert_eq!(outsider.status, 403);
    let group = fixture.get(&format!("{GROUPS}{hall}/"), &fixture.ben).await.json();
    assert_eq!(group["is_member"], false, "posting does not join");
    fixture.post(&format!("{GROUPS}{hall}/join/"), &fixture.ben, Value::Null).await;
    let body = json!({"content": "**hi**", "title": "t", "group": hall, "category": "question", "tags": ["a"]});
    let created = fixture.post(POSTS, &fixture.ben, body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let post = created.json();
    for field in [
        "id",
        "group",
        "author",
        "title",
        "content",
        "content_html",
        "visibility",
        "category",
        "tags",
        "attachments",
        "reactions",
        "my_reaction",
        "comment_count",
        "is_bookmarked",
        "is_pinned",
        "created_at",
        "updated_at",
    ] {
        assert!(post.get(field).is_some(), "{field} is missing");
    }
    assert_eq!((&post["visibility"], &post["reactions"]), (&json!("group_only"), &json!({})));
    let path = format!("{POSTS}{}/", post["id"]);
    assert_eq!(fixture.get(&path, &fixture.eve).await.status, 404, "outsiders see public posts only");
    for (kind, status) in [("like", 204), ("%F0%9F%8E%89", 204), ("nonsense", 400)] {
        let response = fixture.send(Method::PUT, &format!("{path}reactions/{kind}/"), &fixture.anna, Value::Null).await;
        assert_eq!(response.status.as_u16(), status, "{kind}: {}", response.text);
    }
    let read = fixture.get(&path, &fixture.anna).await.json();
    assert_eq!((&read["reactions"], &read["my_reaction"]), (&json!({"🎉": 1}), &json!("🎉")));
    assert_eq!(fixture.delete(&format!("{path}reactions/%F0%9F%8E%89/"), &fixture.anna).await.status, 204);
    let comment = fixture.post(&format!("{path}comments/"), &fixture.anna, json!({"content": "well"})).await;
    assert_eq!((comment.status.as_u16(), &comment.json()["parent"]), (201, &Value::Null));
    let reply = json!({"content": "indeed", "parent": comment.json()["id"]});
    let reply = fixture.post(&format!("{path}comments/"), &fixture.ben, reply).await.json();
    assert_eq!((&reply["post"], &reply["parent"]), (&post["id"], &comment.json()["id"]));
    let listed = fixture.get(&format!("{path}comments/?limit=1"), &fixture.anna).await.json();
    assert_eq!(listed["results"][0]["content"], "indeed");
    let next = listed["next"].as_str().unwrap().strip_prefix(&fixture.server.url).unwrap();
    assert_eq!(fixture.get(next, &fixture.anna).await.json()["results"][0]["content"], "well");
    let patched = fixture.send(Method::PATCH, &path, &fixture.ben, json!({"content": "changed"})).await;
    assert_eq!((patched.status.as_u16(), patched.headers.contains_key("etag")), (200, true));
    assert_eq!(fixture.delete(&path, &fixture.eve).await.status, 404);
    assert_eq!(fixture.delete(&path, &fixture.ben).await.status, 204);
    assert_eq!(fixture.get(&path, &fixture.ben).await.code(), "post_not_found");
}

//! The feed.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, POSTS};

#[tokio::test]
async fn the_feed_supports_cursors_and_pages() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let den = fixture.group(json!({"name": "den", "is_private": true})).await;
    for (content, more) in [
        ("everybody", json!({})),
        ("hall", json!({"group": hall})),
        ("hall to all", json!({"group": hall, "visibility": "public"})),
        ("den", json!({"group": den, "visibility": "public"})),
    ] {
        let mut body = more;
        body["content"] = json!(content);
        assert_eq!(fixture.post(POSTS, &fixture.anna, body).await.status, 201);
    }
    let read = async |query: &str, who: &str| -> Vec<String> {
        let response = fixture.get(&format!("{POSTS}{query}"), who).await;
        assert_eq!(response.status, 200, "{query}: {}", response.text);
        let results = response.json()["results"].as_array().unwrap().clone();
        results.iter().map(|post| post["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(read("", &fixture.anna).await, ["den", "hall to all", "hall", "everybody"]);
    assert_eq!(read("?joined_groups=true", &fixture.anna).await, ["den", "hall to all", "hall"]);
    assert_eq!(read("?feed_type=joined_groups", &fixture.anna).await, ["den", "hall to all", "hall"]);
    assert_eq!(read("?feed_type=global", &fixture.anna).await, ["hall to all", "everybody"]);
    assert_eq!(read("?feed_type=trending", &fixture.ben).await, ["hall to all", "everybody"]);
    assert_eq!(read(&format!("?group={hall}"), &fixture.ben).await, ["hall to all"]);
    assert_eq!(read(&format!("?group_id={hall}&page=1"), &fixture.ben).await, ["hall to all"]);
    assert_eq!(read(&format!("?author_id={}", fixture.ids[0]), &fixture.ben).await, ["hall to all", "everybody"]);
    assert_eq!(fixture.get(&format!("{POSTS}?group={den}"), &fixture.ben).await.status, 404);
    fixture.send(Method::PUT, &format!("/api/community/follows/{}/", fixture.ids[0]), &fixture.ben, Value::Null).await;
    assert_eq!(read("?feed_type=following", &fixture.ben).await, ["hall to all", "everybody"]);
    let first = fixture.get(&format!("{POSTS}?limit=3"), &fixture.anna).await.json();
    assert!(first.get("count").is_none());
    let next = first["next"].as_str().unwrap().strip_prefix(&fixture.server.url).unwrap().to_owned();
    assert_eq!(fixture.get(&next, &fixture.anna).await.json()["results"][0]["content"], "everybody");
    let pages = fixture.get(&format!("{POSTS}?page=1&page_size=3"), &fixture.anna).await.json();
    assert_eq!((&pages["count"], pages["results"].as_array().unwrap().len()), (&json!(4), 3));
    assert_eq!(fixture.get(&format!("{POSTS}?page=9"), &fixture.anna).await.status, 404);
    for bad in ["?feed_type=mine", "?limit=0", "?group=x", "?page=0", "?before=1&after=2"] {
        assert_eq!(fixture.get(&format!("{POSTS}{bad}"), &fixture.anna).await.status, 400, "{bad}");
    }
    assert_eq!(fixture.get(POSTS, "").await.status, 401);
}

//! Notifications of posts, comments, reactions and groups.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Fixture, Person, assert_target, fixture};

const GROUPS: &str = "/api/community/groups/";
const POSTS: &str = "/api/community/posts/";

impl Fixture {
    /// Creates a post; returns its path.
    async fn add_post(&self, author: &Person, body: Value) -> String {
        format!("{POSTS}{}/", self.post(POSTS, author, body).await["id"])
    }

    /// Creates a comment; returns its id.
    async fn comment(&self, post: &str, author: &Person, body: Value) -> i64 {
        self.post(&format!("{post}comments/"), author, body).await["id"].as_i64().unwrap()
    }

    async fn react(&self, post: &str, who: &Person, kind: &str) {
        self.send(Method::PUT, &format!("{post}reactions/{kind}/"), who, Value::Null).await;
    }

    /// Creates a group of Anna; returns its path.
    async fn group(&self, body: Value) -> String {
        format!("{GROUPS}{}/", self.post(GROUPS, &self.anna, body).await["id"])
    }

    /// Invites a user to a group of Anna's; they accept.
    async fn add_member(&self, group: &str, who: &Person) {
        let invite = self.post(&format!("{group}invites/"), &self.anna, json!({"user_id": who.id})).await;
        let accept = format!("/api/community/invites/{}/accept/", invite["token"].as_str().unwrap());
        self.post(&accept, who, Value::Null).await;
    }
}

#[tokio::test]
async fn a_comment_is_one_unread_notification_of_the_author() {
    let fixture = fixture().await;
    let post = fixture.add_post(&fixture.anna, json!({"content": "hi", "title": "Hello"})).await;
    fixture.comment(&post, &fixture.ben, json!({"content": "nice"})).await;
    let list = fixture.notifications(&fixture.anna).await;
    assert_eq!((list.len(), fixture.unread(&fixture.anna).await), (1, 1));
    let one = &list[0];
    assert_eq!((&one["kind"], &one["actor"]["username"]), (&json!("comment"), &json!("ben")));
    assert_eq!((&one["text"], &one["is_read"]), (&json!("ben commented on your post “Hello”"), &json!(false)));
    let id = post.strip_prefix(POSTS).unwrap().trim_end_matches('/').parse::<i64>().unwrap();
    assert_target(one, "post", id, &format!("/community/posts/{id}/"));
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
    fixture.comment(&post, &fixture.anna, json!({"content": "thanks"})).await;
    assert_eq!(fixture.unread(&fixture.anna).await, 1, "her own comment does not notify her");
}

#[tokio::test]
async fn reactions_of_several_people_are_one_notification() {
    let fixture = fixture().await;
    let post = fixture.add_post(&fixture.anna, json!({"content": "hi"})).await;
    fixture.react(&post, &fixture.ben, "like").await;
    assert_eq!(fixture.texts(&fixture.anna).await, ["ben reacted to your post"]);
    fixture.react(&post, &fixture.eve, "love").await;
    fixture.react(&post, &fixture.anna, "love").await;
    let list = fixture.notifications(&fixture.anna).await;
    assert_eq!((list.len(), &list[0]["actor_count"]), (1, &json!(2)));
    assert_eq!(list[0]["text"], "eve and 1 other reacted to your post");
    assert_eq!(fixture.unread(&fixture.anna).await, 1);
}

#[tokio::test]
async fn a_reply_notifies_the_author_of_the_comment_and_others_only_of_a_comment() {
    let fixture = fixture().await;
    let post = fixture.add_post(&fixture.anna, json!({"content": "hi", "title": "Hello"})).await;
    let own = fixture.comment(&post, &fixture.anna, json!({"content": "first"})).await;
    let reply = fixture.comment(&post, &fixture.ben, json!({"content": "second", "parent": own})).await;
    assert_eq!(fixture.texts(&fixture.anna).await, ["ben replied to your comment on “Hello”"]);
    fixture.comment(&post, &fixture.eve, json!({"content": "third", "parent": reply})).await;
    assert_eq!(fixture.texts(&fixture.ben).await, ["eve replied to your comment on “Hello”"]);
    let expected = ["eve commented on your post “Hello”", "ben replied to your comment on “Hello”"];
    assert_eq!(fixture.texts(&fixture.anna).await, expected);
}

#[tokio::test]
async fn a_mention_notifies_once_however_often_the_text_is_edited() {
    let fixture = fixture().await;
    let post = fixture.add_post(&fixture.anna, json!({"content": "hi @ben", "title": "Hello"})).await;
    assert_eq!(fixture.texts(&fixture.ben).await, ["anna mentioned you in the post “Hello”"]);
    fixture.post("/api/notifications/read-all/", &fixture.ben, json!({})).await;
    fixture.send(Method::PATCH, &post, &fixture.anna, json!({"content": "hi @ben and @eve"})).await;
    assert_eq!((fixture.unread(&fixture.ben).await, fixture.unread(&fixture.eve).await), (0, 1));
    let comment = fixture.comment(&post, &fixture.eve, json!({"content": "well, @ben"})).await;
    assert_eq!(fixture.texts(&fixture.ben).await[0], "eve mentioned you in a comment on “Hello”");
    fixture.post("/api/notifications/read-all/", &fixture.ben, json!({})).await;
    let path = format!("/api/community/comments/{comment}/");
    fixture.send(Method::PATCH, &path, &fixture.eve, json!({"content": "well, dear @ben"})).await;
    assert_eq!(fixture.unread(&fixture.ben).await, 0);
    fixture.send(Method::PATCH, &path, &fixture.eve, json!({"content": "well"})).await;
    fixture.send(Method::PATCH, &path, &fixture.eve, json!({"content": "well, @ben"})).await;
    assert_eq!(fixture.unread(&fixture.ben).await, 1, "a mention that was removed and added again is a new one");
}

#[tokio::test]
async fn a_mention_in_a_post_that_waits_for_approval_notifies_when_it_is_approved() {
    let fixture = fixture().await;
    let group = fixture.group(json!({"name": "hall", "approves_posts": true})).await;
    for member in [&fixture.ben, &fixture.eve] {
        fixture.post(&format!("{group}join/"), member, Value::Null).await;
    }
    let group_id: i64 = group.strip_prefix(GROUPS).unwrap().trim_end_matches('/').parse().unwrap();
    let body = json!({"content": "hi @eve", "title": "Hello", "group": group_id});
    let post = fixture.add_post(&fixture.ben, body).await;
    assert!(fixture.notifications(&fixture.eve).await.is_empty());
    fixture.post(&format!("{post}approve/"), &fixture.anna, Value::Null).await;
    assert_eq!(fixture.texts(&fixture.eve).await, ["ben mentioned you in the post “Hello”"]);
}

#[tokio::test]
async fn a_post_that_its_author_can_no_longer_read_is_not_listed() {
    let fixture = fixture().await;
    let group = fixture.group(json!({"name": "den", "is_private": true})).await;
    fixture.add_member(&group, &fixture.ben).await;
    fixture.post("/api/notifications/read-all/", &fixture.ben, json!({})).await;
    let group_id: i64 = group.strip_prefix(GROUPS).unwrap().trim_end_matches('/').parse().unwrap();
    let post = fixture.add_post(&fixture.ben, json!({"content": "hi", "title": "Secret", "group": group_id})).await;
    fixture.comment(&post, &fixture.anna, json!({"content": "well"})).await;
    assert_eq!(fixture.texts(&fixture.ben).await[0], "anna commented on your post “Secret”");
    fixture.send(Method::DELETE, &format!("{group}members/{}/", fixture.ben.id), &fixture.anna, Value::Null).await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
    assert_eq!(fixture.unread(&fixture.ben).await, 0);
    fixture.comment(&post, &fixture.anna, json!({"content": "well, well"})).await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn an_invitation_to_a_private_group_is_listed_while_it_is_valid() {
    let fixture = fixture().await;
    let group = fixture.group(json!({"name": "den", "is_private": true})).await;
    let invite = fixture.post(&format!("{group}invites/"), &fixture.anna, json!({"user_id": fixture.ben.id})).await;
    let list = fixture.notifications(&fixture.ben).await;
    assert_eq!((list.len(), &list[0]["kind"]), (1, &json!("group_invite")));
    assert_eq!(
        (&list[0]["text"], &list[0]["target"]["kind"]),
        (&json!("anna invited you to the group “den”"), &json!("group"))
    );
    fixture.send(Method::DELETE, &format!("{group}invites/{}/", invite["id"]), &fixture.anna, Value::Null).await;
    assert!(fixture.notifications(&fixture.ben).await.is_empty());
}

#[tokio::test]
async fn moderators_are_notified_of_requests_to_join_and_requesters_of_the_approval() {
    let fixture = fixture().await;
    let group = fixture.group(json!({"name": "den", "is_private": true, "is_listed": true})).await;
    fixture.add_member(&group, &fixture.ben).await;
    fixture.post("/api/notifications/read-all/", &fixture.ben, json!({})).await;
    let moderators = format!("{group}moderators/");
    fixture.post(&moderators, &fixture.anna, json!({"user_id": fixture.ben.id})).await;
    fixture.post(&format!("{group}join/"), &fixture.eve, Value::Null).await;
    for moderator in [&fixture.anna, &fixture.ben] {
        assert_eq!(fixture.texts(moderator).await[0], "eve asked to join the group “den”");
    }
    let path = format!("{moderators}{}/", fixture.ben.id);
    fixture.send(Method::DELETE, &path, &fixture.anna, Value::Null).await;
    let kinds = fixture.notifications(&fixture.ben).await;
    assert!(kinds.iter().all(|one| one["kind"] != "join_request"), "only moderators may see requests: {kinds:?}");
    let requests = fixture.server.get(&format!("{group}requests/"), &fixture.anna.token).await.json();
    let approve = format!("{group}requests/{}/approve/", requests["results"][0]["id"]);
    fixture.post(&approve, &fixture.anna, Value::Null).await;
    let list = fixture.notifications(&fixture.eve).await;
    assert_eq!((list.len(), &list[0]["kind"]), (1, &json!("request_approved")));
    assert_eq!(list[0]["text"], "Your request to join the group “den” was approved");
}

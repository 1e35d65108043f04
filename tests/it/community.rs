//! The community as front ends know it: paths, fields and statuses.

use guildhall_kernel::Roles;
use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{Answer, PASSWORD, TestServer, bearer};

const GROUPS: &str = "/api/community/groups/";
const POSTS: &str = "/api/community/posts/";

/// A server with three people: who they are as the API sees them, and what they show.
struct Town {
    server: TestServer,
    anna: String,
    ben: String,
    eve: String,
    ids: [i64; 3],
}

impl Town {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let anna = server.newcomer("anna").await;
        let ben = server.newcomer("ben").await;
        let eve = server.newcomer("eve").await;
        let id = |signed_in: &Value| signed_in["user"]["id"].as_i64().unwrap();
        let ids = [id(&anna), id(&ben), id(&eve)];
        Self { server, anna: bearer(&anna), ben: bearer(&ben), eve: bearer(&eve), ids }
    }

    async fn send(&self, method: Method, path: &str, who: &str, body: Value) -> Answer {
        let request = self.server.request(method, path).header("authorization", who);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.server.send(request).await
    }

    async fn get(&self, path: &str, who: &str) -> Answer {
        self.server.get(path, who).await
    }

    async fn post(&self, path: &str, who: &str, body: Value) -> Answer {
        self.send(Method::POST, path, who, body).await
    }

    async fn delete(&self, path: &str, who: &str) -> Answer {
        self.server.delete(path, who).await
    }

    async fn group(&self, body: Value) -> i64 {
        let made = self.post(GROUPS, &self.anna, body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["id"].as_i64().unwrap()
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test]
async fn a_group_has_the_fields_that_front_ends_read() {
    let town = Town::new().await;
    let body = json!({
        "name": "Readers", "description": "Books", "category": "general", "is_private": false,
        "is_corporate_group": false,
    });
    let made = town.post(GROUPS, &town.anna, body).await;
    assert_eq!(made.status, 201);
    let group = made.json();
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
    assert!(group["image_url"].as_str().unwrap().starts_with(&town.server.url));
    assert_eq!(group["moderators"], json!([town.ids[0]]));
    assert_eq!(
        (&group["member_count"], &group["is_member"], &group["is_moderator"]),
        (&json!(1), &json!(true), &json!(true))
    );
    assert!(group["creator"]["id"].is_i64() && group["creator"].get("avatar_url").is_some());
}

#[tokio::test]
async fn joining_and_leaving_answer_as_front_ends_expect() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall"})).await;
    let (join, leave) = (format!("{GROUPS}{hall}/join/"), format!("{GROUPS}{hall}/leave/"));
    let first = town.post(&join, &town.ben, Value::Null).await;
    assert_eq!((first.status.as_u16(), first.json()), (201, json!({"status": "member"})));
    assert_eq!(town.post(&join, &town.ben, json!({})).await.status, 200);
    assert_eq!(town.post(&leave, &town.ben, Value::Null).await.status, 204);
    assert_eq!(town.post(&leave, &town.ben, Value::Null).await.status, 204);
    town.post(&join, &town.ben, Value::Null).await;
    let stuck = town.post(&leave, &town.anna, Value::Null).await;
    assert_eq!((stuck.status.as_u16(), stuck.code().as_str()), (409, "last_moderator"));

    let listed = town.group(json!({"name": "club", "is_private": true, "is_listed": true})).await;
    let ask = format!("{GROUPS}{listed}/join/");
    for _ in 0..2 {
        let asked = town.post(&ask, &town.ben, Value::Null).await;
        assert_eq!((asked.status.as_u16(), &asked.json()["status"]), (202, &json!("requested")));
    }
    let requests = format!("{GROUPS}{listed}/requests/");
    assert_eq!(town.get(&requests, &town.ben).await.status, 403);
    let waiting = town.get(&requests, &town.anna).await.json();
    assert_eq!((&waiting["count"], &waiting["results"][0]["user"]["username"]), (&json!(1), &json!("ben")));
    let request = waiting["results"][0]["id"].clone();
    assert_eq!(town.post(&format!("{requests}{request}/deny/"), &town.anna, Value::Null).await.status, 200);
    let again = town.post(&ask, &town.ben, Value::Null).await;
    assert_eq!(again.status, 202, "after a refusal one may ask again");
    let request = again.json()["request_id"].clone();
    assert_eq!(town.post(&format!("{requests}{request}/approve/"), &town.anna, Value::Null).await.status, 200);
    assert_eq!(town.post(&ask, &town.ben, Value::Null).await.status, 200);

    let secret = town.group(json!({"name": "den", "is_private": true})).await;
    assert_eq!(town.post(&format!("{GROUPS}{secret}/join/"), &town.ben, Value::Null).await.status, 404);
    let ban = json!({"user_id": town.ids[1], "reason": "spam"});
    assert_eq!(town.post(&format!("{GROUPS}{hall}/bans/"), &town.anna, ban).await.status, 201);
    let refused = town.post(&join, &town.ben, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "banned"));
}

#[tokio::test]
async fn invites_are_made_listed_revoked_and_accepted() {
    let town = Town::new().await;
    town.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let den = town.group(json!({"name": "den", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let made = town.post(&invites, &town.anna, json!({"user_id": town.ids[1], "expires_days": 3})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    for field in ["id", "token", "url", "status", "expires_at"] {
        assert!(made.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(made["status"], "pending");
    let accept = |token: &Value| format!("/api/community/invites/{}/accept/", token.as_str().unwrap());
    assert_eq!(town.post(&accept(&made["token"]), &town.eve, Value::Null).await.status, 403);
    assert_eq!(town.get("/api/community/invites/", &town.ben).await.json()[0]["group_name"], "den");
    assert_eq!(town.post(&accept(&made["token"]), &town.ben, Value::Null).await.status, 200);
    assert_eq!(town.get(&invites, &town.ben).await.status, 403);
    let listed = town.get(&invites, &town.anna).await.json();
    assert_eq!((&listed["results"][0]["status"], listed["results"][0].get("token")), (&json!("accepted"), None));
    let mailed = town.post(&invites, &town.anna, json!({"email": "EVE@example.org"})).await.json();
    let revoked = town.post(&invites, &town.anna, json!({})).await.json();
    assert_eq!(town.delete(&format!("{invites}{}/", revoked["id"]), &town.anna).await.status, 204);
    assert_eq!(town.post(&accept(&revoked["token"]), &town.eve, Value::Null).await.status, 400);
    assert_eq!(town.post(&accept(&mailed["token"]), &town.eve, Value::Null).await.status, 200);
    let letter = town.server.row("SELECT title FROM kernel_outbox WHERE recipient = 'EVE@example.org'").await;
    assert_eq!(letter.try_get_by_index::<String>(0).unwrap(), "An invitation to den");
}

#[tokio::test]
async fn fault_13_an_invitation_to_an_address_waits_until_it_is_verified() {
    let town = Town::new().await;
    let den = town.group(json!({"name": "den", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let made = town.post(&invites, &town.anna, json!({"email": "eve@example.org"})).await.json();
    let accept = format!("/api/community/invites/{}/accept/", made["token"].as_str().unwrap());
    assert_eq!(town.post(&accept, &town.eve, Value::Null).await.code(), "invite_for_other", "anybody can claim it");
    town.server.sql("UPDATE users SET email_verified_at = created_at").await;
    assert_eq!(town.post(&accept, &town.eve, Value::Null).await.status, 200);
}

#[tokio::test]
async fn an_invitation_is_accepted_on_the_page_that_its_letter_leads_to() {
    let town = Town::new().await;
    town.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let den = town.group(json!({"name": "den & co", "is_private": true})).await;
    let invites = format!("{GROUPS}{den}/invites/");
    let made = town.post(&invites, &town.anna, json!({"email": "ben@example.org"})).await.json();
    let page = made["url"].as_str().unwrap().strip_prefix(&town.server.url).unwrap().to_owned();
    assert_eq!(town.get(&page, "").await.status, 200);
    let accept = async |name: &str, password: &str| {
        let form = [("username", name), ("password", password)];
        let request = town.server.request(Method::POST, &page);
        town.server.send(request.form(&form)).await
    };
    assert_eq!(accept("ben", "wrong").await.status, 400);
    assert_eq!(accept("eve", PASSWORD).await.status, 403, "it is for somebody else");
    let done = accept("ben", PASSWORD).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("den &#38; co"), "{}", done.text);
    assert_eq!(town.get(&format!("{GROUPS}{den}/"), &town.ben).await.json()["is_member"], true);
    let open = town.server.row("SELECT COUNT(*) FROM accounts_session WHERE revoked_at IS NULL").await;
    assert_eq!(open.try_get_by_index::<i64>(0).unwrap(), 3, "nobody stays signed in by it");
}

#[tokio::test]
async fn posts_comments_and_reactions_answer_as_front_ends_expect() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall"})).await;
    let outsider = town.post(POSTS, &town.ben, json!({"content": "hi", "group": hall})).await;
    assert_eq!(outsider.status, 403);
    let group = town.get(&format!("{GROUPS}{hall}/"), &town.ben).await.json();
    assert_eq!(group["is_member"], false, "nobody joins by posting");
    town.post(&format!("{GROUPS}{hall}/join/"), &town.ben, Value::Null).await;
    let body = json!({"content": "**hi**", "title": "t", "group": hall, "category": "question", "tags": ["a"]});
    let made = town.post(POSTS, &town.ben, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let post = made.json();
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
    assert_eq!(town.get(&path, &town.eve).await.status, 404, "outsiders see public posts only");
    for (kind, status) in [("like", 204), ("%F0%9F%8E%89", 204), ("nonsense", 400)] {
        let answer = town.send(Method::PUT, &format!("{path}reactions/{kind}/"), &town.anna, Value::Null).await;
        assert_eq!(answer.status.as_u16(), status, "{kind}: {}", answer.text);
    }
    let seen = town.get(&path, &town.anna).await.json();
    assert_eq!((&seen["reactions"], &seen["my_reaction"]), (&json!({"🎉": 1}), &json!("🎉")));
    assert_eq!(town.delete(&format!("{path}reactions/%F0%9F%8E%89/"), &town.anna).await.status, 204);
    let comment = town.post(&format!("{path}comments/"), &town.anna, json!({"content": "well"})).await;
    assert_eq!((comment.status.as_u16(), &comment.json()["parent"]), (201, &Value::Null));
    let answer = json!({"content": "indeed", "parent": comment.json()["id"]});
    let answer = town.post(&format!("{path}comments/"), &town.ben, answer).await.json();
    assert_eq!((&answer["post"], &answer["parent"]), (&post["id"], &comment.json()["id"]));
    let listed = town.get(&format!("{path}comments/?limit=1"), &town.anna).await.json();
    assert_eq!(listed["results"][0]["content"], "indeed");
    let next = listed["next"].as_str().unwrap().strip_prefix(&town.server.url).unwrap();
    assert_eq!(town.get(next, &town.anna).await.json()["results"][0]["content"], "well");
    let patched = town.send(Method::PATCH, &path, &town.ben, json!({"content": "changed"})).await;
    assert_eq!((patched.status.as_u16(), patched.headers.contains_key("etag")), (200, true));
    assert_eq!(town.delete(&path, &town.eve).await.status, 404);
    assert_eq!(town.delete(&path, &town.ben).await.status, 204);
    assert_eq!(town.get(&path, &town.ben).await.code(), "post_not_found");
}

#[tokio::test]
async fn the_feed_comes_by_key_or_in_pages() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall"})).await;
    let den = town.group(json!({"name": "den", "is_private": true})).await;
    for (content, more) in [
        ("everybody", json!({})),
        ("hall", json!({"group": hall})),
        ("hall to all", json!({"group": hall, "visibility": "public"})),
        ("den", json!({"group": den, "visibility": "public"})),
    ] {
        let mut body = more;
        body["content"] = json!(content);
        assert_eq!(town.post(POSTS, &town.anna, body).await.status, 201);
    }
    let read = async |query: &str, who: &str| -> Vec<String> {
        let answer = town.get(&format!("{POSTS}{query}"), who).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let results = answer.json()["results"].as_array().unwrap().clone();
        results.iter().map(|post| post["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(read("", &town.anna).await, ["den", "hall to all", "hall", "everybody"]);
    assert_eq!(read("?joined_groups=true", &town.anna).await, ["den", "hall to all", "hall"]);
    assert_eq!(read("?feed_type=joined_groups", &town.anna).await, ["den", "hall to all", "hall"]);
    assert_eq!(read("?feed_type=global", &town.anna).await, ["hall to all", "everybody"]);
    assert_eq!(read("?feed_type=trending", &town.ben).await, ["hall to all", "everybody"]);
    assert_eq!(read(&format!("?group={hall}"), &town.ben).await, ["hall to all"]);
    assert_eq!(read(&format!("?group_id={hall}&page=1"), &town.ben).await, ["hall to all"]);
    assert_eq!(read(&format!("?author_id={}", town.ids[0]), &town.ben).await, ["hall to all", "everybody"]);
    assert_eq!(town.get(&format!("{POSTS}?group={den}"), &town.ben).await.status, 404);
    town.send(Method::PUT, &format!("/api/community/follows/{}/", town.ids[0]), &town.ben, Value::Null).await;
    assert_eq!(read("?feed_type=following", &town.ben).await, ["hall to all", "everybody"]);
    let first = town.get(&format!("{POSTS}?limit=3"), &town.anna).await.json();
    assert!(first.get("count").is_none());
    let next = first["next"].as_str().unwrap().strip_prefix(&town.server.url).unwrap().to_owned();
    assert_eq!(town.get(&next, &town.anna).await.json()["results"][0]["content"], "everybody");
    let pages = town.get(&format!("{POSTS}?page=1&page_size=3"), &town.anna).await.json();
    assert_eq!((&pages["count"], pages["results"].as_array().unwrap().len()), (&json!(4), 3));
    assert_eq!(town.get(&format!("{POSTS}?page=9"), &town.anna).await.status, 404);
    for bad in ["?feed_type=mine", "?limit=0", "?group=x", "?page=0", "?before=1&after=2"] {
        assert_eq!(town.get(&format!("{POSTS}{bad}"), &town.anna).await.status, 400, "{bad}");
    }
    assert_eq!(town.get(POSTS, "").await.status, 401);
}

#[tokio::test]
async fn a_picture_is_checked_made_anew_and_read_at_a_signed_address() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall", "is_private": true})).await;
    let put = async |who: &str, bytes: Vec<u8>| {
        let form = Form::new().part("image", Part::bytes(bytes).file_name("../../evil.png"));
        let request = town.server.request(Method::PUT, &format!("{GROUPS}{hall}/image/")).header("authorization", who);
        town.server.send(request.multipart(form)).await
    };
    let gif = [
        &b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00"[..],
        b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b",
    ]
    .concat();
    assert_eq!(put(&town.eve, gif.clone()).await.status, 404);
    assert_eq!(put(&town.anna, b"<svg onload=alert(1)>".to_vec()).await.status, 400);
    assert_eq!(put(&town.anna, vec![0; 11 << 20]).await.status, 413);
    let shown = put(&town.anna, gif).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let shown = shown.json();
    let url = shown["image_url"].as_str().unwrap();
    let picture = town.server.send(town.server.client.get(url)).await;
    assert_eq!((picture.status.as_u16(), picture.headers["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(picture.headers["x-content-type-options"], "nosniff");
    let unsigned = town.server.send(town.server.client.get(url.split('?').next().unwrap())).await;
    assert_eq!(unsigned.status, 401);
    let forged = url.replace("v=medium", "v=large");
    assert_eq!(town.server.send(town.server.client.get(forged)).await.status, 404);
    let gone = town.delete(&format!("{GROUPS}{hall}/image/"), &town.anna).await;
    assert_eq!(gone.status, 204);
    assert_eq!(town.server.send(town.server.client.get(url)).await.status, 404, "and so has the file");
    let fallback = town.get(&format!("{GROUPS}{hall}/"), &town.anna).await.json();
    let fallback = town.server.send(town.server.client.get(fallback["image_url"].as_str().unwrap())).await;
    assert_eq!((fallback.status.as_u16(), fallback.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
}

#[tokio::test]
async fn courses_are_made_by_teachers_and_linked_by_moderators() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall"})).await;
    let course = json!({"title": "Knots", "description": "How to tie them"});
    assert_eq!(town.post("/api/community/courses/", &town.anna, course.clone()).await.status, 403);
    let teacher = bearer(&town.server.appointed("tom", Roles { teacher: true, ..Roles::default() }).await);
    let made = town.post("/api/community/courses/", &teacher, course).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].clone();
    let link = format!("{GROUPS}{hall}/courses/");
    assert_eq!(town.send(Method::PUT, &link, &town.ben, json!({"course_ids": [id]})).await.status, 403);
    assert_eq!(town.send(Method::PUT, &link, &town.anna, json!({"course_ids": [999]})).await.status, 404);
    assert_eq!(town.send(Method::PUT, &link, &town.anna, json!({"course_ids": [id]})).await.status, 200);
    assert_eq!(town.get(&format!("{GROUPS}{hall}/"), &town.ben).await.json()["courses"], json!([id]));
    assert_eq!(town.delete(&format!("{GROUPS}{hall}/"), &town.anna).await.status, 204);
    let left = town.get(&format!("/api/community/courses/{id}/"), &town.ben).await;
    assert_eq!((left.status.as_u16(), &left.json()["title"]), (200, &json!("Knots")), "courses stay");
}

#[tokio::test]
async fn the_earlier_paths_reach_the_same_acts() {
    let town = Town::new().await;
    let [_, ben, eve] = town.ids;
    let hall = town.group(json!({"name": "hall"})).await;
    let den = town.group(json!({"name": "den", "is_private": true})).await;
    let at = |group: i64, act: &str| format!("{GROUPS}{group}/{act}/");
    let invite = town.post(&at(den, "create_invite"), &town.anna, json!({"invitee_id": ben, "expires_days": 2})).await;
    assert_eq!(invite.status, 201, "{}", invite.text);
    let token = invite.json()["token"].clone();
    assert_eq!(town.get(&at(den, "list_invites"), &town.anna).await.json()["count"], 1);
    assert_eq!(town.post(&at(den, "accept_invite"), &town.ben, json!({"token": token})).await.status, 200);
    town.server.sql("UPDATE users SET email_verified_at = created_at").await;
    let mailed = json!({"invitee_email": "eve@example.org"});
    let token = town.post(&at(den, "create_invite"), &town.anna, mailed).await.json()["token"].clone();
    assert_eq!(town.post(&at(den, "revoke_invite"), &town.anna, json!({"token": token})).await.status, 204);
    let revoked = town.post(&format!("{GROUPS}accept_invite/"), &town.eve, json!({"token": token})).await;
    assert_eq!(revoked.status, 400);
    let link = town.post(&at(den, "create_invite"), &town.anna, json!({})).await.json()["token"].clone();
    let joined = town.post(&at(den, "join"), &town.eve, json!({"invite_token": link})).await;
    assert_eq!(joined.status, 201);
    assert_eq!(town.post(&at(hall, "add_moderator"), &town.anna, json!({"user_id": ben})).await.status, 400);
    for who in [&town.ben, &town.eve] {
        town.post(&at(hall, "join"), who, Value::Null).await;
    }
    let acts = [
        town.post(&at(hall, "add_moderator"), &town.anna, json!({"user_id": ben})).await,
        town.post(&at(hall, "remove_moderator"), &town.anna, json!({"user_id": ben})).await,
        town.post(&at(hall, "remove_member"), &town.anna, json!({"user_id": eve})).await,
    ];
    assert_eq!(statuses(&acts), [200, 204, 204]);
    let rows = town.get(&format!("/api/community/group-memberships/?group={hall}"), &town.ben).await.json();
    assert_eq!(rows["count"], 2);
    let own = town.get("/api/community/group-memberships/", &town.eve).await.json();
    assert_eq!((&own["count"], &own["results"][0]["group"]), (&json!(1), &json!(den)));
    let refused = town.post("/api/community/group-memberships/", &town.eve, json!({"group": hall, "user": eve})).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "memberships are not written past the rules");

    let body = json!({"content": "hi", "group_id": hall, "feed_visibility": "public_global", "post_category": "event"});
    let post = town.post(POSTS, &town.anna, body).await.json();
    assert_eq!((&post["visibility"], &post["category"]), (&json!("public"), &json!("event")));
    let path = format!("{POSTS}{}/", post["id"]);
    for kept in [true, false] {
        let answer = town.post(&format!("{path}toggle_bookmark/"), &town.ben, Value::Null).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["is_bookmarked"]), (200, &json!(kept)));
    }
    for count in [json!({"love": 1}), json!({})] {
        let answer = town.post(&format!("{path}toggle_reaction/"), &town.ben, json!({"reaction_type": "love"})).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reactions"]), (200, &count));
    }
    let comment = town.post(&format!("{path}comments/"), &town.ben, json!({"content": "x"})).await.json();
    for likes in [1, 0] {
        let like = format!("/api/community/comments/{}/toggle_like/", comment["id"]);
        let answer = town.post(&like, &town.anna, Value::Null).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["like_count"]), (200, &json!(likes)));
    }
    assert_eq!(town.get("/api/community/search/?q=hi", &town.ben).await.json()["posts"][0]["id"], post["id"]);
    assert_eq!(town.get("/api/community/search/?q=hi", "").await.status, 401);
}

#[tokio::test]
async fn a_person_with_groups_and_posts_can_be_removed() {
    let town = Town::new().await;
    let hall = town.group(json!({"name": "hall"})).await;
    town.post(&format!("{GROUPS}{hall}/join/"), &town.ben, Value::Null).await;
    let post = town.post(POSTS, &town.anna, json!({"content": "mine", "group": hall})).await.json();
    let staff = bearer(&town.server.appointed("sue", Roles { superuser: true, ..Roles::default() }).await);
    assert_eq!(town.delete(&format!("/api/users/{}/", town.ids[0]), &staff).await.status, 204);
    let group = town.get(&format!("{GROUPS}{hall}/"), &town.ben).await.json();
    assert_eq!((&group["creator"], &group["moderators"]), (&Value::Null, &json!([town.ids[1]])));
    assert_eq!(group["member_count"], 1);
    let left = town.get(&format!("{POSTS}{}/", post["id"]), &town.ben).await.json();
    assert_eq!((&left["author"], &left["content"]), (&Value::Null, &json!("mine")));
}

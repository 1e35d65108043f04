//! The community API: paths, fields and statuses that front ends rely on.

use guildhall_kernel::Roles;
use reqwest::{
    Method, StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{PASSWORD, Response, TestServer, bearer};

const GROUPS: &str = "/api/community/groups/";
const POSTS: &str = "/api/community/posts/";

/// A server with three users, their authorization headers and ids.
struct Fixture {
    server: TestServer,
    anna: String,
    ben: String,
    eve: String,
    ids: [i64; 3],
}

impl Fixture {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let anna = server.sign_up("anna").await;
        let ben = server.sign_up("ben").await;
        let eve = server.sign_up("eve").await;
        let id = |signed_in: &Value| signed_in["user"]["id"].as_i64().unwrap();
        let ids = [id(&anna), id(&ben), id(&eve)];
        Self { server, anna: bearer(&anna), ben: bearer(&ben), eve: bearer(&eve), ids }
    }

    async fn send(&self, method: Method, path: &str, who: &str, body: Value) -> Response {
        let request = self.server.request(method, path).header("authorization", who);
        let request = if body.is_null() { request } else { request.json(&body) };
        self.server.send(request).await
    }

    async fn get(&self, path: &str, who: &str) -> Response {
        self.server.get(path, who).await
    }

    async fn post(&self, path: &str, who: &str, body: Value) -> Response {
        self.send(Method::POST, path, who, body).await
    }

    async fn delete(&self, path: &str, who: &str) -> Response {
        self.server.delete(path, who).await
    }

    async fn group(&self, body: Value) -> i64 {
        let response = self.post(GROUPS, &self.anna, body).await;
        assert_eq!(response.status, 201, "{}", response.text);
        response.json()["id"].as_i64().unwrap()
    }
}

fn statuses(responses: &[Response]) -> Vec<u16> {
    responses.iter().map(|response| response.status.as_u16()).collect()
}

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

#[tokio::test]
async fn an_image_is_validated_reencoded_and_served_at_a_signed_url() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall", "is_private": true})).await;
    let put = async |who: &str, bytes: Vec<u8>| {
        let form = Form::new().part("image", Part::bytes(bytes).file_name("../../evil.png"));
        let request =
            fixture.server.request(Method::PUT, &format!("{GROUPS}{hall}/image/")).header("authorization", who);
        fixture.server.send(request.multipart(form)).await
    };
    let gif = [
        &b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00"[..],
        b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b",
    ]
    .concat();
    assert_eq!(put(&fixture.eve, gif.clone()).await.status, 404);
    assert_eq!(put(&fixture.anna, b"<svg onload=alert(1)>".to_vec()).await.status, 400);
    assert_eq!(put(&fixture.anna, vec![0; 11 << 20]).await.status, 413);
    let uploaded = put(&fixture.anna, gif).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text);
    let group = uploaded.json();
    let url = group["image_url"].as_str().unwrap();
    let picture = fixture.server.send(fixture.server.client.get(url)).await;
    assert_eq!((picture.status.as_u16(), picture.headers["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(picture.headers["x-content-type-options"], "nosniff");
    let unsigned = fixture.server.send(fixture.server.client.get(url.split('?').next().unwrap())).await;
    assert_eq!(unsigned.status, 401);
    let forged = url.replace("v=medium", "v=large");
    assert_eq!(fixture.server.send(fixture.server.client.get(forged)).await.status, 404);
    let deleted = fixture.delete(&format!("{GROUPS}{hall}/image/"), &fixture.anna).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(fixture.server.send(fixture.server.client.get(url)).await.status, 404, "the file is deleted, too");
    let fallback = fixture.get(&format!("{GROUPS}{hall}/"), &fixture.anna).await.json();
    let fallback = fixture.server.send(fixture.server.client.get(fallback["image_url"].as_str().unwrap())).await;
    assert_eq!((fallback.status.as_u16(), fallback.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
}

#[tokio::test]
async fn courses_are_created_by_teachers_and_linked_by_moderators() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    let course = json!({"title": "Knots", "description": "How to tie them"});
    assert_eq!(fixture.post("/api/community/courses/", &fixture.anna, course.clone()).await.status, 403);
    let teacher = bearer(&fixture.server.sign_up_with_roles("tom", Roles { teacher: true, ..Roles::default() }).await);
    let created = fixture.post("/api/community/courses/", &teacher, course).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].clone();
    let link = format!("{GROUPS}{hall}/courses/");
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.ben, json!({"course_ids": [id]})).await.status, 403);
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.anna, json!({"course_ids": [999]})).await.status, 404);
    assert_eq!(fixture.send(Method::PUT, &link, &fixture.anna, json!({"course_ids": [id]})).await.status, 200);
    assert_eq!(fixture.get(&format!("{GROUPS}{hall}/"), &fixture.ben).await.json()["courses"], json!([id]));
    assert_eq!(fixture.delete(&format!("{GROUPS}{hall}/"), &fixture.anna).await.status, 204);
    let course = fixture.get(&format!("/api/community/courses/{id}/"), &fixture.ben).await;
    assert_eq!((course.status.as_u16(), &course.json()["title"]), (200, &json!("Knots")), "the course is not deleted");
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

#[tokio::test]
async fn a_user_with_groups_and_posts_can_be_removed() {
    let fixture = Fixture::new().await;
    let hall = fixture.group(json!({"name": "hall"})).await;
    fixture.post(&format!("{GROUPS}{hall}/join/"), &fixture.ben, Value::Null).await;
    let post = fixture.post(POSTS, &fixture.anna, json!({"content": "mine", "group": hall})).await.json();
    let staff = bearer(&fixture.server.sign_up_with_roles("sue", Roles { superuser: true, ..Roles::default() }).await);
    assert_eq!(fixture.delete(&format!("/api/users/{}/", fixture.ids[0]), &staff).await.status, 204);
    let group = fixture.get(&format!("{GROUPS}{hall}/"), &fixture.ben).await.json();
    assert_eq!((&group["creator"], &group["moderators"]), (&Value::Null, &json!([fixture.ids[1]])));
    assert_eq!(group["member_count"], 1);
    let post = fixture.get(&format!("{POSTS}{}/", post["id"]), &fixture.ben).await.json();
    assert_eq!((&post["author"], &post["content"]), (&Value::Null, &json!("mine")));
}

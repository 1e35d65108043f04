//! A user outside of a private group gets no access to it through any route. The routes come from the OpenAPI document.

use std::collections::BTreeMap;

use guildhall_gateway::document;
use guildhall_kernel::Roles;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

const GROUPS: &str = "/api/community/groups/";
/// Appears in every text of the private group and nowhere else.
const SECRET: &str = "xylophone";

/// A GIF image of one pixel.
fn gif() -> Vec<u8> {
    let head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00";
    let body = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";
    [&head[..], &body[..]].concat()
}

fn form(field: &'static str, name: &str) -> Form {
    Form::new().part(field, Part::bytes(gif()).file_name(name.to_owned()).mime_str("image/gif").unwrap())
}

/// Creates an unlisted private group with one object of every kind. Returns their ids by path segment.
async fn secret_group(server: &TestServer, owner: &str, member: &str, member_id: i64) -> BTreeMap<String, Vec<i64>> {
    let post = async |path: String, who: &str, body: Value| {
        let response = server.post(&path, who, body).await;
        assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
        response.json()
    };
    let group = json!({
        "name": format!("{SECRET} players"), "description": SECRET, "is_private": true, "category": SECRET,
    });
    let group = post(GROUPS.into(), owner, group).await["id"].as_i64().unwrap();
    let group_path = format!("{GROUPS}{group}/");
    post(format!("{group_path}invites/"), owner, json!({"user_id": member_id})).await;
    post(format!("{group_path}join/"), member, json!({})).await;
    let invite = post(format!("{group_path}invites/"), owner, json!({})).await["id"].as_i64().unwrap();
    let upload = server.request(Method::PUT, &format!("{group_path}image/")).header("authorization", owner);
    assert_eq!(server.send(upload.multipart(form("image", "a.gif"))).await.status, 200);
    let text = json!({"content": format!("{SECRET} @ben"), "title": SECRET, "group": group, "tags": [SECRET],
        "visibility": "public", "poll": {"options": [SECRET, "b"]}});
    let post_id = post("/api/community/posts/".into(), owner, text).await["id"].as_i64().unwrap();
    let post_path = format!("/api/community/posts/{post_id}/");
    let upload = server.request(Method::POST, &format!("{post_path}attachments/")).header("authorization", owner);
    let attached = server.send(upload.multipart(form("file", &format!("{SECRET}.gif")))).await;
    assert_eq!(attached.status, 201, "{}", attached.text);
    let comment =
        post(format!("{post_path}comments/"), member, json!({"content": SECRET})).await["id"].as_i64().unwrap();
    let report = post(format!("{post_path}reports/"), member, json!({"reason": SECRET})).await["id"].as_i64().unwrap();
    post("/api/community/drafts/".into(), member, json!({"content": SECRET, "group": group})).await;
    let event = json!({"title": SECRET, "starts_at": "2100-01-01T10:00:00Z", "ends_at": "2100-01-01T11:00:00Z",
        "is_public": true});
    let event = post(format!("{group_path}events/"), owner, event).await["id"].as_i64().unwrap();
    let course =
        post("/api/community/courses/".into(), owner, json!({"title": SECRET, "is_public": false})).await["id"]
            .as_i64()
            .unwrap();
    let section =
        post(format!("/api/community/courses/{course}/sections/"), owner, json!({"title": SECRET})).await["id"]
            .as_i64()
            .unwrap();
    let lesson = json!({"title": SECRET, "content": SECRET});
    let lesson =
        post(format!("/api/community/sections/{section}/lessons/"), owner, lesson).await["id"].as_i64().unwrap();
    let link = server.request(Method::PUT, &format!("{group_path}courses/")).header("authorization", owner);
    assert_eq!(server.send(link.json(&json!({"course_ids": [course]}))).await.status, 200);
    BTreeMap::from([
        ("groups".to_owned(), vec![group]),
        ("posts".to_owned(), vec![post_id]),
        ("comments".to_owned(), vec![comment]),
        ("reports".to_owned(), vec![report]),
        ("events".to_owned(), vec![event]),
        ("courses".to_owned(), vec![course]),
        ("sections".to_owned(), vec![section]),
        ("lessons".to_owned(), vec![lesson]),
        ("invites".to_owned(), vec![invite]),
        ("drafts".to_owned(), vec![1]),
        ("files".to_owned(), vec![1, 2]),
        ("attachments".to_owned(), vec![1]),
    ])
}

/// A body that is valid for most operations, so that validation errors do not hide other responses.
fn body() -> Value {
    json!({
        "name": "x", "title": "x", "content": "x", "reason": "x", "user_id": 1, "token": "x", "verdict": "dismiss",
        "status": "going", "course_ids": [], "options": [0], "reaction_type": "like", "is_pinned": true,
        "starts_at": "2100-01-01T10:00:00Z", "ends_at": "2100-01-01T11:00:00Z",
    })
}

/// The paths of an operation with ids of the private group, selected by the segment before each parameter.
fn fill_path(path: &str, ids: &BTreeMap<String, Vec<i64>>) -> Vec<String> {
    let mut paths = vec![String::new()];
    let mut previous = String::new();
    for part in path.split('/').skip(1) {
        let values: Vec<String> = match part {
            "{emoji}" => vec!["like".into()],
            "{token}" => vec!["nonsense".into()],
            "{name}" => vec!["a.gif".into()],
            "{file}" => vec!["A-1.svg".into()],
            "{user_id}" => vec!["1".into(), "2".into()],
            part if part.starts_with('{') => match ids.get(&previous) {
                Some(ids) => ids.iter().map(ToString::to_string).collect(),
                None => vec!["1".into(), "2".into()],
            },
            part => {
                part.clone_into(&mut previous);
                vec![part.to_owned()]
            }
        };
        paths = paths.iter().flat_map(|path| values.iter().map(move |value| format!("{path}/{value}"))).collect();
    }
    paths
}

#[tokio::test]
async fn a_private_group_is_invisible_to_outsiders() {
    let server = TestServer::start_with(&[("GUILDHALL__COMMUNITY__PUBLIC_READ", "true")]).await;
    let teacher = Roles { teacher: true, ..Roles::default() };
    let anna = bearer(&server.sign_up_with_roles("anna", teacher).await);
    let ben = server.sign_up("ben").await;
    let member_id = ben["user"]["id"].as_i64().unwrap();
    let ben = bearer(&ben);
    let eve = bearer(&server.sign_up("eve").await);
    let ids = secret_group(&server, &anna, &ben, member_id).await;
    let rows = async || {
        let mut rows = server.row_counts().await;
        // Rows that belong to the outsider.
        for table in ["kernel_audit_event", "accounts_throttle", "community_follow"] {
            rows.remove(table);
        }
        rows
    };
    let before = rows().await;
    let document = serde_json::to_value(document()).unwrap();
    let (mut requests, mut created) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        if !(path.starts_with("/api/community") || path.starts_with("/api/files")) {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let is_creation = !path.contains('{') && method == Method::POST;
            for path in fill_path(path, &ids) {
                for who in [&eve, &String::new()] {
                    for query in
                        ["", "?search=xylo&q=xylo&page_size=100&group=1&when=all", "?joined_groups=false&tag=xylophone"]
                    {
                        let request = server.request(method.clone(), &format!("{path}{query}"));
                        let request =
                            if who.is_empty() { request } else { request.header("authorization", who.as_str()) };
                        let multipart =
                            path.ends_with("/image/") || path.ends_with("/banner/") || path.ends_with("/attachments/");
                        let request = if method == Method::GET {
                            request
                        } else if multipart {
                            request.multipart(form(
                                if path.ends_with("/attachments/") { "file" } else { "image" },
                                "b.gif",
                            ))
                        } else {
                            request.json(&body())
                        };
                        let response = server.send(request).await;
                        requests += 1;
                        let text = response.text.to_lowercase();
                        assert!(!text.contains(SECRET) && !text.contains("player"), "{method} {path}{query}: {text}");
                        assert!(!response.status.is_server_error(), "{method} {path}{query}: {}", response.text);
                        if is_creation && response.status.is_success() {
                            created += 1;
                            continue;
                        }
                        let id_count = path.split('/').filter(|part| part.parse::<i64>().is_ok()).count();
                        let is_about_users = path.contains("/follows/");
                        let has_access = id_count > 0 && !is_about_users && response.status.is_success();
                        assert!(!has_access, "{method} {path}{query}: {} {}", response.status, response.text);
                        // A signed-in user cannot distinguish hidden objects from missing ones.
                        if id_count > 0 && !is_about_users && !who.is_empty() && !path.contains("/files/") {
                            assert_eq!(response.status, 404, "{method} {path}{query}: {}", response.text);
                        }
                    }
                }
            }
        }
    }
    assert!(requests > 500 && created > 0, "{requests} {created}");
    // Delete what the outsider created. The private group has not changed.
    for table in ["community_membership", "community_post", "community_group", "community_draft"] {
        server
            .sql(&format!(
                "DELETE FROM {table} WHERE {}",
                match table {
                    "community_membership" => "group_id IN (SELECT id FROM community_group WHERE name = 'x')",
                    "community_post" => "content = 'x'",
                    "community_group" => "name = 'x'",
                    _ => "body LIKE '%\"content\":\"x\"%'",
                }
            ))
            .await;
    }
    server.sql("DELETE FROM kernel_usage WHERE user_id = (SELECT id FROM users WHERE username = 'eve')").await;
    assert_eq!(rows().await, before);
    for (path, count) in [("groups", 0), ("posts", 0), ("courses", 0), ("events", 0)] {
        let list = server.get(&format!("/api/community/{path}/?page=1"), &eve).await.json();
        assert_eq!(list["count"], count, "{path}: {list}");
    }
    let categories = server.get("/api/community/groups/categories/", &eve).await;
    assert_eq!(categories.json(), json!([]));
    let results = server.get("/api/community/search/?q=xylophone", &ben).await.json();
    assert_eq!(results["posts"].as_array().unwrap().len(), 1, "a member finds it");
}

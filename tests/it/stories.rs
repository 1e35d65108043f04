use guildhall_kernel::Roles;
use reqwest::Method;
use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::server::{PASSWORD, TestServer, bearer};

const GROUP: &str = "/api/community/groups/";

fn group(name: &str) -> Value {
    json!({"name": name, "description": "", "category": "general", "is_private": false, "is_corporate_group": false})
}

#[tokio::test]
async fn a_person_registers_signs_in_refreshes_and_signs_out() {
    let server = TestServer::start().await;
    let first = server.sign_up("anna").await;
    let me = server.get("/api/auth/me/", &bearer(&first)).await;
    assert_eq!((me.status.as_u16(), &me.json()["username"]), (200, &json!("anna")));

    let second = server.post("/api/auth/refresh/", "", json!({"refresh": first["refresh"]})).await.json();
    assert_ne!(second["refresh"], first["refresh"]);
    assert_eq!(server.get("/api/auth/me/", &bearer(&second)).await.status, 200);

    let out = server.post("/api/auth/logout/", "", json!({"refresh": second["refresh"]})).await;
    assert_eq!((out.status.as_u16(), out.text.as_str()), (204, ""));
    for pair in [&first, &second] {
        assert_eq!(server.get("/api/auth/me/", &bearer(pair)).await.code(), "token_not_valid");
        let refused = server.post("/api/auth/refresh/", "", json!({"refresh": pair["refresh"]})).await;
        assert_eq!(refused.status, 401);
    }
}

#[tokio::test]
async fn a_group_is_created_listed_and_deleted_with_either_kind_of_token() {
    let server = TestServer::start().await;
    let signed_in = server.sign_up("anna").await;
    let response = server.post("/api/auth/token/", "", json!({"username": "anna", "password": PASSWORD})).await;
    let token = format!("Token {}", response.json()["token"].as_str().unwrap());
    for (n, authorization) in [bearer(&signed_in), token].into_iter().enumerate() {
        let created = server.post(GROUP, &authorization, group("Readers")).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let created = created.json();
        assert_eq!(created["creator"]["username"], "anna");
        assert_eq!(
            (&created["is_member"], &created["is_moderator"], &created["member_count"]),
            (&json!(true), &json!(true), &json!(1))
        );
        let list = server.get(GROUP, &authorization).await.json();
        assert_eq!((&list["count"], &list["results"][0]), (&json!(1), &created), "{n}");
        let one = format!("{GROUP}{}/", created["id"]);
        assert_eq!(server.get(&one, &authorization).await.json(), created);
        assert_eq!(server.delete(&one, &authorization).await.status, 204);
        assert_eq!(server.get(&one, &authorization).await.status, 404);
        assert_eq!(server.row_counts().await["community_group"], 0);
        assert_eq!(server.row_counts().await["community_membership"], 0);
    }
}

#[tokio::test]
async fn the_image_url_of_a_group_works() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let created = server.post(GROUP, &anna, group("Größe Süd")).await.json();
    let url = created["image_url"].as_str().unwrap();
    assert!(url.starts_with(&server.url), "{url}");
    let picture = server.send(server.client.get(url)).await;
    assert_eq!((picture.status.as_u16(), picture.headers["content-type"].to_str().unwrap()), (200, "image/svg+xml"));
}

#[tokio::test]
async fn lists_link_to_their_other_pages() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    for n in 0..5 {
        server.post(GROUP, &anna, group(&format!("group {n}"))).await;
    }
    let first = server.get("/api/community/groups?page_size=2&category=general", &anna).await.json();
    let next = first["next"].as_str().unwrap().strip_prefix(&server.url).unwrap();
    assert_eq!(next, "/api/community/groups/?page_size=2&category=general&page=2");
    let second = server.get(next, &anna).await.json();
    assert_eq!(second["results"][0]["name"], "group 2");
    assert!(second["previous"].as_str().unwrap().ends_with("page=1"));
    assert_eq!(server.get("/api/community/groups/?page=4&page_size=2", &anna).await.status, 404);
    assert_eq!(server.get("/api/users/?page=501", &anna).await.code(), "page_too_deep");
}

#[tokio::test]
async fn groups_of_a_removed_user_stay() {
    let server = TestServer::start().await;
    let staff = bearer(&server.sign_up_with_roles("staff", Roles { staff: true, ..Roles::default() }).await);
    let anna = server.sign_up("anna").await;
    let created = server.post(GROUP, &bearer(&anna), group("Readers")).await.json();
    let user = format!("/api/users/{}/", anna["user"]["id"]);
    assert_eq!(server.delete(&user, &bearer(&anna)).await.code(), "not_staff");
    assert_eq!(server.delete(&user, &staff).await.status, 204);
    assert_eq!(server.get("/api/auth/me/", &bearer(&anna)).await.status, 401);
    let group = server.get(&format!("{GROUP}{}/", created["id"]), &staff).await.json();
    assert_eq!((&group["creator"], &group["member_count"]), (&Value::Null, &json!(0)));
    assert_eq!(server.get(&user, &staff).await.code(), "user_not_found");
}

#[tokio::test]
async fn signing_out_everywhere_and_deactivation_take_effect_immediately() {
    let server = TestServer::start().await;
    let (one, two) = (server.sign_up("anna").await, server.sign_in("anna").await);
    assert_eq!(server.post("/api/auth/logout-all/", &bearer(&one), json!({})).await.status, 204);
    for pair in [&one, &two] {
        assert_eq!(server.get("/api/auth/me/", &bearer(pair)).await.status, 401);
    }
    let three = server.sign_in("anna").await;
    server.server.services().accounts.set_active("anna", false).await.unwrap();
    assert_eq!(server.get("/api/auth/me/", &bearer(&three)).await.code(), "user_inactive");
}

#[tokio::test]
async fn a_change_with_a_stale_version_is_rejected() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let me = server.get("/api/auth/me/", &anna).await;
    let version = me.headers["etag"].to_str().unwrap().to_owned();
    let change = async |version: &str, name: &str| {
        let request = server.request(Method::PATCH, "/api/auth/me/").header("authorization", &anna);
        server.send(request.header("if-match", version).json(&json!({"display_name": name}))).await
    };
    let changed = change(&version, "Ann").await;
    assert_eq!((changed.status.as_u16(), &changed.json()["display_name"]), (200, &json!("Ann")));
    let refused = change(&version, "Bert").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (412, "stale"));
    assert_eq!(change(changed.headers["etag"].to_str().unwrap(), "Annie").await.status, 200);
}

#[tokio::test]
async fn a_request_costs_a_fixed_number_of_statements() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    for n in 0..30 {
        server.post(GROUP, &anna, group(&format!("group {n}"))).await;
        server.sign_up(&format!("person{n}")).await;
    }
    let db = &server.server.services().db;
    let cost = async |path: &str| {
        // The minimum of several measurements, because background tasks also run statements.
        let mut minimum = u64::MAX;
        for _ in 0..3 {
            let before = db.statements();
            assert_eq!(server.get(path, &anna).await.status, 200);
            minimum = minimum.min(db.statements() - before);
        }
        minimum
    };
    // Counts are kept on SQLite.
    let count = u64::from(db.backend() != DbBackend::Sqlite);
    // Authentication and the data; lists also count. The users in them are kept in memory.
    for (path, statements) in [
        ("/api/auth/me/", 2),
        ("/api/auth/tokens/", 2),
        ("/api/users/1/", 2),
        ("/api/users/?page_size=2", 2 + count),
        ("/api/users/?page_size=20", 2 + count),
        ("/api/community/groups/1/", 4),
        ("/api/community/groups/?page_size=2", 4 + count),
        ("/api/community/groups/?page_size=20", 4 + count),
        ("/healthz", 0),
        ("/.well-known/jwks.json", 1),
    ] {
        assert_eq!(cost(path).await, statements, "{path}");
    }
    let before = db.statements();
    assert_eq!(server.post(GROUP, &anna, group("one more")).await.status, 201);
    // Authentication, the daily quota, the group, the membership, and the creator's name unless it is kept.
    let statements = db.statements() - before;
    assert!((4..=5).contains(&statements), "{statements}");
}

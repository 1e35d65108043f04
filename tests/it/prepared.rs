//! Prepared statements of SQLite: planned once per connection, then only executed.

use std::collections::BTreeSet;

use guildhall_kernel::db::PreparedStatement;
use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

/// A server with some content, and the hot paths to read it.
async fn server_with_content() -> (TestServer, String, Vec<String>) {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let create = async |path: &str, body: Value| {
        let response = server.post(path, &anna, body).await;
        assert_eq!(response.status, 201, "{path}: {}", response.text);
        response.json()
    };
    let group = create("/api/community/groups/", json!({"name": "Readers", "category": "books"})).await;
    for number in 0..3 {
        let post = json!({"content": format!("Post {number}"), "group": group["id"]});
        create("/api/community/posts/", post).await;
    }
    let group = format!("/api/community/groups/{}/", group["id"]);
    let org = create("/api/crm/organizations/", json!({"name": "Acme"})).await;
    let org = format!("/api/crm/organizations/{}/", org["id"]);
    let client = create(&format!("{org}clients/"), json!({"name": "Ben"})).await;
    let mut deal = Value::Null;
    for number in 0..3 {
        let new = json!({"client_id": client["id"], "title": format!("Deal {number}"), "value": "100.00"});
        deal = create(&format!("{org}deals/"), new).await;
    }
    let deal = format!("{org}deals/{}/", deal["id"]);
    create(&format!("{deal}payments/"), json!({"amount": "10.00", "method": "bank"})).await;
    let pipelines = server.get(&format!("{org}pipelines/"), &anna).await.json();
    let board = format!("{org}pipelines/{}/board/", pipelines["results"][0]["id"]);
    let paths = vec![
        "/api/auth/me/".to_owned(),
        "/api/users/?page_size=1".to_owned(),
        "/api/community/groups/?page_size=1".to_owned(),
        format!("{group}members/"),
        group,
        "/api/community/posts/?limit=2".to_owned(),
        "/api/community/search/?q=post".to_owned(),
        format!("{org}clients/"),
        format!("{org}deals/?page_size=1"),
        format!("{org}deals/?status=open&ordering=-created_at"),
        format!("{org}reports/revenue/"),
        format!("{deal}payments/"),
        deal,
        board,
    ];
    (server, anna, paths)
}

/// The prepared statements; `None` on PostgreSQL, and in a build without the flags of `.cargo/config.toml`.
async fn prepared(server: &TestServer) -> Option<Vec<PreparedStatement>> {
    let prepared = server.services().db.prepared_statements().await.unwrap();
    let is_expected = option_env!("LIBSQLITE3_FLAGS").is_some() && server.db.backend() == DbBackend::Sqlite;
    assert_eq!(prepared.is_some(), is_expected, "SQLite was compiled with other flags");
    prepared
}

#[tokio::test]
async fn no_hot_statement_is_planned_again() {
    let (server, anna, paths) = server_with_content().await;
    for path in paths.iter().cycle().take(paths.len() * 3) {
        assert_eq!(server.get(path, &anna).await.status, 200, "{path}");
    }
    let Some(prepared) = prepared(&server).await else { return };
    let repeated = prepared.iter().filter(|statement| statement.runs > 1).count();
    assert!(repeated > 25, "{repeated}");
    let planned_again: Vec<&PreparedStatement> =
        prepared.iter().filter(|statement| statement.planned_again > 0).collect();
    assert!(planned_again.is_empty(), "{planned_again:#?}");
}

#[tokio::test]
async fn a_repeated_request_prepares_no_statement() {
    let (server, anna, paths) = server_with_content().await;
    for path in &paths {
        assert_eq!(server.get(path, &anna).await.status, 200, "{path}");
    }
    let texts = async || {
        let prepared = prepared(&server).await?;
        Some(prepared.into_iter().map(|statement| statement.sql).collect::<BTreeSet<_>>())
    };
    let Some(before) = texts().await else { return };
    for path in &paths {
        assert_eq!(server.get(path, &anna).await.status, 200, "{path}");
    }
    let after = texts().await.unwrap();
    let new: Vec<&String> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:#?}");
}

#[tokio::test]
async fn a_count_is_kept_until_any_process_changes_its_table() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    for name in ["Readers", "Writers", "Editors"] {
        let new = json!({"name": name, "category": "books"});
        assert_eq!(server.post("/api/community/groups/", &anna, new).await.status, 201);
    }
    // The count, and whether it was computed.
    let list = async || {
        let db = &server.services().db;
        db.record_statements();
        let page = server.get("/api/community/groups/?page_size=1", &anna).await.json();
        let is_counted = db.record_statements().iter().any(|statement| statement.sql.contains(r#"AS "listed""#));
        (page["count"].as_u64().unwrap(), is_counted)
    };
    assert_eq!(list().await, (3, true));
    let is_kept = server.db.backend() == DbBackend::Sqlite;
    assert_eq!(list().await, (3, !is_kept));
    // A new post changes the group, but in no list which groups are in it.
    let post = json!({"content": "Hello", "group": 1});
    assert_eq!(server.post("/api/community/posts/", &anna, post).await.status, 201);
    assert_eq!(list().await, (3, !is_kept));
    // The database of the test is another handle, as another process would have.
    server.db.sql("UPDATE community_group SET is_private = true WHERE name = 'Writers'").await.unwrap();
    let ben = bearer(&server.sign_up("ben").await);
    assert_eq!(server.get("/api/community/groups/?page_size=1", &ben).await.json()["count"], 2);
    assert_eq!(list().await.0, 3);
    server.db.sql("DELETE FROM community_membership WHERE user_id = 1").await.unwrap();
    assert_eq!(list().await.0, 2);
}

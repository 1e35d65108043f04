//! Hostile requests cause no server errors, and rejected requests change nothing.

use guildhall_gateway::document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer, fill_in};

/// The methods and paths of the documented operations that match a filter.
fn operations(filter: fn(&Value) -> bool) -> Vec<(Method, String)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if filter(operation) {
                operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(operations.len() > 10);
    operations
}

#[tokio::test]
async fn invalid_bodies_are_rejected_and_change_nothing() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    // Failed sign-ins are counted and audited.
    let rows = async || {
        let mut rows = server.row_counts().await;
        rows.retain(|table, _| table != "accounts_throttle" && table != "kernel_audit_event");
        rows
    };
    // The compatibility routes use the caller's only organization. The first one is not Anna's.
    let ben = bearer(&server.sign_up("ben").await);
    for who in [&ben, &anna] {
        assert_eq!(server.post("/api/crm/organizations/", who, json!({"name": "Acme"})).await.status, 201);
    }
    let before = rows().await;
    let wide: String = (0..1000).map(|n| format!("\"key{n}\": {n},")).collect();
    let deep = format!("{}1{}", "{\"x\":".repeat(200), "}".repeat(200));
    let bodies: Vec<(&str, String)> = vec![
        ("application/json", String::new()),
        ("application/json", "{".into()),
        ("application/json", "nul".into()),
        ("application/json", "[]".into()),
        ("application/json", "\"text\"".into()),
        ("application/json", format!("{{{wide} \"name\": 7, \"username\": 7, \"refresh\": 7, \"token\": 7, \"display_name\": 7}}")),
        ("application/json", format!("{}{}", "[".repeat(200), "]".repeat(200))),
        ("application/json", format!("{{\"display_name\": {deep}, \"name\": {deep}}}")),
        ("application/json", "[\"a\", 1, \"b\", \"c\"]".into()),
        ("application/json", r#"{"name": "a\u0000b", "username": "a\u0000b", "password": "x", "refresh": "a\u0000b", "token": "a\u0000b", "display_name": "a\u0000b"}"#.into()),
        ("application/json", r#"{"name": "\ud800", "username": "\ud800", "password": "x", "refresh": "\ud800", "token": "\ud800", "display_name": "\ud800"}"#.into()),
        ("application/json", r#"{"name": "a", "name": "b", "username": "a", "username": "b", "refresh": "a", "refresh": "b", "token": "a", "token": "b", "display_name": 1}"#.into()),
        ("application/json; charset=utf-8", "\u{feff}{}".into()),
        ("text/plain", "{}".into()),
        ("application/x-www-form-urlencoded", "username=anna&password=x".into()),
        ("multipart/form-data; boundary=x", "--x--".into()),
        ("", "{}".into()),
        ("application/json", format!("{{\"name\": \"{}\"}}", "x".repeat(2 << 20))),
    ];
    let has_json_body = |operation: &Value| operation["requestBody"]["content"].get("application/json").is_some();
    let with_optional_body = ["/api/notifications/read-all/", "/api/chat/{room_id}/leave/"];
    for (method, path) in operations(has_json_body) {
        let may_be_empty = with_optional_body.contains(&path.as_str());
        let path = fill_in(&path, "1");
        for (content_type, body) in bodies.iter().filter(|(_, body)| !(may_be_empty && body.is_empty())) {
            let request = server.request(method.clone(), &path).header("authorization", &anna);
            let response = server.send(request.header("content-type", *content_type).body(body.clone())).await;
            let excerpt: String = body.chars().take(60).collect();
            assert!((400..500).contains(&response.status.as_u16()), "{method} {path} {excerpt}: {}", response.text);
            assert_eq!(response.headers["content-type"], "application/problem+json", "{method} {path} {excerpt}");
            assert!(!response.code().is_empty() && response.json()["request_id"].is_string());
        }
        let raw = server.request(method.clone(), &path).header("authorization", &anna);
        let response =
            server.send(raw.header("content-type", "application/json").body(&b"{\"name\": \"\xff\"}"[..])).await;
        assert_eq!(response.code(), "parse_error", "{method} {path}: invalid UTF-8");
    }
    assert_eq!(rows().await, before);
}

#[tokio::test]
async fn a_hundred_mebibytes_are_rejected() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, "/api/auth/login/").header("content-type", "application/json");
    // The server may close the connection before everything is sent, which the client sees as an error.
    if let Ok(response) = request.body(vec![b' '; 100 << 20]).send().await {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(server.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn invalid_ids_and_parameters_are_client_errors() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    for id in ["0", "-1", "x", "9223372036854775807", "99999999999999999999", "%00", "%ff", "1%2F2", "x..", "1.5", "'"]
    {
        for (method, path) in operations(|_| true).iter().filter(|(_, path)| path.contains('{')) {
            let path = fill_in(path, id);
            let request = server.request(method.clone(), &path).header("authorization", &anna).json(&json!({}));
            let response = server.send(request).await;
            // A missing signature is a 401, and an invalid body may be detected first. Unfollowing is idempotent.
            let idempotent = path.contains("/follows/") && method == Method::DELETE && response.status == 204;
            if idempotent {
                continue;
            }
            let is_expected = [400, 401, 403, 404, 415].contains(&response.status.as_u16());
            assert!(is_expected, "{method} {path}: {} {}", response.status, response.text);
            assert_eq!(response.headers["content-type"], "application/problem+json");
        }
    }
    for query in [
        "page=0",
        "page=x",
        "page=99999999999999999999",
        "page_size=0",
        "page_size=-1",
        "ordering=password_hash",
        "ordering=,",
        "search=%00",
        "joined=x",
        "limit=0",
        "before=x",
        "before=1&after=2",
        "search=%ff",
        "count=%00",
    ] {
        for path in ["/api/users/", "/api/community/groups/", "/api/auth/tokens/"] {
            let response = server.get(&format!("{path}?{query}"), &anna).await;
            let status = response.status.as_u16();
            assert!(status == 200 || status == 400, "{path}?{query}: {status} {}", response.text);
        }
    }
}

#[tokio::test]
async fn only_valid_tokens_give_access() {
    let server = TestServer::start().await;
    let anna = server.sign_up("anna").await;
    let access = anna["access"].as_str().unwrap();
    let parts: Vec<&str> = access.split('.').collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"; // {"alg":"none","typ":"at+jwt"}
    let forged = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{access}x"),
        format!("{access}="),
        access.replace('.', ""),
        anna["refresh"].as_str().unwrap().to_owned(),
        "x".repeat(8000),
        "null".to_owned(),
    ];
    let protected: Vec<(Method, String)> = operations(|operation| operation.get("security") != Some(&json!([{}])))
        .into_iter()
        .map(|(method, path)| (method, fill_in(&path, "1")))
        .collect();
    assert!(protected.len() >= 30, "{protected:?}");
    for (method, path) in protected {
        let anonymous = server.send(server.request(method.clone(), &path).json(&json!({}))).await;
        assert_eq!(
            (anonymous.status.as_u16(), anonymous.code().as_str()),
            (401, "not_authenticated"),
            "{method} {path}"
        );
        assert!(anonymous.headers.contains_key("www-authenticate"));
        for token in &forged {
            for scheme in ["Bearer", "Token"] {
                let request =
                    server.request(method.clone(), &path).header("authorization", format!("{scheme} {token}"));
                let response = server.send(request.json(&json!({}))).await;
                assert_eq!(
                    (response.status.as_u16(), response.code().as_str()),
                    (401, "token_not_valid"),
                    "{method} {path}"
                );
            }
        }
        let twice = server.request(method.clone(), &path).header("authorization", bearer(&anna));
        let response = server.send(twice.header("authorization", bearer(&anna)).json(&json!({}))).await;
        assert_eq!(response.code(), "bad_authorization_header", "{method} {path}");
        let invalid_utf8 = server.request(method.clone(), &path).header("authorization", &b"Bearer \xff"[..]);
        assert_eq!(
            server.send(invalid_utf8.json(&json!({}))).await.code(),
            "bad_authorization_header",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn unsupported_methods_get_405_with_the_allowed_methods() {
    let server = TestServer::start().await;
    for (path, allowed) in [("/api/auth/login/", "POST"), ("/api/auth/login", "POST"), ("/healthz", "GET,HEAD")] {
        let response = server.send(server.request(Method::DELETE, path)).await;
        assert_eq!((response.status.as_u16(), response.code().as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(response.headers["allow"], allowed);
    }
    let response = server.send(server.request(Method::GET, "/api/no/such/thing/")).await;
    assert_eq!((response.status.as_u16(), response.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn read_only_fields_are_ignored() {
    let server = TestServer::start().await;
    let body: Value = json!({
        "username": "mallory", "email": "m@example.org", "password": "correct horse é", "id": 77, "is_staff": true,
        "is_superuser": true, "roles": ["superuser"], "is_active": false, "email_verified": true, "auth_epoch": 9,
    });
    let created = server.post("/api/auth/register/", "", body).await;
    assert_eq!(created.status, 201);
    let created = created.json();
    assert_eq!(
        (&created["roles"], &created["is_active"], &created["email_verified"]),
        (&json!([]), &json!(true), &json!(false))
    );
    assert_ne!(created["id"], 77);
    assert!(!created.to_string().contains("argon2"));
}

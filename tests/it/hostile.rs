//! Nothing that a client sends makes the server fail, and what it refuses leaves nothing behind.

use guildhall_gateway::document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer, fill_in};

/// The documented operations that are wanted: method and path.
fn operations(wanted: fn(&Value) -> bool) -> Vec<(Method, String)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if wanted(operation) {
                operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(operations.len() > 10);
    operations
}

#[tokio::test]
async fn no_body_makes_the_server_fail_or_leaves_anything_behind() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    // A wrong password is counted and noted; nothing else is.
    let rows = async || {
        let mut rows = server.rows().await;
        rows.retain(|table, _| table != "accounts_throttle" && table != "kernel_audit_event");
        rows
    };
    // The short paths mean the only organization that somebody is in; the first one is not hers.
    let ben = bearer(&server.newcomer("ben").await);
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
    let takes_json = |operation: &Value| operation["requestBody"]["content"].get("application/json").is_some();
    for (method, path) in operations(takes_json) {
        let path = fill_in(&path, "1");
        for (content_type, body) in &bodies {
            let request = server.request(method.clone(), &path).header("authorization", &anna);
            let answer = server.send(request.header("content-type", *content_type).body(body.clone())).await;
            let shown: String = body.chars().take(60).collect();
            assert!((400..500).contains(&answer.status.as_u16()), "{method} {path} {shown}: {}", answer.text);
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path} {shown}");
            assert!(!answer.code().is_empty() && answer.json()["request_id"].is_string());
        }
        let raw = server.request(method.clone(), &path).header("authorization", &anna);
        let answer =
            server.send(raw.header("content-type", "application/json").body(&b"{\"name\": \"\xff\"}"[..])).await;
        assert_eq!(answer.code(), "parse_error", "{method} {path}: bytes that are no UTF-8");
    }
    assert_eq!(rows().await, before);
}

#[tokio::test]
async fn a_hundred_mebibytes_are_refused_and_the_server_goes_on() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, "/api/auth/login/").header("content-type", "application/json");
    // The server answers and closes before everything is sent; the client may see either.
    if let Ok(response) = request.body(vec![b' '; 100 << 20]).send().await {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(server.get("/healthz", "").await.status, 200);
}

#[tokio::test]
async fn no_address_makes_the_server_fail() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    for id in ["0", "-1", "x", "9223372036854775807", "99999999999999999999", "%00", "%ff", "1%2F2", "x..", "1.5", "'"]
    {
        for (method, path) in operations(|_| true).iter().filter(|(_, path)| path.contains('{')) {
            let path = fill_in(path, id);
            let request = server.request(method.clone(), &path).header("authorization", &anna).json(&json!({}));
            let answer = server.send(request).await;
            // What is given out signed says so; a body that is wrong may be seen first.
            // Following nobody no longer is no failure.
            let idempotent = path.contains("/follows/") && method == Method::DELETE && answer.status == 204;
            if idempotent {
                continue;
            }
            let fits = [400, 401, 403, 404, 415].contains(&answer.status.as_u16());
            assert!(fits, "{method} {path}: {} {}", answer.status, answer.text);
            assert_eq!(answer.headers["content-type"], "application/problem+json");
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
            let answer = server.get(&format!("{path}?{query}"), &anna).await;
            let status = answer.status.as_u16();
            assert!(status == 200 || status == 400, "{path}?{query}: {status} {}", answer.text);
        }
    }
}

#[tokio::test]
async fn no_token_but_a_good_one_opens_anything() {
    let server = TestServer::start().await;
    let anna = server.newcomer("anna").await;
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
    let closed: Vec<(Method, String)> = operations(|operation| operation.get("security") != Some(&json!([{}])))
        .into_iter()
        .map(|(method, path)| (method, fill_in(&path, "1")))
        .collect();
    assert!(closed.len() >= 30, "{closed:?}");
    for (method, path) in closed {
        let nobody = server.send(server.request(method.clone(), &path).json(&json!({}))).await;
        assert_eq!((nobody.status.as_u16(), nobody.code().as_str()), (401, "not_authenticated"), "{method} {path}");
        assert!(nobody.headers.contains_key("www-authenticate"));
        for token in &forged {
            for scheme in ["Bearer", "Token"] {
                let request =
                    server.request(method.clone(), &path).header("authorization", format!("{scheme} {token}"));
                let answer = server.send(request.json(&json!({}))).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.code().as_str()),
                    (401, "token_not_valid"),
                    "{method} {path}"
                );
            }
        }
        let twice = server.request(method.clone(), &path).header("authorization", bearer(&anna));
        let answer = server.send(twice.header("authorization", bearer(&anna)).json(&json!({}))).await;
        assert_eq!(answer.code(), "bad_authorization_header", "{method} {path}");
        let odd = server.request(method.clone(), &path).header("authorization", &b"Bearer \xff"[..]);
        assert_eq!(server.send(odd.json(&json!({}))).await.code(), "bad_authorization_header", "{method} {path}");
    }
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_405_and_names_those_that_are() {
    let server = TestServer::start().await;
    for (path, allowed) in [("/api/auth/login/", "POST"), ("/api/auth/login", "POST"), ("/healthz", "GET,HEAD")] {
        let answer = server.send(server.request(Method::DELETE, path)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "method_not_allowed"), "{path}");
        assert_eq!(answer.headers["allow"], allowed);
    }
    let answer = server.send(server.request(Method::GET, "/api/no/such/thing/")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn fields_that_nobody_may_set_are_passed_over() {
    let server = TestServer::start().await;
    let body: Value = json!({
        "username": "mallory", "email": "m@example.org", "password": "correct horse é", "id": 77, "is_staff": true,
        "is_superuser": true, "roles": ["superuser"], "is_active": false, "email_verified": true, "auth_epoch": 9,
    });
    let made = server.post("/api/auth/register/", "", body).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (&made["roles"], &made["is_active"], &made["email_verified"]),
        (&json!([]), &json!(true), &json!(false))
    );
    assert_ne!(made["id"], 77);
    assert!(!made.to_string().contains("argon2"));
}

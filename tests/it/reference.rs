//! The OpenAPI document: it is complete, served, and changes only with a reviewed snapshot.

use guildhall_gateway::document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, fill_in};

#[test]
fn the_document_matches_the_snapshot() {
    insta::assert_snapshot!("openapi", document().to_pretty_json().unwrap());
}

#[test]
fn every_operation_and_field_is_described() {
    let document = serde_json::to_value(document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.ends_with('.') || text.ends_with('?')),
                "{method} {path}"
            );
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path}: duplicate operation id");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let described = property.to_string().contains("\"description\"")
                || name.starts_with("Page_")
                || name.starts_with("CursorPage_");
            assert!(described, "{name}.{field} has no description");
        }
    }
}

#[tokio::test]
async fn every_documented_operation_exists() {
    let server = TestServer::start().await;
    let served = server.get("/api/openapi.json", "").await.json();
    assert_eq!(served, serde_json::to_value(document()).unwrap());
    for (path, item) in served["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = fill_in(&path.replace("{file}", "A-1.svg"), "1");
            let response = server.send(server.request(method.clone(), &path)).await;
            assert!(![404, 405].contains(&response.status.as_u16()), "{method} {path}: {}", response.status);
        }
    }
}

#[tokio::test]
async fn the_api_reference_works_offline() {
    let server = TestServer::start().await;
    let page = server.get("/api/docs/", "").await;
    assert_eq!(page.status, 200);
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    let mut loaded = 0;
    for attribute in page.text.split(['"', '\'']) {
        let file = std::path::Path::new(attribute);
        if !file.extension().is_some_and(|extension| extension == "js" || extension == "css") {
            continue;
        }
        assert!(!attribute.contains("//"), "{attribute} is on another host");
        let path = format!("/api/docs/{}", attribute.trim_start_matches("./"));
        assert_eq!(server.get(&path, "").await.status, 200, "{path}");
        loaded += 1;
    }
    assert!(loaded >= 3, "{}", page.text);
    let start = server.send(server.request(Method::GET, "/").header("accept", "text/html")).await;
    assert!(start.text.contains("href=\"/api/docs\""), "the first page leads to the reference");
}

#[test]
fn the_public_operations_are_listed_here() {
    let document = serde_json::to_value(document()).unwrap();
    let mut open = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security") == Some(&json!([{}])) {
                open.push(format!("{method} {path}"));
            }
        }
    }
    open.sort();
    let expected: Value = json!([
        "get /.well-known/jwks.json",
        "get /api/community/pictures/{file}",
        "get /api/files/{id}/{name}",
        "get /healthz",
        "get /messaging/api/attachments/{id}/{name}",
        "get /readyz",
        "get /ws/",
        "get /ws/chat/{room_id}/",
        "get /ws/notifications/",
        "post /api/auth/email/verify/",
        "post /api/auth/login/",
        "post /api/auth/login/mfa/",
        "post /api/auth/logout/",
        "post /api/auth/password/reset/",
        "post /api/auth/password/reset/confirm/",
        "post /api/auth/refresh/",
        "post /api/auth/register/",
        "post /api/auth/token/",
        "post /api/auth/token/blacklist/",
        "post /api/auth/token/refresh/",
        "post /api/auth/verify/",
    ]);
    assert_eq!(json!(open), expected);
}

/// The OpenAPI document of each crate.
fn crate_documents() -> Vec<Value> {
    let crate_documents = [guildhall_accounts::openapi(), guildhall_community::openapi(), guildhall_deals::openapi()];
    crate_documents.into_iter().map(|part| serde_json::to_value(part).unwrap()).collect()
}

#[test]
fn fault_t1_schema_names_are_unique() {
    let mut known = std::collections::BTreeMap::<String, Value>::new();
    let mut conflicts = Vec::new();
    for document in crate_documents() {
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            if known.get(name).is_some_and(|other| other != schema) {
                conflicts.push(name.clone());
            }
            known.insert(name.clone(), schema.clone());
        }
    }
    assert!(conflicts.is_empty(), "these names have different schemas: {conflicts:?}");
    let document = serde_json::to_value(document()).unwrap();
    for (name, schema) in &known {
        assert_eq!(&document["components"]["schemas"][name], schema, "{name}");
    }
}

#[tokio::test]
async fn fault_t2_request_bodies_are_documented() {
    let server = TestServer::start().await;
    let anna = crate::server::bearer(&server.sign_up("anna").await);
    let document = serde_json::to_value(document()).unwrap();
    let mut undocumented = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("requestBody").is_some() || ["get", "delete"].contains(&method.as_str()) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = server.request(method.clone(), &fill_in(path, "1")).header("authorization", &anna);
            let request = request.header("content-type", "application/json").body("{");
            let response = server.send(request).await;
            if response.code() == "parse_error" {
                undocumented.push(format!("{method} {path}"));
            }
        }
    }
    assert!(undocumented.is_empty(), "these operations read an undocumented body: {undocumented:#?}");
    for path in ["/api/crm/organizations/{org}/deals/", "/api/crm/organizations/{org}/deals/{deal}/payments/"] {
        let body = &document["paths"][path]["post"]["requestBody"];
        assert!(body["content"]["application/json"]["schema"].is_object(), "{path}: {body}");
    }
}

#[test]
fn fault_t3_responses_have_descriptions_and_references_resolve() {
    fn walk(location: &str, value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{location}: {target} does not exist");
                }
                members.iter().for_each(|(key, value)| walk(&format!("{location}/{key}"), value, document));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(location, item, document)),
            _ => {}
        }
    }
    let document = serde_json::to_value(document()).unwrap();
    walk("", &document, &document);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let described = response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(described, "{method} {path} {status}");
            }
        }
    }
}

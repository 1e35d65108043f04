//! The API's description: that it is complete, that it is served, and that nobody changes it unseen.

use guildhall_gateway::document;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::TestServer;
use crate::server::fill_in;

#[test]
fn the_description_is_as_reviewed() {
    insta::assert_snapshot!("openapi", document().to_pretty_json().unwrap());
}

#[test]
fn every_operation_is_described_for_whoever_reads_it() {
    let document = serde_json::to_value(document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.ends_with('.') || text.ends_with('?')),
                "{method} {path}"
            );
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path}: its name is used twice");
            assert!(operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let described = property.to_string().contains("\"description\"")
                || name.starts_with("Page_")
                || name.starts_with("Slice_");
            assert!(described, "{name}.{field} has no description");
        }
    }
}

#[tokio::test]
async fn every_operation_that_is_described_is_there() {
    let server = TestServer::start().await;
    let served = server.get("/api/openapi.json", "").await.json();
    assert_eq!(served, serde_json::to_value(document()).unwrap());
    for (path, item) in served["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = fill_in(&path.replace("{file}", "A-1.svg"), "1");
            let answer = server.send(server.request(method.clone(), &path)).await;
            assert!(![404, 405].contains(&answer.status.as_u16()), "{method} {path}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn the_reference_works_without_the_rest_of_the_internet() {
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
        assert!(!attribute.contains("//"), "{attribute} is elsewhere");
        let path = format!("/api/docs/{}", attribute.trim_start_matches("./"));
        assert_eq!(server.get(&path, "").await.status, 200, "{path}");
        loaded += 1;
    }
    assert!(loaded >= 3, "{}", page.text);
    let start = server.get("/", "").await;
    assert!(start.text.contains("Swagger UI"), "/ leads to the reference");
}

#[test]
fn what_can_be_called_without_signing_in_is_a_short_list() {
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
        "get /readyz",
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

/// The description of each crate, by itself.
fn parts() -> Vec<Value> {
    let parts = [guildhall_accounts::openapi(), guildhall_community::openapi(), guildhall_deals::openapi()];
    parts.into_iter().map(|part| serde_json::to_value(part).unwrap()).collect()
}

#[test]
fn fault_t1_one_name_is_one_schema() {
    let mut known = std::collections::BTreeMap::<String, Value>::new();
    let mut wrong = Vec::new();
    for part in parts() {
        for (name, schema) in part["components"]["schemas"].as_object().unwrap() {
            if known.get(name).is_some_and(|other| other != schema) {
                wrong.push(name.clone());
            }
            known.insert(name.clone(), schema.clone());
        }
    }
    assert!(wrong.is_empty(), "different schemas have these names: {wrong:?}");
    let document = serde_json::to_value(document()).unwrap();
    for (name, schema) in &known {
        assert_eq!(&document["components"]["schemas"][name], schema, "{name}");
    }
}

#[tokio::test]
async fn fault_t2_every_operation_that_reads_a_body_describes_it() {
    let server = TestServer::start().await;
    let anna = crate::server::bearer(&server.newcomer("anna").await);
    let document = serde_json::to_value(document()).unwrap();
    let mut without = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("requestBody").is_some() || ["get", "delete"].contains(&method.as_str()) {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = server.request(method.clone(), &fill_in(path, "1")).header("authorization", &anna);
            let request = request.header("content-type", "application/json").body("{");
            let answer = server.send(request).await;
            if answer.code() == "parse_error" {
                without.push(format!("{method} {path}"));
            }
        }
    }
    assert!(without.is_empty(), "these read a body: {without:#?}");
    for path in ["/api/crm/organizations/{org}/deals/", "/api/crm/organizations/{org}/deals/{deal}/payments/"] {
        let body = &document["paths"][path]["post"]["requestBody"];
        assert!(body["content"]["application/json"]["schema"].is_object(), "{path}: {body}");
    }
}

#[test]
fn fault_t3_every_answer_is_described_and_every_reference_leads_somewhere() {
    fn walk(at: &str, value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{at} leads to {target}");
                }
                members.iter().for_each(|(key, value)| walk(&format!("{at}/{key}"), value, document));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(at, item, document)),
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

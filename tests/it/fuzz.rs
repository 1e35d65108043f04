//! Fuzzing of all operations: every response is documented, and none is a server error.

use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use guildhall_gateway::document;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

/// Interesting values: numeric limits, invalid dates, filter keywords, fragments of formats.
const VALUES: [&str; 52] = [
    "",
    " ",
    "0",
    "1",
    "2",
    "-1",
    "3.5",
    "1e9",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "99999999999999999999999999",
    "true",
    "null",
    "NaN",
    "a",
    "A",
    "name",
    "-name",
    "id",
    "-created_at",
    "stage",
    "open",
    "won",
    "owner",
    "EUR",
    "eur",
    "2024-02-30",
    "2024-02-29",
    "0000-00-00",
    "9999-12-31",
    "2024-01-01T00:00:00Z",
    "Europe/Berlin",
    "Mars/Base",
    "1,2,3",
    ",,,",
    "a,b",
    "%",
    "%_\\",
    "'; --",
    "\"",
    "*",
    "a* OR b",
    "NEAR(",
    "\u{0}",
    "\u{feff}",
    "é",
    "ſ",
    "\u{202e}x",
    "eyJvcmRlciI6IiIsImtleXMiOltdfQ",
    "eyJvcmRlciI6ImlkIiwia2V5cyI6WzFdfQ",
    "[]",
];
/// Parameters of filters and lists, in addition to the documented ones.
const PARAMETERS: [&str; 22] = [
    "q",
    "search",
    "page",
    "page_size",
    "limit",
    "offset",
    "cursor",
    "ordering",
    "count",
    "fields",
    "id",
    "status",
    "amount__gte",
    "amount__lt",
    "created_at__gt",
    "name__contains",
    "owner__in",
    "stage__in",
    "cf__x",
    "cf__x__gte",
    "archived",
    "view",
];
const PIECES: [&str; 20] = [
    "--x\r\n",
    "--x--\r\n",
    "--x--",
    "\r\n",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"",
    "Content-Disposition: form-data; name=\"kind\"",
    "Content-Disposition: form-data; name=\"mapping\"",
    "Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''%ff",
    "Content-Disposition: form-data",
    "Content-Type: text/csv",
    "Content-Type: multipart/mixed; boundary=y",
    "Content-Transfer-Encoding: base64",
    "clients",
    "{\"A\": \"name\"}",
    "name,notes\n",
    "a;\"b\n",
    "\u{0}",
    "PK\u{3}\u{4}",
    "é",
];

struct Operation {
    method: Method,
    path: String,
    parameters: Vec<String>,
    fields: Vec<String>,
    is_multipart: bool,
}

fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(name) = schema["$ref"].as_str() {
        schema = document.pointer(name.trim_start_matches('#')).unwrap();
    }
    schema
}

/// All operations except those that end the caller's session.
fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if path.contains("logout") || (method == "delete" && path.contains("/auth/")) {
                continue;
            }
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.filter(|parameter| parameter["in"] == "query");
            let content = &operation["requestBody"]["content"];
            let schema = resolve(&document, &content["application/json"]["schema"]);
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                parameters: parameters.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect(),
                fields: schema["properties"]
                    .as_object()
                    .map(|fields| fields.keys().cloned().collect())
                    .unwrap_or_default(),
                is_multipart: content.get("multipart/form-data").is_some(),
            });
        }
    }
    assert!(operations.len() > 100);
    operations
}

/// A generated request; the operation is chosen by an index.
#[derive(Clone, Debug)]
struct Attempt {
    operation: Index,
    ids: Vec<&'static str>,
    query: Vec<(Result<Index, &'static str>, String)>,
    fields: Vec<(Index, Value)>,
    whole: Option<Value>,
    pieces: Vec<&'static str>,
}

fn values() -> impl Strategy<Value = &'static str> {
    select(VALUES.to_vec())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => values().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => (-3_i64..4).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => "\\PC{0,40}".prop_map(Value::from),
        1 => Just(Value::from("x".repeat(10_000))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((values(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// A cursor that may be valid for some list.
fn cursor() -> impl Strategy<Value = String> {
    let orders = ["", "id", "-id", "name", "-created_at", "created_at", "-updated_at", "title", "-last_activity_at"];
    let key = prop_oneof![any::<i64>().prop_map(Value::from), values().prop_map(Value::from)];
    (select(orders.to_vec()), vec(key, 0..3))
        .prop_map(|(order, keys)| URL_SAFE_NO_PAD.encode(json!({"order": order, "keys": keys}).to_string()))
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let name = prop_oneof![3 => any::<Index>().prop_map(Ok), 1 => select(PARAMETERS.to_vec()).prop_map(Err)];
    (
        any::<Index>(),
        vec(prop_oneof![2 => Just("1"), 1 => values()], 6),
        vec((name, prop_oneof![5 => values().prop_map(str::to_owned), 1 => cursor()]), 0..5),
        vec((any::<Index>(), json_value()), 0..6),
        proptest::option::weighted(0.1, json_value()),
        vec(select(PIECES.to_vec()), 0..20),
    )
        .prop_map(|(operation, ids, query, fields, whole, pieces)| Attempt {
            operation,
            ids,
            query,
            fields,
            whole,
            pieces,
        })
}

impl Attempt {
    /// Sends the request. Returns the status of the response.
    async fn send(&self, server: &TestServer, who: &str, operations: &[Operation]) -> u16 {
        let operation = self.operation.get(operations);
        let mut url = reqwest::Url::parse(&server.url).unwrap();
        {
            let mut segments = url.path_segments_mut().unwrap();
            segments.pop();
            let mut ids = self.ids.iter().cycle();
            for segment in operation.path.trim_start_matches('/').split('/') {
                segments.push(if segment.starts_with('{') { ids.next().unwrap() } else { segment });
            }
        }
        if !self.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &self.query {
                match name {
                    Ok(index) if !operation.parameters.is_empty() => {
                        query.append_pair(index.get::<String>(&operation.parameters), value);
                    }
                    Ok(_) => {}
                    Err(name) => {
                        query.append_pair(name, value);
                    }
                }
            }
        }
        let mut request = server.client.request(operation.method.clone(), url).header("authorization", who);
        if operation.is_multipart {
            request = request.header("content-type", "multipart/form-data; boundary=x").body(self.pieces.concat());
        } else if operation.method != Method::GET {
            let mut body = json!({});
            if !operation.fields.is_empty() {
                for (field, value) in &self.fields {
                    body[field.get(&operation.fields)] = value.clone();
                }
            }
            request = request.json(self.whole.as_ref().unwrap_or(&body));
        }
        let response = server.send(request).await;
        assert!(response.status.as_u16() < 500, "{} {}: {}", operation.method, operation.path, response.text);
        if response.status.is_client_error() {
            assert!(!response.code().is_empty(), "{} {}: {}", operation.method, operation.path, response.text);
        }
        response.status.as_u16()
    }
}

async fn server_with_data() -> (TestServer, String) {
    let server = TestServer::start().await;
    let who = bearer(&server.sign_up("anna").await);
    for (path, body) in [
        ("/api/community/groups/", json!({"name": "Readers"})),
        ("/api/crm/organizations/", json!({"name": "Acme"})),
        ("/api/crm/organizations/1/clients/", json!({"name": "Beta"})),
        ("/api/crm/organizations/1/deals/", json!({"title": "Gamma", "client_id": 1, "currency": "EUR"})),
    ] {
        let response = server.post(path, &who, body).await;
        assert_eq!(response.status, 201, "{path}: {}", response.text);
    }
    (server, who)
}

#[test]
fn fuzz_no_request_causes_a_server_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let operations = operations();
    let (server, who) = runtime.block_on(server_with_data());
    let responses = RefCell::<BTreeMap<u16, u32>>::default();
    let config = Config { failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(attempt(), 1..8), |attempts| {
            runtime.block_on(async {
                for attempt in &attempts {
                    let status = attempt.send(&server, &who, &operations).await;
                    *responses.borrow_mut().entry(status).or_default() += 1;
                }
            });
            Ok(())
        })
        .unwrap();
    // Not everything was rejected early.
    let responses = responses.into_inner();
    assert!([200, 400, 404].iter().all(|status| responses.contains_key(status)), "{responses:?}");
}

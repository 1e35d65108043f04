//! Validates every response in the tests against the OpenAPI document.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use guildhall_gateway::document;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Response;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| with_closed_schemas(serde_json::to_value(document()).unwrap()));
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Collects the schemas that are part of an `allOf` and therefore cannot be closed individually.
fn all_of_parts(value: &Value, within: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (true, Some(name)) = (within, members.get("$ref").and_then(Value::as_str)) {
                names.insert(name.rsplit('/').next().unwrap().to_owned());
            }
            for (key, value) in members {
                all_of_parts(value, key == "allOf", names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all_of_parts(item, within, names)),
        _ => {}
    }
}

/// The document with schemas that allow no undocumented fields.
fn with_closed_schemas(mut document: Value) -> Value {
    let mut open = BTreeSet::from(["Problem".to_owned()]);
    all_of_parts(&document, false, &mut open);
    for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() && !open.contains(name) {
            schema["additionalProperties"] = json!(false);
        }
    }
    document
}

/// The documented path that matches a request path, with the fewest parameters.
fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let matching_parameters = |template: &str| {
        let mut parameters = 0;
        let segments: Vec<&str> = template.trim_matches('/').split('/').collect();
        let matches = segments.len() == parts.len()
            && segments.iter().zip(&parts).all(|(segment, part)| {
                let is_parameter = segment.starts_with('{');
                parameters += usize::from(is_parameter);
                is_parameter || segment == part
            });
        matches.then_some(parameters)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    let candidates = paths.filter_map(|template| Some((matching_parameters(template)?, template.as_str())));
    candidates.min().map(|(_, template)| template)
}

fn validator(key: &str, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(key.to_owned()).or_insert_with(|| {
        let root = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": DOCUMENT["components"],
            "allOf": [schema],
        });
        Arc::new(jsonschema::validator_for(&root).unwrap_or_else(|error| panic!("{key}: {error}")))
    });
    validator.clone()
}

/// Fails if a response does not match the document.
pub(crate) fn check(method: &Method, path: &str, response: &Response) {
    let Some(template) = template(path) else { return };
    let operation = &DOCUMENT["paths"][template][method.as_str().to_lowercase()];
    if operation.is_null() {
        return;
    }
    let status = response.status.as_u16();
    let responses = &operation["responses"];
    let class = format!("{}XX", status / 100);
    let Some(documented) = [&status.to_string(), &class].into_iter().find_map(|name| responses.get(name)) else {
        // Server errors are not documented for each operation.
        assert!(status >= 500, "{method} {template}: undocumented status {status}: {}", response.text);
        return;
    };
    let Some(content) = documented.get("content") else {
        assert!(response.text.is_empty(), "{method} {template} {status}: undocumented body: {}", response.text);
        return;
    };
    let content_type = response.headers.get("content-type").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default();
    let Some(media) = content.get(content_type).or_else(|| content.get("*/*")) else {
        panic!("{method} {template} {status}: {content_type} is not documented in {content}");
    };
    if !content_type.ends_with("json") || media.get("schema").is_none() {
        return;
    }
    let key = format!("{method} {template} {content_type} {status}");
    let body: Value = serde_json::from_str(&response.text).unwrap();
    let errors: Vec<String> = validator(&key, &media["schema"])
        .iter_errors(&body)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {template} {status}: {errors:#?} {body:#}");
}

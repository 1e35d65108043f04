//! The API's description is true: every answer that a test sees is held against it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use guildhall_gateway::document;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| closed(serde_json::to_value(document()).unwrap()));
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// The schemas that are part of others, and may therefore not be closed by themselves.
fn parts(value: &Value, within: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (true, Some(name)) = (within, members.get("$ref").and_then(Value::as_str)) {
                found.insert(name.rsplit('/').next().unwrap().to_owned());
            }
            for (key, value) in members {
                parts(value, key == "allOf", found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| parts(item, within, found)),
        _ => {}
    }
}

/// The document with schemas that allow no field that is not described.
fn closed(mut document: Value) -> Value {
    let mut open = BTreeSet::from(["Problem".to_owned()]);
    parts(&document, false, &mut open);
    for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() && !open.contains(name) {
            schema["additionalProperties"] = json!(false);
        }
    }
    document
}

/// The documented path that an address belongs to: the one with the fewest parameters.
fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let fits = |template: &str| {
        let mut parameters = 0;
        let own: Vec<&str> = template.trim_matches('/').split('/').collect();
        let all = own.len() == parts.len()
            && own.iter().zip(&parts).all(|(own, part)| {
                let is_parameter = own.starts_with('{');
                parameters += usize::from(is_parameter);
                is_parameter || own == part
            });
        all.then_some(parameters)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    let fitting = paths.filter_map(|template| Some((fits(template)?, template.as_str())));
    fitting.min().map(|(_, template)| template)
}

fn validator(key: &str, schema: &Value) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.entry(key.to_owned()).or_insert_with(|| {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": DOCUMENT["components"],
            "allOf": [schema],
        });
        Arc::new(jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{key}: {error}")))
    });
    validator.clone()
}

/// Fails where an answer is not one that the description has.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(template) = template(path) else { return };
    let operation = &DOCUMENT["paths"][template][method.as_str().to_lowercase()];
    if operation.is_null() {
        return;
    }
    let status = answer.status.as_u16();
    let responses = &operation["responses"];
    let class = format!("{}XX", status / 100);
    let Some(response) = [&status.to_string(), &class].into_iter().find_map(|name| responses.get(name)) else {
        // What can go wrong anywhere is described for none.
        assert!(status >= 500, "{method} {template} answers {status}, which is not described: {}", answer.text);
        return;
    };
    let Some(content) = response.get("content") else {
        assert!(
            answer.text.is_empty(),
            "{method} {template} {status} has a body that is not described: {}",
            answer.text
        );
        return;
    };
    let given = answer.headers.get("content-type").map(|value| value.to_str().unwrap()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default();
    let Some(described) = content.get(given).or_else(|| content.get("*/*")) else {
        panic!("{method} {template} {status} is {given}, and described as {content}");
    };
    if !given.ends_with("json") || described.get("schema").is_none() {
        return;
    }
    let key = format!("{method} {template} {given} {status}");
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    let errors: Vec<String> = validator(&key, &described["schema"])
        .iter_errors(&body)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {template} {status}: {errors:#?} {body:#}");
}

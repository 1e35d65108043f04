//! Routes and their description.

use std::collections::BTreeMap;

use super::code;

/// Their routes are pages or extractors, which are not part of the API.
const WITHOUT_API: [&str; 2] = ["crates/kernel", "crates/web"];

#[test]
fn every_route_is_in_the_openapi_document() {
    for (folder, files) in code() {
        if !folder.starts_with("crates/") || WITHOUT_API.contains(&folder.as_str()) {
            continue;
        }
        for file in files {
            assert!(!file.text.contains(".route("), "{} mounts a route without the OpenAPI router", file.path);
            // `guildhall_kernel::routes!` describes what the extractors of a handler read, and nothing else.
            let has_parameters = file.text.contains("#[utoipa::path(")
                && file.text.lines().any(|line| line.trim_start().starts_with("params(") || line.contains(", params("));
            let is_described = !file.text.contains("utoipa_axum::routes") && !has_parameters;
            assert!(is_described, "{} describes parameters by hand", file.path);
        }
    }
}

#[test]
fn no_two_types_have_the_same_name_in_the_openapi_document() {
    let mut names = BTreeMap::new();
    for file in code().into_values().flatten() {
        for item in file.text.split("\n\n").filter(|item| item.contains("ToSchema")) {
            let mut lines = item.lines();
            let Some(name) = lines.find_map(|line| line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum ")))
            else {
                continue;
            };
            let renamed = item.split_once("schema(as = ").map(|(_, rest)| rest);
            let name = renamed.unwrap_or(name).split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if let Some(other) = names.insert(name.to_owned(), file.path.clone()) {
                panic!("{name} is in {other} and in {}", file.path);
            }
        }
    }
    assert!(names.len() > 100);
}

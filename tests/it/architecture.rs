//! Architecture rules, checked against the manifests and sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The workspace crates that each crate may depend on.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 11] = [
    ("guildhall-kernel", &[]),
    ("guildhall-accounts", &["guildhall-kernel"]),
    ("guildhall-files", &["guildhall-kernel"]),
    ("guildhall-community", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-deals", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-platform", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-web", &["guildhall-kernel", "guildhall-accounts", "guildhall-community"]),
    (
        "guildhall-migration",
        &["guildhall-kernel", "guildhall-files", "guildhall-accounts", "guildhall-community", "guildhall-deals"],
    ),
    (
        "guildhall-gateway",
        &[
            "guildhall-kernel",
            "guildhall-files",
            "guildhall-accounts",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-platform",
            "guildhall-web",
            "guildhall-migration",
        ],
    ),
    (
        "guildhall-bench",
        &[
            "guildhall-kernel",
            "guildhall-files",
            "guildhall-accounts",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-migration",
            "guildhall-gateway",
        ],
    ),
    ("guildhall-tests", &[]),
];

/// Libraries that only these crates may depend on.
const RESTRICTED_LIBRARIES: [(&str, &[&str]); 10] = [
    ("config", &["guildhall-gateway"]),
    ("lettre", &["guildhall-platform"]),
    ("object_store", &["guildhall-platform"]),
    ("reqwest", &["guildhall-platform"]),
    ("image", &["guildhall-files"]),
    ("clap", &["guildhall-gateway", "guildhall-bench"]),
    ("hyper-util", &["guildhall-gateway", "guildhall-bench"]),
    ("sqlx", &["guildhall-kernel", "guildhall-bench"]),
    ("jsonwebtoken", &["guildhall-accounts"]),
    ("argon2", &["guildhall-accounts", "guildhall-bench"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn manifests() -> BTreeMap<String, (PathBuf, toml::Table)> {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let others = ["migration", "gateway", "tests", "tests/bench"].map(|name| root().join(name));
    crates
        .chain(others)
        .map(|folder| {
            let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
            (manifest["package"]["name"].as_str().unwrap().to_owned(), (folder, manifest))
        })
        .collect()
}

fn dependencies(manifest: &toml::Table) -> Vec<&String> {
    manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys).collect()
}

/// The Rust sources in a folder and its subfolders.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    files
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    let rules = BTreeMap::from(ALLOWED_DEPENDENCIES);
    for (name, (_, manifest)) in manifests() {
        let allowed = rules.get(name.as_str()).unwrap_or_else(|| panic!("add the allowed dependencies of {name}"));
        for dependency in dependencies(&manifest) {
            let is_workspace_crate = dependency.starts_with("guildhall-");
            assert!(
                !is_workspace_crate || allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
            let restriction = RESTRICTED_LIBRARIES.iter().find(|(library, _)| library == dependency);
            let is_allowed = restriction.is_none_or(|(_, users)| users.contains(&name.as_str()));
            assert!(is_allowed, "{name} must not depend on {dependency} directly");
        }
    }
}

#[test]
fn every_crate_uses_the_workspace_lints_and_has_a_readme() {
    for (name, (folder, manifest)) in manifests() {
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{name}");
        if folder.parent().is_some_and(|parent| parent.ends_with("crates")) {
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(readme.starts_with(&format!("# {name}\n")) && readme.contains("```rust"), "{name}");
        }
    }
}

/// The examples of all crates are built into the same folder.
#[test]
fn fault_t14_example_names_are_unique() {
    let mut names = std::collections::BTreeSet::new();
    for (_, (folder, _)) in manifests() {
        let Ok(examples) = fs::read_dir(folder.join("examples")) else { continue };
        for example in examples {
            let name = example.unwrap().file_name();
            assert!(names.insert(name.clone()), "{}", name.display());
        }
    }
    assert!(names.len() >= 3);
}

#[test]
fn every_route_is_in_the_openapi_document() {
    for (name, (folder, _)) in manifests() {
        // Pages are not part of the API.
        let exempt = ["guildhall-kernel", "guildhall-web"].contains(&name.as_str());
        if !folder.parent().is_some_and(|parent| parent.ends_with("crates")) || exempt {
            continue;
        }
        for (path, source) in sources(&folder.join("src")) {
            let source = source.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(!source.contains(".route("), "{} mounts a route without the OpenAPI router", path.display());
            // `guildhall_kernel::routes!` describes what the extractors of a handler read, and nothing else.
            let has_parameters = source.contains("#[utoipa::path(")
                && source.lines().any(|line| line.trim_start().starts_with("params(") || line.contains(", params("));
            let is_described = !source.contains("utoipa_axum::routes") && !has_parameters;
            assert!(is_described, "{} describes parameters by hand", path.display());
        }
    }
}

#[test]
fn migrations_are_sql_without_deferred_keys_or_database_time() {
    for (_, (folder, _)) in manifests() {
        let Ok(migrations) = fs::read_dir(folder.join("src/migrations")) else { continue };
        for migration in migrations {
            let path = migration.unwrap().path();
            assert_eq!(path.extension().unwrap(), "sql", "{}: migrations must be SQL", path.display());
            let sql = fs::read_to_string(&path).unwrap();
            assert!(
                !sql.to_uppercase().contains("DEFERR"),
                "{}: a deferred key can fail a commit that other transactions share",
                path.display()
            );
            assert!(
                !sql.to_uppercase().contains("CURRENT_TIMESTAMP"),
                "{}: timestamps must be set by the program",
                path.display()
            );
        }
    }
}

#[test]
fn there_are_no_todos_or_ignored_tests() {
    for (_, (folder, _)) in manifests() {
        for (path, source) in sources(&folder) {
            for marker in
                [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimplemented", "!("), concat!("#[ig", "nore")]
            {
                assert!(!source.contains(marker), "{}: {marker}", path.display());
            }
        }
    }
}

/// Words that the project does not use, since the field has others for what they would mean.
const AVOIDED_WORDS: &[&str] = &[
    "letterhead",
    "parcel",
    "heir",
    "heirs",
    "unreached",
    "rehearse",
    "upkeep",
    "mend",
    "mended",
    "expel",
    "keep_out",
    "let_back",
    "let_through",
    "let_go",
    "step_down",
    "noughts",
    "whence",
    "unprinted",
    "minted",
    "stranger",
    "strangers",
    "sought",
    "told_of",
    "as_before",
];

#[test]
fn the_vocabulary_is_that_of_the_field() {
    for folder in ["crates", "gateway", "migration", "tests", "docs", "config"] {
        for (path, text) in sources(&root().join(folder)) {
            if path.ends_with("architecture.rs") {
                continue;
            }
            let text = text.to_lowercase();
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words {
                assert!(!AVOIDED_WORDS.contains(&word), "{}: {word}", path.display());
            }
        }
    }
}

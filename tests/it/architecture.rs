//! Who may know whom, read from the manifests and the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The crates of the workspace, each with those of ours that it may depend on.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    ("guildhall-kernel", &[]),
    ("guildhall-accounts", &["guildhall-kernel"]),
    ("guildhall-community", &["guildhall-kernel"]),
    ("guildhall-deals", &["guildhall-kernel"]),
    ("guildhall-platform", &["guildhall-kernel"]),
    ("guildhall-web", &["guildhall-kernel", "guildhall-accounts", "guildhall-community"]),
    ("guildhall-migration", &["guildhall-kernel", "guildhall-accounts", "guildhall-community", "guildhall-deals"]),
    (
        "guildhall-gateway",
        &[
            "guildhall-kernel",
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
            "guildhall-accounts",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-migration",
            "guildhall-gateway",
        ],
    ),
    ("guildhall-tests", &[]),
];

/// Libraries that only some of the crates may name.
const ONLY_IN: [(&str, &[&str]); 10] = [
    ("config", &["guildhall-gateway"]),
    ("lettre", &["guildhall-platform"]),
    ("object_store", &["guildhall-platform"]),
    ("reqwest", &["guildhall-platform"]),
    ("image", &["guildhall-kernel"]),
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

/// The Rust sources below a folder.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn knowledge_points_down_only() {
    let may_know = BTreeMap::from(MAY_KNOW);
    for (name, (_, manifest)) in manifests() {
        let allowed = may_know.get(name.as_str()).unwrap_or_else(|| panic!("say here whom {name} may know"));
        for dependency in dependencies(&manifest) {
            let ours = dependency.starts_with("guildhall-");
            assert!(!ours || allowed.contains(&dependency.as_str()), "{name} must not know {dependency}");
            let only_in = ONLY_IN.iter().find(|(library, _)| library == dependency);
            let fits = only_in.is_none_or(|(_, users)| users.contains(&name.as_str()));
            assert!(fits, "{name} must not use {dependency} itself");
        }
    }
}

#[test]
fn every_crate_keeps_the_workspaces_lints_and_has_a_readme() {
    for (name, (folder, manifest)) in manifests() {
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{name}");
        if folder.parent().is_some_and(|parent| parent.ends_with("crates")) {
            let readme = fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(readme.starts_with(&format!("# {name}\n")) && readme.contains("```rust"), "{name}");
        }
    }
}

/// Examples of all crates are built into one folder.
#[test]
fn fault_t14_no_two_examples_have_one_name() {
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
fn a_route_cannot_be_mounted_without_its_description() {
    for (name, (folder, _)) in manifests() {
        // Pages are no part of the API.
        let exempt = ["guildhall-kernel", "guildhall-web"].contains(&name.as_str());
        if !folder.parent().is_some_and(|parent| parent.ends_with("crates")) || exempt {
            continue;
        }
        for (path, source) in sources(&folder.join("src")) {
            assert!(!source.contains(".route("), "{} mounts a route past the OpenAPI router", path.display());
        }
    }
}

#[test]
fn migrations_name_tables_by_string_and_run_in_a_transaction() {
    for (_, (folder, _)) in manifests() {
        let Ok(migrations) = fs::read_dir(folder.join("src/migrations")) else { continue };
        for migration in migrations {
            let path = migration.unwrap().path();
            assert_eq!(path.extension().unwrap(), "sql", "{}: a migration is SQL", path.display());
            let sql = fs::read_to_string(&path).unwrap();
            assert!(
                !sql.to_uppercase().contains("DEFERR"),
                "{}: a deferred key fails its neighbours' commit",
                path.display()
            );
            assert!(!sql.to_uppercase().contains("CURRENT_TIMESTAMP"), "{}: the program sets the time", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_be_done_later() {
    for (_, (folder, _)) in manifests() {
        for (path, source) in sources(&folder) {
            for mark in
                [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimplemented", "!("), concat!("#[ig", "nore")]
            {
                assert!(!source.contains(mark), "{}: {mark}", path.display());
            }
        }
    }
}

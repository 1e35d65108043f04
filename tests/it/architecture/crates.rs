//! Crates: what they depend on and have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use super::{manifests, root};

/// The workspace crates that each crate may depend on.
const ALLOWED_DEPENDENCIES: [(&str, &[&str]); 16] = [
    ("guildhall-kernel", &[]),
    ("guildhall-accounts", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-files", &["guildhall-kernel"]),
    ("guildhall-community", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-deals", &["guildhall-kernel", "guildhall-files"]),
    ("guildhall-realtime", &["guildhall-kernel"]),
    ("guildhall-messaging", &["guildhall-kernel", "guildhall-files", "guildhall-realtime"]),
    ("guildhall-chat", &["guildhall-kernel", "guildhall-files", "guildhall-realtime"]),
    ("guildhall-notifications", &["guildhall-kernel", "guildhall-realtime"]),
    ("guildhall-platform", &["guildhall-kernel", "guildhall-files", "guildhall-realtime"]),
    ("guildhall-admin", &["guildhall-kernel"]),
    (
        "guildhall-web",
        &[
            "guildhall-kernel",
            "guildhall-files",
            "guildhall-accounts",
            "guildhall-admin",
            "guildhall-chat",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-messaging",
            "guildhall-notifications",
        ],
    ),
    (
        "guildhall-migration",
        &[
            "guildhall-kernel",
            "guildhall-files",
            "guildhall-accounts",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-realtime",
            "guildhall-messaging",
            "guildhall-chat",
            "guildhall-notifications",
        ],
    ),
    (
        "guildhall-gateway",
        &[
            "guildhall-kernel",
            "guildhall-files",
            "guildhall-accounts",
            "guildhall-community",
            "guildhall-deals",
            "guildhall-realtime",
            "guildhall-messaging",
            "guildhall-chat",
            "guildhall-notifications",
            "guildhall-platform",
            "guildhall-admin",
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
            "guildhall-realtime",
            "guildhall-migration",
            "guildhall-gateway",
        ],
    ),
    ("guildhall-tests", &[]),
];

/// Libraries that only these crates may depend on.
const RESTRICTED_LIBRARIES: [(&str, &[&str]); 11] = [
    ("config", &["guildhall-gateway"]),
    ("async-nats", &["guildhall-platform"]),
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

fn dependencies(manifest: &toml::Table) -> Vec<&String> {
    manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys).collect()
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
fn the_documented_dependencies_are_the_allowed_ones() {
    let guide = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for (name, allowed) in ALLOWED_DEPENDENCIES {
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).expect(name);
        let documented = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let crates: Vec<_> = allowed.iter().map(|name| name.trim_start_matches("guildhall-")).collect();
        let expected = match name {
            "guildhall-kernel" => "no other crate of the workspace".to_owned(),
            "guildhall-gateway" => "all of the above".to_owned(),
            "guildhall-tests" => "nothing; it has dev-dependencies only".to_owned(),
            _ => crates.join(", "),
        };
        assert_eq!(documented, expected, "{name}");
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
    let mut names = BTreeSet::new();
    for (_, (folder, _)) in manifests() {
        let Ok(examples) = fs::read_dir(folder.join("examples")) else { continue };
        for example in examples {
            let name = example.unwrap().file_name();
            assert!(names.insert(name.clone()), "{}", name.display());
        }
    }
    assert!(names.len() >= 3);
}

//! Templates and sources use texts and icons that exist, and all of those.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The templates and sources, as one text each.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = files(&root.join("templates"), "html");
    all.extend(files(&root.join("src"), "rs"));
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn catalogue() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("locales/en.ftl")).unwrap();
    let is_key = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    text.lines().filter(is_key).filter_map(|line| Some(line.split_once(" =")?.0.to_owned())).collect()
}

/// The first arguments of calls of some methods that are literals.
fn arguments(text: &str, methods: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for method in methods {
        for (at, call) in text.match_indices(&format!(".{method}(")) {
            let rest = text[at + call.len()..].trim_start();
            if let Some(literal) = rest.strip_prefix('"') {
                found.push(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_text_that_is_used_is_in_the_catalogue() {
    let known = catalogue();
    for (path, text) in texts() {
        for key in arguments(&text, &["t", "t1", "n", "n1"]) {
            assert!(known.contains(&key), "{}: {key}", path.display());
        }
    }
}

#[test]
fn every_text_in_the_catalogue_is_used() {
    let all: String = texts().into_iter().map(|(_, text)| text).collect();
    // These are looked up by the code of an error, or by a name that a service gives.
    let by_name =
        ["error-", "log-", "message-type-", "blocker-", "admin-table-", "admin-area-", "admin-part-", "admin-state-"];
    for key in catalogue() {
        let is_used = all.contains(&format!("\"{key}\"")) || by_name.iter().any(|prefix| key.starts_with(prefix));
        assert!(is_used, "{key}");
    }
}

#[test]
fn every_icon_that_is_used_is_in_the_sprite() {
    let sprite = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/lucide/icons.svg")).unwrap();
    for (path, text) in texts() {
        for name in arguments(&text, &["icon", "small_icon", "flip_icon"]) {
            assert!(sprite.contains(&format!("<symbol id=\"{name}\"")), "{}: {name}", path.display());
        }
    }
}

//! Architecture rules, checked against the manifests and sources.

mod crates;
mod files;
mod modules;
mod routes;
mod sql;
mod words;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

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

/// A source without its comments and tests.
struct Code {
    /// The path below the workspace: `crates/chat/src/model.rs`.
    path: String,
    text: String,
}

/// The sources of each crate that is not itself a test, by the crate's folder: `crates/chat`.
fn code() -> BTreeMap<String, Vec<Code>> {
    let below_root = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let folders = manifests().into_values().map(|(folder, _)| folder).filter(|folder| !folder.ends_with("bench"));
    let mut crates = BTreeMap::new();
    for folder in folders.filter(|folder| !folder.ends_with("tests")) {
        let (mut files, mut test_modules) = (Vec::new(), Vec::new());
        for (path, source) in sources(&folder.join("src")) {
            let (text, tests) = without_tests(&source);
            let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
            let modules = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
            test_modules.extend(tests.iter().map(|name| modules.join(name)));
            files.push((path, text));
        }
        let is_test = |path: &Path| test_modules.iter().any(|module| path.with_extension("").starts_with(module));
        let files = files.into_iter().filter(|(path, _)| !is_test(path));
        crates.insert(below_root(&folder), files.map(|(path, text)| Code { path: below_root(&path), text }).collect());
    }
    crates
}

/// The code of a source without comments and test items, and the test modules that are files of their own. Relies on
/// the layout of rustfmt: an item ends at a closing brace with its own indentation.
fn without_tests(source: &str) -> (String, Vec<String>) {
    let (mut code, mut modules) = (String::new(), Vec::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        if text.starts_with("#[cfg(") && text.contains("test") {
            let Some(first) = lines.by_ref().find(|line| !line.trim_start().starts_with("#[")) else { break };
            if let Some((_, name)) = first.strip_suffix(';').and_then(|first| first.split_once("mod ")) {
                modules.push(name.to_owned());
            }
            if !first.ends_with([';', ',', '}']) {
                let end = format!("{}}}", &line[..line.len() - text.len()]);
                lines.by_ref().find(|line| line.starts_with(&end));
            }
        } else if !text.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    (code, modules)
}

#[test]
fn tests_are_not_code() {
    let source = "mod a;\n#[cfg(test)]\nmod testing;\n// A comment.\nimpl A {\n    #[cfg(test)]\n    fn b() {\n        \
        c();\n    }\n}\n#[cfg(test)]\nmod tests {\n    fn d() {}\n}\nfn e() {}\n";
    assert_eq!(without_tests(source), ("mod a;\nimpl A {\n}\nfn e() {}\n".to_owned(), vec!["testing".to_owned()]));
    let code = code();
    assert!(code["crates/kernel"].iter().any(|file| file.path == "crates/kernel/src/db/tx.rs"));
    assert!(code.values().flatten().all(|file| !file.path.contains("/testing")));
}

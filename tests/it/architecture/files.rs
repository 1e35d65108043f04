//! Files: their names and lengths.

use std::{collections::BTreeSet, path::Path};

use super::{code, root, sources};

/// Files of routes without a subject of their own.
const ROUTES_WITHOUT_SUBJECT: [(&str, &str); 1] =
    [("crates/deals/src/routes/strict.rs", "refuses unknown query parameters")];

#[test]
fn a_subject_has_the_same_file_name_everywhere() {
    let paths: BTreeSet<String> = code().into_values().flatten().map(|file| file.path).collect();
    let alone = paths.iter().filter(|path| {
        let Some((area, subject)) = path.split_once("/routes/") else { return false };
        !["model", "service", "sql"].iter().any(|layer| paths.contains(&format!("{area}/{layer}/{subject}")))
    });
    let allowed = ROUTES_WITHOUT_SUBJECT.map(|(path, _)| path);
    assert_eq!(alone.collect::<Vec<_>>(), allowed, "routes/ has no file of this name in model/, service/ or sql/");
}

/// The number of lines above which a file usually has a second subject.
const MANY_LINES: usize = 400;

/// Files with more lines, and why.
const LONG_FILES: [(&str, &str); 3] = [
    ("crates/deals/tests/it/deals.rs", "tests of one service"),
    ("crates/kernel/tests/it/db.rs", "tests of transactions"),
    ("crates/kernel/tests/it/outbox.rs", "tests of the outbox"),
];

#[test]
fn files_are_of_one_subject() {
    let folders = ["crates", "gateway", "migration", "tests"].map(|folder| sources(&root().join(folder)));
    let long = folders.into_iter().flatten().filter(|(_, text)| text.lines().count() > MANY_LINES);
    let below_root = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let long: BTreeSet<String> = long.map(|(path, _)| below_root(&path)).collect();
    let listed: BTreeSet<String> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    let (new, split): (Vec<_>, Vec<_>) = (long.difference(&listed).collect(), listed.difference(&long).collect());
    assert!(new.is_empty(), "split them by subject: {new:#?}");
    assert!(split.is_empty(), "they are not long any more, so remove them from the list: {split:#?}");
}

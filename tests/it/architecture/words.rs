//! The vocabulary.

use super::{manifests, root, sources};

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
            if path.ends_with("architecture/words.rs") {
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

//! References to users in the migrations of a crate.

use std::path::Path;

/// Checks that a query looks at every column that references a user; returns how many there are. `migrations` is the
/// folder of the migrations, in which such a column has a constraint `{table}_{column}_fkey REFERENCES {users}`; the
/// query consists of parts like `EXISTS (SELECT 1 FROM {table} WHERE {column} = $1)`.
///
/// # Panics
/// If the query leaves out a column.
#[must_use]
pub fn assert_user_references(migrations: impl AsRef<Path>, query: &str) -> usize {
    let mut references = 0;
    for file in std::fs::read_dir(migrations).unwrap() {
        let path = file.unwrap().path();
        if !path.to_string_lossy().ends_with(".up.sql") {
            continue;
        }
        let sql = std::fs::read_to_string(path).unwrap();
        for constraint in sql.split("CONSTRAINT ").skip(1) {
            let words: Vec<&str> = constraint.split_whitespace().take(3).collect();
            let [name, "REFERENCES", "{users}"] = words[..] else { continue };
            let is_checked = query.split("SELECT 1 FROM ").skip(1).any(|check| {
                let words: Vec<&str> = check.split_whitespace().collect();
                name == format!("{}_{}_fkey", words[0], words[2])
            });
            assert!(is_checked, "{name}");
            references += 1;
        }
    }
    references
}

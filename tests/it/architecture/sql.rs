//! SQL: fixed text with bound values, and one place that knows two databases.

use std::{collections::BTreeSet, fs};

use super::{Code, code, manifests};

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

/// Where SQL is made from its parts: for the databases' differences, migrations and tests.
const SQL_MAKERS: [&str; 2] = ["crates/kernel/src/db", "crates/kernel/src/testing"];

/// Statements from text that need not be fixed.
const UNFIXED_TEXT: [&str; 7] = [
    "Statement::from_",
    "execute_unprepared",
    "cust(format!",
    "cust(&format!",
    "cust_with_values(format!",
    "cust_with_values(&format!",
    // Fills the gaps of a text.
    ".replace(\"{",
];

/// Calls that make a text from its parts.
const TEXT_MAKERS: [&str; 8] =
    ["format!(", "write!(", "writeln!(", ".push_str(", ".replace(", ".replacen(", ".join(", ".insert_str("];

fn is_sql(text: &str) -> bool {
    ["SELECT ", "INSERT INTO ", "DELETE FROM ", "WHERE ", "ORDER BY ", "UNION "].iter().any(|verb| text.contains(verb))
        || text.contains("UPDATE ") && text.contains("SET ")
}

/// The string literals among the arguments of a call, up to its closing parenthesis.
fn literals(arguments: &str) -> Vec<&str> {
    let (mut literals, mut depth) = (Vec::new(), 1);
    let mut characters = arguments.char_indices();
    while let Some((start, character)) = characters.next() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            '"' => {
                let mut is_escaped = false;
                let end = characters.find(|(_, character)| {
                    let ends = *character == '"' && !is_escaped;
                    is_escaped = *character == '\\' && !is_escaped;
                    ends
                });
                literals.extend(end.map(|(end, _)| &arguments[start + 1..end]));
            }
            _ => {}
        }
    }
    literals
}

/// What makes SQL from its parts in a source.
fn made_sql(file: &Code) -> Vec<String> {
    // As if it were not wrapped, and without literals of characters that have a meaning below.
    let text = file.text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n").replace("(\n", "(");
    let text = ["'\"'", "'('", "')'"].iter().fold(text, |text, character| text.replace(character, "'_'"));
    let unfixed = UNFIXED_TEXT.iter().filter(|call| text.contains(**call)).map(|call| (*call).to_owned());
    let made = TEXT_MAKERS.iter().flat_map(|call| {
        let arguments = text.split(call).skip(1).flat_map(literals);
        arguments.filter(|literal| is_sql(literal)).map(|literal| format!("{call}{literal:?}")).collect::<Vec<_>>()
    });
    let appended = text.split("+ \"").skip(1).filter_map(|rest| rest.split('"').next()).filter(|rest| is_sql(rest));
    let found = unfixed.chain(made).chain(appended.map(|literal| format!("+ {literal:?}")));
    found.map(|what| format!("{}: {what}", file.path)).collect()
}

#[test]
fn sql_is_fixed_text() {
    let files = code().into_values().flatten();
    let files = files.filter(|file| !SQL_MAKERS.iter().any(|folder| file.path.starts_with(folder)));
    let made: Vec<String> = files.flat_map(|file| made_sql(&file)).collect();
    assert!(made.is_empty(), "bind values, and choose between constant texts: {made:#?}");
}

#[test]
fn sql_from_parts_is_found() {
    let made = |text: &str| made_sql(&Code { path: "a.rs".to_owned(), text: text.to_owned() }).len();
    for text in [
        "Statement::from_string(backend, sql)",
        "Expr::cust(\n    format!(\"{a} = 1\"),\n)",
        "sql.replace(\"{ids}\", &ids)",
        "format!(\"SELECT {column} FROM a\")",
        "let sql = format!(\n    \"\\\"x\\\" UPDATE {table} \\\n     SET a = 1\"\n);",
        "parts.join(\" UNION ALL \")",
        "sql.push_str(\" WHERE id = 1\")",
        "sql + \" WHERE id = 1\"",
    ] {
        assert_eq!(made(text), 1, "{text}");
    }
    for text in [
        "const SQL: &str = concat!(\"SELECT \", columns!(), \" FROM a\");",
        "db::execute(conn, \"DELETE FROM a WHERE id = $1\", [id.into()])",
        "format!(\"{name}\") + SQL",
        "(name.join(\", \"), \"SELECT 1\")",
    ] {
        assert_eq!(made(text), 0, "{text}");
    }
}

/// Where a query has to differ between the databases beyond its text, and why.
const DIFFERENT_QUERIES: [(&str, &str); 3] = [
    ("crates/community/src/feed/sql/sources.rs", "a lateral join, which only PostgreSQL knows"),
    ("crates/deals/src/core/filter.rs", "the trigram indexes of the databases"),
    ("crates/deals/src/sales/sql/list_filters.rs", "a query that only the planner of PostgreSQL needs"),
];

#[test]
fn the_databases_differ_only_in_the_kernel() {
    let files = code().into_values().flatten().filter(|file| !file.path.starts_with("crates/kernel/"));
    let differing = files.filter(|file| file.text.contains("DbBackend")).map(|file| file.path);
    let allowed = DIFFERENT_QUERIES.map(|(path, _)| path.to_owned());
    assert_eq!(
        differing.collect::<BTreeSet<_>>(),
        BTreeSet::from(allowed),
        "use `Sql::per_backend` and the functions of `kernel::db`"
    );
}

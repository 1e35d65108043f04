use sea_orm::{ConnectionTrait, DbBackend, Statement, StatementBuilder};

use super::TestDb;

/// How the database would run a query, as it tells people. PostgreSQL is told that sorting and
/// reading whole tables are dear: with the few rows of a test it would prefer both.
pub async fn plan(db: &TestDb, query: &impl StatementBuilder) -> String {
    let backend = db.backend();
    explain(db, query.build(&backend)).await
}

/// The same of a statement that was run.
pub async fn explain(db: &TestDb, statement: Statement) -> String {
    let backend = db.backend();
    let explain = if backend == DbBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let column = if backend == DbBackend::Sqlite { 3 } else { 0 };
    let explained = Statement { sql: format!("{explain} {}", statement.sql), ..statement };
    let rows = db
        .write(|tx| {
            let explained = explained.clone();
            async move {
                if backend == DbBackend::Postgres {
                    let dear = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off";
                    tx.conn().execute_unprepared(dear).await?;
                }
                tx.conn().query_all_raw(explained).await
            }
        })
        .await
        .unwrap();
    let lines = rows.iter().map(|row| row.try_get_by_index::<String>(column).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs something, and holds the plan of every query in it against what a growing table can bear: no table is
/// read but by an index, and an index is only walked from its end where a limit ends the walk. `tables` is how the names of growing tables begin.
///
/// # Panics
/// Where a query does otherwise; tells which.
pub async fn assert_plans<T>(db: &TestDb, tables: &str, what: &str, run: impl Future<Output = T>) -> T {
    db.keep_statements();
    let value = run.await;
    let mut seen = std::collections::BTreeSet::new();
    for statement in db.keep_statements() {
        let query = statement.sql.trim_start();
        if !(query.starts_with("SELECT") || query.starts_with("WITH")) || !seen.insert(statement.sql.clone()) {
            continue;
        }
        let sql = statement.sql.clone();
        let plan = explain(db, statement).await;
        let limited = sql.contains("LIMIT");
        let scanned = |step: &str| {
            let step = step.trim_start_matches([' ', '-', '>']);
            let table = step.strip_prefix("SCAN ").or_else(|| step.strip_prefix("Seq Scan on "))?;
            table.starts_with(tables).then(|| table.to_owned())
        };
        for table in plan.lines().filter_map(scanned) {
            assert!(limited && table.contains(" INDEX "), "{what}: {sql}\n{plan}");
        }
    }
    value
}

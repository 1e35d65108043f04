use sea_orm::{ConnectionTrait, DbBackend, Statement, StatementBuilder};

use super::TestDb;

/// The query plan. On PostgreSQL, sorts and sequential scans are disabled, which it would prefer for the few rows
/// of a test.
pub async fn plan(db: &TestDb, query: &impl StatementBuilder) -> String {
    let backend = db.backend();
    explain(db, query.build(&backend)).await
}

/// The plan of a statement.
pub async fn explain(db: &TestDb, statement: Statement) -> String {
    let backend = db.backend();
    let explain = if backend == DbBackend::Sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
    let column = if backend == DbBackend::Sqlite { 3 } else { 0 };
    let statement = Statement { sql: format!("{explain} {}", statement.sql), ..statement };
    let rows = db
        .write(|tx| {
            let statement = statement.clone();
            async move {
                if backend == DbBackend::Postgres {
                    let settings = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off";
                    tx.execute_unprepared(settings).await?;
                }
                tx.query_all_raw(statement).await
            }
        })
        .await
        .unwrap();
    let lines = rows.iter().map(|row| row.try_get_by_index::<String>(column).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs a future and checks the plans of all its queries on tables whose names begin with `tables`: no sequential
/// scans, and full index scans only with a limit. `description` appears in the failure.
///
/// # Panics
/// If a query has another plan.
pub async fn assert_plans<T>(db: &TestDb, tables: &str, description: &str, run: impl Future<Output = T>) -> T {
    db.record_statements();
    let value = run.await;
    let mut seen = std::collections::BTreeSet::new();
    for statement in db.record_statements() {
        let query = statement.sql.trim_start();
        if !(query.starts_with("SELECT") || query.starts_with("WITH")) || !seen.insert(statement.sql.clone()) {
            continue;
        }
        let sql = statement.sql.clone();
        let plan = explain(db, statement).await;
        let has_limit = sql.contains("LIMIT");
        let scanned_table = |step: &str| {
            let step = step.trim_start_matches([' ', '-', '>']);
            let table = step.strip_prefix("SCAN ").or_else(|| step.strip_prefix("Seq Scan on "))?;
            table.starts_with(tables).then(|| table.to_owned())
        };
        for table in plan.lines().filter_map(scanned_table) {
            assert!(has_limit && table.contains(" INDEX "), "{description}: {sql}\n{plan}");
        }
    }
    value
}

/// Runs a call, and requires on SQLite that its queries for a list of ids of `alias` find the rows by their primary key.
///
/// # Panics
/// If one of them has another plan, or there is none.
pub async fn assert_reads_by_id<T>(db: &TestDb, alias: &str, run: impl Future<Output = T>) -> T {
    db.record_statements();
    let value = run.await;
    let of_ids = format!("{alias}.id IN (SELECT value FROM json_each(");
    let mut plans = Vec::new();
    for statement in db.record_statements().into_iter().filter(|statement| statement.sql.contains(&of_ids)) {
        plans.push(explain(db, statement).await);
    }
    if db.backend() == DbBackend::Sqlite {
        let by_id = format!("SEARCH {alias} USING INTEGER PRIMARY KEY");
        assert!(!plans.is_empty() && plans.iter().all(|plan| plan.contains(&by_id)), "{plans:#?}");
    }
    value
}

use sea_orm::{ConnectionTrait, DbBackend, Statement, StatementBuilder};

use super::TestDb;

/// How the database would run a query, as it tells people. PostgreSQL is told that sorting and
/// reading whole tables are dear: with the few rows of a test it would prefer both.
pub async fn plan(db: &TestDb, query: &impl StatementBuilder) -> String {
    let backend = db.backend();
    let statement = query.build(&backend);
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

//! SQL text with bound values.
//!
//! Text is fixed when the program is compiled, so no value can become a part of it. Where a table, a column or the
//! number of values varies, use the query builder.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryResult, Statement, TryGetable, Value,
    sea_query::{Expr, ExprTrait, Func, FunctionCall},
};

/// A statement as fixed text with numbered parameters: `$1`, `$2` and so on.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Sql {
    /// Text that both databases understand.
    pub const fn new(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }

    /// A text for each database.
    pub const fn per_backend(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }

    /// Text for SQLite only; on PostgreSQL, [`execute`] does nothing.
    pub const fn sqlite_only(text: &'static str) -> Self {
        Self { sqlite: text, postgres: "" }
    }

    /// The text for a database.
    pub const fn text(self, backend: DbBackend) -> &'static str {
        match backend {
            DbBackend::Postgres => self.postgres,
            _ => self.sqlite,
        }
    }

    /// The text as a condition of the query builder, with a value for `$1`, which it may contain several times.
    pub fn condition(self, backend: DbBackend, value: impl Into<Value>) -> Expr {
        let (text, value) = (self.text(backend), value.into());
        match backend {
            DbBackend::Postgres => Expr::cust_with_values(text, [value]),
            // The query builder numbers no parameters for SQLite.
            _ => Expr::cust_with_values(text.replace("$1", "?"), vec![value; text.matches("$1").count()]),
        }
    }

    /// The statement with these values.
    pub fn bind(self, backend: DbBackend, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(backend, self.text(backend), values)
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

/// Runs a statement; returns the number of rows that it changed.
pub async fn execute(
    conn: &impl ConnectionTrait,
    sql: impl Into<Sql>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, DbErr> {
    let (sql, backend) = (sql.into(), conn.get_database_backend());
    if sql.text(backend).is_empty() {
        return Ok(0);
    }
    Ok(conn.execute_raw(sql.bind(backend, values)).await?.rows_affected())
}

/// Runs a query; returns its rows.
pub async fn rows<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: impl Into<Sql>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, DbErr> {
    let found = conn.query_all_raw(sql.into().bind(conn.get_database_backend(), values)).await?;
    found.iter().map(|row| T::from_query_result(row, "")).collect()
}

/// Runs a query; returns its first row.
pub async fn row<T: FromQueryResult>(
    conn: &impl ConnectionTrait,
    sql: impl Into<Sql>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, DbErr> {
    let found = conn.query_one_raw(sql.into().bind(conn.get_database_backend(), values)).await?;
    found.map(|row| T::from_query_result(&row, "")).transpose()
}

/// Runs a query; returns the first column of its rows.
pub async fn scalars<T: TryGetable>(
    conn: &impl ConnectionTrait,
    sql: impl Into<Sql>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>, DbErr> {
    let found = conn.query_all_raw(sql.into().bind(conn.get_database_backend(), values)).await?;
    found.iter().map(first_column).collect()
}

/// Runs a query; returns the first column of its first row.
pub async fn scalar<T: TryGetable>(
    conn: &impl ConnectionTrait,
    sql: impl Into<Sql>,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<T>, DbErr> {
    let found = conn.query_one_raw(sql.into().bind(conn.get_database_backend(), values)).await?;
    found.as_ref().map(first_column).transpose()
}

fn first_column<T: TryGetable>(row: &QueryResult) -> Result<T, DbErr> {
    row.try_get_by_index(0)
}

/// Ids as one value: a JSON array, for `json_each` of SQLite and `json_array_elements_text` of PostgreSQL. The text of
/// the statement does not depend on their number.
pub fn id_list(ids: impl IntoIterator<Item = i64>) -> Value {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    format!("[{}]", ids.join(",")).into()
}

/// A sum as a 64-bit integer. PostgreSQL returns the sum of such integers as `numeric`.
pub fn cast_sum(terms: impl Into<Expr>) -> Expr {
    Expr::from(Func::sum(terms)).cast_as("bigint")
}

/// Bytes as hexadecimal text.
pub fn hex(backend: DbBackend, bytes: impl Into<Expr>) -> Expr {
    match backend {
        DbBackend::Postgres => Func::cust("encode").args([bytes.into(), Expr::val("hex")]).into(),
        _ => Func::lower(Func::cust("hex").arg(bytes)).into(),
    }
}

/// A JSON object with these members.
pub fn json_object(backend: DbBackend, members: impl IntoIterator<Item = (&'static str, Expr)>) -> Expr {
    let arguments: Vec<Expr> =
        members.into_iter().flat_map(|(name, value)| [Expr::val(name).cast_as("text"), value]).collect();
    json_function(backend, "json_object", "json_build_object").args(arguments).into()
}

/// A JSON array of these values.
pub fn json_array(backend: DbBackend, values: impl IntoIterator<Item = Expr>) -> Expr {
    json_function(backend, "json_array", "json_build_array").args(values).into()
}

fn json_function(backend: DbBackend, sqlite: &'static str, postgres: &'static str) -> FunctionCall {
    Func::cust(if backend == DbBackend::Postgres { postgres } else { sqlite })
}

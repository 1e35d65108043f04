//! Statements that are sent to SQLite together.
//!
//! Each statement that is sent alone costs two switches between threads, which take longer than most statements.

use futures_util::TryStreamExt;
use sea_orm::{Statement, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Either, Executor,
    sqlite::{SqliteConnection, SqliteQueryResult, SqliteRow},
};

/// Statements in the order of their execution. The first one that fails ends it.
#[derive(Default)]
pub(super) struct Script {
    text: String,
    values: Vec<Value>,
    len: usize,
    /// Whether the text is too rare to be worth a place among the prepared statements.
    is_rare: bool,
}

/// The result of one statement.
#[derive(Default)]
pub(super) struct Executed {
    pub(super) rows: Vec<SqliteRow>,
    pub(super) result: SqliteQueryResult,
}

/// The results of the statements up to the first one that failed, and its error.
pub(super) struct Outcome {
    pub(super) executed: Vec<Executed>,
    pub(super) error: Option<sqlx::Error>,
}

impl Script {
    pub(super) fn push(&mut self, statement: Statement) {
        let Statement { sql, values, .. } = statement;
        let values = values.map(|Values(values)| values).unwrap_or_default();
        self.len += 1;
        if self.text.is_empty() {
            self.text.reserve(sql.len());
        } else {
            self.text.push(';');
        }
        positional(&sql, values, &mut self.text, &mut self.values);
    }

    /// Adds text without values that is executed once.
    pub(super) fn push_rare(&mut self, sql: &str) {
        self.push(Statement::from_string(sea_orm::DbBackend::Sqlite, sql));
        self.is_rare = true;
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The number of statements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Executes the statements. If the future is dropped before it is ready, some of them were executed.
    pub(super) async fn run(self, connection: &mut SqliteConnection) -> Outcome {
        let query = sqlx::query_with(AssertSqlSafe(self.text), SqlxValues(Values(self.values)));
        let mut results = connection.fetch_many(query.persistent(!self.is_rare));
        let (mut executed, mut current) = (Vec::with_capacity(self.len), Executed::default());
        loop {
            match results.try_next().await {
                Ok(Some(Either::Right(row))) => current.rows.push(row),
                Ok(Some(Either::Left(result))) => {
                    current.result = result;
                    executed.push(std::mem::take(&mut current));
                }
                Ok(None) => return Outcome { executed, error: None },
                Err(error) => return Outcome { executed, error: Some(error) },
            }
        }
    }
}

/// Appends a statement whose parameters have no numbers: numbers would count across all statements of a script.
fn positional(sql: &str, values: Vec<Value>, text: &mut String, all: &mut Vec<Value>) {
    let mut rest = sql;
    let mut is_numbered = false;
    while let Some(at) = rest.find(['\'', '"', '$']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let quote = from.as_bytes().first().copied();
        let mut tail = from.get(1..).unwrap_or_default();
        if quote == Some(b'$') {
            let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = tail.split_at(digits);
            let value = number.parse::<usize>().ok().and_then(|number| values.get(number.checked_sub(1)?));
            if let Some(value) = value {
                is_numbered = true;
                all.push(value.clone());
                text.push('?');
            } else {
                text.push('$');
                text.push_str(number);
            }
            rest = after;
            continue;
        }
        // A quoted text ends at the next quote; a doubled quote begins another one.
        let end = tail.bytes().position(|byte| Some(byte) == quote).map_or(tail.len(), |end| end + 1);
        let quoted;
        (quoted, tail) = tail.split_at(end);
        text.push_str(from.get(..1).unwrap_or_default());
        text.push_str(quoted);
        rest = tail;
    }
    text.push_str(rest);
    if !is_numbered {
        all.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    fn script(statements: &[(&str, &[i64])]) -> Script {
        let mut script = Script::default();
        for (sql, values) in statements {
            let values = values.iter().map(|value| Value::from(*value));
            script.push(Statement::from_sql_and_values(DbBackend::Sqlite, *sql, values));
        }
        script
    }

    #[test]
    fn numbered_parameters_get_the_values_of_their_statement() {
        let script = script(&[("SELECT ?, ?", &[1, 2]), ("SELECT $2, $1, $2", &[3, 4]), ("SELECT ?", &[5])]);
        assert_eq!(script.text, "SELECT ?, ?;SELECT ?, ?, ?;SELECT ?");
        assert_eq!(script.values, [1_i64, 2, 4, 3, 4, 5].map(Value::from));
        assert_eq!(script.len(), 3);
    }

    #[test]
    fn quoted_text_is_kept() {
        let sql = r#"SELECT '$1', "$1", 'it''s $1', '$.name', $1"#;
        let script = script(&[(sql, &[7])]);
        assert_eq!(script.text, r#"SELECT '$1', "$1", 'it''s $1', '$.name', ?"#);
        assert_eq!(script.values, [Value::from(7_i64)]);
    }
}

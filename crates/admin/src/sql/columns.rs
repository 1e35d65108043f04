//! Columns whose type is known at run time only: they are read as text, and values are bound by the type of the column.

use guildhall_kernel::{
    Timestamp,
    admin::{Column, Kind},
    db,
};
use sea_orm::{
    ConnectionTrait, DbErr, QueryResult, Value,
    sea_query::{Alias, Expr, ExprTrait, Func},
};

use crate::{Error, Result};

/// The maximum length of a text in a list.
const LIST_TEXT: i32 = 200;

/// A column by its name, which comes from the registry or the schema.
pub(super) fn col(name: &str) -> Expr {
    Expr::col(Alias::new(name))
}

/// The value of a column as text. Of bytes it is the number, except in a key, which has to be exact.
pub(super) fn as_text(conn: &impl ConnectionTrait, column: &Column) -> Expr {
    match column.kind {
        Kind::Bytes if column.key => db::hex(conn.get_database_backend(), col(&column.name)),
        Kind::Bytes => Expr::from(Func::cust("length").arg(col(&column.name))).cast_as("text"),
        _ => col(&column.name).cast_as("text"),
    }
}

/// The value of a column as text, cut for a list.
pub(super) fn as_short_text(conn: &impl ConnectionTrait, column: &Column) -> Expr {
    match column.kind {
        Kind::Text => Func::cust("substr").args([as_text(conn, column), Expr::val(1_i32), Expr::val(LIST_TEXT)]).into(),
        _ => as_text(conn, column),
    }
}

/// A text that was read.
pub(super) fn read(row: &QueryResult, at: usize) -> Result<Option<String>, DbErr> {
    row.try_get_by_index(at)
}

/// A text that was read, as pages show it: SQLite has numbers for booleans.
pub(super) fn shown(kind: Kind, text: Option<String>) -> Option<String> {
    match (kind, text.as_deref()) {
        (Kind::Flag, Some("1")) => Some("true".to_owned()),
        (Kind::Flag, Some("0")) => Some("false".to_owned()),
        _ => text,
    }
}

/// The value of a text for a column.
pub(super) fn value(column: &Column, text: &str) -> Result<Value> {
    let invalid = |message| Error::field(column.name.clone(), message);
    match column.kind {
        Kind::Number | Kind::Moment | Kind::Reference => {
            let number: Result<i64, _> = text.trim().parse();
            number.map(Value::from).map_err(|_| invalid("A valid number is required."))
        }
        Kind::Flag => match text {
            "true" | "1" | "yes" => Ok(true.into()),
            "false" | "0" | "no" => Ok(false.into()),
            _ => Err(invalid("Choose one of the offered values.")),
        },
        Kind::Text => Ok(text.to_owned().into()),
        Kind::Bytes => unhex(text).map(Value::from).ok_or(Error::NotFound),
    }
}

/// Whether a text is the one spelling of a value in a key, so that a row has one address only.
pub(super) fn is_canonical(column: &Column, text: &str) -> bool {
    match column.kind {
        Kind::Number | Kind::Moment | Kind::Reference => {
            text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
        }
        Kind::Bytes => text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        Kind::Flag | Kind::Text => true,
    }
}

/// A null of the type of a column.
pub(super) fn null(column: &Column) -> Value {
    match column.kind {
        Kind::Number | Kind::Moment | Kind::Reference => Option::<i64>::None.into(),
        Kind::Flag => Option::<bool>::None.into(),
        Kind::Text => Option::<String>::None.into(),
        Kind::Bytes => Option::<Vec<u8>>::None.into(),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// The condition of a filter.
pub(super) fn condition(column: &Column, text: &str, now: Timestamp) -> Result<Expr> {
    if text == "-" {
        return Ok(col(&column.name).is_null());
    }
    if column.kind == Kind::Moment {
        let period = crate::PERIODS.iter().find(|(name, _)| *name == text);
        let (_, days) = period.ok_or_else(|| Error::field(&column.name, "Choose one of the offered values."))?;
        let since = now - std::time::Duration::from_secs(days * 24 * 3600);
        return Ok(col(&column.name).gte(since.unix_micros()));
    }
    // An id that is no number belongs to no row.
    match value(column, text) {
        Ok(value) => Ok(col(&column.name).eq(Expr::val(value))),
        Err(_) => Ok(Expr::val(1_i32).eq(0_i32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_from_hexadecimal_text() {
        assert_eq!(unhex("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(unhex(""), Some(vec![]));
        assert_eq!((unhex("0"), unhex("zz"), unhex("é1")), (None, None, None));
    }
}

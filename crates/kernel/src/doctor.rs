//! Health checks of the installation, with repairs.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, FromQueryResult,
    sea_query::{Alias, Expr, ExprTrait, Query},
};
use serde::Serialize;

use crate::{Db, Outbox, Result, Timestamp, db, event::Dispatcher};

/// The largest difference between the clocks of the database and of this machine.
const MAX_SKEW: Duration = Duration::from_secs(5);
/// How long an email may be undelivered.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No problem.
    Ok,
    /// Information.
    Note,
    /// A problem.
    Error,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The result, for people.
    pub message: String,
    /// Whether the problem has been repaired.
    pub fixed: bool,
}

impl Finding {
    /// No problem.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, severity: Severity::Ok, message: message.into(), fixed: false }
    }

    /// Information.
    pub fn note(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::ok(check, message) }
    }

    /// A problem.
    pub fn error(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::ok(check, message) }
    }

    /// Marks the problem as repaired.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    /// Whether there is a problem that has not been repaired.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error && !self.fixed
    }
}

/// Checks the database itself; `fix` repairs what is safe to repair.
pub async fn examine(db: &Db, now: Timestamp, fix: bool) -> Result<Vec<Finding>> {
    match db.backend() {
        DbBackend::Postgres => Ok(vec![unvalidated_keys(db).await?, clock(db, now).await?, sequences(db, fix).await?]),
        _ => Ok(vec![key_enforcement(db).await?, orphans(db).await?, integrity(db).await?]),
    }
}

/// Checks for emails that have been undelivered for too long.
pub async fn examine_outbox(outbox: &Outbox, now: Timestamp, has_server: bool) -> Result<Finding> {
    let (waiting, oldest) = outbox.waiting().await?;
    let is_late = oldest.is_some_and(|oldest| now.since(oldest) > MAX_WAIT);
    let message = format!("{waiting} undelivered emails");
    Ok(match (waiting, has_server) {
        (0, _) => Finding::ok("outbox", "no undelivered emails"),
        (_, false) => Finding::note("outbox", format!("{message}, and no mail server is configured")),
        _ if is_late => Finding::error("outbox", format!("{message}, the oldest is more than an hour old")),
        _ => Finding::ok("outbox", message),
    })
}

/// Checks for events that a subscriber has failed to handle; `fix` has them handled again.
pub async fn examine_events(events: &Dispatcher, fix: bool) -> Result<Finding> {
    let failed = events.failed().await?;
    if failed == 0 {
        return Ok(Finding::ok("events", "no failed events"));
    }
    let finding = Finding::error("events", format!("failed deliveries of events to subscribers: {failed}"));
    if fix {
        events.retry_failed().await?;
        return Ok(finding.fixed());
    }
    Ok(finding)
}

/// Whether SQLite enforces foreign keys on the connections of the pool.
async fn key_enforcement(db: &Db) -> Result<Finding> {
    let on = db::scalar::<i64>(db.conn(), "PRAGMA foreign_keys", []).await?;
    Ok(if on == Some(1) {
        Finding::ok("foreign_keys", "foreign keys are enforced")
    } else {
        Finding::error("foreign_keys", "foreign keys are not enforced")
    })
}

/// Checks for rows that violate a foreign key.
async fn orphans(db: &Db) -> Result<Finding> {
    let tables = "SELECT COUNT(*) || ' in ' || \"table\" FROM pragma_foreign_key_check GROUP BY \"table\"";
    let violations = db::scalars::<String>(db.conn(), tables, []).await?;
    Ok(if violations.is_empty() {
        Finding::ok("orphans", "no row references a missing row")
    } else {
        Finding::error("orphans", format!("rows that reference missing rows: {}", violations.join(", ")))
    })
}

async fn integrity(db: &Db) -> Result<Finding> {
    let message: String = db::scalar(db.conn(), "PRAGMA quick_check(1)", []).await?.unwrap_or_default();
    Ok(if message == "ok" {
        Finding::ok("integrity", "the database file is intact")
    } else {
        Finding::error("integrity", format!("the database file is damaged: {message}"))
    })
}

/// PostgreSQL enforces foreign keys, except for existing rows if a key was added as `NOT VALID`.
async fn unvalidated_keys(db: &Db) -> Result<Finding> {
    let keys = "SELECT conrelid::regclass::text || '.' || conname FROM pg_constraint \
                WHERE contype = 'f' AND NOT convalidated AND connamespace = current_schema()::regnamespace LIMIT 20";
    let keys = db::scalars::<String>(db.conn(), keys, []).await?;
    Ok(if keys.is_empty() {
        Finding::ok("foreign_keys", "foreign keys are enforced and validated")
    } else {
        Finding::error("foreign_keys", format!("not validated for existing rows: {}", keys.join(", ")))
    })
}

async fn clock(db: &Db, now: Timestamp) -> Result<Finding> {
    let clock = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint";
    let database_micros: i64 = db::scalar(db.conn(), clock, []).await?.unwrap_or_default();
    let skew = Duration::from_micros(database_micros.abs_diff(now.unix_micros()));
    let message = format!("the clock of the database differs by {:.1} s", skew.as_secs_f64());
    Ok(if skew > MAX_SKEW { Finding::error("clock", message) } else { Finding::ok("clock", message) })
}

/// A column with a sequence for its values.
#[derive(FromQueryResult)]
struct SequenceColumn {
    table: String,
    column: String,
    sequence: String,
    last_value: i64,
}

const SEQUENCE_COLUMNS: &str = "SELECT s.*, COALESCE(pg_sequence_last_value(s.sequence::regclass), 0) AS last_value \
    FROM (SELECT c.table_name::text AS \"table\", c.column_name::text AS \"column\", \
          pg_get_serial_sequence(quote_ident(c.table_name), c.column_name) AS sequence \
          FROM information_schema.columns c \
          WHERE c.table_schema = current_schema() AND c.is_identity = 'YES') s";

/// Moves a sequence to a value, but never back.
const ADVANCE_SEQUENCE: &str = "SELECT setval($1::text::regclass, GREATEST($2, nextval($1::text::regclass)))";

/// Checks for sequences behind the ids of their table, as after an import of rows: they would yield an id twice.
async fn sequences(db: &Db, fix: bool) -> Result<Finding> {
    let mut behind = Vec::new();
    for column in db::rows::<SequenceColumn>(db.conn(), SEQUENCE_COLUMNS, []).await? {
        let largest = Expr::col(Alias::new(&column.column)).max();
        let query = Query::select().expr_as(largest, "largest").from(Alias::new(&column.table)).take();
        let row = db.conn().query_one(&query).await?;
        let largest: Option<i64> = row.map(|row| row.try_get("", "largest")).transpose()?.flatten();
        if let Some(largest) = largest.filter(|largest| *largest > column.last_value) {
            behind.push((column, largest));
        }
    }
    if behind.is_empty() {
        return Ok(Finding::ok("sequences", "all sequences are ahead of the stored ids"));
    }
    let tables: Vec<&str> = behind.iter().map(|(column, _)| column.table.as_str()).collect();
    let finding = Finding::error("sequences", format!("sequences are behind the stored ids: {}", tables.join(", ")));
    if !fix {
        return Ok(finding);
    }
    let behind = &behind;
    db.write(|tx| async move {
        for (column, largest) in behind {
            db::execute(&tx, ADVANCE_SEQUENCE, [column.sequence.clone().into(), (*largest).into()]).await?;
        }
        Ok::<_, DbErr>(())
    })
    .await?;
    Ok(finding.fixed())
}

//! What an examination of the installation finds.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use serde::Serialize;

use crate::{Db, Outbox, Result, Timestamp};

/// How far the database's clock may be from ours.
const LARGEST_SKEW: Duration = Duration::from_secs(5);
/// How long a letter may wait before something is wrong with the mail.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Ok,
    /// Worth knowing.
    Note,
    /// Wrong.
    Fault,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in one word.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub message: String,
    /// It was bad, and has been mended.
    pub fixed: bool,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, severity: Severity::Ok, message: message.into(), fixed: false }
    }

    /// Worth knowing.
    pub fn note(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::ok(check, message) }
    }

    /// Wrong.
    pub fn fault(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fault, ..Self::ok(check, message) }
    }

    /// The same, mended.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    /// Is something wrong that has not been mended?
    pub fn is_fault(&self) -> bool {
        self.severity == Severity::Fault && !self.fixed
    }
}

async fn rows(db: &Db, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await
}

/// Looks at the database itself; `fix` mends what is safe to mend.
pub async fn examine(db: &Db, now: Timestamp, fix: bool) -> Result<Vec<Finding>> {
    match db.backend() {
        DbBackend::Postgres => Ok(vec![unproven_keys(db).await?, clock(db, now).await?, sequences(db, fix).await?]),
        _ => Ok(vec![key_switch(db).await?, orphans(db).await?, pages(db).await?]),
    }
}

/// Letters that have waited for long.
pub async fn examine_outbox(outbox: &Outbox, now: Timestamp, has_server: bool) -> Result<Finding> {
    let (waiting, oldest) = outbox.waiting().await?;
    let late = oldest.is_some_and(|oldest| now.since(oldest) > LONGEST_WAIT);
    Ok(match (waiting, has_server) {
        (0, _) => Finding::ok("outbox", "no letter waits"),
        (_, false) => Finding::note("outbox", format!("{waiting} letters wait, and there is no mail server")),
        _ if late => Finding::fault("outbox", format!("{waiting} letters wait, the oldest for more than an hour")),
        _ => Finding::ok("outbox", format!("{waiting} letters wait")),
    })
}

async fn key_switch(db: &Db) -> Result<Finding> {
    let on = rows(db, "PRAGMA foreign_keys").await?;
    let on: i64 = on.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(if on == 1 {
        Finding::ok("foreign_keys", "foreign keys are enforced")
    } else {
        Finding::fault("foreign_keys", "foreign keys are not enforced")
    })
}

async fn orphans(db: &Db) -> Result<Finding> {
    let found = rows(db, "SELECT \"table\", COUNT(*) FROM pragma_foreign_key_check GROUP BY \"table\"").await?;
    let mut told = Vec::new();
    for row in &found {
        told.push(format!("{} in {}", row.try_get_by_index::<i64>(1)?, row.try_get_by_index::<String>(0)?));
    }
    Ok(if told.is_empty() {
        Finding::ok("orphans", "every row that points at another finds it")
    } else {
        Finding::fault("orphans", format!("rows that point at nothing: {}", told.join(", ")))
    })
}

async fn pages(db: &Db) -> Result<Finding> {
    let found = rows(db, "PRAGMA quick_check(1)").await?;
    let told: String = found.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(if told == "ok" {
        Finding::ok("integrity", "the database file is sound")
    } else {
        Finding::fault("integrity", format!("the database file is damaged: {told}"))
    })
}

/// PostgreSQL keeps foreign keys by itself, unless somebody has added one without looking.
async fn unproven_keys(db: &Db) -> Result<Finding> {
    let sql = "SELECT conrelid::regclass::text || '.' || conname FROM pg_constraint \
               WHERE contype = 'f' AND NOT convalidated AND connamespace = current_schema()::regnamespace LIMIT 20";
    let mut told = Vec::new();
    for row in rows(db, sql).await? {
        told.push(row.try_get_by_index::<String>(0)?);
    }
    Ok(if told.is_empty() {
        Finding::ok("foreign_keys", "foreign keys are enforced, and hold for every row")
    } else {
        Finding::fault("foreign_keys", format!("never checked against the rows there are: {}", told.join(", ")))
    })
}

async fn clock(db: &Db, now: Timestamp) -> Result<Finding> {
    let found = rows(db, "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint").await?;
    let theirs: i64 = found.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    let apart = Duration::from_micros(theirs.abs_diff(now.unix_micros()));
    let seconds = apart.as_secs_f64();
    Ok(if apart > LARGEST_SKEW {
        Finding::fault("clock", format!("the database's clock is {seconds:.1} s away from this machine's"))
    } else {
        Finding::ok("clock", format!("the database's clock is {seconds:.1} s away from this machine's"))
    })
}

/// Sequences that would give a number a second time, as they do after rows were copied in.
async fn sequences(db: &Db, fix: bool) -> Result<Finding> {
    let sql = "SELECT c.table_name::text, c.column_name::text, \
                      pg_get_serial_sequence(quote_ident(c.table_name), c.column_name) \
               FROM information_schema.columns c \
               WHERE c.table_schema = current_schema() AND c.is_identity = 'YES'";
    let mut behind = Vec::new();
    for row in rows(db, sql).await? {
        let [table, column, sequence]: [String; 3] =
            [row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?];
        let sql = format!(
            "SELECT COALESCE((SELECT MAX(\"{column}\") FROM \"{table}\"), 0) > \
             CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}"
        );
        let late = rows(db, &sql).await?;
        if late.first().map(|row| row.try_get_by_index::<bool>(0)).transpose()?.unwrap_or_default() {
            behind.push((table, column, sequence));
        }
    }
    if behind.is_empty() {
        return Ok(Finding::ok("sequences", "no number will be given twice"));
    }
    let tables: Vec<&str> = behind.iter().map(|(table, ..)| table.as_str()).collect();
    let finding = Finding::fault("sequences", format!("behind what is stored: {}", tables.join(", ")));
    if !fix {
        return Ok(finding);
    }
    let behind = &behind;
    db.write(|tx| async move {
        for (table, column, sequence) in behind {
            let sql = format!("SELECT setval('{sequence}', (SELECT MAX(\"{column}\") FROM \"{table}\"))");
            tx.conn().execute_unprepared(&sql).await?;
        }
        Ok::<_, DbErr>(())
    })
    .await?;
    Ok(finding.fixed())
}

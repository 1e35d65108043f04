//! Repeats recorded statements on one connection in one thread.

use std::{
    collections::HashMap,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rusqlite::{Connection, OpenFlags, Statement, types::Value};
use rustix::time::{ClockId, clock_gettime};

/// Number of runs, of which the shortest counts.
const RUNS: u32 = 3;
/// The settings of the server's connections.
const SETTINGS: &str = "PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY";
const READER_SETTINGS: &str = "PRAGMA mmap_size = 268435456";

/// The prepared statements, and their executions in order.
struct Executions<'c> {
    statements: Vec<Statement<'c>>,
    /// The number of the statement and the values of its parameters.
    executions: Vec<(usize, Vec<Value>)>,
}

/// The CPU time in microseconds that SQLite needs to execute all statements once. Each is prepared before that, all of
/// its rows are fetched, and all of their columns read. Writes are rolled back each time, without a commit.
pub(super) fn cpu_us(
    path: &Path,
    recorded: &[sea_orm::Statement],
    is_read: bool,
    length: Duration,
) -> anyhow::Result<f64> {
    let access = if is_read { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch(SETTINGS)?;
    if is_read {
        connection.execute_batch(READER_SETTINGS)?;
    } else {
        connection.execute_batch("BEGIN IMMEDIATE")?;
    }
    let mut executions = Executions::prepare(&connection, recorded)?;
    let mut begin = connection.prepare("SAVEPOINT repetition")?;
    let mut roll_back = connection.prepare("ROLLBACK TO repetition")?;
    let mut end = connection.prepare("RELEASE repetition")?;
    let mut once = || -> anyhow::Result<()> {
        if is_read {
            return executions.run();
        }
        begin.execute([])?;
        executions.run()?;
        roll_back.execute([])?;
        end.execute([])?;
        Ok(())
    };
    once()?;
    let mut lowest = f64::INFINITY;
    for _ in 0..RUNS {
        let (start, cpu_before, mut repetitions) = (Instant::now(), thread_cpu()?, 0_u32);
        while repetitions == 0 || start.elapsed() < length {
            once()?;
            repetitions += 1;
        }
        let cpu = thread_cpu()?.saturating_sub(cpu_before);
        lowest = lowest.min(cpu.as_secs_f64() * 1e6 / f64::from(repetitions));
    }
    Ok(lowest)
}

/// The CPU time of this thread.
fn thread_cpu() -> anyhow::Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

impl<'c> Executions<'c> {
    fn prepare(connection: &'c Connection, recorded: &[sea_orm::Statement]) -> anyhow::Result<Self> {
        let (mut numbers, mut statements, mut executions) = (HashMap::new(), Vec::new(), Vec::new());
        for recorded in recorded {
            let number = if let Some(number) = numbers.get(recorded.sql.as_str()) {
                *number
            } else {
                statements.push(connection.prepare(&recorded.sql)?);
                numbers.insert(recorded.sql.as_str(), statements.len() - 1);
                statements.len() - 1
            };
            let values = recorded.values.as_ref().map_or(&[][..], |values| &values.0);
            executions.push((number, parameters(&statements[number], values)?));
        }
        Ok(Self { statements, executions })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        for (number, values) in &self.executions {
            let statement = &mut self.statements[*number];
            for (index, value) in (1..).zip(values) {
                statement.raw_bind_parameter(index, value)?;
            }
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    black_box(row.get_ref(column)?);
                }
            }
        }
        Ok(())
    }
}

/// The values in the order of the statement's parameters: `$2` is the second value wherever it stands, `?` the next.
fn parameters(statement: &Statement<'_>, values: &[sea_orm::Value]) -> anyhow::Result<Vec<Value>> {
    let mut next = 0;
    let number = |index| -> anyhow::Result<usize> {
        let Some(name) = statement.parameter_name(index) else {
            next += 1;
            return Ok(next);
        };
        let number = name.strip_prefix(['$', '?']).and_then(|number| number.parse().ok());
        number.with_context(|| format!("the parameter {name} has no number"))
    };
    let numbers = (1..=statement.parameter_count()).map(number).collect::<anyhow::Result<Vec<_>>>()?;
    let value = |number: usize| converted(values.get(number - 1).context("a value is missing")?);
    numbers.into_iter().map(value).collect()
}

/// The value as the server binds it.
fn converted(value: &sea_orm::Value) -> anyhow::Result<Value> {
    use sea_orm::Value as Recorded;

    Ok(match value {
        Recorded::Bool(value) => (*value).into(),
        Recorded::TinyInt(value) => (*value).into(),
        Recorded::SmallInt(value) => (*value).into(),
        Recorded::Int(value) => (*value).into(),
        Recorded::BigInt(value) => (*value).into(),
        Recorded::TinyUnsigned(value) => (*value).into(),
        Recorded::SmallUnsigned(value) => (*value).into(),
        Recorded::Unsigned(value) => (*value).into(),
        Recorded::BigUnsigned(value) => value.map(i64::try_from).transpose()?.into(),
        Recorded::Double(value) => (*value).into(),
        Recorded::String(value) => value.clone().into(),
        Recorded::Bytes(value) => value.clone().into(),
        Recorded::Json(value) => value.as_ref().map(ToString::to_string).into(),
        Recorded::Uuid(value) => value.map(|uuid| uuid.as_bytes().to_vec()).into(),
        other => bail!("the value {other:?} cannot be bound"),
    })
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    fn recorded(sql: &str, values: Vec<sea_orm::Value>) -> sea_orm::Statement {
        sea_orm::Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    #[test]
    fn parameters_are_bound_by_their_number() {
        let connection = Connection::open_in_memory().unwrap();
        let values = [7_i64.into(), "x".into(), None::<String>.into()];
        let bound = |sql| parameters(&connection.prepare(sql).unwrap(), &values);
        assert_eq!(bound("SELECT $2, $1, $2").unwrap(), [Value::Text("x".to_owned()), Value::Integer(7)]);
        let expected = [Value::Integer(7), Value::Text("x".to_owned()), Value::Null];
        assert_eq!(bound("SELECT ?, ?, ?").unwrap(), expected);
        assert!(bound("SELECT $4").is_err());
    }

    #[test]
    fn repeated_writes_leave_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)").unwrap();
        let writes = [
            recorded("INSERT INTO t (name) VALUES (?) RETURNING id", vec!["x".into()]),
            recorded("INSERT INTO t (id, name) VALUES (2, $1)", vec!["y".into()]),
        ];
        assert!(cpu_us(&path, &writes, false, Duration::from_millis(5)).unwrap() > 0.0);
        assert_eq!(connection.query_row("SELECT COUNT(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        assert!(cpu_us(&path, &writes, true, Duration::from_millis(5)).is_err(), "a read cannot write");
    }

    #[test]
    fn more_rows_need_more_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (id INTEGER)").unwrap();
        let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n";
        let cost = |rows_read: i64| {
            let statements = [recorded(rows, vec![rows_read.into()])];
            cpu_us(&path, &statements, true, Duration::from_millis(10)).unwrap()
        };
        assert!(cost(10_000) > 10.0 * cost(10));
    }
}

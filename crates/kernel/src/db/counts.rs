//! Counts of lists, kept until one of their tables changes.
//!
//! On SQLite, triggers count the changes of each large table in `kernel_table_version`, so a version is as current as
//! the snapshot in which it is read, whichever process wrote. A list reads the versions of its tables with its page; a
//! count that was computed at these versions is exact. On PostgreSQL the triggers would make all writers of a table
//! wait for each other, so counts are always computed there.

use std::{collections::HashSet, sync::Arc};

use quick_cache::sync::Cache;
use sea_orm::{
    DbBackend, DbErr, Statement,
    sea_query::{Expr, ExprTrait, Query},
};
use tokio::sync::OnceCell;

use super::readers::Readers;
use crate::entity::table_version;

/// The maximum number of kept counts, and of texts whose tables are known.
const MAX_KEPT: usize = 2000;
/// A count whose statement and values are longer is not kept, in bytes. With [`MAX_KEPT`] it bounds the memory to some
/// 16 MiB, whatever clients filter by.
const MAX_KEY: usize = 4096;

const VERSIONED: &str = "SELECT name FROM kernel_table_version";
const TABLES: &str = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')";

/// The counts of one database.
pub(crate) struct KeptCounts {
    tables: OnceCell<Tables>,
    /// The tables of a statement; `None` if one of them has no version.
    tables_of: Cache<String, Option<Arc<[String]>>>,
    /// By statement and values: the sum of the versions, and the count.
    counts: Cache<String, (i64, i64)>,
}

struct Tables {
    all: HashSet<String>,
    versioned: HashSet<String>,
}

impl Default for KeptCounts {
    fn default() -> Self {
        Self { tables: OnceCell::new(), tables_of: Cache::new(MAX_KEPT), counts: Cache::new(MAX_KEPT) }
    }
}

/// A count that can be kept.
pub(crate) struct KeptCount {
    key: String,
    tables: Arc<[String]>,
}

impl KeptCount {
    /// The sum of the versions of the tables. Versions only grow, so it is equal only if all of them are.
    pub(crate) fn version(&self) -> Expr {
        let versions = Query::select()
            .expr(Expr::col(table_version::Column::Version).sum())
            .from(table_version::Entity)
            .and_where(Expr::col(table_version::Column::Name).is_in(self.tables.iter().cloned()))
            .take();
        Expr::from(versions)
    }
}

impl KeptCounts {
    /// Prepares to keep the result of a counting statement; `None` if it reads a table without a version.
    pub(super) async fn prepare(&self, readers: &Readers, statement: &Statement) -> Result<Option<KeptCount>, DbErr> {
        if statement.sql.len() > MAX_KEY {
            return Ok(None);
        }
        let tables = if let Some(tables) = self.tables_of.get(&statement.sql) {
            tables
        } else {
            let known = self.tables.get_or_try_init(|| Tables::read(readers)).await?;
            let tables = known.of(&statement.sql);
            self.tables_of.insert(statement.sql.clone(), tables.clone());
            tables
        };
        let key = format!("{}{:?}", statement.sql, statement.values);
        Ok(tables.filter(|_| key.len() <= MAX_KEY).map(|tables| KeptCount { key, tables }))
    }

    /// The count at this version, if it is kept.
    pub(crate) fn get(&self, kept: &KeptCount, version: i64) -> Option<i64> {
        let (at, count) = self.counts.get(&kept.key)?;
        (at == version).then_some(count)
    }

    /// Keeps a count that was computed after the version was read.
    pub(crate) fn insert(&self, kept: KeptCount, version: i64, count: i64) {
        self.counts.insert(kept.key, (version, count));
    }
}

impl Tables {
    /// Reads the names of all tables. This happens once, so it does not count as a statement of the first list.
    async fn read(readers: &Readers) -> Result<Self, DbErr> {
        let names = async |sql: &'static str| {
            let rows = readers.query_all(&Statement::from_string(DbBackend::Sqlite, sql)).await?;
            rows.iter().map(|row| row.try_get_by_index::<String>(0)).collect::<Result<HashSet<_>, DbErr>>()
        };
        let all = names(TABLES).await?;
        let versioned = if all.contains("kernel_table_version") { names(VERSIONED).await? } else { HashSet::new() };
        Ok(Self { all, versioned })
    }

    /// The tables that a statement names; `None` unless all of them have versions. A word that happens to be the name
    /// of a table only makes the result more careful.
    fn of(&self, sql: &str) -> Option<Arc<[String]>> {
        let words = sql.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let named: HashSet<&str> = words.filter(|word| self.all.contains(*word)).collect();
        let is_versioned = !named.is_empty() && named.iter().all(|table| self.versioned.contains(*table));
        is_versioned.then(|| {
            let mut named: Vec<String> = named.into_iter().map(str::to_owned).collect();
            named.sort();
            named.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_kept_only_if_all_its_tables_have_versions() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let tables = Tables { all: set(&["post", "ban", "user"]), versioned: set(&["post", "user"]) };
        let of = |sql| tables.of(sql).map(|tables| tables.join(" "));
        let joined = r#"SELECT COUNT(*) FROM "user" JOIN "post" ON "post"."user_id" = "user"."id""#;
        assert_eq!(of(joined).as_deref(), Some("post user"));
        assert_eq!(of("SELECT COUNT(*) FROM post WHERE NOT EXISTS (SELECT 1 FROM ban)"), None);
        assert_eq!(of("SELECT 1"), None);
    }
}

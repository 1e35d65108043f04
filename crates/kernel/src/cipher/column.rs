//! Columns with sealed text: which keys their rows need, and how to change the keys.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use super::KeyRing;
use crate::{Db, Result, db, doctor::Finding};

/// How many rows one transaction re-encrypts.
const BATCH: i64 = 200;

/// A column with sealed text, and its column with the ids of the keys. The latter has a partial index over the rows
/// with a key.
#[derive(Clone, Copy, Debug)]
pub struct SealedColumn {
    /// `messaging_message.content`
    pub name: &'static str,
    /// The first key after `$1`, in the order of the ids, that a row has.
    pub next_key: &'static str,
    /// The number of rows with the key `$1`.
    pub count: &'static str,
    /// The number of rows with a text but no key.
    pub count_plain: &'static str,
    /// Up to `$4` rows after the position `($1, $2)` that have a text and another key than `$3`, or none, in the order
    /// of their positions: `major` and `minor`, the position; `text`; `key_id`; `context`, for [`KeyRing::seal`].
    pub outdated: &'static str,
    /// Replaces the text `$5` of the row at `($1, $2)` by `$3` and its key by `$4`, unless it has changed.
    pub replace: &'static str,
}

/// Rows that were encrypted with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// `messaging_message.content`
    pub column: &'static str,
    /// The id of the key.
    pub key_id: String,
    /// The number of rows.
    pub rows: i64,
}

/// The outcome of re-encrypting rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// How many rows have another key now, or none.
    pub changed: u64,
    /// How many rows were left as they are, because they cannot be read.
    pub unreadable: u64,
}

#[derive(FromQueryResult)]
struct OutdatedRow {
    major: i64,
    minor: i64,
    text: String,
    key_id: Option<String>,
    context: String,
}

impl std::ops::AddAssign for Reencrypted {
    fn add_assign(&mut self, other: Self) {
        self.changed += other.changed;
        self.unreadable += other.unreadable;
    }
}

impl KeyRing {
    /// The keys that rows need and the ring does not have.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn missing(&self, conn: &impl ConnectionTrait, columns: &[SealedColumn]) -> Result<Vec<KeyUse>, DbErr> {
        self.uses(conn, columns, |id| !self.ids().any(|known| known == id)).await
    }

    /// The keys of the rows of some columns, those that `is_wanted` chooses.
    async fn uses(
        &self,
        conn: &impl ConnectionTrait,
        columns: &[SealedColumn],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<KeyUse>, DbErr> {
        let mut uses = Vec::new();
        for column in columns {
            let mut last = String::new();
            while let Some(key_id) = db::scalar::<String>(conn, column.next_key, [last.into()]).await? {
                last = key_id.clone();
                if is_wanted(&key_id) {
                    let rows = db::scalar(conn, column.count, [key_id.as_str().into()]).await?.unwrap_or_default();
                    uses.push(KeyUse { column: column.name, key_id, rows });
                }
            }
        }
        Ok(uses)
    }

    /// Checks that every row can be read, and has the current key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn examine(
        &self,
        conn: &impl ConnectionTrait,
        check: &'static str,
        columns: &[SealedColumn],
    ) -> Result<Finding, DbErr> {
        let list = |uses: &[KeyUse]| {
            let uses = uses.iter().map(|used| format!("{} of {} with {}", used.rows, used.column, used.key_id));
            uses.collect::<Vec<_>>().join(", ")
        };
        let missing = self.missing(conn, columns).await?;
        if !missing.is_empty() {
            let message = format!("rows cannot be read because their keys are missing: {}", list(&missing));
            return Ok(Finding::error(check, message));
        }
        let outdated = self.uses(conn, columns, |id| self.current() != Some(id)).await?;
        if !outdated.is_empty() {
            return Ok(Finding::note(
                check,
                format!("rows with another key than the current one: {}", list(&outdated)),
            ));
        }
        if self.current().is_some() {
            for column in columns {
                let plain: i64 = db::scalar(conn, column.count_plain, []).await?.unwrap_or_default();
                if plain > 0 {
                    return Ok(Finding::note(check, format!("{plain} rows of {} are not encrypted", column.name)));
                }
            }
        }
        Ok(Finding::ok(check, if self.is_on { "all rows have the current key" } else { "encryption is off" }))
    }

    /// Gives all rows of a column the current key, or none if encryption is off. Each batch is a transaction; rows that
    /// change meanwhile keep their new text. It can be repeated, and then goes on with the rows that are left.
    /// `progress` is called after each batch.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reencrypt(
        &self,
        db: &Db,
        column: &SealedColumn,
        progress: impl Fn(Reencrypted),
    ) -> Result<Reencrypted> {
        let current = self.current().map(str::to_owned);
        let (mut major, mut minor) = (i64::MIN, i64::MIN);
        let mut outcome = Reencrypted::default();
        loop {
            let values = [major.into(), minor.into(), current.clone().into(), BATCH.into()];
            let rows: Vec<OutdatedRow> = db::rows(db.conn(), column.outdated, values).await?;
            let Some(last) = rows.last() else { return Ok(outcome) };
            (major, minor) = (last.major, last.minor);
            let mut replacements = Vec::with_capacity(rows.len());
            for OutdatedRow { major, minor, text, key_id, context } in rows {
                let Ok(plain) = self.open(text.clone(), key_id.as_deref(), &context) else {
                    outcome.unreadable += 1;
                    continue;
                };
                let sealed = self.seal(plain, &context)?;
                replacements.push([major.into(), minor.into(), sealed.text.into(), sealed.key_id.into(), text.into()]);
            }
            let replacements = &replacements;
            db.write(|tx| async move {
                for values in replacements {
                    db::execute(&tx.deferred(), column.replace, values.clone()).await?;
                }
                Ok::<_, DbErr>(())
            })
            .await?;
            outcome.changed += replacements.len() as u64;
            progress(outcome);
        }
    }
}

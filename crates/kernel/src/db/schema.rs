//! The schema as the database has it: foreign keys and indexes, for tools that work on all tables.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, RuntimeErr};

use super::{Sql, rows};

/// What happens to a row when the row that it references is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It is deleted as well.
    Cascade,
    /// It stays, and its columns are set to null.
    Clear,
    /// It prevents the deletion.
    Restrict,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The referencing table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The referenced table.
    pub target: String,
    /// Its columns, in the same order.
    pub target_columns: Vec<String>,
    /// What a deletion in the referenced table does.
    pub on_delete: OnDelete,
}

/// The foreign keys and indexed columns of all tables.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// The foreign keys, ordered by table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Pairs of a table and a column that is the first one of an index over all rows.
    pub indexed: BTreeSet<(String, String)>,
}

#[derive(FromQueryResult)]
struct KeyColumn {
    owner: String,
    key_id: String,
    source: String,
    target: String,
    target_column: Option<String>,
    action: String,
}

#[derive(FromQueryResult)]
struct IndexColumn {
    owner: String,
    source: String,
}

const KEYS: Sql = Sql::per_backend(
    "SELECT t.name AS owner, CAST(k.id AS text) AS key_id, k.\"from\" AS source, k.\"table\" AS target, \
     k.\"to\" AS target_column, k.on_delete AS action \
     FROM pragma_table_list t JOIN pragma_foreign_key_list(t.name) k \
     WHERE t.schema = 'main' AND t.type = 'table' ORDER BY t.name, k.id, k.seq",
    "SELECT s.relname::text AS owner, c.conname::text AS key_id, a.attname::text AS source, \
     t.relname::text AS target, b.attname::text AS target_column, c.confdeltype::text AS action \
     FROM pg_constraint c JOIN pg_class s ON s.oid = c.conrelid JOIN pg_class t ON t.oid = c.confrelid \
     JOIN pg_namespace n ON n.oid = s.relnamespace \
     CROSS JOIN LATERAL unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (source, target, place) \
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.source \
     JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.target \
     WHERE c.contype = 'f' AND n.nspname = current_schema() ORDER BY s.relname, c.conname, k.place",
);

const INDEXES: Sql = Sql::per_backend(
    "SELECT t.name AS owner, c.name AS source FROM pragma_table_list t JOIN pragma_index_list(t.name) i \
     JOIN pragma_index_info(i.name) c WHERE t.schema = 'main' AND t.type = 'table' AND i.partial = 0 \
     AND c.seqno = 0 AND c.name IS NOT NULL",
    "SELECT s.relname::text AS owner, a.attname::text AS source FROM pg_index i \
     JOIN pg_class s ON s.oid = i.indrelid JOIN pg_namespace n ON n.oid = s.relnamespace \
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
     WHERE i.indpred IS NULL AND n.nspname = current_schema()",
);

impl Schema {
    /// Reads the schema of a database.
    pub async fn read(conn: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let mut foreign_keys: Vec<ForeignKey> = Vec::new();
        let mut last = None;
        for column in rows::<KeyColumn>(conn, KEYS, []).await? {
            let id = (column.owner.clone(), column.key_id);
            // SQLite leaves out the columns of a primary key that a constraint does not name.
            let target_column = column.target_column.unwrap_or_else(|| "id".to_owned());
            if last.as_ref() == Some(&id)
                && let Some(key) = foreign_keys.last_mut()
            {
                key.columns.push(column.source);
                key.target_columns.push(target_column);
                continue;
            }
            last = Some(id);
            foreign_keys.push(ForeignKey {
                table: column.owner,
                columns: vec![column.source],
                target: column.target,
                target_columns: vec![target_column],
                on_delete: match column.action.as_str() {
                    "CASCADE" | "c" => OnDelete::Cascade,
                    "SET NULL" | "SET DEFAULT" | "n" | "d" => OnDelete::Clear,
                    _ => OnDelete::Restrict,
                },
            });
        }
        let indexed = rows::<IndexColumn>(conn, INDEXES, []).await?;
        let indexed = indexed.into_iter().map(|index| (index.owner, index.source)).collect();
        Ok(Self { foreign_keys, indexed })
    }
}

/// What the database says about a value that a constraint of a table refused: a missing, duplicate or impossible one.
pub fn violated_constraint(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return None;
    };
    let cause = cause.as_database_error()?;
    let is_constraint = matches!(
        cause.kind(),
        sqlx::error::ErrorKind::UniqueViolation
            | sqlx::error::ErrorKind::NotNullViolation
            | sqlx::error::ErrorKind::CheckViolation
            | sqlx::error::ErrorKind::ForeignKeyViolation
    );
    is_constraint.then(|| cause.message().to_owned())
}

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ColumnTrait, ColumnType, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, Iterable, Statement};

use super::TestDb;
use crate::db::Migrations;

/// The table that an entity describes.
pub struct Table {
    name: String,
    columns: BTreeMap<String, (&'static str, bool)>,
}

/// Describes the table of an entity.
pub fn table<E: EntityTrait>(entity: E) -> Table {
    let column = |column: E::Column| {
        let definition = column.def();
        let kind = kind(definition.get_column_type());
        (column.as_str().to_owned(), (kind, definition.is_null()))
    };
    Table { name: entity.table_name().to_owned(), columns: E::Column::iter().map(column).collect() }
}

/// The category of a column type that both databases distinguish.
fn kind(column: &ColumnType) -> &'static str {
    match column {
        ColumnType::BigInteger | ColumnType::Integer | ColumnType::SmallInteger => "integer",
        ColumnType::Boolean => "boolean",
        ColumnType::Text | ColumnType::String(_) | ColumnType::Char(_) => "text",
        ColumnType::Uuid => "uuid",
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => "bytes",
        _ => "other",
    }
}

fn declared_kind(declared: &str) -> &'static str {
    let declared = declared.to_ascii_lowercase();
    match declared.split(['(', ' ']).next().unwrap_or_default() {
        "bigint" | "integer" | "smallint" => "integer",
        "boolean" => "boolean",
        "text" | "varchar" | "character" => "text",
        "uuid" | "uuid_text" => "uuid",
        "blob" | "bytea" | "varbinary_blob" | "binary_blob" => "bytes",
        _ => "other",
    }
}

/// Compares the schema of the migrations with the entities, on the database under test.
///
/// Every table that begins with `prefix` or is listed must have an entity with the same columns, types and
/// nullability; generated columns and columns of full-text indexes are ignored. Keys, indexes and checks are compared
/// with a snapshot.
///
/// # Panics
/// If they differ.
pub async fn assert_no_drift(prefix: &str, entities: Vec<Table>, migrations: Migrations, snapshots: &str) {
    let db = TestDb::new(migrations).await;
    let backend = db.backend();
    let names: BTreeSet<_> = entities.iter().map(|table| table.name.clone()).collect();
    let is_included = |table: &String| table.starts_with(prefix) || names.contains(table);

    let mut migrated: BTreeMap<String, BTreeMap<String, (&'static str, bool)>> = BTreeMap::new();
    for [table, column, declared, nullable] in rows(&db, columns_sql(backend)).await {
        if is_included(&table) {
            migrated.entry(table).or_default().insert(column, (declared_kind(&declared), nullable == "1"));
        }
    }
    let described: BTreeMap<_, _> = entities.into_iter().map(|table| (table.name, table.columns)).collect();
    assert_eq!(migrated, described, "left: the migrated tables, right: the entities");

    let rules: Vec<String> = rows(&db, rules_sql(backend))
        .await
        .into_iter()
        .filter(|[table, ..]| is_included(table))
        .map(|[table, name, rule, _]| format!("{table}: {name}: {rule}"))
        .collect();
    let snapshot = format!("schema_{}", if backend == DbBackend::Sqlite { "sqlite" } else { "postgres" });
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(snapshots);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(snapshot, rules.join("\n")));
}

async fn rows(db: &TestDb, sql: &str) -> Vec<[String; 4]> {
    let found = db.conn().query_all_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, at| row.try_get_by_index::<String>(at).unwrap();
    found.iter().map(|row| [text(row, 0), text(row, 1), text(row, 2), text(row, 3)]).collect()
}

fn columns_sql(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite {
        return "SELECT t.name, c.name, c.type, CASE WHEN c.\"notnull\" OR c.pk THEN '0' ELSE '1' END \
                FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.schema = 'main' AND t.type = 'table'";
    }
    "SELECT table_name::text, column_name::text, data_type::text, \
            CASE is_nullable WHEN 'YES' THEN '1' ELSE '0' END \
     FROM information_schema.columns WHERE table_schema = 'public' AND is_generated = 'NEVER' \
     AND data_type <> 'tsvector'"
}

fn rules_sql(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite {
        return "SELECT tbl_name, name, sql, '' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, name";
    }
    "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), '' FROM pg_constraint \
     WHERE connamespace = 'public'::regnamespace \
     UNION ALL SELECT tablename::text, indexname::text, indexdef, '' FROM pg_indexes WHERE schemaname = 'public' \
     ORDER BY 1, 2, 3"
}

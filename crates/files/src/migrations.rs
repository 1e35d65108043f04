use guildhall_kernel::db::SqlMigration;
use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

/// The tables of this crate.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    let files = SqlMigration::new(
        "m20250101_000030_files",
        include_str!("migrations/m20250101_000030_files.up.sql"),
        include_str!("migrations/m20250101_000030_files.down.sql"),
    )
    .only(DbBackend::Sqlite, include_str!("migrations/m20250101_000030_files_collected_sqlite.up.sql"), "")
    .only(
        DbBackend::Postgres,
        include_str!("migrations/m20250101_000030_files_collected_postgres.up.sql"),
        include_str!("migrations/m20250101_000030_files_collected_postgres.down.sql"),
    );
    vec![Box::new(files)]
}

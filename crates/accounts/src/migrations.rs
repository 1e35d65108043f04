use guildhall_kernel::db::SqlMigration;
use sea_orm_migration::MigrationTrait;

/// The tables of this crate, the user table among them.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(SqlMigration::new(
        "m20250101_000000_accounts",
        include_str!("migrations/m20250101_000000_accounts.up.sql"),
        include_str!("migrations/m20250101_000000_accounts.down.sql"),
    ))]
}

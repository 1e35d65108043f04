use guildhall_kernel::{HostTables, db::SqlMigration};
use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

/// The SQL of a migration, forward and back.
macro_rules! migration {
    ($name:literal) => {
        SqlMigration::new(
            $name,
            include_str!(concat!("migrations/", $name, ".up.sql")),
            include_str!(concat!("migrations/", $name, ".down.sql")),
        )
    };
}

/// The tables of this crate, with foreign keys to the host's user table. The kernel's tables are there
/// before.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    let tables = [
        migration!("m20250101_000200_deals_organizations"),
        migration!("m20250101_000210_deals_clients"),
        migration!("m20250101_000220_deals_deals"),
        migration!("m20250101_000230_deals_payments"),
    ];
    // What only triggers can see to, and the indexes of words, which the databases spell differently.
    let rules = SqlMigration::new("m20250101_000240_deals_rules", "", "")
        .only(
            DbBackend::Sqlite,
            include_str!("migrations/m20250101_000240_deals_rules_sqlite.up.sql"),
            include_str!("migrations/m20250101_000240_deals_rules_sqlite.down.sql"),
        )
        .only(
            DbBackend::Postgres,
            include_str!("migrations/m20250101_000240_deals_rules_postgres.up.sql"),
            include_str!("migrations/m20250101_000240_deals_rules_postgres.down.sql"),
        );
    let mut all: Vec<Box<dyn MigrationTrait>> = Vec::new();
    for table in tables {
        all.push(Box::new(table.with("users", host.users)));
    }
    all.push(Box::new(rules));
    all.push(Box::new(migration!("m20250101_000250_deals_work")));
    all.push(Box::new(migration!("m20250101_000260_deals_imports")));
    all.push(Box::new(migration!("m20250101_000270_deals_custom")));
    all.push(Box::new(migration!("m20250101_000280_deals_lines")));
    let files_gone = SqlMigration::new("m20250101_000281_deals_files_gone", "", "")
        .only(
            DbBackend::Sqlite,
            include_str!("migrations/m20250101_000281_deals_files_gone_sqlite.up.sql"),
            include_str!("migrations/m20250101_000281_deals_files_gone_sqlite.down.sql"),
        )
        .only(
            DbBackend::Postgres,
            include_str!("migrations/m20250101_000281_deals_files_gone_postgres.up.sql"),
            include_str!("migrations/m20250101_000281_deals_files_gone_postgres.down.sql"),
        );
    all.push(Box::new(files_gone));
    all.push(Box::new(migration!("m20250101_000290_deals_webhooks")));
    // The tables go with the triggers that write into them.
    let rollups = migration!("m20250101_000300_deals_rollups")
        .only(
            DbBackend::Sqlite,
            include_str!("migrations/m20250101_000300_deals_rollups_sqlite.up.sql"),
            include_str!("migrations/m20250101_000300_deals_rollups_sqlite.down.sql"),
        )
        .only(
            DbBackend::Postgres,
            include_str!("migrations/m20250101_000300_deals_rollups_postgres.up.sql"),
            include_str!("migrations/m20250101_000300_deals_rollups_postgres.down.sql"),
        );
    all.push(Box::new(rollups));
    // The column goes with the index of its words.
    let words = migration!("m20250101_000310_deals_contact_words")
        .only(
            DbBackend::Sqlite,
            include_str!("migrations/m20250101_000310_deals_contact_words_sqlite.up.sql"),
            include_str!("migrations/m20250101_000310_deals_contact_words_sqlite.down.sql"),
        )
        .only(
            DbBackend::Postgres,
            include_str!("migrations/m20250101_000310_deals_contact_words_postgres.up.sql"),
            include_str!("migrations/m20250101_000310_deals_contact_words_postgres.down.sql"),
        );
    all.push(Box::new(words));
    all.push(Box::new(migration!("m20250101_000320_deals_imports_kept")));
    all.push(Box::new(migration!("m20250101_000330_deals_listed")));
    all
}

/// The tables of this crate beside a user table that is not ours.
#[cfg(test)]
pub(crate) fn beside_people() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id}, name text);";
    let people = SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(guildhall_kernel::migrations(&HostTables { users: "people" }));
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

use guildhall_kernel::{HostTables, db::SqlMigration};
use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

/// A migration with its SQL files for both directions.
macro_rules! migration {
    ($name:literal) => {
        SqlMigration::new(
            $name,
            include_str!(concat!("migrations/", $name, ".up.sql")),
            include_str!(concat!("migrations/", $name, ".down.sql")),
        )
    };
}

/// The migrations of this crate, with foreign keys to the host's user table. They run after those of the kernel.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    let tables = [
        migration!("m20250101_000200_deals_organizations"),
        migration!("m20250101_000210_deals_clients"),
        migration!("m20250101_000220_deals_deals"),
        migration!("m20250101_000230_deals_payments"),
    ];
    // Triggers and search indexes, whose SQL differs between the databases.
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
    let mut migrations: Vec<Box<dyn MigrationTrait>> = Vec::new();
    for table in tables {
        migrations.push(Box::new(table.with("users", host.users)));
    }
    migrations.push(Box::new(rules));
    migrations.push(Box::new(migration!("m20250101_000250_deals_work")));
    migrations.push(Box::new(migration!("m20250101_000260_deals_imports")));
    migrations.push(Box::new(migration!("m20250101_000270_deals_custom")));
    migrations.push(Box::new(migration!("m20250101_000280_deals_lines")));
    let file_triggers = SqlMigration::new("m20250101_000281_deals_files_gone", "", "")
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
    migrations.push(Box::new(file_triggers));
    migrations.push(Box::new(migration!("m20250101_000290_deals_webhooks")));
    // The tables, and the triggers that write to them.
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
    migrations.push(Box::new(rollups));
    // The column, and its search index.
    let contact_search = migration!("m20250101_000310_deals_contact_words")
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
    migrations.push(Box::new(contact_search));
    migrations.push(Box::new(migration!("m20250101_000320_deals_imports_kept")));
    migrations.push(Box::new(migration!("m20250101_000330_deals_listed")));
    migrations
}

/// The migrations of this crate in a host with a user table of its own, for tests.
#[cfg(test)]
pub(crate) fn with_host_users() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id}, name text);";
    let people = SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(guildhall_kernel::migrations(&HostTables { users: "people" }));
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

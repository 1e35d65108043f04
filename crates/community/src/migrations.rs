use guildhall_kernel::{HostTables, db::SqlMigration};
use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

/// A migration with its SQL in both directions.
macro_rules! migration {
    ($name:literal) => {
        SqlMigration::new(
            $name,
            include_str!(concat!("migrations/", $name, ".up.sql")),
            include_str!(concat!("migrations/", $name, ".down.sql")),
        )
    };
}

/// The tables of this crate, with foreign keys to the host's user table. The kernel's migrations have to run
/// first: groups and attachments refer to files.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    let tables = [
        migration!("m20250101_000100_community_groups"),
        migration!("m20250101_000110_community_people"),
        migration!("m20250101_000120_community_posts"),
        migration!("m20250101_000130_community_courses"),
        migration!("m20250101_000140_community_events"),
    ];
    // Triggers and full-text indexes, for which the databases differ in syntax.
    let rules = SqlMigration::new("m20250101_000150_community_rules", "", "")
        .only(
            DbBackend::Sqlite,
            include_str!("migrations/m20250101_000150_community_rules_sqlite.up.sql"),
            include_str!("migrations/m20250101_000150_community_rules_sqlite.down.sql"),
        )
        .only(
            DbBackend::Postgres,
            include_str!("migrations/m20250101_000150_community_rules_postgres.up.sql"),
            include_str!("migrations/m20250101_000150_community_rules_postgres.down.sql"),
        );
    let mut all: Vec<Box<dyn MigrationTrait>> = Vec::new();
    for table in tables {
        all.push(Box::new(table.with("users", host.users)));
    }
    all.push(Box::new(rules));
    all.push(Box::new(migration!("m20250101_000160_community_invite_email")));
    all
}

/// The tables of this crate beside a foreign user table.
#[cfg(test)]
pub(crate) fn with_people_table() -> Vec<Box<dyn MigrationTrait>> {
    let up = "CREATE TABLE people (id {id}, name text);";
    let people = SqlMigration::new("m20240101_000000_people", up, "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(guildhall_kernel::migrations(&HostTables { users: "people" }));
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

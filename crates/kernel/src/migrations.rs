use sea_orm::DbBackend;
use sea_orm_migration::MigrationTrait;

use crate::{HostTables, db::SqlMigration};

/// The kernel's own tables, with foreign keys to the host's user table.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    let kernel = SqlMigration::new(
        "m20250101_000010_kernel",
        include_str!("migrations/m20250101_000010_kernel.up.sql"),
        include_str!("migrations/m20250101_000010_kernel.down.sql"),
    )
    .only(DbBackend::Sqlite, include_str!("migrations/m20250101_000010_kernel_append_only_sqlite.up.sql"), "")
    .only(
        DbBackend::Postgres,
        include_str!("migrations/m20250101_000010_kernel_append_only_postgres.up.sql"),
        include_str!("migrations/m20250101_000010_kernel_append_only_postgres.down.sql"),
    );
    let objects = SqlMigration::new(
        "m20250101_000040_kernel_objects",
        include_str!("migrations/m20250101_000040_kernel_objects.up.sql"),
        include_str!("migrations/m20250101_000040_kernel_objects.down.sql"),
    )
    .only(
        DbBackend::Sqlite,
        include_str!("migrations/m20250101_000040_kernel_objects_append_only_sqlite.up.sql"),
        include_str!("migrations/m20250101_000040_kernel_objects_append_only_sqlite.down.sql"),
    )
    .only(
        DbBackend::Postgres,
        include_str!("migrations/m20250101_000040_kernel_objects_append_only_postgres.up.sql"),
        include_str!("migrations/m20250101_000040_kernel_objects_append_only_postgres.down.sql"),
    );
    let channels = SqlMigration::new(
        "m20250101_000050_kernel_channels",
        include_str!("migrations/m20250101_000050_kernel_channels.up.sql"),
        include_str!("migrations/m20250101_000050_kernel_channels.down.sql"),
    );
    let usage = SqlMigration::new(
        "m20250101_000060_kernel_usage",
        include_str!("migrations/m20250101_000060_kernel_usage.up.sql"),
        include_str!("migrations/m20250101_000060_kernel_usage.down.sql"),
    );
    let events = SqlMigration::new(
        "m20250101_000070_kernel_events",
        include_str!("migrations/m20250101_000070_kernel_events.up.sql"),
        include_str!("migrations/m20250101_000070_kernel_events.down.sql"),
    );
    vec![
        Box::new(kernel.with("users", host.users)),
        Box::new(objects.with("users", host.users)),
        Box::new(channels),
        Box::new(usage.with("users", host.users)),
        Box::new(events),
    ]
}

/// The kernel's migrations after one that creates a user table of the host.
#[cfg(all(test, feature = "testing"))]
pub(crate) fn with_host_table() -> Vec<Box<dyn MigrationTrait>> {
    let people = SqlMigration::new(
        "m20240101_000000_people",
        "CREATE TABLE people (id {id}); INSERT INTO people DEFAULT VALUES; INSERT INTO people DEFAULT VALUES;",
        "DROP TABLE people;",
    );
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

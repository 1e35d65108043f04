use sea_orm_migration::MigrationTrait;

use crate::{HostTables, migration};

/// The kernel's own tables, with foreign keys to the host's user table.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000010_kernel", and_per_backend).with("users", host.users)),
        Box::new(migration!("m20250101_000040_kernel_objects", and_per_backend).with("users", host.users)),
        Box::new(migration!("m20250101_000050_kernel_channels")),
        Box::new(migration!("m20250101_000060_kernel_usage").with("users", host.users)),
        Box::new(migration!("m20250101_000070_kernel_events")),
        Box::new(migration!("m20250101_000080_kernel_table_version")),
        Box::new(migration!("m20250101_000090_kernel_event_due")),
        Box::new(migration!("m20250101_000100_kernel_outbox_unsent")),
    ]
}

/// The kernel's migrations after one that creates a user table of the host.
#[cfg(all(test, feature = "testing"))]
pub(crate) fn with_host_table() -> Vec<Box<dyn MigrationTrait>> {
    let people = crate::db::SqlMigration::new(
        "m20240101_000000_people",
        "CREATE TABLE people (id {id}); INSERT INTO people DEFAULT VALUES; INSERT INTO people DEFAULT VALUES;",
        "DROP TABLE people;",
    );
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

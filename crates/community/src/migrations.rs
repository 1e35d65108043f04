use guildhall_kernel::{HostTables, db::SqlMigration};
use sea_orm_migration::MigrationTrait;

/// The tables of this crate, with foreign keys to the host's user table.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    let groups = SqlMigration::new(
        "m20250101_000100_community_groups",
        include_str!("migrations/m20250101_000100_community_groups.up.sql"),
        include_str!("migrations/m20250101_000100_community_groups.down.sql"),
    );
    vec![Box::new(groups.with("users", host.users))]
}

/// The tables of this crate beside a user table that is not ours.
#[cfg(test)]
pub(crate) fn beside_people() -> Vec<Box<dyn MigrationTrait>> {
    let people = SqlMigration::new("m20240101_000000_people", "CREATE TABLE people (id {id});", "DROP TABLE people;");
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(migrations(&HostTables { users: "people" }));
    all
}

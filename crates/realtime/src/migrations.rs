use guildhall_kernel::{HostTables, migration};
use sea_orm_migration::MigrationTrait;

/// The tables of this crate, with foreign keys to the host's user table. The migrations of the kernel have to run first.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000400_realtime").with("users", host.users)),
        Box::new(migration!("m20250101_000410_realtime_epoch", and_per_backend)),
        Box::new(migration!("m20250101_000420_realtime_keys")),
        Box::new(migration!("m20250101_000430_realtime_erasure")),
        Box::new(migration!("m20250101_000440_realtime_followed", per_backend).with("users", host.users)),
        Box::new(migration!("m20250101_000450_realtime_locks")),
    ]
}

/// The tables of this crate beside a foreign user table.
#[cfg(test)]
pub(crate) fn with_people_table() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = guildhall_kernel::testing::migrations_with_people(3);
    all.extend(migrations(&guildhall_kernel::testing::PEOPLE));
    all
}

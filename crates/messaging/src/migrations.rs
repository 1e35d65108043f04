use guildhall_kernel::{HostTables, migration};
use sea_orm_migration::MigrationTrait;

/// The tables of this crate, with foreign keys to the host's user table. The migrations of the kernel, of
/// files and of realtime have to run first.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000500_messaging").with("users", host.users)),
        Box::new(migration!("m20250101_000510_messaging_search", per_backend)),
        Box::new(migration!("m20250101_000520_messaging_attachments", and_per_backend).with("users", host.users)),
        Box::new(migration!("m20250101_000521_messaging_link_previews")),
        Box::new(migration!("m20250101_000530_messaging_keys")),
        Box::new(migration!("m20250101_000540_messaging_words", per_backend)),
    ]
}

/// The tables of this crate beside a foreign user table.
#[cfg(test)]
pub(crate) fn with_people_table() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = guildhall_kernel::testing::migrations_with_people(3);
    all.extend(guildhall_files::migrations());
    all.extend(guildhall_realtime::migrations(&guildhall_kernel::testing::PEOPLE));
    all.extend(migrations(&guildhall_kernel::testing::PEOPLE));
    all
}

use guildhall_kernel::{HostTables, migration};
use sea_orm_migration::MigrationTrait;

/// The migrations of this crate, with foreign keys to the host's user table. The migrations of the kernel and of files
/// have to run first.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000200_deals_organizations").with("users", host.users)),
        Box::new(migration!("m20250101_000210_deals_clients").with("users", host.users)),
        Box::new(migration!("m20250101_000220_deals_deals").with("users", host.users)),
        Box::new(migration!("m20250101_000230_deals_payments").with("users", host.users)),
        Box::new(migration!("m20250101_000240_deals_rules", per_backend)),
        Box::new(migration!("m20250101_000250_deals_work")),
        Box::new(migration!("m20250101_000260_deals_imports")),
        Box::new(migration!("m20250101_000270_deals_custom")),
        Box::new(migration!("m20250101_000280_deals_lines")),
        Box::new(migration!("m20250101_000281_deals_files_gone", per_backend)),
        Box::new(migration!("m20250101_000290_deals_webhooks")),
        Box::new(migration!("m20250101_000300_deals_rollups", and_per_backend)),
        Box::new(migration!("m20250101_000310_deals_contact_words", and_per_backend)),
        Box::new(migration!("m20250101_000320_deals_imports_kept")),
        Box::new(migration!("m20250101_000330_deals_listed")),
        Box::new(migration!("m20250101_000340_deals_versions", per_backend)),
        Box::new(migration!("m20250101_000350_deals_due_tasks")),
    ]
}

/// The migrations of this crate in a host with a user table of its own, for tests.
#[cfg(test)]
pub(crate) fn with_host_users() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = guildhall_kernel::testing::migrations_with_people(0);
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&guildhall_kernel::testing::PEOPLE));
    all
}

use guildhall_kernel::migration;
use sea_orm_migration::MigrationTrait;

/// The migrations of this crate, including the user table. Run them together with the
/// [kernel's](guildhall_kernel::migrations).
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000000_accounts")),
        Box::new(migration!("m20250101_000020_accounts_security")),
        Box::new(migration!("m20250101_000090_accounts_versions", per_backend)),
    ]
}

/// The migrations of this crate and the kernel.
#[cfg(test)]
pub(crate) fn with_kernel() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations();
    all.extend(guildhall_kernel::migrations(&guildhall_kernel::HostTables { users: crate::USERS }));
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all
}

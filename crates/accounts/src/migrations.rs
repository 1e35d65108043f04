use guildhall_kernel::migration;
use sea_orm_migration::MigrationTrait;

/// The migrations of this crate, including the user table. Run them together with those of the
/// [kernel](guildhall_kernel::migrations) and of [files](guildhall_files::migrations).
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000000_accounts")),
        Box::new(migration!("m20250101_000020_accounts_security")),
        Box::new(migration!("m20250101_000090_accounts_versions", per_backend)),
        Box::new(migration!("m20250101_000100_accounts_user_count", and_per_backend)),
        Box::new(migration!("m20250101_000110_accounts_socket_tokens")),
        Box::new(migration!("m20250101_000120_accounts_pictures", and_per_backend)),
    ]
}

/// The migrations of this crate, the kernel and files.
#[cfg(test)]
pub(crate) fn all() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations();
    all.extend(guildhall_kernel::migrations(&guildhall_kernel::HostTables { users: crate::USERS }));
    all.extend(guildhall_files::migrations());
    all.sort_by(|a, b| a.name().cmp(b.name()));
    all
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_versioned;

    #[tokio::test]
    async fn kept_counts_notice_changes_of_all_columns_that_lists_are_filtered_by() {
        let except =
            ["public_id", "picture_id", "password_hash", "auth_epoch", "last_login", "created_at", "updated_at"];
        assert_versioned(crate::USERS, &except, super::all).await;
    }
}

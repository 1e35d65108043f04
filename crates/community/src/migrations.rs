use guildhall_kernel::{HostTables, migration};
use sea_orm_migration::MigrationTrait;

/// The tables of this crate, with foreign keys to the host's user table. The migrations of the kernel and of files have
/// to run first.
pub fn migrations(host: &HostTables) -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(migration!("m20250101_000100_community_groups").with("users", host.users)),
        Box::new(migration!("m20250101_000110_community_people").with("users", host.users)),
        Box::new(migration!("m20250101_000120_community_posts").with("users", host.users)),
        Box::new(migration!("m20250101_000130_community_courses").with("users", host.users)),
        Box::new(migration!("m20250101_000140_community_events").with("users", host.users)),
        Box::new(migration!("m20250101_000150_community_rules", per_backend)),
        Box::new(migration!("m20250101_000160_community_invite_email")),
        Box::new(migration!("m20250101_000170_community_versions", per_backend)),
    ]
}

/// The tables of this crate beside a foreign user table.
#[cfg(test)]
pub(crate) fn with_people_table() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = guildhall_kernel::testing::migrations_with_people(0);
    all.extend(guildhall_files::migrations());
    all.extend(migrations(&guildhall_kernel::testing::PEOPLE));
    all
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_versioned;

    use super::with_people_table;

    #[tokio::test]
    async fn kept_counts_notice_changes_of_all_columns_that_lists_are_filtered_by() {
        let except = ["updated_at", "post_count", "image_id", "banner_id"];
        assert_versioned("community_group", &except, with_people_table).await;
        let except = ["content_html", "comment_count", "reactions", "hot", "updated_at"];
        assert_versioned("community_post", &except, with_people_table).await;
    }
}

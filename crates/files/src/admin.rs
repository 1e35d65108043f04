//! The tables of this crate for the admin panel. The keys of files are not shown: whoever knows one can download it.

use guildhall_kernel::admin::Model;

use crate::entity::{file, garbage};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(file::Entity, "file")
            .without(&["key", "variants"])
            .list(&["content_type", "size", "created_at"])
            .filters(&["content_type", "created_at"]),
        Model::new(garbage::Entity, "deleted file").without(&["variants"]).list(&["key", "due_at"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("files_", crate::testing::all_migrations, admin()).await;
    }
}

//! The tables of this crate, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items")]

pub(crate) mod file;
pub(crate) mod garbage;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![table(file::Entity), table(garbage::Entity)];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("files_", tables, crate::testing::all_migrations, snapshots).await;
    }
}

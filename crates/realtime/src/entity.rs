//! The tables of this crate, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items")]

/// Read and written by SQL.
pub(crate) mod epoch;
pub(crate) mod event;
pub(crate) mod stream;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![table(epoch::Entity), table(stream::Entity), table(event::Entity)];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("realtime_", tables, crate::migrations::with_people_table, snapshots).await;
    }
}

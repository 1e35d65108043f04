//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM makes public items beside the structs")]

pub(crate) mod group;
pub(crate) mod membership;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::beside_people;

    #[tokio::test]
    async fn the_migrations_make_what_the_entities_describe() {
        let tables = vec![table(group::Entity), table(membership::Entity)];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("community_", tables, beside_people, snapshots).await;
    }
}

//! The kernel's own tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items")]

pub(crate) mod audit_event;
pub(crate) mod event;
pub(crate) mod event_delivery;
pub(crate) mod idempotency_key;
pub(crate) mod job;
pub(crate) mod outbox;
pub(crate) mod secret;
pub(crate) mod table_version;
pub(crate) mod usage;

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::{assert_no_drift, table};

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![
            table(audit_event::Entity),
            table(event::Entity),
            table(event_delivery::Entity),
            table(idempotency_key::Entity),
            table(job::Entity),
            table(outbox::Entity),
            table(secret::Entity),
            table(table_version::Entity),
            table(usage::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("kernel_", tables, crate::migrations::with_host_table, snapshots).await;
    }
}

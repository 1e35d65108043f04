//! The tables of this crate for the admin panel.

use super::Model;
use crate::entity::{audit_event, event, event_delivery, idempotency_key, job, outbox, secret, table_version, usage};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(audit_event::Entity, "audit log entry")
            .list(&["action", "actor_label", "subject_label", "outcome", "object", "ip", "at"])
            .search(&["action", "actor_label", "subject_label", "object"])
            .filters(&["actor_id", "subject_id", "action", "outcome", "object", "request_id", "at"])
            .log(),
        Model::new(job::Entity, "job").list(&["name", "last_run_at", "next_at", "last_error"]),
        // The content is left out: emails contain links that sign people in.
        Model::new(outbox::Entity, "outgoing message")
            .without(&["payload"])
            .list(&["title", "channel", "recipient", "attempts", "created_at", "next_at", "sent_at", "last_error"])
            .search(&["title", "recipient"])
            .filters(&["channel", "user_id", "created_at"])
            .log(),
        // What has happened is described elsewhere; the payloads contain texts.
        Model::new(event::Entity, "event")
            .without(&["payload"])
            .list(&["name", "aggregate", "at"])
            .search(&["name", "aggregate"])
            .filters(&["name", "at"])
            .log(),
        Model::new(event_delivery::Entity, "delivery of an event")
            .list(&["subscriber", "event_id", "attempts", "next_at", "last_error"])
            .filters(&["subscriber"]),
        Model::new(idempotency_key::Entity, "idempotency key")
            .without(&["fingerprint", "answer"])
            .list(&["user_id", "scope", "key", "created_at"])
            .filters(&["user_id"]),
        Model::new(secret::Entity, "secret of the server").without(&["value"]).list(&["name", "created_at"]),
        Model::new(table_version::Entity, "version of a table").list(&["name", "version"]),
        Model::new(usage::Entity, "usage")
            .moments(&["since"])
            .list(&["user_id", "kind", "since", "amount"])
            .filters(&["user_id", "kind"]),
    ]
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{migrations::with_host_table, testing::assert_tables_described};

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("kernel_", with_host_table, admin()).await;
    }
}

//! The tables of this crate for the admin panel.

use guildhall_kernel::admin::Model;

use crate::entity::{actor, due, notification, preference, queue, settings, subscription};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(notification::Entity, "notification")
            .list(&["recipient_id", "kind", "actor_id", "actor_count", "subject", "read_at", "updated_at"])
            .filters(&["recipient_id", "kind", "actor_id"]),
        Model::new(actor::Entity, "notification actor").list(&["notification_id", "user_id"]).filters(&["user_id"]),
        Model::new(queue::Entity, "queued notification")
            .list(&["recipient_id", "kind", "event_id", "attempts", "next_at", "created_at"])
            .filters(&["recipient_id", "kind"]),
        Model::new(due::Entity, "due email or push")
            .list(&["recipient_id", "channel", "kind", "due_at"])
            .filters(&["recipient_id", "channel"]),
        Model::new(preference::Entity, "notification preference")
            .list(&["user_id", "kind", "channel", "is_on"])
            .filters(&["user_id", "kind"])
            .editable(&["is_on"])
            .deletable(),
        Model::new(settings::Entity, "notification settings")
            .list(&["user_id", "sends_emails", "digest", "time_zone", "updated_at"])
            .filters(&["user_id", "digest"]),
        // Whoever knows its address and keys can send notifications to the browser.
        Model::new(subscription::Entity, "push subscription")
            .without(&["endpoint", "p256dh", "auth"])
            .list(&["user_id", "created_at", "failed_at"])
            .filters(&["user_id"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("notifications_", with_people_table, admin()).await;
    }
}

//! The tables of the admin panel, and the health that it shows.

use std::sync::Arc;

use async_trait::async_trait;
use guildhall_admin::{AdminState, Health, HealthPart, Registry, SqlPanel, TableWrites};
use guildhall_kernel::{Clock, Db};

use crate::health::Checks;

/// The tables of all crates.
pub(crate) fn registry() -> Registry {
    Registry::default()
        .with("accounts", guildhall_accounts::admin())
        .with("community", guildhall_community::admin())
        .with("deals", guildhall_deals::admin())
        .with("messaging", guildhall_messaging::admin())
        .with("chat", guildhall_chat::admin())
        .with("notifications", guildhall_notifications::admin())
        .with("realtime", guildhall_realtime::admin())
        .with("files", guildhall_files::admin())
        .with("kernel", guildhall_kernel::admin::admin())
}

/// The admin panel on a database.
pub(crate) fn state(db: &Db, writes: Vec<Arc<dyn TableWrites>>, health: ServerHealth) -> AdminState {
    let panel = SqlPanel::new(db.clone(), Clock::system(), registry(), writes);
    AdminState::new(&panel, Arc::new(health))
}

/// The health of the server, as its endpoint reports it.
pub(crate) struct ServerHealth {
    pub(crate) checks: Checks,
    pub(crate) db: Db,
    pub(crate) streams: guildhall_realtime::Streams,
    pub(crate) has_mailer: bool,
}

#[async_trait]
impl Health for ServerHealth {
    async fn health(&self) -> Vec<HealthPart> {
        let (database, migrations) = self.checks.database(&self.db).await;
        vec![
            HealthPart { name: "database", state: database },
            HealthPart { name: "migrations", state: migrations },
            HealthPart { name: "bus", state: if self.streams.is_connected() { "ok" } else { "degraded" } },
            HealthPart { name: "mail", state: if self.has_mailer { "ok" } else { "unset" } },
        ]
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use guildhall_kernel::{
        admin::Kind,
        db::{self, Sql},
        testing::TestDb,
    };

    use super::registry;

    const TABLES: Sql = Sql::per_backend(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name",
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
    );
    /// What a name of a column with a secret contains.
    const SECRET: [&str; 10] =
        ["password", "hash", "sha256", "secret", "token", "seed", "salt", "key", "p256dh", "payload"];
    /// Columns with such a name that contain none: keys that are names or normalized texts, ids, and positions.
    const HARMLESS: [&str; 31] = [
        "accounts_one_time_token.user_token_id",
        "chat_event.hash",
        "chat_room.last_hash",
        "community_group.name_key",
        "community_invite.email_key",
        "deals_client.name_key",
        "deals_client.email_key",
        "deals_client.phone_key",
        "deals_custom_field.key",
        "deals_deal.close_key",
        "deals_organization.name_key",
        "deals_pipeline.name_key",
        "deals_role.key",
        "deals_role.name_key",
        "deals_stage.name_key",
        "deals_task.due_key",
        "deals_team.name_key",
        "deals_view.name_key",
        "deals_webhook.old_secret_until",
        "files_garbage.key",
        "kernel_idempotency_key.key",
        "kernel_outbox.recipient_key",
        "messaging_link_preview.key_id",
        "messaging_member.draft_key_id",
        "messaging_message.key_id",
        "messaging_revision.key_id",
        "notifications_notification.group_key",
        "notifications_queue.group_key",
        "realtime_event.key_id",
        "users.email_key",
        "users.username_key",
    ];

    #[tokio::test]
    async fn each_table_of_the_database_is_in_the_panel_once() {
        let database = TestDb::new(guildhall_migration::all).await;
        let mut tables = db::scalars::<String>(database.conn(), TABLES, []).await.unwrap();
        // Written by the library for migrations, and by SQLite.
        tables.retain(|table| table != "seaql_migrations" && !table.starts_with("sqlite_"));
        let registry = registry();
        let mut described: Vec<String> = registry.models().map(|model| model.table.clone()).collect();
        described.sort();
        tables.sort();
        assert_eq!(described, tables);
    }

    #[test]
    fn no_secret_is_in_the_panel() {
        let registry = registry();
        let harmless: BTreeSet<&str> = HARMLESS.into_iter().collect();
        let shown = registry.models().flat_map(|model| {
            model.columns.iter().map(|column| (format!("{}.{}", model.table, column.name), column.kind))
        });
        let suspicious = shown.filter(|(name, _)| {
            let (_, column) = name.split_once('.').unwrap();
            SECRET.iter().any(|word| column.contains(word)) && !harmless.contains(name.as_str())
        });
        assert_eq!(suspicious.collect::<Vec<(String, Kind)>>(), []);
    }
}

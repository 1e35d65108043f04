//! The tables of this crate in the admin panel.

use guildhall_kernel::admin::Model;

use crate::entity::{
    activity, client, commission, contact, counter, custom_field, custom_value, deal, deal_file, deletion, delivery,
    import, line, member, merged_client, organization, payment, pipeline, revenue, role, rollup, stage, stage_change,
    task, team, view, webhook,
};

/// Describes all tables of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(organization::Entity, "organization")
            .list(&["name", "slug", "is_test", "default_currency", "created_at"])
            .search(&["name_key", "slug"])
            .filters(&["is_test", "created_at"])
            .guarded(),
        Model::new(counter::Entity, "counter").list(&["org_id", "kind", "next"]),
        Model::new(role::Entity, "role").list(&["org_id", "name", "key"]).filters(&["org_id"]),
        Model::new(team::Entity, "team").list(&["org_id", "name", "parent_id"]).filters(&["org_id"]),
        Model::new(member::Entity, "member")
            .list(&["org_id", "user_id", "role_id", "team_id", "status"])
            .filters(&["org_id", "user_id", "status"]),
        Model::new(client::Entity, "client")
            .list(&["name", "org_id", "email", "owner_id", "deleted_at", "created_at"])
            .search(&["name_key"])
            .filters(&["org_id", "owner_id"]),
        Model::new(contact::Entity, "contact")
            .list(&["first_name", "last_name", "client_id", "email"])
            .filters(&["org_id", "client_id"]),
        Model::new(pipeline::Entity, "pipeline").list(&["name", "org_id", "is_default"]).filters(&["org_id"]),
        Model::new(stage::Entity, "stage")
            .list(&["name", "pipeline_id", "kind", "probability", "position"])
            .filters(&["org_id", "pipeline_id"]),
        Model::new(deal::Entity, "deal")
            .list(&["code", "title", "org_id", "client_id", "status", "value_minor", "currency", "created_at"])
            .search(&["code", "title"])
            .filters(&["org_id", "client_id", "owner_id", "status", "currency"]),
        Model::new(stage_change::Entity, "stage change")
            .list(&["deal_id", "from_name", "to_name", "moved_by", "moved_at"])
            .filters(&["deal_id"]),
        Model::new(payment::Entity, "payment")
            .list(&["code", "deal_id", "kind", "amount_minor", "currency", "state", "received_on"])
            .filters(&["org_id", "deal_id", "state", "kind"]),
        Model::new(commission::Entity, "commission")
            .list(&["member_id", "deal_id", "amount_minor", "currency", "earned_on"])
            .filters(&["org_id", "member_id"]),
        Model::new(activity::Entity, "activity")
            .list(&["kind", "content", "client_id", "deal_id", "happened_at"])
            .filters(&["org_id", "client_id", "deal_id", "kind"]),
        Model::new(task::Entity, "task")
            .list(&["title", "assignee_id", "due_at", "done_at", "deal_id"])
            .search(&["title"])
            .filters(&["org_id", "assignee_id"]),
        Model::new(custom_field::Entity, "custom field")
            .list(&["key", "name", "entity", "kind", "org_id"])
            .filters(&["org_id", "entity"]),
        Model::new(custom_value::Entity, "custom field value")
            .list(&["field_id", "client_id", "deal_id", "text_value", "number_value"])
            .filters(&["org_id", "client_id", "deal_id"]),
        Model::new(view::Entity, "saved view").list(&["name", "entity", "member_id", "shared", "org_id"]).filters(&[
            "org_id",
            "member_id",
            "shared",
        ]),
        Model::new(line::Entity, "line item")
            .list(&["name", "deal_id", "quantity_micro", "unit_minor", "total_minor"])
            .filters(&["org_id", "deal_id"]),
        Model::new(deal_file::Entity, "deal file")
            .list(&["name", "deal_id", "payment_id", "content_type", "size", "added_by"])
            .filters(&["org_id", "deal_id"]),
        Model::new(webhook::Entity, "webhook")
            .without(&["secret", "old_secret"])
            .list(&["url", "is_active", "failing_since", "created_by", "org_id"])
            .filters(&["org_id", "is_active"]),
        Model::new(delivery::Entity, "webhook delivery")
            .list(&["event", "webhook_id", "status", "attempts", "response_status", "created_at"])
            .filters(&["org_id", "webhook_id", "status"]),
        Model::new(rollup::Entity, "stage total")
            .list(&["org_id", "stage_id", "currency", "month", "n"])
            .filters(&["org_id", "stage_id"]),
        Model::new(revenue::Entity, "daily revenue").list(&["org_id", "day", "currency", "n"]).filters(&["org_id"]),
        Model::new(merged_client::Entity, "merged client").list(&["org_id", "old_id", "client_id"]),
        Model::new(import::Entity, "import")
            .list(&["file_name", "kind", "status", "created", "failed", "org_id", "created_at"])
            .filters(&["org_id", "status"]),
        Model::new(deletion::Entity, "deletion")
            .list(&["label", "kind", "org_id", "deleted_by", "deleted_at"])
            .filters(&["org_id"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;
    use crate::migrations::with_host_users;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("deals_", with_host_users, admin()).await;
    }
}

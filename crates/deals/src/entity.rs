//! The entities, one module per table.
#![expect(unreachable_pub, reason = "SeaORM generates public items beside the structs")]

pub(crate) mod activity;
pub(crate) mod client;
pub(crate) mod commission;
pub(crate) mod contact;
pub(crate) mod counter;
pub(crate) mod custom_field;
pub(crate) mod custom_value;
pub(crate) mod deal;
pub(crate) mod deal_file;
pub(crate) mod deletion;
pub(crate) mod delivery;
pub(crate) mod import;
pub(crate) mod line;
pub(crate) mod member;
pub(crate) mod merged_client;
pub(crate) mod organization;
pub(crate) mod payment;
pub(crate) mod pipeline;
pub(crate) mod revenue;
pub(crate) mod role;
pub(crate) mod rollup;
pub(crate) mod stage;
pub(crate) mod stage_change;
pub(crate) mod task;
pub(crate) mod team;
pub(crate) mod view;
pub(crate) mod webhook;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::with_host_users;

    #[tokio::test]
    async fn the_migrations_match_the_entities() {
        let tables = vec![
            table(activity::Entity),
            table(client::Entity),
            table(commission::Entity),
            table(contact::Entity),
            table(counter::Entity),
            table(custom_field::Entity),
            table(custom_value::Entity),
            table(deal::Entity),
            table(deal_file::Entity),
            table(deletion::Entity),
            table(delivery::Entity),
            table(import::Entity),
            table(line::Entity),
            table(member::Entity),
            table(merged_client::Entity),
            table(organization::Entity),
            table(payment::Entity),
            table(pipeline::Entity),
            table(revenue::Entity),
            table(role::Entity),
            table(rollup::Entity),
            table(stage::Entity),
            table(stage_change::Entity),
            table(task::Entity),
            table(team::Entity),
            table(view::Entity),
            table(webhook::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("deals_", tables, with_host_users, snapshots).await;
    }
}

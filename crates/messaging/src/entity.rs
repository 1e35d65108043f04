//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items beside the structs")]

pub(crate) mod attachment;
pub(crate) mod block;
pub(crate) mod conversation;
pub(crate) mod hidden;
pub(crate) mod link_preview;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod message_type;
pub(crate) mod reaction;
pub(crate) mod revision;
pub(crate) mod settings;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn migrations_match_the_entities() {
        let tables = vec![
            table(attachment::Entity),
            table(block::Entity),
            table(conversation::Entity),
            table(hidden::Entity),
            table(link_preview::Entity),
            table(member::Entity),
            table(message::Entity),
            table(message_type::Entity),
            table(reaction::Entity),
            table(revision::Entity),
            table(settings::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("messaging_", tables, with_people_table, snapshots).await;
    }
}

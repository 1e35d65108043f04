//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items beside the structs")]

pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod host_connection;
pub(crate) mod join_request;
pub(crate) mod message;
pub(crate) mod participant;
pub(crate) mod pin;
pub(crate) mod reaction;
pub(crate) mod revision;
pub(crate) mod room;

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn migrations_match_the_entities() {
        let tables = vec![
            table(event::Entity),
            table(file::Entity),
            table(host_connection::Entity),
            table(join_request::Entity),
            table(message::Entity),
            table(participant::Entity),
            table(pin::Entity),
            table(reaction::Entity),
            table(revision::Entity),
            table(room::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("chat_", tables, with_people_table, snapshots).await;
    }
}

//! The tables of this crate for the admin panel. What the events contain is not shown there.

use guildhall_kernel::admin::Model;

use crate::entity::{epoch, event, stream};

/// Every table of this crate.
pub fn admin() -> Vec<Model> {
    vec![
        Model::new(stream::Entity, "stream").list(&["name", "last_seq", "epoch", "created_at"]).search(&["name"]).log(),
        Model::new(event::Entity, "event of a stream")
            .without(&["body"])
            .list(&["stream_id", "seq", "about", "at"])
            .filters(&["stream_id"]),
        Model::new(epoch::Entity, "epoch of the streams").list(&["id", "epoch", "deleted_streams"]),
    ]
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::assert_tables_described;

    use super::*;

    #[tokio::test]
    async fn every_table_is_described_once_and_with_known_columns() {
        assert_tables_described("realtime_", crate::migrations::with_people_table, admin()).await;
    }
}

//! The tables, one module each.
#![expect(unreachable_pub, reason = "SeaORM generates public items beside the structs")]

pub(crate) mod actor;
pub(crate) mod due;
pub(crate) mod notification;
pub(crate) mod preference;
pub(crate) mod queue;
pub(crate) mod settings;
pub(crate) mod subscription;

use crate::Target;

/// The target in the columns of a row.
fn target(kind: Option<&String>, id: Option<i64>, url: Option<&String>) -> Option<Target> {
    Some(Target { kind: kind?.clone(), id: id?, url: url?.clone() })
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::testing::{assert_no_drift, table};

    use super::*;
    use crate::migrations::with_people_table;

    #[tokio::test]
    async fn migrations_match_the_entities() {
        let tables = vec![
            table(actor::Entity),
            table(due::Entity),
            table(notification::Entity),
            table(preference::Entity),
            table(queue::Entity),
            table(settings::Entity),
            table(subscription::Entity),
        ];
        let snapshots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
        assert_no_drift("notifications_", tables, with_people_table, snapshots).await;
    }
}

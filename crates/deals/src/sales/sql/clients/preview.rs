//! Previews of the deletion of a client.

use std::collections::BTreeMap;

use guildhall_kernel::db;
use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    DeletionPreview, Error, Link, Node, Result,
    core::{access::Access, audit, to_u64},
    entity::client,
};

/// The rows that belong to a client, and when one of them last changed.
#[derive(FromQueryResult)]
struct Dependents {
    newest: i64,
    contacts: i64,
    deals: i64,
    payments: i64,
    commissions: i64,
    lines: i64,
    files: i64,
    stage_changes: i64,
    activities: i64,
    tasks: i64,
    custom_values: i64,
}

/// The deals of a client that meet another condition.
macro_rules! deals {
    ($condition:literal) => {
        concat!("(SELECT id FROM deals_deal WHERE org_id = $1 AND client_id = $2", $condition, ")")
    };
}

/// The dependents of a client, its deals and contacts among them only if they meet another condition.
macro_rules! dependents {
    ($condition:literal) => {
        concat!(
            "SELECT (SELECT MAX(at) FROM (SELECT updated_at AS at FROM deals_client WHERE org_id = $1 AND id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_deal WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_contact WHERE org_id = $1 AND client_id = $2 \
             UNION ALL SELECT MAX(updated_at) FROM deals_payment WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") changes) AS newest, (SELECT COUNT(*) FROM deals_contact WHERE org_id = $1 AND client_id = $2",
            $condition,
            ") AS contacts, (SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND client_id = $2",
            $condition,
            ") AS deals, (SELECT COUNT(*) FROM deals_payment WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") AS payments, (SELECT COUNT(*) FROM deals_commission WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") AS commissions, (SELECT COUNT(*) FROM deals_line WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") AS lines, (SELECT COUNT(*) FROM deals_file WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") AS files, (SELECT COUNT(*) FROM deals_stage_change WHERE org_id = $1 AND deal_id IN ",
            deals!($condition),
            ") AS stage_changes, (SELECT COUNT(*) FROM deals_activity \
             WHERE org_id = $1 AND client_id = $2 AND (deal_id IS NULL OR deal_id IN ",
            deals!($condition),
            ")) AS activities, (SELECT COUNT(*) FROM deals_task \
             WHERE org_id = $1 AND client_id = $2 AND (deal_id IS NULL OR deal_id IN ",
            deals!($condition),
            ")) AS tasks, (SELECT COUNT(*) FROM deals_custom_value \
             WHERE org_id = $1 AND (client_id = $2 OR deal_id IN ",
            deals!($condition),
            ")) AS custom_values"
        )
    };
}

const DEPENDENTS: &str = dependents!("");
/// Without the deals and contacts that are already in the trash.
const LIVE_DEPENDENTS: &str = dependents!(" AND deleted_at IS NULL");
const AUDIT_EVENTS: &str = "SELECT COUNT(*) FROM kernel_audit_event WHERE object = $1";

/// Previews what deleting a client removes. With `purge` this includes what is already in the trash.
pub(super) async fn preview(
    conn: &impl ConnectionTrait,
    access: &Access,
    row: &client::Model,
    purge: bool,
) -> Result<DeletionPreview> {
    let sql = if purge { DEPENDENTS } else { LIVE_DEPENDENTS };
    let found: Option<Dependents> = db::row(conn, sql, [access.org.id.into(), row.id.into()]).await?;
    let found = found.ok_or(Error::ClientNotFound(row.id))?;
    let relations = [
        ("client", "contact", "client_id", found.contacts),
        ("client", "deal", "client_id", found.deals),
        ("deal", "payment", "deal_id", found.payments),
        ("payment", "commission", "payment_id", found.commissions),
        ("deal", "line", "deal_id", found.lines),
        ("deal", "file", "deal_id", found.files),
        ("deal", "stage_change", "deal_id", found.stage_changes),
        ("client", "activity", "client_id", found.activities),
        ("client", "task", "client_id", found.tasks),
        ("client", "custom_value", "client_id", found.custom_values),
    ];
    // The token changes with the time of the last change and with each count.
    let mut token = format!("{}{:x}", if purge { "p" } else { "" }, found.newest);
    let (mut will_delete, mut graph) = (BTreeMap::from([("client", 1)]), Vec::new());
    for (from, to, via, count) in relations {
        let count = to_u64(count);
        token = format!("{token}-{count:x}");
        if count > 0 || ["contact", "deal", "payment"].contains(&to) {
            will_delete.insert(to, count);
            graph.push(Link { from, to, via, count });
        }
    }
    let object = audit::object(access, "client", row.id.0);
    let audit_events: i64 = db::scalar(conn, AUDIT_EVENTS, [object.into()]).await?.unwrap_or_default();
    Ok(DeletionPreview {
        root: Node { model: "client", id: row.id.0, label: row.name.clone() },
        will_delete,
        will_keep: BTreeMap::from([("audit", to_u64(audit_events))]),
        blockers: Vec::new(),
        graph,
        token,
    })
}

//! Deletions: what one operation moved to the trash.

use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, Set};

use crate::{
    ClientId, DeletedKind, DeletionId, Result,
    core::{Core, access::Access},
    entity::deletion,
};

/// Moves a client to the trash, with its deals and contacts that are not there yet.
const TRASH_CLIENT: [&str; 3] = [
    "UPDATE deals_deal SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
     WHERE org_id = $3 AND client_id = $4 AND deleted_at IS NULL",
    "UPDATE deals_contact SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
     WHERE org_id = $3 AND client_id = $4 AND deleted_at IS NULL",
    "UPDATE deals_client SET deleted_at = $1, deletion_id = $2, updated_at = $1 \
     WHERE org_id = $3 AND id = $4 AND deleted_at IS NULL",
];

/// The deals or contacts that a deletion moved to the trash, and those of its client that were deleted earlier.
macro_rules! purged {
    ($table:literal) => {
        concat!(
            "(SELECT id FROM ",
            $table,
            " WHERE org_id = $1 AND deletion_id = $2 UNION SELECT t.id FROM ",
            $table,
            " t JOIN deals_client c ON c.org_id = t.org_id AND c.id = t.client_id \
             WHERE c.org_id = $1 AND c.deletion_id = $2)"
        )
    };
}

/// Reversals and refunds, which refer to payments.
const PURGE_REVERSALS: &str =
    concat!("DELETE FROM deals_payment WHERE org_id = $1 AND of_id IS NOT NULL AND deal_id IN ", purged!("deals_deal"));
const PURGE_PAYMENTS: &str =
    concat!("DELETE FROM deals_payment WHERE org_id = $1 AND deal_id IN ", purged!("deals_deal"));
const PURGE_DEALS: &str = concat!("DELETE FROM deals_deal WHERE org_id = $1 AND id IN ", purged!("deals_deal"));
/// Removes purged contacts from the deals that remain.
const CLEAR_CONTACTS: &str = concat!(
    "UPDATE deals_deal SET contact_id = NULL, updated_at = $3 WHERE org_id = $1 AND contact_id IN ",
    purged!("deals_contact")
);
const PURGE_CONTACTS: &str =
    concat!("DELETE FROM deals_contact WHERE org_id = $1 AND id IN ", purged!("deals_contact"));
const PURGE_CLIENTS: &str = "DELETE FROM deals_client WHERE org_id = $1 AND deletion_id = $2";
/// Removes all deletions to which no row refers any more.
const REMOVE_UNUSED: &str = "DELETE FROM deals_deletion WHERE org_id = $1 \
     AND NOT EXISTS (SELECT 1 FROM deals_client c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_contact c WHERE c.org_id = $1 AND c.deletion_id = deals_deletion.id) \
     AND NOT EXISTS (SELECT 1 FROM deals_deal d WHERE d.org_id = $1 AND d.deletion_id = deals_deletion.id)";

impl Core {
    /// Creates a deletion, to which deleted rows refer.
    pub(super) async fn create_deletion(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        kind: DeletedKind,
        label: &str,
    ) -> Result<DeletionId> {
        let row = deletion::ActiveModel {
            id: NotSet,
            org_id: Set(access.org.id),
            kind: Set(kind),
            label: Set(label.to_owned()),
            deleted_by: Set(Some(access.member.id)),
            deleted_at: Set(self.now()),
        };
        Ok(row.insert(conn).await?.id)
    }

    /// Moves a client to the trash, with its deals and contacts that are not there yet.
    pub(super) async fn trash_client(
        &self,
        tx: &Tx,
        access: &Access,
        id: ClientId,
        deletion: DeletionId,
    ) -> Result<()> {
        for sql in TRASH_CLIENT {
            db::execute(&tx.deferred(), sql, [self.now().into(), deletion.into(), access.org.id.into(), id.into()])
                .await?;
        }
        Ok(())
    }

    /// Permanently removes what a deletion moved to the trash. With a client this includes its deals and contacts that
    /// were deleted earlier.
    pub(super) async fn purge_deletion(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        id: DeletionId,
    ) -> Result<()> {
        let values = || [access.org.id.into(), id.into()];
        let reversals = db::execute(tx, PURGE_REVERSALS, values()).await?;
        let payments = db::execute(tx, PURGE_PAYMENTS, values()).await?;
        let deals = db::execute(tx, PURGE_DEALS, values()).await?;
        db::execute(tx, CLEAR_CONTACTS, values().into_iter().chain([self.now().into()])).await?;
        let contacts = db::execute(tx, PURGE_CONTACTS, values()).await?;
        let clients = db::execute(tx, PURGE_CLIENTS, values()).await?;
        db::execute(tx, REMOVE_UNUSED, [access.org.id.into()]).await?;
        let detail = vec![
            ("payments", (reversals + payments).into()),
            ("deals", deals.into()),
            ("contacts", contacts.into()),
            ("clients", clients.into()),
        ];
        self.record(tx, (caller, access), "deals.purge", ("deletion", id.0), detail).await
    }
}

//! Changing clients.

use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};

use super::keys::derive;
use crate::{
    ClientPatch, MemberId, Result,
    core::{Core, access::Access, store::defer_changes},
    entity::client,
    event,
    permission::Permission,
    sales::sql::search_text,
};

/// Applies a change to the text fields of a client, and to the columns that are derived from them.
pub(crate) fn apply_patch(row: &mut client::Model, patch: &ClientPatch) {
    for (field, value) in [
        (&mut row.name, &patch.name),
        (&mut row.email, &patch.email),
        (&mut row.phone, &patch.phone),
        (&mut row.website, &patch.website),
        (&mut row.address, &patch.address),
        (&mut row.tax_id, &patch.tax_id),
        (&mut row.notes, &patch.notes),
    ] {
        if let Some(value) = value {
            value.trim().clone_into(field);
        }
    }
    derive(row);
}

/// Requires the permission to make a member the owner of a client.
pub(crate) fn may_reassign(access: &Access, row: &client::Model, owner: MemberId) -> Result<()> {
    if owner == row.owner_id {
        return Ok(());
    }
    access.may_with(Permission::ClientReassign, row.owner_id, row.created_by)?;
    access.may_reassign_to(Permission::ClientReassign, owner)
}

impl Core {
    /// Stores a changed client and its name in the search texts of its deals, records the change in the audit log and
    /// emits an event.
    pub(crate) async fn store_client(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        before: &client::Model,
        mut after: client::Model,
        action: &'static str,
    ) -> Result<client::Model> {
        after.updated_at = self.now();
        if after.email_key == before.email_key {
            defer_changes(tx, before, &after).await?;
        } else {
            // The email address may be taken.
            db::store_changes(tx, before, &after).await?;
        }
        search_text::rename_client(tx, before, &after).await?;
        self.record_changed(tx, (caller, access), action, before, &after).await?;
        event::client_updated(tx, before, &after).await?;
        Ok(after)
    }
}

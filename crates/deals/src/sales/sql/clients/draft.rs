//! New clients.

use guildhall_kernel::Timestamp;

use super::keys::derive;
use crate::{ClientId, MemberId, NewClient, core::access::Access, entity::client};

/// The row of a new client, without custom fields.
pub(crate) fn draft(access: &Access, new: &NewClient, owner: MemberId, now: Timestamp) -> client::Model {
    let mut row = client::Model {
        id: ClientId(0),
        org_id: access.org.id,
        name: new.name.trim().to_owned(),
        name_key: String::new(),
        email: new.email.trim().to_owned(),
        email_key: None,
        phone: new.phone.trim().to_owned(),
        phone_key: None,
        website: new.website.trim().to_owned(),
        address: new.address.clone(),
        tax_id: new.tax_id.trim().to_owned(),
        notes: new.notes.clone(),
        owner_id: owner,
        created_by: access.member.id,
        search_text: String::new(),
        archived_at: None,
        deleted_at: None,
        deletion_id: None,
        created_at: now,
        updated_at: now,
        import_id: None,
        custom: String::new(),
    };
    derive(&mut row);
    row
}

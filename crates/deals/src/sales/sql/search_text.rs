//! The folded text by which clients, contacts and deals are found.

use guildhall_kernel::{
    db::{self, Tx},
    text,
};

use crate::{
    Result,
    entity::{client, contact},
};

/// The search text of a client.
pub(crate) fn of_client(row: &client::Model) -> String {
    text::fold(&format!("{} {} {}", row.name, row.email, row.phone))
}

/// The search text of a contact.
pub(crate) fn of_contact(row: &contact::Model) -> String {
    text::fold(&format!("{} {} {} {}", row.first_name, row.last_name, row.email, row.phone))
}

/// The search text of a deal: title and number, and the client's name on a line of its own.
pub(crate) fn of_deal(title: &str, code: &str, client: &client::Model) -> String {
    format!("{} {}\n{}", text::fold(title), text::fold(code), client.name_key)
}

/// Replaces the name at the end of the search texts of a client's deals.
const RENAME_CLIENT: &str = "UPDATE deals_deal \
     SET search_text = substr(search_text, 1, length(search_text) - length($1)) || $2 \
     WHERE org_id = $3 AND client_id = $4";

/// Updates the search texts of a client's deals to its new name.
pub(crate) async fn rename_client(tx: &Tx, before: &client::Model, after: &client::Model) -> Result<()> {
    if after.name_key != before.name_key {
        let names = [before.name_key.clone().into(), after.name_key.clone().into()];
        let values = names.into_iter().chain([before.org_id.into(), before.id.into()]);
        db::execute(&tx.deferred(), RENAME_CLIENT, values).await?;
    }
    Ok(())
}

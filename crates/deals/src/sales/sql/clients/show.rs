//! Clients as the API shows them.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    Client, ClientId, CustomFieldTarget, Error, Result,
    core::{Core, People},
    custom::sql as custom,
    entity::{client, custom_field},
};

pub(super) fn show(row: client::Model, people: &People, fields: &[custom_field::Model]) -> Client {
    Client {
        id: row.id,
        name: row.name,
        email: row.email,
        phone: row.phone,
        website: row.website,
        address: row.address,
        tax_id: row.tax_id,
        notes: row.notes,
        owner: people.get(row.owner_id),
        created_by: people.get(row.created_by),
        custom: custom::values_by_key(&row.custom, fields),
        archived_at: row.archived_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The names of clients.
pub(crate) async fn names(
    conn: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = ClientId>,
) -> Result<HashMap<ClientId, String>> {
    let select = client::Entity::find()
        .select_only()
        .column(client::Column::Id)
        .column(client::Column::Name)
        .filter(client::COLUMN.id.is_in(ids));
    Ok(select.into_tuple::<(ClientId, String)>().all(conn).await?.into_iter().collect())
}

impl Core {
    /// Converts rows to clients. The number of statements does not depend on the number of rows.
    pub(crate) async fn show_clients(&self, rows: Vec<client::Model>) -> Result<Vec<Client>> {
        let pipeline = &self.db.conn().pipeline();
        let members = rows.iter().flat_map(|row| [row.owner_id, row.created_by]);
        let org = rows.first().map(|row| row.org_id);
        let stored = rows.iter().map(|row| &row.custom);
        let (people, fields) = tokio::try_join!(
            self.members_as_people(pipeline, members),
            custom::fields_for(pipeline, org, CustomFieldTarget::Client, stored),
        )?;
        Ok(rows.into_iter().map(|row| show(row, &people, &fields)).collect())
    }

    pub(crate) async fn show_client(&self, row: client::Model) -> Result<Client> {
        let id = row.id;
        self.show_clients(vec![row]).await?.pop().ok_or(Error::ClientNotFound(id))
    }
}

//! The clients of deals, which rows name. Those that do not exist yet are created.

use std::collections::{BTreeMap, HashMap, HashSet};

use guildhall_kernel::{Timestamp, db, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};

use super::DealRow;
use crate::{
    CustomFieldTarget, Error, ImportId, NewClient, OrganizationId, Result, SqlExchange,
    core::access::Access,
    custom::sql as custom,
    entity::client,
    exchange::{
        sql::imports::{
            CHUNK,
            row::{Context, RowCheck},
        },
        table::sheet::Sheet,
    },
    permission::Permission,
    sales::sql::clients::draft::draft,
};

/// The error of a client name that is not unique.
const AMBIGUOUS: &str = "Several clients have this name.";

/// The clients that a table of deals names.
pub(super) struct NamedClients {
    /// How many clients have a name, among those that the caller sees; without those that none has.
    counts: HashMap<String, i64>,
    /// Why no client can be created.
    cannot_create: Option<String>,
}

/// Why no client can be created for a deal: such a client has no values of custom fields.
async fn cannot_create(conn: &impl ConnectionTrait, org: OrganizationId) -> Result<Option<String>> {
    let fields = custom::fields_of(conn, org, CustomFieldTarget::Client).await?;
    let errors = custom::validate(&fields, None, &custom::CustomValues::new()).err();
    Ok(errors.map(|errors| {
        let fields: Vec<&str> = errors.keys().map(|name| name.trim_start_matches("custom.")).collect();
        format!("There is no such client, and a new one needs the custom fields: {}.", fields.join(", "))
    }))
}

impl NamedClients {
    /// Checks the client of a row.
    pub(super) fn check(&self, check: &mut RowCheck<'_>) {
        let name = text::fold(check.get("client"));
        match (self.counts.get(&name), &self.cannot_create) {
            (Some(2..), _) => check.errors.push(check.error("client", "ambiguous", AMBIGUOUS)),
            (None, Some(message)) if !name.is_empty() => {
                check.errors.push(check.error("client", "required", message));
            }
            _ => {}
        }
    }
}

impl SqlExchange {
    /// Looks up the clients that a table of deals names.
    pub(super) async fn named_clients(
        &self,
        access: &Access,
        sheet: &Sheet,
        context: &Context,
    ) -> Result<NamedClients> {
        let conn = self.core.db.conn();
        let names = sheet.rows.iter().map(|row| text::fold(RowCheck::new(row, sheet, context).get("client")));
        let names: HashSet<String> = names.filter(|name| !name.is_empty()).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut counts = HashMap::new();
        for names in names.chunks(CHUNK) {
            let query = access
                .clients()
                .select_only()
                .column(client::Column::NameKey)
                .column_as(client::Column::Id.count(), "count")
                .filter(client::COLUMN.name_key.is_in(names.iter().cloned()))
                .group_by(client::Column::NameKey);
            counts.extend(query.into_tuple::<(String, i64)>().all(conn).await?);
        }
        let cannot_create = if counts.len() < names.len() { cannot_create(conn, access.org.id).await? } else { None };
        Ok(NamedClients { counts, cannot_create })
    }
}

/// The clients of a chunk of deals, by folded name. Those that do not exist yet are created.
pub(super) async fn clients_of(
    conn: &impl ConnectionTrait,
    access: &Access,
    import: ImportId,
    rows: &[DealRow],
    now: Timestamp,
) -> Result<HashMap<String, client::Model>> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for row in rows {
        // A new client has the spelling of its first row.
        names.entry(text::fold(&row.client)).or_insert(&row.client);
    }
    let known = access.clients().filter(client::COLUMN.name_key.is_in(names.keys().cloned()));
    db::lock_rows(conn, || known.clone().order_by_asc(client::Column::Id), LockType::NoKeyUpdate).await?;
    let mut clients = HashMap::new();
    for row in known.all(conn).await? {
        // Another client of this name may have been created since the check.
        if clients.insert(row.name_key.clone(), row).is_some() {
            return Err(Error::field("client", AMBIGUOUS));
        }
    }
    names.retain(|key, _| !clients.contains_key(key));
    if names.is_empty() {
        return Ok(clients);
    }
    access.may(Permission::ClientCreate)?;
    // A client may have been deleted since the check, or a field may have become required.
    if let Some(message) = cannot_create(conn, access.org.id).await? {
        return Err(Error::field("client", message));
    }
    for (key, name) in names {
        let new = NewClient { name: name.to_owned(), ..NewClient::default() };
        let row = client::Model { import_id: Some(import), ..draft(access, &new, access.member.id, now) };
        let row = client::ActiveModel { id: NotSet, ..row.into() }.reset_all().insert(conn).await?;
        clients.insert(key, row);
    }
    Ok(clients)
}

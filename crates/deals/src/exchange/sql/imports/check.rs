//! Checking a table before anything is stored.

use std::collections::HashMap;

use guildhall_kernel::text;

use super::{
    clients::ClientRow,
    deals::DealRow,
    owners::{Owner, Owners},
    row::{Checked, Context},
};
use crate::{
    CustomFieldTarget, Error, ImportKind, NewImport, Result, SqlExchange,
    core::access::Access,
    custom::sql as custom,
    entity::custom_field,
    exchange::{
        sql::exports::{CLIENT_COLUMNS, DEAL_COLUMNS, headings},
        table::sheet::Sheet,
    },
};

/// The rows to be stored.
pub(super) enum Rows {
    Deals(Vec<DealRow>),
    Clients(Vec<ClientRow>),
}

/// A part of the rows, to be stored in one transaction.
#[derive(Clone, Copy)]
pub(super) enum Chunk<'a> {
    Deals(&'a [DealRow]),
    Clients(&'a [ClientRow]),
}

impl Rows {
    /// The rows in chunks of this size.
    pub(super) fn chunks(&self, size: usize) -> Vec<Chunk<'_>> {
        match self {
            Self::Deals(rows) => rows.chunks(size).map(Chunk::Deals).collect(),
            Self::Clients(rows) => rows.chunks(size).map(Chunk::Clients).collect(),
        }
    }
}

impl Chunk<'_> {
    /// The owners that its rows name.
    pub(super) fn owners(&self) -> Vec<&Owner> {
        match self {
            Self::Deals(rows) => rows.iter().filter_map(|row| row.owner.as_ref()).collect(),
            Self::Clients(rows) => rows.iter().filter_map(|row| row.owner.as_ref()).collect(),
        }
    }

    /// How many of its rows create something, and how many update it.
    pub(super) fn counts(&self) -> (i64, i64) {
        let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        match self {
            Self::Deals(rows) => (count(rows.len()), 0),
            Self::Clients(rows) => {
                let updated = rows.iter().filter(|row| row.existing.is_some()).count();
                (count(rows.len() - updated), count(updated))
            }
        }
    }
}

/// The column of each field, by the mapping or else by its heading.
fn columns(new: &NewImport, sheet: &Sheet, fields: &[custom_field::Model]) -> Result<HashMap<String, usize>> {
    let columns: &[&str] = match new.kind {
        ImportKind::Deals => &DEAL_COLUMNS,
        ImportKind::Clients => &CLIENT_COLUMNS,
    };
    let known = headings(columns, fields);
    let mut columns = HashMap::new();
    for (column, heading) in sheet.headings.iter().enumerate() {
        let field = match new.mapping.get(heading) {
            Some(field) if field.is_empty() => continue,
            Some(field) if known.contains(field) => field.clone(),
            Some(field) => {
                let message = format!("Unknown field {field}. Choose from: {}.", known.join(", "));
                return Err(Error::field("mapping", message));
            }
            None => text::fold(heading).replace([' ', '-'], "_"),
        };
        if known.contains(&field) && columns.insert(field.clone(), column).is_some() {
            return Err(Error::field("mapping", format!("Two columns hold the field {field}.")));
        }
    }
    if let Some(unknown) = new.mapping.keys().find(|heading| !sheet.headings.contains(heading)) {
        return Err(Error::field("mapping", format!("There is no column {unknown}.")));
    }
    let required: &[&str] = match new.kind {
        ImportKind::Deals => &["title", "client"],
        ImportKind::Clients => &["name"],
    };
    match required.iter().find(|field| !columns.contains_key(**field)) {
        Some(field) => Err(Error::field("mapping", format!("A column for {field} is required."))),
        None => Ok(columns),
    }
}

impl SqlExchange {
    /// Checks a whole table without storing anything.
    pub(super) async fn check(&self, access: &Access, new: &NewImport, sheet: &Sheet) -> Result<Checked<Rows>> {
        let target = match new.kind {
            ImportKind::Deals => CustomFieldTarget::Deal,
            ImportKind::Clients => CustomFieldTarget::Client,
        };
        let fields = custom::fields_of(self.core.db.conn(), access.org.id, target).await?;
        let columns = columns(new, sheet, &fields)?;
        let owners = match columns.get("owner").and_then(|column| sheet.headings.get(*column)) {
            Some(heading) => self.possible_owners(access, heading).await?,
            None => Owners::default(),
        };
        let context = Context { columns, fields, owners };
        match new.kind {
            ImportKind::Deals => Ok(self.check_deals(access, new, sheet, &context).await?.map(Rows::Deals)),
            ImportKind::Clients => Ok(self.check_clients(access, new, sheet, &context).await?.map(Rows::Clients)),
        }
    }
}

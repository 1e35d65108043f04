//! The imports that a caller may see, and how the API shows them.

use futures_util::stream;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::{
    Error, Import, ImportError, ImportId, ImportKind, Node, Result, SqlExchange, Table,
    core::access::Access,
    entity::{client, deal, import},
    exchange::table::csv,
    permission::Permission,
};

/// How many errors or kept rows a response has at most.
const MAX_SHOWN: usize = 100;

/// The imports that the caller may see: their own, and those of members whose rows they see.
pub(super) fn visible_imports(access: &Access) -> Select<import::Entity> {
    let of_kind = |kind: ImportKind, permission: Permission| {
        let condition = Condition::all().add(import::COLUMN.kind.eq(kind));
        match access.members_in_scope(permission) {
            None => condition,
            Some(members) => condition.add(import::COLUMN.created_by.is_in(members)),
        }
    };
    let visible = Condition::any()
        .add(import::COLUMN.created_by.eq(access.member.id))
        .add(of_kind(ImportKind::Deals, Permission::DealRead))
        .add(of_kind(ImportKind::Clients, Permission::ClientRead));
    import::Entity::find().filter(import::COLUMN.org_id.eq(access.org.id)).filter(visible)
}

/// Import errors as a table.
pub(super) fn table_of_errors(errors: &[ImportError]) -> Table {
    let headings = vec!["line", "column", "field", "value", "code", "message"];
    let headings = headings.into_iter().map(str::to_owned).collect();
    let row = |error: &ImportError| {
        vec![
            error.line.to_string(),
            error.column.clone(),
            error.field.clone(),
            error.value.clone(),
            error.code.clone(),
            error.message.clone(),
        ]
    };
    let bytes = csv::write(std::iter::once(headings).chain(errors.iter().map(row)));
    Box::pin(stream::iter([bytes]))
}

impl SqlExchange {
    /// Converts rows to imports, without the rows that a revert kept.
    pub(super) async fn show_imports(&self, rows: Vec<import::Model>) -> Result<Vec<Import>> {
        let people = self.core.members_as_people(self.core.db.conn(), rows.iter().map(|row| row.created_by)).await?;
        let show = |row: import::Model| {
            let mut errors: Vec<ImportError> = serde_json::from_str(&row.errors).unwrap_or_default();
            errors.truncate(MAX_SHOWN);
            Import {
                id: row.id,
                kind: row.kind,
                file_name: row.file_name,
                status: row.status,
                total: row.total,
                created: row.created,
                updated: row.updated,
                skipped: row.skipped,
                failed: row.failed,
                // Negative while the import is being reverted.
                kept: row.kept.max(0),
                kept_rows: Vec::new(),
                errors,
                created_by: people.get(row.created_by),
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    /// An import with the rows that its revert kept, as far as the caller may see them.
    pub(super) async fn show_import(&self, access: &Access, row: import::Model) -> Result<Import> {
        let conn = self.core.db.conn();
        let (id, has_kept) = (row.id, row.kept > 0);
        let mut shown = self.show_imports(vec![row]).await?.pop().ok_or(Error::NotFound("import"))?;
        if has_kept {
            let deals = access.deals().filter(deal::COLUMN.import_id.eq(id)).order_by_asc(deal::Column::Id);
            let clients = access.clients().filter(client::COLUMN.import_id.eq(id)).order_by_asc(client::Column::Id);
            let deal =
                |row: deal::Model| Node { model: "deal", id: row.id.0, label: format!("{} - {}", row.code, row.title) };
            let client = |row: client::Model| Node { model: "client", id: row.id.0, label: row.name };
            let deals = deals.limit(MAX_SHOWN as u64).all(conn).await?.into_iter().map(deal);
            let clients = clients.limit(MAX_SHOWN as u64).all(conn).await?.into_iter().map(client);
            shown.kept_rows = deals.chain(clients).take(MAX_SHOWN).collect();
        }
        Ok(shown)
    }

    /// The row of an import that the caller may see.
    pub(super) async fn import_row(&self, access: &Access, id: ImportId) -> Result<import::Model> {
        let query = visible_imports(access).filter(import::COLUMN.id.eq(id));
        query.one(self.core.db.conn()).await?.ok_or(Error::NotFound("import"))
    }
}

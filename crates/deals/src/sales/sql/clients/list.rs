//! Filters of the list of clients.

use guildhall_kernel::{Ordering, Page, PageQuery, PageTemplate};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, Select};

use super::keys::email_key;
use crate::{
    CustomFieldTarget, Filter, Result,
    core::{Core, Field, ValueKind, access::Access, scope::RowScope},
    custom::sql as custom,
    entity::client,
    permission::Permission,
    sales::sql::list_filters,
};

const FIELDS: [Field<client::Column>; 3] = [
    Field { name: "id", column: client::Column::Id, kind: ValueKind::Number },
    Field { name: "created_at", column: client::Column::CreatedAt, kind: ValueKind::Timestamp },
    Field { name: "updated_at", column: client::Column::UpdatedAt, kind: ValueKind::Timestamp },
];

const ORDERING: Ordering<'static, client::Column> = Ordering {
    fields: &[
        ("id", client::Column::Id),
        ("name", client::Column::NameKey),
        ("created_at", client::Column::CreatedAt),
        ("updated_at", client::Column::UpdatedAt),
    ],
    default: "-id",
    id: client::Column::Id,
};

/// The list without filters.
static ALL_CLIENTS: PageTemplate<RowScope, client::Model, client::Entity> =
    PageTemplate::new(ORDERING, |scope: &RowScope, ids| {
        scope.clients(ids).filter(client::COLUMN.archived_at.is_null())
    });

impl Core {
    /// One page of the clients that the caller may see and that match a filter.
    pub(super) async fn page_of_clients(
        &self,
        access: &Access,
        filter: &Filter,
        page: &PageQuery,
    ) -> Result<Page<client::Model>> {
        let conn = self.db.conn();
        if !filter.is_empty() {
            let select = self.filtered_clients(conn, access, filter).await?;
            return Ok(Page::fetch(select, &ORDERING, page, conn).await?);
        }
        access.may(Permission::ClientRead)?;
        let (scope, ids) = access.row_scope(Permission::ClientRead);
        Ok(Page::fetch_template(&ALL_CLIENTS, (&scope, &ids), page, conn).await?)
    }

    /// The clients that the caller may see and that match a filter.
    pub(crate) async fn filtered_clients(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        filter: &Filter,
    ) -> Result<Select<client::Entity>> {
        access.may(Permission::ClientRead)?;
        let condition = filter.condition(&FIELDS, &["q", "search", "owner", "archived", "email", custom::PREFIX])?;
        let custom = custom::condition(conn, access, CustomFieldTarget::Client, client::Column::Id, filter).await?;
        let select = access.clients().filter(condition).filter(custom);
        let mut select = filter.archived(select, client::Column::ArchivedAt)?;
        if let Some(query) = list_filters::query(filter) {
            select = self.apply_search(select, client::Column::Id, "deals_client", query).await?;
        }
        if let Some(email) = filter.get("email") {
            select = select.filter(client::COLUMN.email_key.eq(email_key(email)));
        }
        if let Some(owner) = list_filters::owner(conn, access, filter).await? {
            select = select.filter(client::COLUMN.owner_id.eq(owner));
        }
        Ok(select)
    }
}

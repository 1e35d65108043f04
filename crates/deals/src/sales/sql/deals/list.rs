//! Filters of the list of deals.

use futures_util::future::OptionFuture;
use guildhall_kernel::{Ordering, Page, PageQuery, PageTemplate};
use sea_orm::{ColumnTrait, QueryFilter, Select};

use crate::{
    ClientId, CustomFieldTarget, Filter, Result,
    core::{Core, Field, ValueKind, access::Access, rollups::deal_count, scope::RowScope},
    custom::sql as custom,
    entity::deal,
    permission::Permission,
    sales::sql::{list_filters, stages::lookup::find_stages},
};

const FIELDS: [Field<deal::Column>; 14] = [
    Field { name: "id", column: deal::Column::Id, kind: ValueKind::Number },
    Field { name: "client_id", column: deal::Column::ClientId, kind: ValueKind::Number },
    Field { name: "contact_id", column: deal::Column::ContactId, kind: ValueKind::Number },
    Field { name: "pipeline_id", column: deal::Column::PipelineId, kind: ValueKind::Number },
    Field { name: "stage_id", column: deal::Column::StageId, kind: ValueKind::Number },
    Field { name: "status", column: deal::Column::Status, kind: ValueKind::OneOf(&["open", "won", "lost"]) },
    Field {
        name: "verification_status",
        column: deal::Column::Verification,
        kind: ValueKind::OneOf(&["pending", "verified", "rejected"]),
    },
    Field { name: "currency", column: deal::Column::Currency, kind: ValueKind::Currency },
    Field { name: "value", column: deal::Column::ValueMinor, kind: ValueKind::Money },
    Field { name: "probability", column: deal::Column::Probability, kind: ValueKind::Number },
    Field { name: "expected_close_date", column: deal::Column::ExpectedCloseDate, kind: ValueKind::Day },
    Field { name: "closed_at", column: deal::Column::ClosedAt, kind: ValueKind::Timestamp },
    Field { name: "created_at", column: deal::Column::CreatedAt, kind: ValueKind::Timestamp },
    Field { name: "updated_at", column: deal::Column::UpdatedAt, kind: ValueKind::Timestamp },
];

const ORDERING: Ordering<'static, deal::Column> = Ordering {
    fields: &[
        ("number", deal::Column::Number),
        ("id", deal::Column::Id),
        ("created_at", deal::Column::Number),
        ("value", deal::Column::ValueMinor),
        ("expected_close_date", deal::Column::CloseKey),
        ("updated_at", deal::Column::UpdatedAt),
    ],
    default: "-number",
    id: deal::Column::Id,
};

/// The list without filters.
static ALL_DEALS: PageTemplate<RowScope, deal::Model, deal::Entity> =
    PageTemplate::new(ORDERING, |scope: &RowScope, ids| scope.deals(ids).filter(deal::COLUMN.archived_at.is_null()))
        .with_stored_count(|scope, ids| scope.is_all().then(|| deal_count(ids)));

impl Core {
    /// One page of the deals that the caller may see and that match a filter.
    pub(super) async fn page_of_deals(
        &self,
        access: &Access,
        client: Option<ClientId>,
        filter: &Filter,
        page: &PageQuery,
    ) -> Result<Page<deal::Model>> {
        let conn = self.db.conn();
        if client.is_some() || !filter.is_empty() {
            let select = self.filtered_deals(access, client, filter).await?;
            return Ok(Page::fetch(select, &ORDERING, page, conn).await?);
        }
        access.may(Permission::DealRead)?;
        let (scope, ids) = access.row_scope(Permission::DealRead);
        Ok(Page::fetch_template(&ALL_DEALS, (&scope, &ids), page, conn).await?)
    }

    /// The deals that the caller may see and that match a filter.
    pub(crate) async fn filtered_deals(
        &self,
        access: &Access,
        client: Option<ClientId>,
        filter: &Filter,
    ) -> Result<Select<deal::Entity>> {
        access.may(Permission::DealRead)?;
        let conn = &self.db.conn().pipeline();
        let named_stages = filter.get("stage").map(|stages| find_stages(conn, access, stages));
        let (found_client, custom, owner, stages) = tokio::join!(
            OptionFuture::from(client.map(|client| access.find_client(conn, client))),
            custom::condition(conn, access, CustomFieldTarget::Deal, deal::Column::Id, filter),
            list_filters::owner(conn, access, filter),
            OptionFuture::from(named_stages),
        );
        let mut select = access.deals();
        if let Some(client) = found_client.transpose()? {
            select = select.filter(deal::COLUMN.client_id.eq(client.id));
        }
        let condition = filter.condition(&FIELDS, &["q", "search", "owner", "archived", "stage", custom::PREFIX])?;
        select = filter.archived(select.filter(condition).filter(custom?), deal::Column::ArchivedAt)?;
        if let Some(query) = list_filters::query(filter) {
            select = self.apply_search(select, deal::Column::Id, "deals_deal", query).await?;
        }
        if let Some(owner) = owner? {
            select = select.filter(deal::COLUMN.owner_id.eq(owner));
        }
        if let Some(stages) = stages.transpose()? {
            select = select.filter(deal::COLUMN.stage_id.is_in(stages));
        }
        Ok(select)
    }
}

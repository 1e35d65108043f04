//! Positions of deals on the board.

use guildhall_kernel::db::Tx;
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};

use crate::{DealId, Error, MoveDeal, Result, SqlSales, core::access::Access, entity::deal, rank};

impl SqlSales {
    /// A position between two deals of a stage, or at its end.
    pub(super) async fn position_for(
        &self,
        tx: &Tx,
        access: &Access,
        row: &deal::Model,
        to: &MoveDeal,
    ) -> Result<String> {
        let in_stage = |deals: Select<deal::Entity>| {
            deals
                .select_only()
                .column(deal::Column::Position)
                .filter(deal::COLUMN.org_id.eq(row.org_id))
                .filter(deal::COLUMN.pipeline_id.eq(row.pipeline_id))
                .filter(deal::COLUMN.stage_id.eq(row.stage_id))
                .filter(deal::COLUMN.deleted_at.is_null())
                .filter(deal::COLUMN.archived_at.is_null())
                .filter(deal::COLUMN.id.ne(row.id))
        };
        let all = || in_stage(deal::Entity::find());
        let position_of = |id: DealId| Expr::from(all().filter(deal::COLUMN.id.eq(id)).into_query());
        let pipeline = &tx.pipeline();
        let read = async |deals: Select<deal::Entity>| -> Result<Option<String>> {
            Ok(deals.into_tuple().one(pipeline).await?)
        };
        // Only deals that the caller may see can be referred to.
        let neighbour = async |field: &'static str, id: DealId| -> Result<String> {
            let position = read(in_stage(access.deals()).filter(deal::COLUMN.id.eq(id))).await?;
            position.ok_or_else(|| Error::field(field, "This stage has no such deal."))
        };
        let (low, high) = match (to.after, to.before) {
            (None, None) => return Ok(rank::last(self.core.now(), row.number)),
            (Some(after), None) => {
                let next = all().filter(deal::Column::Position.into_expr().gt(position_of(after)));
                let (low, next) =
                    tokio::join!(neighbour("after", after), read(next.order_by_asc(deal::Column::Position)));
                (Some(low?), next?)
            }
            (None, Some(before)) => {
                let previous = all().filter(deal::Column::Position.into_expr().lt(position_of(before)));
                let (high, previous) =
                    tokio::join!(neighbour("before", before), read(previous.order_by_desc(deal::Column::Position)));
                let high = high?;
                (previous?, Some(high))
            }
            (Some(after), Some(before)) => {
                let (low, high) = tokio::join!(neighbour("after", after), neighbour("before", before));
                (Some(low?), Some(high?))
            }
        };
        let position = match (low, high) {
            (low, Some(high)) => rank::between(low.as_deref(), &high),
            // After the last deal, use the end of the stage, unless that deal was moved beyond it.
            (low, None) => {
                let end = rank::last(self.core.now(), row.number);
                Some(low.filter(|low| *low >= end).map_or(end, |low| rank::after(&low)))
            }
        };
        position.ok_or_else(|| Error::field("before", "This deal comes before the one in `after`."))
    }
}

//! Positions of deals on the board.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::{DealId, Error, MoveDeal, Result, SqlSales, core::access::Access, entity::deal, rank};

impl SqlSales {
    /// A position between two deals of a stage, or at its end.
    pub(super) async fn position_for(
        &self,
        conn: &impl ConnectionTrait,
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
        let neighbour = async |field: &'static str, id: DealId| -> Result<String> {
            // Only deals that the caller may see can be referred to.
            let position =
                in_stage(access.deals()).filter(deal::COLUMN.id.eq(id)).into_tuple::<String>().one(conn).await?;
            position.ok_or_else(|| Error::field(field, "This stage has no such deal."))
        };
        let (low, high) = match (to.after, to.before) {
            (None, None) => return Ok(rank::last(self.core.now(), row.number)),
            (Some(after), None) => {
                let low = neighbour("after", after).await?;
                let next = in_stage(deal::Entity::find()).filter(deal::COLUMN.position.gt(low.as_str()));
                (Some(low), next.order_by_asc(deal::Column::Position).into_tuple().one(conn).await?)
            }
            (None, Some(before)) => {
                let high = neighbour("before", before).await?;
                let previous = in_stage(deal::Entity::find()).filter(deal::COLUMN.position.lt(high.as_str()));
                (previous.order_by_desc(deal::Column::Position).into_tuple().one(conn).await?, Some(high))
            }
            (Some(after), Some(before)) => {
                (Some(neighbour("after", after).await?), Some(neighbour("before", before).await?))
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

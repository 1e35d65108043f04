//! Boards: pipelines with their deals, in manual order.

use async_trait::async_trait;
use guildhall_kernel::{Caller, db::Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, sea_query::LockType,
};

use super::pipelines::{self, required_fields, show_stage, stages_of};
use crate::{
    Board, BoardColumn, BoardQuery, Boards, DealId, Error, MoveDeal, OrganizationId, PipelineId, Result, SqlSales,
    core::{access::Access, audit::BulkChange, execute, lock_as, rollups::sees_all, scalar_i64, sums},
    entity::{deal, stage},
    event::StageEmptied,
    permission::Permission,
    rank,
};

/// The default and the maximum number of deals per stage.
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 100;

impl SqlSales {
    /// A position between two deals of a stage, or at its end.
    pub(crate) async fn position_for(
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

    /// Moves all deals of a stage to the end of another one, in their order.
    pub(crate) async fn empty_stage(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        from: &stage::Model,
        to: &stage::Model,
    ) -> Result<()> {
        let now = self.core.now();
        // The time as a prefix puts the deals after all others of the stage, and keeps their order.
        let prefix = rank::last(now, 0).get(..rank::TIMESTAMP_DIGITS).unwrap_or_default().to_owned();
        // The deals stay in the stage until their move is recorded.
        let deals = deal::Entity::find()
            .filter(deal::COLUMN.org_id.eq(access.org.id))
            .filter(deal::COLUMN.pipeline_id.eq(from.pipeline_id))
            .filter(deal::COLUMN.stage_id.eq(from.id))
            .order_by_asc(deal::Column::Id);
        lock_as(tx, deals, LockType::NoKeyUpdate).await?;
        self.check_required_fields_of_stage(tx, from, to).await?;
        let also = &[("stage_entered_at", now.unix_micros()), ("probability", to.probability)];
        let change = BulkChange {
            action: "deals.empty_stage",
            table: "deals_deal",
            kind: "deal",
            column: "stage_id",
            value: to.id.0,
            also,
            condition: "org_id = $1 AND pipeline_id = $2 AND stage_id = $3",
            parameters: vec![access.org.id.into(), from.pipeline_id.into(), from.id.into()],
        };
        change.record(tx, access.org.id, Some(caller), now).await?;
        let sql = "INSERT INTO deals_stage_change \
                   (org_id, deal_id, from_stage_id, to_stage_id, from_name, to_name, moved_by, moved_at) \
                   SELECT d.org_id, d.id, d.stage_id, t.id, f.name, t.name, CAST($4 AS bigint), CAST($5 AS bigint) \
                   FROM deals_deal d JOIN deals_stage f ON f.id = d.stage_id JOIN deals_stage t ON t.id = $6 \
                   WHERE d.org_id = $1 AND d.pipeline_id = $2 AND d.stage_id = $3";
        let values = [
            access.org.id.into(),
            from.pipeline_id.into(),
            from.id.into(),
            access.member.id.into(),
            now.into(),
            to.id.into(),
        ];
        execute(tx, sql, values).await?;
        let sql = "UPDATE deals_deal SET stage_id = $1, position = $2 || position, stage_entered_at = $3, \
                   updated_at = $3, probability = $7 WHERE org_id = $4 AND pipeline_id = $5 AND stage_id = $6";
        let values = [
            to.id.into(),
            prefix.into(),
            now.into(),
            access.org.id.into(),
            from.pipeline_id.into(),
            from.id.into(),
            to.probability.into(),
        ];
        let deals = execute(tx, sql, values).await?;
        tx.emit(&StageEmptied { organization_id: access.org.id, id: from.id, to: to.id, deals }).await?;
        let detail = vec![("to", to.id.0.into())];
        self.core.record(tx, (caller, access), "deals.empty_stage", ("stage", from.id.0), detail).await
    }

    /// Checks that all deals of a stage have the fields that another stage requires.
    async fn check_required_fields_of_stage(
        &self,
        conn: &impl ConnectionTrait,
        from: &stage::Model,
        to: &stage::Model,
    ) -> Result<()> {
        let conditions: Vec<&str> = required_fields(to)
            .iter()
            .filter_map(|field| match field.as_str() {
                "value" => Some("value_minor = 0"),
                "contact_id" => Some("contact_id IS NULL"),
                "expected_close_date" => Some("expected_close_date IS NULL"),
                "description" => Some("trim(description) = ''"),
                "source" => Some("trim(source) = ''"),
                _ => None,
            })
            .collect();
        if conditions.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3 AND ({})",
            conditions.join(" OR ")
        );
        match scalar_i64(conn, sql, [from.org_id.into(), from.pipeline_id.into(), from.id.into()]).await? {
            0 => Ok(()),
            deals => {
                let fields = required_fields(to).join(", ");
                let message = format!("{deals} deals lack fields required in the stage {}: {fields}.", to.name);
                Err(Error::field("move_to", message))
            }
        }
    }
}

#[async_trait]
impl Boards for SqlSales {
    async fn board(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        query: BoardQuery,
    ) -> Result<Board> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::DealRead).await?;
        pipelines::find(conn, &access, pipeline).await?;
        if query.limit == Some(0) {
            return Err(Error::field("limit", "Must be at least 1."));
        }
        let limit = Ord::min(query.limit.unwrap_or(DEFAULT_LIMIT), MAX_LIMIT);
        let mut stages = stages_of(conn, pipeline).await?;
        if let Some(stage_id) = query.stage {
            stages.retain(|stage| stage.id == stage_id);
            if stages.is_empty() {
                return Err(Error::NotFound("stage"));
            }
        } else if query.after.is_some() {
            return Err(Error::field("after", "Requires `stage`."));
        }
        let visible =
            || access.deals().filter(deal::COLUMN.pipeline_id.eq(pipeline)).filter(deal::COLUMN.archived_at.is_null());
        let deals = match query.stage {
            Some(stage_id) => visible().filter(deal::COLUMN.stage_id.eq(stage_id)),
            None => visible(),
        };
        let mut totals_by_stage = if sees_all(&access, &[Permission::DealRead]) {
            self.core.rollup_totals_by_stage(conn, &access, stages.iter().map(|stage| stage.id), false).await?
        } else {
            sums::by_stage(deals, conn).await?
        };
        let mut cards = Vec::new();
        for stage in &stages {
            let mut of_stage = visible().filter(deal::COLUMN.stage_id.eq(stage.id));
            if let Some(after) = query.after {
                let last = visible().filter(deal::COLUMN.id.eq(after)).one(conn).await?;
                let last = last.ok_or_else(|| Error::field("after", "This stage has no such deal."))?;
                of_stage = of_stage.filter(deal::COLUMN.position.gt(last.position));
            }
            let of_stage = of_stage.order_by_asc(deal::Column::Position).order_by_asc(deal::Column::Id);
            cards.push(of_stage.limit(limit + 1).all(conn).await?);
        }
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more: Vec<bool> = cards.iter().map(|cards| cards.len() > size).collect();
        for cards in &mut cards {
            cards.truncate(size);
        }
        let all_deals = self.show_deals(conn, cards.iter().flatten().cloned().collect()).await?;
        let mut all_deals = all_deals.into_iter();
        let mut columns = Vec::new();
        for ((stage, cards), has_more) in stages.into_iter().zip(cards).zip(has_more) {
            let deals: Vec<_> = all_deals.by_ref().take(cards.len()).collect();
            let totals = totals_by_stage.remove(&stage.id).unwrap_or_default();
            columns.push(BoardColumn {
                count: totals.iter().map(|total| total.count).sum(),
                totals,
                next_after: deals.last().map(|deal| deal.id).filter(|_| has_more),
                deals,
                stage: show_stage(stage),
            });
        }
        Ok(Board { pipeline_id: pipeline, columns })
    }
}

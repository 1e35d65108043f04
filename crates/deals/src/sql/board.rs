//! The board: a pipeline with its deals, in an order that people make by hand.

use std::collections::HashMap;

use guildhall_kernel::Caller;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func, LockType},
};

use super::{
    SqlDeals,
    access::Access,
    changes::Bulk,
    lock_as, number,
    pipelines::{self, required_fields, show_stage, stages_of},
    rollups::sees_all,
    run,
};
use crate::{
    Board, BoardColumn, Currency, DealId, Error, Lane, Move, OrganizationId, PipelineId, Result, StageId, Total,
    entity::{deal, stage},
    money::{PART, divide_half_even},
    permission::Permission,
    place::{self, at_the_end},
};

const USUAL: u64 = 50;
const MOST: u64 = 100;

/// What deals of a stage are worth, in one currency.
#[derive(Debug, FromQueryResult)]
pub(super) struct Sum {
    pub(super) stage_id: StageId,
    currency: Currency,
    n: i64,
    hi: i64,
    lo: i64,
    weighted_hi: i64,
    weighted_lo: i64,
}

/// A sum of which the database gives two parts.
pub(super) fn whole(hi: i64, lo: i64) -> i128 {
    i128::from(hi) * i128::from(PART) + i128::from(lo)
}

impl Sum {
    pub(super) fn show(&self) -> Total {
        let weighted = divide_half_even(whole(self.weighted_hi, self.weighted_lo), 100);
        Total {
            count: u64::try_from(self.n).unwrap_or_default(),
            value: self.currency.format(whole(self.hi, self.lo)),
            weighted: self.currency.format(weighted),
            currency: self.currency.clone(),
        }
    }
}

/// Sums in two parts: neither database adds up large numbers of 64 bits.
pub(super) fn parts() -> [(Expr, &'static str); 4] {
    let part = |sql: &'static str| Expr::cust(sql);
    [
        (part("CAST(SUM(value_minor / 1000000000) AS bigint)"), "hi"),
        (part("CAST(SUM(value_minor % 1000000000) AS bigint)"), "lo"),
        (part("CAST(SUM((value_minor / 1000000000) * probability) AS bigint)"), "weighted_hi"),
        (part("CAST(SUM((value_minor % 1000000000) * probability) AS bigint)"), "weighted_lo"),
    ]
}

impl SqlDeals {
    /// The place between two deals of a stage, or at its end.
    pub(super) async fn place_for(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        row: &deal::Model,
        to: &Move,
    ) -> Result<String> {
        let in_stage = |deals: sea_orm::Select<deal::Entity>| {
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
            // What somebody does not see they cannot name either.
            let found =
                in_stage(access.deals()).filter(deal::COLUMN.id.eq(id)).into_tuple::<String>().one(conn).await?;
            found.ok_or_else(|| Error::field(field, "There is no such deal in that stage."))
        };
        let (low, high) = match (to.after, to.before) {
            (None, None) => return Ok(at_the_end(self.now(), row.number)),
            (Some(after), None) => {
                let low = neighbour("after", after).await?;
                let next = in_stage(deal::Entity::find()).filter(deal::COLUMN.position.gt(low.as_str()));
                (Some(low), next.order_by_asc(deal::Column::Position).into_tuple().one(conn).await?)
            }
            (None, Some(before)) => {
                let high = neighbour("before", before).await?;
                let last = in_stage(deal::Entity::find()).filter(deal::COLUMN.position.lt(high.as_str()));
                (last.order_by_desc(deal::Column::Position).into_tuple().one(conn).await?, Some(high))
            }
            (Some(after), Some(before)) => {
                (Some(neighbour("after", after).await?), Some(neighbour("before", before).await?))
            }
        };
        let place = match (low, high) {
            (low, Some(high)) => place::between(low.as_deref(), &high),
            // Behind the last one is the end, unless somebody has put that one further still.
            (low, None) => {
                let end = at_the_end(self.now(), row.number);
                Some(low.filter(|low| *low >= end).map_or(end, |low| place::behind(&low)))
            }
        };
        place.ok_or_else(|| Error::field("before", "It stands before the other one."))
    }

    /// Moves all deals of a stage to another, behind what is there, in the order that they have.
    pub(super) async fn empty_stage(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        from: &stage::Model,
        to: &stage::Model,
    ) -> Result<()> {
        let now = self.now();
        // The moment, and then the old place: behind all that is there, and still in order.
        let prefix = at_the_end(now, 0).get(..place::MOMENT).unwrap_or_default().to_owned();
        // Nobody takes one of them out while it is noted that it moves.
        let moving = deal::Entity::find()
            .filter(deal::COLUMN.org_id.eq(access.org.id))
            .filter(deal::COLUMN.pipeline_id.eq(from.pipeline_id))
            .filter(deal::COLUMN.stage_id.eq(from.id))
            .order_by_asc(deal::Column::Id);
        lock_as(conn, moving, LockType::NoKeyUpdate).await?;
        self.all_have_what_they_need(conn, from, to).await?;
        let also = &[("stage_entered_at", now.unix_micros()), ("probability", to.probability)];
        let which = "org_id = $1 AND pipeline_id = $2 AND stage_id = $3";
        let values = vec![access.org.id.into(), from.pipeline_id.into(), from.id.into()];
        let (action, of, column) = ("deals.empty_stage", ("deals_deal", "deal"), "stage_id");
        let change = Bulk { action, of, column, to: to.id.0, also, which, values };
        change.note(conn, access.org.id, Some(caller), now).await?;
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
        run(conn, sql, values).await?;
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
        run(conn, sql, values).await?;
        let detail = vec![("to", to.id.0.into())];
        self.noted(conn, (caller, access), "deals.empty_stage", ("stage", from.id.0), detail).await
    }

    /// Do all deals of a stage have what another one asks for?
    async fn all_have_what_they_need(
        &self,
        conn: &impl ConnectionTrait,
        from: &stage::Model,
        to: &stage::Model,
    ) -> Result<()> {
        let lacking: Vec<&str> = required_fields(to)
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
        if lacking.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT COUNT(*) FROM deals_deal WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3 AND ({})",
            lacking.join(" OR ")
        );
        match number(conn, sql, [from.org_id.into(), from.pipeline_id.into(), from.id.into()]).await? {
            0 => Ok(()),
            deals => {
                let needs = required_fields(to).join(", ");
                let message = format!("{deals} deals lack what the stage {} needs: {needs}.", to.name);
                Err(Error::field("move_to", message))
            }
        }
    }

    pub(super) async fn read_board(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        lane: Lane,
    ) -> Result<Board> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::DealRead).await?;
        pipelines::find(conn, &access, pipeline).await?;
        if lane.limit == Some(0) {
            return Err(Error::field("limit", "Must be a whole number from 1."));
        }
        let limit = Ord::min(lane.limit.unwrap_or(USUAL), MOST);
        let mut stages = stages_of(conn, pipeline).await?;
        if let Some(only) = lane.stage {
            stages.retain(|stage| stage.id == only);
            if stages.is_empty() {
                return Err(Error::NotFound("stage"));
            }
        } else if lane.after.is_some() {
            return Err(Error::field("after", "Say of which stage."));
        }
        let seen =
            || access.deals().filter(deal::COLUMN.pipeline_id.eq(pipeline)).filter(deal::COLUMN.archived_at.is_null());
        let summed = match lane.stage {
            Some(only) => seen().filter(deal::COLUMN.stage_id.eq(only)),
            None => seen(),
        };
        let mut sums = if sees_all(&access, &[Permission::DealRead]) {
            self.kept_sums(conn, &access, stages.iter().map(|stage| stage.id), false).await?
        } else {
            self.sums(summed, conn).await?
        };
        let mut cards = Vec::new();
        for stage in &stages {
            let mut of_stage = seen().filter(deal::COLUMN.stage_id.eq(stage.id));
            if let Some(after) = lane.after {
                let last = seen().filter(deal::COLUMN.id.eq(after)).one(conn).await?;
                let last = last.ok_or_else(|| Error::field("after", "There is no such deal in that stage."))?;
                of_stage = of_stage.filter(deal::COLUMN.position.gt(last.position));
            }
            let of_stage = of_stage.order_by_asc(deal::Column::Position).order_by_asc(deal::Column::Id);
            cards.push(of_stage.limit(limit + 1).all(conn).await?);
        }
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let more: Vec<bool> = cards.iter().map(|cards| cards.len() > size).collect();
        for cards in &mut cards {
            cards.truncate(size);
        }
        let shown = self.show_deals(conn, cards.iter().flatten().cloned().collect()).await?;
        let mut shown = shown.into_iter();
        let mut columns = Vec::new();
        for ((stage, cards), more) in stages.into_iter().zip(cards).zip(more) {
            let deals: Vec<_> = shown.by_ref().take(cards.len()).collect();
            let totals = sums.remove(&stage.id).unwrap_or_default();
            columns.push(BoardColumn {
                count: totals.iter().map(|total| total.count).sum(),
                totals,
                next_after: deals.last().map(|deal| deal.id).filter(|_| more),
                deals,
                stage: show_stage(stage),
            });
        }
        Ok(Board { pipeline_id: pipeline, columns })
    }

    /// What deals are worth, by stage and currency.
    pub(super) async fn sums(
        &self,
        deals: sea_orm::Select<deal::Entity>,
        conn: &impl ConnectionTrait,
    ) -> Result<HashMap<StageId, Vec<Total>>> {
        let mut select = deals
            .select_only()
            .column(deal::Column::StageId)
            .column(deal::Column::Currency)
            .expr_as(Func::count(Expr::col(deal::Column::Id)), "n");
        for (expr, name) in parts() {
            select = select.expr_as(expr, name);
        }
        let grouped = select
            .group_by(deal::Column::StageId)
            .group_by(deal::Column::Currency)
            .order_by_asc(deal::Column::Currency);
        let mut by_stage: HashMap<StageId, Vec<Total>> = HashMap::new();
        for sum in grouped.into_model::<Sum>().all(conn).await? {
            by_stage.entry(sum.stage_id).or_default().push(sum.show());
        }
        Ok(by_stage)
    }
}

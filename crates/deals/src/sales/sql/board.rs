//! Boards: pipelines with their deals, in manual order.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};

use super::pipelines::{self, show_stage, stages_of};
use crate::{
    Board, BoardColumn, BoardQuery, Boards, Error, OrganizationId, PipelineId, Result, SqlPipelines,
    core::{
        rollups::{rollup_totals_by_stage, sees_all},
        sums,
    },
    entity::deal,
    permission::Permission,
};

/// The default and the maximum number of deals per stage.
const DEFAULT_LIMIT: u64 = 50;
const MAX_LIMIT: u64 = 100;

#[async_trait]
impl Boards for SqlPipelines {
    async fn board(
        &self,
        caller: &Caller,
        org: OrganizationId,
        pipeline: PipelineId,
        query: BoardQuery,
    ) -> Result<Board> {
        let conn = self.core.db.conn();
        let pipe = &conn.pipeline();
        let read = async { tokio::join!(pipelines::find(pipe, org, pipeline), stages_of(pipe, pipeline)) };
        let (access, (found, stages)) = self.core.access_and((conn, pipe), caller, org, read).await?;
        access.may(Permission::DealRead)?;
        found?;
        if query.limit == Some(0) {
            return Err(Error::field("limit", "Must be at least 1."));
        }
        let limit = Ord::min(query.limit.unwrap_or(DEFAULT_LIMIT), MAX_LIMIT);
        let mut stages = stages?;
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
        let totals = async {
            if sees_all(&access, &[Permission::DealRead]) {
                rollup_totals_by_stage(pipe, &access, stages.iter().map(|stage| stage.id), false).await
            } else {
                sums::by_stage(deals, pipe).await
            }
        };
        // The deal whose cards come before this page.
        let last = match query.after {
            Some(after) => {
                let last = visible().filter(deal::COLUMN.id.eq(after)).one(conn).await?;
                Some(last.ok_or_else(|| Error::field("after", "This stage has no such deal."))?)
            }
            None => None,
        };
        let cards = stages.iter().map(|stage| {
            let mut of_stage = visible().filter(deal::COLUMN.stage_id.eq(stage.id));
            if let Some(last) = &last {
                of_stage = of_stage.filter(deal::COLUMN.position.gt(last.position.as_str()));
            }
            let of_stage = of_stage.order_by_asc(deal::Column::Position).order_by_asc(deal::Column::Id);
            async { Ok::<_, Error>(of_stage.limit(limit + 1).all(pipe).await?) }
        });
        let (mut totals_by_stage, mut cards) = tokio::try_join!(totals, try_join_all(cards))?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more: Vec<bool> = cards.iter().map(|cards| cards.len() > size).collect();
        for cards in &mut cards {
            cards.truncate(size);
        }
        let all_deals = self.core.show_deals(cards.iter().flatten().cloned().collect()).await?;
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

//! Emptying a stage before it is deleted.

use guildhall_kernel::{
    Caller,
    db::{self, Tx},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, sea_query::LockType};

use crate::{
    Result, SqlPipelines,
    core::{access::Access, audit::BulkChange},
    entity::{deal, stage},
    event::StageEmptied,
    rank,
    sales::sql::stage_requirements::check_required_fields_of_all,
};

/// Puts the deals of a stage after a position, in their order.
const MOVE_BEHIND: &str = "UPDATE deals_deal SET position = $4 || position \
     WHERE org_id = $1 AND pipeline_id = $2 AND stage_id = $3";
/// Adds to the history that the deals of a stage enter another one.
const RECORD_STAGE_CHANGES: &str = "INSERT INTO deals_stage_change \
     (org_id, deal_id, from_stage_id, to_stage_id, from_name, to_name, moved_by, moved_at) \
     SELECT d.org_id, d.id, d.stage_id, t.id, f.name, t.name, CAST($4 AS bigint), CAST($5 AS bigint) \
     FROM deals_deal d JOIN deals_stage f ON f.id = d.stage_id JOIN deals_stage t ON t.id = $6 \
     WHERE d.org_id = $1 AND d.pipeline_id = $2 AND d.stage_id = $3";

impl SqlPipelines {
    /// Moves all deals of a stage to the end of another one, in their order.
    pub(super) async fn empty_stage(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        from: &stage::Model,
        to: &stage::Model,
    ) -> Result<()> {
        let (org, now) = (access.org.id, self.core.now());
        let in_stage = Condition::all()
            .add(deal::COLUMN.org_id.eq(org))
            .add(deal::COLUMN.pipeline_id.eq(from.pipeline_id))
            .add(deal::COLUMN.stage_id.eq(from.id));
        // The deals stay in the stage until their move is recorded.
        let deals = deal::Entity::find().filter(in_stage.clone()).order_by_asc(deal::Column::Id);
        db::lock_rows(tx, || deals, LockType::NoKeyUpdate).await?;
        check_required_fields_of_all(tx, from, to).await?;
        let stage = || [org.into(), from.pipeline_id.into(), from.id.into()].into_iter();
        // The time as a prefix puts the deals after all others of the stage, and keeps their order.
        let prefix = rank::last(now, 0).get(..rank::TIMESTAMP_DIGITS).unwrap_or_default().to_owned();
        db::execute(tx, MOVE_BEHIND, stage().chain([prefix.into()])).await?;
        let moved = [access.member.id.into(), now.into(), to.id.into()];
        db::execute(tx, RECORD_STAGE_CHANGES, stage().chain(moved)).await?;
        let change = BulkChange::<deal::Entity> {
            action: "deals.empty_stage",
            kind: "deal",
            column: deal::Column::StageId,
            value: to.id.0,
            also: vec![(deal::Column::StageEnteredAt, now.unix_micros()), (deal::Column::Probability, to.probability)],
            condition: in_stage,
        };
        let deals = change.apply(tx, org, Some(caller), now).await?;
        let detail = vec![("to", to.id.0.into())];
        self.core.record(tx, (caller, access), "deals.empty_stage", ("stage", from.id.0), detail).await?;
        tx.emit(&StageEmptied { organization_id: org, id: from.id, to: to.id, deals }).await?;
        Ok(())
    }
}

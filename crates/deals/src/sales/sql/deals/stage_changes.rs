//! The stages of a deal: entering one, and the history.

use guildhall_kernel::{
    Timestamp,
    db::{self, Pipeline, Tx},
};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::{
    DealStatus, Error, MemberId, Result, SqlSales, StageId, StageRef,
    core::access::Access,
    entity::{deal, stage, stage_change},
    permission::Permission,
    rank,
    sales::sql::{
        stage_requirements::{check_approval, check_required_fields},
        stages::lookup::{resolve_stage, stored_stage},
    },
};

/// A row of the history of stages: a deal has entered its stage, or was created in it.
pub(crate) fn stage_change(
    row: &deal::Model,
    from: Option<&stage::Model>,
    to_name: String,
    moved_by: MemberId,
) -> stage_change::ActiveModel {
    stage_change::ActiveModel {
        id: NotSet,
        org_id: Set(row.org_id),
        deal_id: Set(row.id),
        from_stage_id: Set(from.map(|stage| stage.id)),
        to_stage_id: Set(Some(row.stage_id)),
        from_name: Set(from.map_or_else(String::new, |stage| stage.name.clone())),
        to_name: Set(to_name),
        moved_by: Set(moved_by),
        moved_at: Set(row.stage_entered_at),
    }
}

/// The reason for the loss of a deal that enters a stage, if the deals in it are lost.
pub(super) fn lost_reason(stage: &stage::Model, reason: &str) -> String {
    match stage.kind {
        DealStatus::Lost => reason.trim().to_owned(),
        DealStatus::Open | DealStatus::Won => String::new(),
    }
}

/// Adds a row to the history of stages.
pub(super) async fn record_stage_change(
    tx: &Tx,
    access: &Access,
    row: &deal::Model,
    from: Option<&stage::Model>,
    to: &stage::Model,
) -> Result<()> {
    let change = stage_change(row, from, to.name.clone(), access.member.id);
    Ok(db::insert_only(&tx.deferred(), change).await?)
}

/// The stage that a deal is in and the one that it is to enter; a name means a stage of the same pipeline.
pub(super) async fn stages_of_move(
    pipeline: &Pipeline<'_>,
    row: &deal::Model,
    to: &StageRef,
) -> Result<(Option<stage::Model>, stage::Model)> {
    let of_name = Some(row.pipeline_id).filter(|_| matches!(to, StageRef::Name(_)));
    let (from, to) = tokio::join!(
        stored_stage(pipeline, row.org_id, row.stage_id),
        resolve_stage(pipeline, row.org_id, of_name, Some(to)),
    );
    Ok((from?, to?))
}

/// The stage that a deal was in before its last stage change.
pub(super) async fn previous_stage(conn: &impl ConnectionTrait, row: &deal::Model) -> Result<Option<StageId>> {
    let last = stage_change::Entity::find()
        .filter(stage_change::COLUMN.org_id.eq(row.org_id))
        .filter(stage_change::COLUMN.deal_id.eq(row.id))
        .order_by_desc(stage_change::Column::Id)
        .one(conn)
        .await?;
    Ok(last.and_then(|change| change.from_stage_id))
}

/// The name that the stage of a deal had at a time. The stage may have been renamed or deleted since then.
pub(super) async fn stage_name_at(
    conn: &impl ConnectionTrait,
    row: &deal::Model,
    time: Timestamp,
) -> Result<Option<String>> {
    let last = stage_change::Entity::find()
        .select_only()
        .column(stage_change::Column::ToName)
        .filter(stage_change::COLUMN.org_id.eq(row.org_id))
        .filter(stage_change::COLUMN.deal_id.eq(row.id))
        .filter(stage_change::COLUMN.moved_at.lte(time))
        .order_by_desc(stage_change::Column::Id);
    Ok(last.into_tuple().one(conn).await?)
}

impl SqlSales {
    /// Moves a deal to the end of a stage, and sets everything that depends on the stage. This is the only place where
    /// a single existing deal enters a stage.
    pub(super) async fn enter_stage(
        &self,
        tx: &Tx,
        access: &Access,
        row: &mut deal::Model,
        (from, stage): (Option<&stage::Model>, &stage::Model),
        lost_reason: &str,
    ) -> Result<()> {
        if stage.id == row.stage_id {
            return Ok(());
        }
        if stage.kind != row.status {
            access.may_with(Permission::DealClose, row.owner_id, row.created_by)?;
            if stage.kind != DealStatus::Open && row.status != DealStatus::Open {
                return Err(Error::IllegalTransition("Reopen the deal first: it is already won or lost."));
            }
        }
        check_required_fields(row, stage)?;
        check_approval(&access.org, row, stage)?;
        let now = self.core.now();
        row.pipeline_id = stage.pipeline_id;
        row.stage_id = stage.id;
        row.stage_entered_at = now;
        row.probability = stage.probability;
        row.position = rank::last(now, row.number);
        if stage.kind != row.status {
            row.status = stage.kind;
            row.closed_at = (stage.kind != DealStatus::Open).then_some(now);
            row.lost_reason = self::lost_reason(stage, lost_reason);
        }
        record_stage_change(tx, access, row, from, stage).await
    }
}

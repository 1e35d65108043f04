use sea_orm::entity::prelude::*;

use crate::{Currency, OrganizationId, StageId};

/// The totals of the deals of a stage. Maintained by triggers and checked by `guildhall doctor`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_rollup")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub stage_id: StageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub currency: Currency,
    /// The month of the expected close date, `2025-09`; `~` for deals without one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub month: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub is_archived: bool,
    pub n: i64,
    /// The sum of the values in two parts, neither of which overflows.
    pub hi: i64,
    pub lo: i64,
    /// The sum of the values, each multiplied by its probability in percent.
    pub weighted_hi: i64,
    pub weighted_lo: i64,
}

impl ActiveModelBehavior for ActiveModel {}

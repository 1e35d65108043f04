use sea_orm::entity::prelude::*;

use crate::{Currency, OrganizationId, StageId};

/// What the deals of a stage are worth together. Triggers keep it; `guildhall doctor` holds it against the deals.
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
    /// The month in which they are expected to be won, `2025-09`; `~` where nobody has said.
    #[sea_orm(primary_key, auto_increment = false)]
    pub month: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub is_archived: bool,
    pub n: i64,
    /// The sum in two parts of which neither overflows.
    pub hi: i64,
    pub lo: i64,
    /// The sum of the values, each times its probability in per cent.
    pub weighted_hi: i64,
    pub weighted_lo: i64,
}

impl ActiveModelBehavior for ActiveModel {}

use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{DealStatus, OrganizationId, PipelineId, StageId};

/// A stage of a pipeline.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_stage")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: StageId,
    pub org_id: OrganizationId,
    pub pipeline_id: PipelineId,
    pub name: String,
    /// The name, folded; unique within the pipeline.
    pub name_key: String,
    pub position: i64,
    pub kind: DealStatus,
    /// The probability of winning a deal in this stage, in percent.
    pub probability: i64,
    /// The number of days after which a deal in this stage is stale.
    pub rot_days: Option<i64>,
    /// A JSON array of the fields that a deal needs to enter the stage.
    pub required_fields: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

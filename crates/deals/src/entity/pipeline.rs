use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{OrganizationId, PipelineId};

/// A pipeline: the stages that deals go through.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_pipeline")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PipelineId,
    pub org_id: OrganizationId,
    pub name: String,
    /// The name, folded; unique.
    pub name_key: String,
    pub position: i64,
    /// New deals begin here. Exactly one pipeline of an organization is the default.
    pub is_default: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

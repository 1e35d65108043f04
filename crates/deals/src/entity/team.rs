use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{OrganizationId, TeamId};

/// A team: members whose scope `team` covers what the others own.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_team")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TeamId,
    pub org_id: OrganizationId,
    pub name: String,
    /// The name, folded; unique.
    pub name_key: String,
    /// The parent team.
    pub parent_id: Option<TeamId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

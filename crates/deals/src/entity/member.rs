use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{MemberId, MemberStatus, OrganizationId, RoleId, TeamId};

/// The membership of a user in an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_member")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: MemberId,
    pub org_id: OrganizationId,
    /// `None` once the account is deleted; the row remains while other rows refer to it.
    pub user_id: Option<UserId>,
    pub role_id: RoleId,
    pub team_id: Option<TeamId>,
    /// The scope `team` includes the subteams.
    pub leads_team: bool,
    pub status: MemberStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The commission on verified payments, in basis points (hundredths of a percent).
    pub commission_bp: i64,
    /// The user who invited them, until their account is deleted.
    pub invited_by: Option<UserId>,
    #[sea_orm(belongs_to, from = "org_id", to = "id")]
    pub organization: BelongsTo<super::organization::Entity>,
    #[sea_orm(belongs_to, from = "role_id", to = "id")]
    pub role: BelongsTo<super::role::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

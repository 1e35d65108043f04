use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::{MemberId, MemberStatus, OrganizationId, RoleId, TeamId};

/// That somebody is, or was, in an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_member")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: MemberId,
    pub org_id: OrganizationId,
    /// None once the account is gone and only the ledger remembers them.
    pub user_id: Option<UserId>,
    pub role_id: RoleId,
    pub team_id: Option<TeamId>,
    /// Sees the teams below their own too.
    pub leads_team: bool,
    pub status: MemberStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// What they earn of verified money, in hundredths of a per cent.
    pub commission_bp: i64,
    /// Who has asked them to come in; none once that account is gone.
    pub invited_by: Option<UserId>,
    #[sea_orm(belongs_to, from = "org_id", to = "id")]
    pub organization: BelongsTo<super::organization::Entity>,
    #[sea_orm(belongs_to, from = "role_id", to = "id")]
    pub role: BelongsTo<super::role::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{ClientId, OrganizationId};

/// A client that was merged into another one.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_merged_client")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub old_id: ClientId,
    pub client_id: ClientId,
    pub merged_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

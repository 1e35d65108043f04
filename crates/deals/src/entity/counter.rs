use sea_orm::entity::prelude::*;

use crate::OrganizationId;

/// The next number of a kind in an organization. A row, not a sequence, so that numbers have no gaps.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_counter")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    pub next: i64,
}

impl ActiveModelBehavior for ActiveModel {}

use sea_orm::entity::prelude::*;

use crate::{Currency, Day, OrganizationId};

/// The verified revenue of a day, less refunds and reversals. Maintained by triggers and checked by `guildhall doctor`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_revenue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub org_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Day,
    #[sea_orm(primary_key, auto_increment = false)]
    pub currency: Currency,
    pub n: i64,
    /// The sum in two parts, neither of which overflows.
    pub hi: i64,
    pub lo: i64,
}

impl ActiveModelBehavior for ActiveModel {}

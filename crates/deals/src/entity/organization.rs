use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::{Currency, OrganizationId};

/// A tenant: a company or department that keeps its clients and deals apart from all others.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_organization")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: OrganizationId,
    pub name: String,
    /// The name as it is searched.
    pub name_key: String,
    pub slug: String,
    /// Made for a test, and cleaned away with others of the kind.
    pub is_test: bool,
    pub default_currency: Currency,
    /// What numbers of new deals begin with.
    pub number_prefix: String,
    /// How many digits they have at least.
    pub number_pad: i64,
    /// Payments may exceed what a deal is worth.
    pub takes_credit: bool,
    /// Changes have to say which version they know.
    pub requires_if_match: bool,
    /// Whoever records a payment does not verify it.
    pub four_eyes: bool,
    /// Whoever made something sees it after it is given to others.
    pub creator_keeps_access: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Somebody is told what happens here.
    pub has_webhooks: bool,
    /// IANA's name of the time zone in which its days begin.
    pub time_zone: String,
    /// Deals worth more than this, or in another currency, are verified before they are won.
    pub approval_above_minor: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Currency, OrganizationId};

/// How payments above the value of a deal are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Overpayment {
    /// They are refused.
    #[default]
    Reject,
    /// They are accepted as the client's credit.
    Credit,
}

/// An organization: a tenant, isolated from all others.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deals_organization")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: OrganizationId,
    pub name: String,
    /// The name, folded for sorting and search.
    pub name_key: String,
    pub slug: String,
    /// Created for a test; `guildhall cleanup-test-data` deletes it.
    pub is_test: bool,
    pub default_currency: Currency,
    /// The prefix of deal numbers.
    pub number_prefix: String,
    /// The minimum number of digits of deal numbers.
    pub number_pad: i64,
    /// What happens to payments above the value of a deal.
    pub overpayment: Overpayment,
    /// Changes require `If-Match`.
    pub requires_if_match: bool,
    /// Members may not verify payments that they recorded themselves.
    pub four_eyes: bool,
    /// The creator of an object keeps access to it after it is reassigned.
    pub creator_keeps_access: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// It has webhooks.
    pub has_webhooks: bool,
    /// The IANA time zone, which decides when a day begins.
    pub time_zone: String,
    /// Deals of a higher value, or in another currency, must be verified before they can be won.
    pub approval_above_minor: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

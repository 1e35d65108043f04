use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ViewId;

/// The list that a view is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Viewed {
    /// Clients.
    Clients,
    /// Deals.
    Deals,
    /// Payments.
    Payments,
    /// Tasks.
    Tasks,
}

/// Who may use a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Whoever made it.
    #[default]
    Private,
    /// Their team.
    Team,
    /// Everybody in the organization.
    Organization,
}

/// A list as somebody wants to see it again: `?view=` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct View {
    /// Its id.
    pub id: ViewId,
    /// The list that it is of.
    pub entity: Viewed,
    /// What it is called.
    pub name: String,
    /// The filters, as the address of the list has them.
    #[schema(example = json!({"status": "open"}))]
    pub filters: BTreeMap<String, String>,
    /// The order, as the address of the list has it; empty for the usual one.
    #[schema(example = "-number")]
    pub ordering: String,
    /// The columns to be shown, in their order.
    pub columns: Vec<String>,
    /// Who may use it.
    pub shared: Sharing,
    /// Who made it.
    pub owner: Option<Person>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A view to be kept.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewView {
    /// The list that it is of.
    #[garde(skip)]
    pub entity: Viewed,
    /// What to call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The filters, as the address of the list has them.
    #[serde(default)]
    #[garde(length(max = 30))]
    pub filters: BTreeMap<String, String>,
    /// The order, as the address of the list has it.
    #[serde(default)]
    #[garde(custom(text::line(0, 200)))]
    pub ordering: String,
    /// The columns to be shown, in their order.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(text::line(1, 60))))]
    pub columns: Vec<String>,
    /// Who may use it.
    #[serde(default)]
    #[garde(skip)]
    pub shared: Sharing,
}

/// A change to a view; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ViewPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The filters.
    #[garde(inner(length(max = 30)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub filters: Option<BTreeMap<String, String>>,
    /// The order.
    #[garde(custom(text::maybe(text::line(0, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub ordering: Option<String>,
    /// The columns to be shown, in their order.
    #[garde(inner(length(max = 100), inner(custom(text::line(1, 60)))))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub columns: Option<Vec<String>>,
    /// Who may use it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub shared: Option<Sharing>,
}

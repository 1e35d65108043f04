use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ViewId;

/// A list that can have saved views.
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
    /// Only its owner.
    #[default]
    Private,
    /// The owner's team.
    Team,
    /// All members of the organization.
    Organization,
}

/// A saved view of a list, applied with `?view=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct View {
    /// The view's id.
    pub id: ViewId,
    /// The list that it applies to.
    pub entity: Viewed,
    /// Its name.
    pub name: String,
    /// The filters, as in the query string of the list.
    #[schema(example = json!({"status": "open"}))]
    pub filters: BTreeMap<String, String>,
    /// The ordering, as in the query string of the list; empty for the default.
    #[schema(example = "-number")]
    pub ordering: String,
    /// The columns to show, in order.
    pub columns: Vec<String>,
    /// Who may use it.
    pub shared: Sharing,
    /// Who created it.
    pub owner: Option<Person>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A view to save.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewView {
    /// The list that it applies to.
    #[garde(skip)]
    pub entity: Viewed,
    /// Its name.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// The filters, as in the query string of the list.
    #[serde(default)]
    #[garde(length(max = 30))]
    pub filters: BTreeMap<String, String>,
    /// The ordering, as in the query string of the list.
    #[serde(default)]
    #[garde(custom(text::line(0, 200)))]
    pub ordering: String,
    /// The columns to show, in order.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(text::line(1, 60))))]
    pub columns: Vec<String>,
    /// Who may use it.
    #[serde(default)]
    #[garde(skip)]
    pub shared: Sharing,
}

/// A change to a saved view; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ViewPatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The filters.
    #[garde(inner(length(max = 30)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub filters: Option<BTreeMap<String, String>>,
    /// The ordering.
    #[garde(custom(text::maybe(text::line(0, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub ordering: Option<String>,
    /// The columns to show, in order.
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

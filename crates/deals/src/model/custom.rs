use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CustomFieldId;

/// What a field of an organization's own is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Customized {
    /// Clients.
    Client,
    /// Deals.
    Deal,
}

/// What a field of an organization's own holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CustomKind {
    /// A line of up to 500 characters.
    Text,
    /// A decimal number with up to six digits after the point, as a string: `"12.5"`.
    Number,
    /// A day: `2025-09-01`.
    Day,
    /// Yes or no.
    Boolean,
    /// One of its options.
    Choice,
}

/// A field of an organization's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomField {
    /// Its id.
    pub id: CustomFieldId,
    /// What it is added to.
    pub entity: Customized,
    /// What programs call it: in `custom`, and with `cf_` in front in filters and tables.
    #[schema(example = "region")]
    pub key: String,
    /// What people call it.
    pub name: String,
    /// What it holds.
    pub kind: CustomKind,
    /// What may be chosen.
    pub options: Vec<String>,
    /// Does everything new need it?
    pub is_required: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A field to be added.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewCustomField {
    /// What it is added to.
    #[garde(skip)]
    pub entity: Customized,
    /// What programs call it: small letters, digits and single underscores, up to 40, a letter first.
    #[garde(custom(plain_key))]
    pub key: String,
    /// What people call it.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// What it holds.
    #[garde(skip)]
    pub kind: CustomKind,
    /// What may be chosen, where it holds a choice.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(text::line(1, 100))))]
    pub options: Vec<String>,
    /// Does everything new need it?
    #[serde(default)]
    #[garde(skip)]
    pub is_required: bool,
}

/// A change to a field; absent fields stay as they are. What it holds and what it is added to stay for ever.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CustomFieldPatch {
    /// What programs call it.
    #[garde(custom(text::maybe(plain_key)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub key: Option<String>,
    /// What people call it.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// What may be chosen; what was chosen before stays where it is.
    #[garde(inner(length(max = 100), inner(custom(text::line(1, 100)))))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub options: Option<Vec<String>>,
    /// Does everything new need it?
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_required: Option<bool>,
}

/// Two underscores would begin a comparison.
fn plain_key<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let fine = (1..=40).contains(&value.len())
        && value.starts_with(|first: char| first.is_ascii_lowercase())
        && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !value.contains("__")
        && !value.ends_with('_');
    let message = "Give up to 40 small letters, digits and single underscores, a letter first.";
    if fine { Ok(()) } else { Err(garde::Error::new(message)) }
}

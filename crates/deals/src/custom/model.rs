use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CustomFieldId;

/// The kind of object that a custom field belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CustomFieldTarget {
    /// Clients.
    Client,
    /// Deals.
    Deal,
}

/// The type of a custom field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum CustomFieldType {
    /// A single line of up to 500 characters.
    Text,
    /// A decimal number with up to six decimal places, as a string: `"12.5"`.
    Number,
    /// A date: `2025-09-01`.
    Day,
    /// `true` or `false`.
    Boolean,
    /// One of the field's options.
    Choice,
}

/// A custom field of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomField {
    /// The field's id.
    pub id: CustomFieldId,
    /// The kind of object that it belongs to.
    pub entity: CustomFieldTarget,
    /// Its key in `custom`. Filters and tables use it with the prefix `cf_`.
    #[schema(example = "region")]
    pub key: String,
    /// Its label.
    pub name: String,
    /// Its type.
    pub kind: CustomFieldType,
    /// The options of a choice.
    pub options: Vec<String>,
    /// Whether new objects need a value.
    pub is_required: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A custom field to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewCustomField {
    /// The kind of object that it belongs to.
    #[garde(skip)]
    pub entity: CustomFieldTarget,
    /// Its key: up to 40 lowercase letters, digits and single underscores, starting with a letter.
    #[garde(custom(field_key))]
    pub key: String,
    /// Its label.
    #[garde(custom(text::line(1, 100)))]
    pub name: String,
    /// Its type.
    #[garde(skip)]
    pub kind: CustomFieldType,
    /// The options, for a choice only.
    #[serde(default)]
    #[garde(length(max = 100), inner(custom(text::line(1, 100))))]
    pub options: Vec<String>,
    /// Whether new objects need a value.
    #[serde(default)]
    #[garde(skip)]
    pub is_required: bool,
}

/// A change to a custom field; absent fields stay as they are. Its type and the kind of object cannot be changed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CustomFieldPatch {
    /// Its key.
    #[garde(custom(text::maybe(field_key)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub key: Option<String>,
    /// Its label.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// The options of a choice. Values that are no longer an option stay where they are.
    #[garde(inner(length(max = 100), inner(custom(text::line(1, 100)))))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub options: Option<Vec<String>>,
    /// Whether new objects need a value.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_required: Option<bool>,
}

/// Checks a key. Double underscores are reserved for filter operators, as in `cf_region__in`.
fn field_key<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let is_valid = (1..=40).contains(&value.len())
        && value.starts_with(|first: char| first.is_ascii_lowercase())
        && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !value.contains("__")
        && !value.ends_with('_');
    let message = "Use up to 40 lowercase letters, digits and single underscores, starting with a letter.";
    if is_valid { Ok(()) } else { Err(garde::Error::new(message)) }
}

use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clients::email_address;
use crate::{ClientId, ContactId};

/// A contact: a person at a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contact {
    /// The contact's id.
    pub id: ContactId,
    /// The client.
    pub client_id: ClientId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Email address.
    pub email: String,
    /// Phone number.
    pub phone: String,
    /// Job title.
    pub title: String,
    /// The client's primary contact. A client has at most one.
    pub is_primary: bool,
    /// When the contact was created.
    pub created_at: Timestamp,
    /// When the contact was last changed.
    pub updated_at: Timestamp,
}

/// A contact to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewContact {
    /// First name.
    #[garde(custom(text::line(1, 100)))]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub last_name: String,
    /// Email address.
    #[serde(default)]
    #[garde(custom(text::line(0, 254)), custom(email_address))]
    pub email: String,
    /// Phone number.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub phone: String,
    /// Job title.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub title: String,
    /// Makes this the primary contact, replacing the current one.
    #[serde(default)]
    #[garde(skip)]
    pub is_primary: bool,
}

/// A change to a contact; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ContactPatch {
    /// First name.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub first_name: Option<String>,
    /// Last name.
    #[garde(custom(text::maybe(text::line(0, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub last_name: Option<String>,
    /// Email address.
    #[garde(custom(text::maybe(text::line(0, 254))), custom(text::maybe(email_address)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub email: Option<String>,
    /// Phone number.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub phone: Option<String>,
    /// Job title.
    #[garde(custom(text::maybe(text::line(0, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Whether this is the client's primary contact.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_primary: Option<bool>,
}

use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ClientId;

/// The maximum length of a client's name, in characters.
pub(crate) const MAX_CLIENT_NAME: usize = 200;
/// The maximum length of a client's notes, in characters.
pub(crate) const MAX_CLIENT_NOTES: usize = 10_000;

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Client {
    /// The client's id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// Its email address.
    pub email: String,
    /// Its phone number.
    pub phone: String,
    /// Its website.
    pub website: String,
    /// Its postal address.
    pub address: String,
    /// Its tax ID.
    pub tax_id: String,
    /// Notes.
    pub notes: String,
    /// The member responsible for it.
    pub owner: Option<Person>,
    /// Who created it.
    pub created_by: Option<Person>,
    /// Values of custom fields, by key.
    pub custom: BTreeMap<String, serde_json::Value>,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A client as a reference in other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientStub {
    /// The client's id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
}

/// A client to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewClient {
    /// Its name.
    #[garde(custom(text::line(1, MAX_CLIENT_NAME)))]
    pub name: String,
    /// Its email address, unique in the organization.
    #[serde(default)]
    #[garde(custom(text::line(0, 254)), custom(email_address))]
    pub email: String,
    /// Its phone number.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub phone: String,
    /// Its website.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub website: String,
    /// Its postal address.
    #[serde(default)]
    #[garde(custom(text::block(0, 1_000)))]
    pub address: String,
    /// Its tax ID.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub tax_id: String,
    /// Notes.
    #[serde(default)]
    #[garde(custom(text::block(0, MAX_CLIENT_NOTES)))]
    pub notes: String,
    /// The user ID of the responsible member, who must be active; the caller by default.
    #[garde(skip)]
    pub owner_id: Option<UserId>,
    /// Values of custom fields, by key.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub custom: BTreeMap<String, serde_json::Value>,
}

/// A change to a client; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ClientPatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, MAX_CLIENT_NAME))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Its email address.
    #[garde(custom(text::maybe(text::line(0, 254))), custom(text::maybe(email_address)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub email: Option<String>,
    /// Its phone number.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub phone: Option<String>,
    /// Its website.
    #[garde(custom(text::maybe(text::line(0, 500))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub website: Option<String>,
    /// Its postal address.
    #[garde(custom(text::maybe(text::block(0, 1_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub address: Option<String>,
    /// Its tax ID.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub tax_id: Option<String>,
    /// Notes.
    #[garde(custom(text::maybe(text::block(0, MAX_CLIENT_NOTES))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub notes: Option<String>,
    /// The user ID of the responsible member, who must be active.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub owner_id: Option<UserId>,
    /// Values of custom fields, by key. `null` clears a value; absent keys stay as they are.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub custom: Option<BTreeMap<String, serde_json::Value>>,
}

/// Accepts an empty text or one with the shape of an email address. Only sending to it proves that it exists.
pub(crate) fn email_address<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let is_valid = value.is_empty()
        || value.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !value.contains(char::is_whitespace)
        });
    if is_valid { Ok(()) } else { Err(garde::Error::new("Enter a valid email address.")) }
}

use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ClientId, ContactId, Deal};

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// What it is called.
    pub name: String,
    /// Its address for mail.
    pub email: String,
    /// Its telephone number.
    pub phone: String,
    /// Its page.
    pub website: String,
    /// Where it is.
    pub address: String,
    /// What the tax office knows it as.
    pub tax_id: String,
    /// What else there is to know.
    pub notes: String,
    /// Who looks after it.
    pub owner: Option<Person>,
    /// Who added it.
    pub created_by: Option<Person>,
    /// What the fields of the organization's own say, by their keys.
    pub custom: BTreeMap<String, serde_json::Value>,
    /// When it was put aside.
    pub archived_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What was found, the newest of each kind first; ten of each at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Found {
    /// Clients, by name, address and telephone number.
    pub clients: Vec<Client>,
    /// People at clients, by the same.
    pub contacts: Vec<Contact>,
    /// Deals, by title, number and client.
    pub deals: Vec<Deal>,
}

/// What is searched for.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sought {
    /// Words, all of which have to be there, in any case and in any part of a word.
    #[serde(default)]
    pub q: String,
}

/// A client inside other objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientStub {
    /// Its id.
    pub id: ClientId,
    /// What it is called.
    pub name: String,
}

/// A client to be added.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewClient {
    /// What it is called.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// Its address for mail; no two clients of an organization have the same.
    #[serde(default)]
    #[garde(custom(text::line(0, 254)), custom(mail_address))]
    pub email: String,
    /// Its telephone number.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub phone: String,
    /// Its page.
    #[serde(default)]
    #[garde(custom(text::line(0, 500)))]
    pub website: String,
    /// Where it is.
    #[serde(default)]
    #[garde(custom(text::block(0, 1_000)))]
    pub address: String,
    /// What the tax office knows it as.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub tax_id: String,
    /// What else there is to know.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub notes: String,
    /// Who looks after it: an active member's account. The caller, where this is not given.
    #[garde(skip)]
    pub owner_id: Option<UserId>,
    /// What the fields of the organization's own say, by their keys.
    #[serde(default)]
    #[garde(length(max = 50))]
    pub custom: BTreeMap<String, serde_json::Value>,
}

/// A change to a client; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ClientPatch {
    /// What it is called.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Its address for mail.
    #[garde(custom(text::maybe(text::line(0, 254))), custom(text::maybe(mail_address)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub email: Option<String>,
    /// Its telephone number.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub phone: Option<String>,
    /// Its page.
    #[garde(custom(text::maybe(text::line(0, 500))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub website: Option<String>,
    /// Where it is.
    #[garde(custom(text::maybe(text::block(0, 1_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub address: Option<String>,
    /// What the tax office knows it as.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub tax_id: Option<String>,
    /// What else there is to know.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub notes: Option<String>,
    /// Who looks after it: an active member's account.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub owner_id: Option<UserId>,
    /// What the fields of the organization's own say, by their keys; `null` clears one, others stay.
    #[garde(inner(length(max = 50)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub custom: Option<BTreeMap<String, serde_json::Value>>,
}

/// Nothing, or something like an address for mail: whether it is one is found out by writing to it.
pub(crate) fn mail_address<T: AsRef<str> + ?Sized>(value: &T, (): &()) -> garde::Result {
    let value = value.as_ref();
    let fine = value.is_empty()
        || value.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !value.contains(char::is_whitespace)
        });
    if fine { Ok(()) } else { Err(garde::Error::new("That is no e-mail address.")) }
}

/// A person at a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contact {
    /// Their id.
    pub id: ContactId,
    /// The client.
    pub client_id: ClientId,
    /// What they are called.
    pub first_name: String,
    /// Their family name.
    pub last_name: String,
    /// Their address for mail.
    pub email: String,
    /// Their telephone number.
    pub phone: String,
    /// What they do there.
    pub title: String,
    /// The one to ask first. A client has at most one.
    pub is_primary: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
}

/// A person at a client, to be added.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewContact {
    /// What they are called.
    #[garde(custom(text::line(1, 100)))]
    pub first_name: String,
    /// Their family name.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub last_name: String,
    /// Their address for mail.
    #[serde(default)]
    #[garde(custom(text::line(0, 254)), custom(mail_address))]
    pub email: String,
    /// Their telephone number.
    #[serde(default)]
    #[garde(custom(text::line(0, 50)))]
    pub phone: String,
    /// What they do there.
    #[serde(default)]
    #[garde(custom(text::line(0, 100)))]
    pub title: String,
    /// The one to ask first, in the place of whoever is now.
    #[serde(default)]
    #[garde(skip)]
    pub is_primary: bool,
}

/// A change to a person at a client; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct ContactPatch {
    /// What they are called.
    #[garde(custom(text::maybe(text::line(1, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub first_name: Option<String>,
    /// Their family name.
    #[garde(custom(text::maybe(text::line(0, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub last_name: Option<String>,
    /// Their address for mail.
    #[garde(custom(text::maybe(text::line(0, 254))), custom(text::maybe(mail_address)))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub email: Option<String>,
    /// Their telephone number.
    #[garde(custom(text::maybe(text::line(0, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub phone: Option<String>,
    /// What they do there.
    #[garde(custom(text::maybe(text::line(0, 100))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// The one to ask first.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_primary: Option<bool>,
}

/// A client that may be the same as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Duplicate {
    /// The client.
    pub client: Client,
    /// What the two have in common: `name`, `email`, `phone`.
    pub same: Vec<&'static str>,
}

/// Which client becomes part of another.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct Merging {
    /// The one that goes.
    pub client_id: ClientId,
}

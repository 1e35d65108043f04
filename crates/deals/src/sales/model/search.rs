use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Client, Contact, Deal};

/// Search results: at most ten of each kind, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchHits {
    /// Clients that match by name, email address or phone number.
    pub clients: Vec<Client>,
    /// Contacts that match by the same fields.
    pub contacts: Vec<Contact>,
    /// Deals that match by title, number or client name.
    pub deals: Vec<Deal>,
}

/// A search query.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Terms to search for. All must occur, in any case, also within words.
    #[serde(default)]
    pub q: String,
}

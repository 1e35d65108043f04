use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Client, ClientId};

/// A possible duplicate of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Duplicate {
    /// The client.
    pub client: Client,
    /// What the two have in common: `name`, `email` or `phone`.
    pub same: Vec<&'static str>,
}

/// The client to merge into another.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct MergeClients {
    /// The client that is merged and removed.
    pub client_id: ClientId,
}

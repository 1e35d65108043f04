//! The verbs: what can be done with organizations, clients, deals and payments, for whoever asks.

mod clients;
mod deals;
mod members;
mod organizations;
mod payments;
mod pipelines;
mod trash;

pub use clients::Clients;
pub use deals::Deals;
pub use members::Members;
pub use organizations::Organizations;
pub use payments::Payments;
pub use pipelines::Pipelines;
pub use trash::Trash;

#[cfg(feature = "testing")]
pub use self::{
    clients::MockClients, deals::MockDeals, members::MockMembers, organizations::MockOrganizations,
    payments::MockPayments, pipelines::MockPipelines, trash::MockTrash,
};

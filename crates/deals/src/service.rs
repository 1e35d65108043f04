//! The verbs: what can be done with organizations, clients, deals and payments, for whoever asks.

mod clients;
mod custom;
mod deals;
mod exchange;
mod invitations;
mod lines;
mod members;
mod organizations;
mod payments;
mod pipelines;
mod reports;
mod trash;
mod views;
mod webhooks;
mod work;

pub use clients::Clients;
pub use custom::CustomFields;
pub use deals::Deals;
pub use exchange::Exchange;
pub use invitations::Invitations;
pub use lines::{DealFiles, Lines};
pub use members::Members;
pub use organizations::Organizations;
pub use payments::Payments;
pub use pipelines::Pipelines;
pub use reports::Reports;
pub use trash::Trash;
pub use views::Views;
pub use webhooks::Webhooks;
pub use work::Work;

#[cfg(feature = "testing")]
pub use self::{
    clients::MockClients,
    custom::MockCustomFields,
    deals::MockDeals,
    exchange::MockExchange,
    invitations::MockInvitations,
    lines::{MockDealFiles, MockLines},
    members::MockMembers,
    organizations::MockOrganizations,
    payments::MockPayments,
    pipelines::MockPipelines,
    reports::MockReports,
    trash::MockTrash,
    views::MockViews,
    webhooks::MockWebhooks,
    work::MockWork,
};

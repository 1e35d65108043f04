//! The services on a database.

mod blockers;
pub(crate) mod cleanup;
pub(crate) mod invitations;
pub(crate) mod members;
pub(crate) mod organizations;
mod reassign;
pub(crate) mod removal;
pub(crate) mod roles;
pub(crate) mod teams;

use crate::core::Core;

/// Organizations, their members, roles and teams, on a database.
#[derive(Clone)]
pub struct SqlTenancy {
    pub(crate) core: Core,
}

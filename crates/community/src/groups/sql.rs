//! The services on a database.

mod accept;
mod groups;
mod invites;
mod list;
mod members;
mod pictures;
mod requests;
pub(crate) mod show;

use crate::core::Core;

/// The services of groups and their members on a database.
#[derive(Clone)]
pub struct SqlGroups {
    pub(crate) core: Core,
}

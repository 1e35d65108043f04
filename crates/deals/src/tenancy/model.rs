//! The types.

mod cleanup;
mod invitations;
mod members;
mod organizations;
mod roles;
mod teams;

pub use cleanup::*;
pub use invitations::*;
pub use members::*;
pub use organizations::*;
pub use roles::*;
pub use teams::*;

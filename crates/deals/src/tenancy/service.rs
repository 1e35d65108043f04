//! The service traits.

mod invitations;
mod members;
mod organizations;
mod roles;
mod teams;

pub use invitations::*;
pub use members::*;
pub use organizations::*;
pub use roles::*;
pub use teams::*;

//! The service traits.

mod groups;
mod invites;
mod members;
mod pictures;
mod requests;

pub use groups::*;
pub use invites::*;
pub use members::*;
pub use pictures::*;
pub use requests::*;

//! The service traits.

mod exports;
mod imports;

pub use exports::*;
pub use imports::*;

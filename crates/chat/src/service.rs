//! The service traits.

mod audit;
mod changes;
mod hosts;
mod messages;
mod participants;
mod pins;
mod reactions;
mod reading;
mod requests;
mod rooms;
mod search;

pub use audit::*;
pub use changes::*;
pub use hosts::*;
pub use messages::*;
pub use participants::*;
pub use pins::*;
pub use reactions::*;
pub use reading::*;
pub use requests::*;
pub use rooms::*;
pub use search::*;

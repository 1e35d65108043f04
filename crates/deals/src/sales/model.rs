//! The types.

mod activities;
mod board;
mod clients;
mod contacts;
mod deals;
mod files;
mod lines;
mod merge;
mod pipelines;
mod search;
mod stages;
mod tasks;
mod trash;

pub use activities::*;
pub use board::*;
pub use clients::*;
pub use contacts::*;
pub use deals::*;
pub use files::*;
pub use lines::*;
pub use merge::*;
pub use pipelines::*;
pub use search::*;
pub use stages::*;
pub use tasks::*;
pub use trash::*;

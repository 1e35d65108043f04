//! The types.

mod activities;
mod clients;
mod contacts;
mod deals;
mod files;
mod lines;
mod pipelines;
mod search;
mod tasks;
mod trash;

pub use activities::*;
pub use clients::*;
pub use contacts::*;
pub use deals::*;
pub use files::*;
pub use lines::*;
pub use pipelines::*;
pub use search::*;
pub use tasks::*;
pub use trash::*;

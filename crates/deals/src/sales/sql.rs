//! The services on a database.

pub(crate) mod activities;
pub(crate) mod board;
pub(crate) mod clients;
pub(crate) mod contacts;
pub(crate) mod deals;
pub(crate) mod files;
pub(crate) mod lines;
pub(crate) mod merge;
pub(crate) mod pipelines;
pub(crate) mod reminders;
pub(crate) mod search;
pub(crate) mod stages;
pub(crate) mod tasks;
pub(crate) mod trash;

use crate::core::Core;

/// The sales services on a database.
#[derive(Clone)]
pub struct SqlSales {
    pub(crate) core: Core,
}

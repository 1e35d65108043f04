//! The services on a database.

pub(crate) mod clients;
pub(crate) mod contacts;
pub(crate) mod deals;
pub(crate) mod due_tasks;
pub(crate) mod pipelines;
pub(crate) mod search_text;
pub(crate) mod stage_requirements;
pub(crate) mod stages;

mod activities;
mod board;
mod deal_change;
mod deletions;
mod files;
mod lines;
mod list_filters;
mod merge;
mod merged_clients;
mod reminders;
mod search;
mod tasks;
mod trash;

use crate::core::Core;

/// Clients, their contacts, and merging duplicates, on a database.
#[derive(Clone)]
pub struct SqlClients {
    pub(crate) core: Core,
}

/// Pipelines, their stages, and boards, on a database.
#[derive(Clone)]
pub struct SqlPipelines {
    pub(crate) core: Core,
}

/// Deals, their line items and files, the search, and the trash, on a database.
#[derive(Clone)]
pub struct SqlSales {
    pub(crate) core: Core,
}

/// Tasks, their reminders, and activities, on a database.
#[derive(Clone)]
pub struct SqlTasks {
    pub(crate) core: Core,
}

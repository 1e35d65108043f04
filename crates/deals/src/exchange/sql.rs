//! The services on a database.

pub(crate) mod exports;
pub(crate) mod imports;

use std::time::Duration;

use async_trait::async_trait;
use guildhall_kernel::{Gate, job::Job};

use crate::core::Core;

/// Imports and exports, on a database.
#[derive(Clone)]
pub struct SqlExchange {
    core: Core,
    /// Limits how many tables are parsed concurrently, since that takes much memory.
    tables: Gate,
}

impl SqlExchange {
    pub(crate) fn new(core: Core) -> Self {
        Self { core, tables: Gate::new(imports::TABLES) }
    }
}

/// Aborts imports whose process has stopped.
#[async_trait]
impl Job for SqlExchange {
    fn name(&self) -> &'static str {
        "deals.imports"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self) -> guildhall_kernel::Result<()> {
        Ok(self.abort_stalled().await?)
    }
}

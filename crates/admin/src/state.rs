//! What the pages of the panel use.

use std::sync::Arc;

use crate::{Health, Operations, Panel, SqlPanel, Writes};

/// What the pages of the panel use.
#[derive(Clone)]
pub struct AdminState {
    /// Lists and rows.
    pub panel: Arc<dyn Panel>,
    /// Changes and deletions.
    pub writes: Arc<dyn Writes>,
    /// The dashboard, jobs and outgoing messages.
    pub operations: Arc<dyn Operations>,
    /// The health of the server.
    pub health: Arc<dyn Health>,
}

impl AdminState {
    /// The state for the services on a database.
    pub fn new(panel: &SqlPanel, health: Arc<dyn Health>) -> Self {
        let service = Arc::new(panel.clone());
        Self { panel: service.clone(), writes: service.clone(), operations: service, health }
    }
}

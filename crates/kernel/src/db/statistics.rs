//! Statistics of the executed statements.

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::Statement;

/// Statistics of the executed statements.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) count: AtomicU64,
    /// The statements, while a test records them.
    #[cfg(feature = "testing")]
    pub(super) recorded: std::sync::Mutex<Option<Vec<Statement>>>,
}

impl Statements {
    pub(super) fn record(&self, statement: &Statement) {
        self.count.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "testing")]
        if let Ok(mut recorded) = self.recorded.lock()
            && let Some(recorded) = recorded.as_mut()
        {
            recorded.push(statement.clone());
        }
        #[cfg(not(feature = "testing"))]
        let _ = statement;
    }
}

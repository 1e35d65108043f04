//! The physical floor: what SQLite needs for the statements of a request, prepared, on one connection in one thread.
//!
//! The statements are recorded from the server's own services, so they are never listed by hand. That needs the
//! feature `recording`.

#[cfg(any(test, feature = "recording"))]
mod recording;
#[cfg(any(test, feature = "recording"))]
mod repetition;

use std::path::Path;

use serde::Serialize;

use crate::{fill::Volume, scenario::Scenario};

/// The statements of a scenario, per request.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Physical {
    /// Number of statements.
    pub statements: f64,
    /// CPU time that SQLite needs for them, in microseconds; none if they cannot be repeated.
    pub sqlite_us: Option<f64>,
    /// The server's CPU time divided by that of SQLite and `GET /healthz`. Only for reads: the commit of a write and
    /// the hash of a password are not part of the floor.
    pub ratio: Option<f64>,
}

impl Physical {
    /// Compares it with the CPU time of the server for the scenario and for `GET /healthz`.
    #[must_use]
    pub fn beside(self, scenario: Scenario, server_us: f64, healthz_us: f64) -> Self {
        let ratio = self.sqlite_us.map(|sqlite_us| server_us / (sqlite_us + healthz_us));
        Self { ratio: ratio.filter(|_| scenario.is_read()), ..self }
    }
}

/// Measures the physical floor of scenarios on a copy, in `folder`, of a filled SQLite database that is not in use.
/// Without the feature `recording` the result is empty.
pub async fn measure(
    database: &Path,
    folder: &Path,
    volume: Volume,
    scenarios: &[Scenario],
) -> anyhow::Result<Vec<(Scenario, Physical)>> {
    #[cfg(any(test, feature = "recording"))]
    let measured = recording::measure(database, folder, volume, scenarios, recording::LENGTH);
    #[cfg(not(any(test, feature = "recording")))]
    let measured = {
        let _ = (database, folder, volume, scenarios);
        std::future::ready(Ok(Vec::new()))
    };
    Box::pin(measured).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_are_compared_with_the_server() {
        let physical = Physical { statements: 3.0, sqlite_us: Some(80.0), ratio: None };
        assert_eq!(physical.beside(Scenario::Groups, 300.0, 20.0).ratio, Some(3.0));
        assert_eq!(physical.beside(Scenario::CreatePost, 300.0, 20.0).ratio, None);
        let unknown = Physical { sqlite_us: None, ..physical };
        assert_eq!(unknown.beside(Scenario::Groups, 300.0, 20.0).ratio, None);
    }
}

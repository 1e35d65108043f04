//! The tables of a report.

use std::collections::BTreeMap;

use super::{Flood, MemoryCourse, PeerLine, PeerResult, Report};
use crate::{
    client::WRITE_INTERVAL,
    document::{Section, Table},
    figures::{mib, ratio, short, short_or_dash},
    usage::Memory,
};

impl Report {
    pub(super) fn scenarios(&self) -> Section {
        let mut table = Table::new(&[
            "scenario",
            "server/s (min..max)",
            "floor/s (min..max)",
            "ratio",
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "floor CPU µs",
            "switches",
        ]);
        let mut notes = Vec::new();
        for line in &self.lines {
            let (name, server, floor) = (line.scenario.name(), &line.server, line.floor.as_ref());
            table.push([
                name.to_owned(),
                server.load.per_second.to_string(),
                floor.map_or_else(|| short_or_dash(None), |floor| floor.per_second.to_string()),
                line.ratio.map_or_else(|| short_or_dash(None), ratio),
                server.p50_ms.to_string(),
                server.p99_ms.to_string(),
                short(server.load.cost.cpu_us),
                short_or_dash(floor.map(|floor| floor.cost.cpu_us)),
                short(server.load.cost.switches),
            ]);
            if server.load.refused > 0 {
                notes.push(format!("{name}: {} requests were rejected and not counted", server.load.refused));
            }
        }
        notes.push("CPU and voluntary context switches are per response, the lowest of the runs".to_owned());
        Section { title: "Scenarios", table, notes }
    }

    pub(super) fn physical(&self) -> Option<Section> {
        let healthz = self.healthz.cost.cpu_us;
        let mut table =
            Table::new(&["scenario", "statements", "SQLite CPU µs", "with healthz µs", "server CPU µs", "ratio"]);
        for line in &self.lines {
            let Some(physical) = line.physical else { continue };
            table.push([
                line.scenario.name().to_owned(),
                short(physical.statements),
                short_or_dash(physical.sqlite_us),
                short_or_dash(physical.sqlite_us.map(|sqlite| sqlite + healthz)),
                short(line.server.load.cost.cpu_us),
                physical.ratio.map_or_else(|| short_or_dash(None), ratio),
            ]);
        }
        let notes = vec![
            format!("healthz: {} µs of CPU per response", short(healthz)),
            "writes run between SAVEPOINT and ROLLBACK TO: the commit and the password hash are not included, so \
             there is no ratio"
                .to_owned(),
        ];
        (!table.is_empty()).then_some(Section { title: "Physical floor", table, notes })
    }

    pub(super) fn mixed(&self) -> Option<Section> {
        let mut table = Table::new(&[
            "scenario",
            "reads only/s (min..max)",
            "mixed/s (min..max)",
            "of these reads/s",
            "ratio",
            "CPU µs",
            "mixed CPU µs",
        ]);
        let reads = 1.0 - 1.0 / f64::from(WRITE_INTERVAL);
        for mixed in &self.mixed {
            table.push([
                mixed.scenario.name().to_owned(),
                mixed.pure.per_second.to_string(),
                mixed.mixed.per_second.to_string(),
                short(mixed.mixed.per_second.median * reads),
                ratio(mixed.ratio),
                short(mixed.pure.cost.cpu_us),
                short(mixed.mixed.cost.cpu_us),
            ]);
        }
        let notes = vec![format!("one of {WRITE_INTERVAL} requests is a write to the tables that are read")];
        (!table.is_empty()).then_some(Section { title: "Reads mixed with writes", table, notes })
    }

    pub(super) fn peer(&self) -> Option<Section> {
        let mut table = Table::new(&[
            "scenario",
            "server/s",
            "peer/s (min..max)",
            "ratio",
            "p99 ms",
            "peer p99 ms",
            "CPU µs",
            "peer CPU µs",
        ]);
        let mut notes = Vec::new();
        for line in &self.lines {
            let (name, server) = (line.scenario.name().to_owned(), &line.server);
            match &line.peer {
                None => {}
                Some(PeerResult::Failed { error }) => notes.push(format!("{name}: the peer failed: {error}")),
                Some(PeerResult::Measured(PeerLine { side: peer, ratio: times })) => {
                    if peer.load.refused > 0 {
                        notes.push(format!("{name}: {} requests were rejected by the peer", peer.load.refused));
                    }
                    table.push([
                        name,
                        short(server.load.per_second.median),
                        peer.load.per_second.to_string(),
                        ratio(*times),
                        short(server.p99_ms.median),
                        peer.p99_ms.to_string(),
                        short(server.load.cost.cpu_us),
                        short(peer.load.cost.cpu_us),
                    ]);
                }
            }
        }
        (!table.is_empty() || !notes.is_empty()).then_some(Section { title: "Peer", table, notes })
    }
}

impl MemoryCourse {
    pub(super) fn moments(&self) -> Vec<(String, Memory)> {
        let mut moments = vec![("start".to_owned(), self.start), ("after the load".to_owned(), self.loaded)];
        moments.extend(self.rested.map(|rested| (format!("after {} s of rest", self.rest_seconds), rested)));
        moments
    }

    pub(super) fn section(&self) -> Section {
        let mut table = Table::new(&["moment", "resident", "anonymous", "file", "peak"]);
        for (moment, memory) in self.moments() {
            let Memory { resident_kib, anonymous_kib, file_kib, peak_kib } = memory;
            table.push([moment, mib(resident_kib), mib(anonymous_kib), mib(file_kib), mib(peak_kib)]);
        }
        let notes = vec!["file pages are the program and the mapped part of the database".to_owned()];
        Section { title: "Memory of the server", table, notes }
    }
}

impl Flood {
    pub(super) fn section(&self) -> Section {
        let all: u32 = self.answers.values().sum();
        let share = |count: u32| format!("{:.1} %", 100.0 * f64::from(count) / f64::from(all.max(1)));
        // Listed even if there are none.
        let mut answers: BTreeMap<&str, u32> = ["200", "401", "429", "503"].map(|status| (status, 0)).into();
        answers.extend(self.answers.iter().map(|(status, count)| (status.as_str(), *count)));
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{status}: {}", share(*count))).collect();
        let (before, after) = (mib(self.before.resident_kib), mib(self.after.resident_kib));
        let grown = mib(self.after.peak_kib.saturating_sub(self.before.resident_kib));
        let notes = vec![
            format!("{} connections sign in as fast as they can", self.connections),
            format!("healthz before: {}", self.healthz_before),
            format!("healthz during: {}", self.healthz),
            format!("responses: {all}, of which {}", answers.join(", ")),
            format!("memory: {before} before, {grown} more at most, {after} after"),
        ];
        Section { title: "Flood of sign-ins", table: Table::new(&[]), notes }
    }
}

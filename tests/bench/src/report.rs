//! The results of a run.

mod plots;
mod tables;

use std::{collections::BTreeMap, env, num::NonZero, thread::available_parallelism};

use serde::Serialize;

use crate::{
    document::{Document, Results},
    figures::{Latency, Spread, short},
    fill::Volume,
    physical::Physical,
    scenario::Scenario,
    usage::{Cost, Memory},
};

/// The result of closed loops.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Load {
    /// Responses per second.
    pub per_second: Spread,
    /// What a response costs: the lowest of the runs.
    #[serde(flatten)]
    pub cost: Cost,
    /// Rejections because of overload.
    pub refused: u32,
}

/// The result of closed loops and of open ones.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// The throughput.
    #[serde(flatten)]
    pub load: Load,
    /// The median latency at half of the throughput.
    pub p50_ms: Spread,
    /// The 99th percentile of the latency.
    pub p99_ms: Spread,
}

/// The result of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The scenario.
    pub scenario: Scenario,
    /// The server.
    pub server: Side,
    /// The floor, if it has the scenario.
    pub floor: Option<Load>,
    /// The server's median throughput divided by the floor's.
    pub ratio: Option<f64>,
    /// The physical floor, if it was measured.
    pub physical: Option<Physical>,
    /// The peer, if there is one that has the scenario.
    pub peer: Option<PeerResult>,
}

/// The result of a scenario on the peer.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum PeerResult {
    /// It was measured.
    Measured(PeerLine),
    /// The peer responded with an error, or not at all.
    Failed {
        /// The cause.
        error: String,
    },
}

/// The peer beside the server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PeerLine {
    /// The peer.
    #[serde(flatten)]
    pub side: Side,
    /// The server's median throughput divided by the peer's.
    pub ratio: f64,
}

/// A read alone and mixed with writes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Mixed {
    /// The scenario.
    pub scenario: Scenario,
    /// The read alone.
    pub pure: Load,
    /// All requests of the mixed load.
    pub mixed: Load,
    /// The median throughput of the mixed load divided by that of the read alone.
    pub ratio: f64,
}

/// The server's memory in the course of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MemoryCourse {
    /// Before the first request.
    pub start: Memory,
    /// After the last scenario.
    pub loaded: Memory,
    /// After a rest, if there was one.
    pub rested: Option<Memory>,
    /// The length of the rest.
    pub rest_seconds: u32,
}

/// The effect of a flood of sign-ins.
#[derive(Clone, Debug, Serialize)]
pub struct Flood {
    /// Number of connections.
    pub connections: u32,
    /// Latency of `GET /healthz` before the flood.
    pub healthz_before: Latency,
    /// The same during the flood.
    pub healthz: Latency,
    /// Number of responses by status; `broken` if there was none.
    pub answers: BTreeMap<String, u32>,
    /// The server's memory before the flood.
    pub before: Memory,
    /// The same after the flood, with the peak since its start.
    pub after: Memory,
}

/// All results, and the conditions of the measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The database.
    pub database: String,
    /// The contents of the database.
    pub volume: Volume,
    /// Number of connections.
    pub connections: u32,
    /// Runs per scenario and server.
    pub runs: u32,
    /// Length of a run.
    pub seconds: u32,
    /// How long the server took to become ready.
    pub ready_ms: f64,
    /// `GET /healthz` on the server: HTTP and middleware.
    pub healthz: Load,
    /// The scenarios.
    pub lines: Vec<Line>,
    /// The reads mixed with writes, if they were measured.
    pub mixed: Vec<Mixed>,
    /// The server's memory.
    pub memory: MemoryCourse,
    /// The flood, if there was one.
    pub flood: Option<Flood>,
}

impl Results for Report {
    fn document(&self) -> Document {
        let mut sections = vec![self.scenarios()];
        sections.extend(self.physical());
        sections.extend(self.mixed());
        sections.extend(self.peer());
        sections.push(self.memory.section());
        sections.extend(self.flood.as_ref().map(Flood::section));
        Document {
            name: "results",
            title: "Results",
            database: self.database.clone(),
            command: self.command.clone(),
            conditions: vec![
                ("machine", self.machine.clone()),
                ("contents", self.volume.to_string()),
                ("load", format!("{} connections, {} runs of {} s", self.connections, self.runs, self.seconds)),
                ("start", format!("ready after {} ms", short(self.ready_ms))),
            ],
            sections,
            plots: self.plots(),
        }
    }
}

/// The command line of this process.
pub fn command() -> String {
    env::args().collect::<Vec<_>>().join(" ")
}

/// The processor and its cores.
pub fn machine() -> String {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, model)| model.trim());
    format!("{cores} cores ({model}), shared by the servers, the database and the load")
}

#[cfg(test)]
impl Side {
    /// A side with this throughput and round figures.
    pub(crate) fn example(rate: f64) -> Self {
        let cost = Cost { cpu_us: 300.0, switches: 2.5 };
        let load = Load { per_second: Spread::of(vec![rate]), cost, refused: 1 };
        Self { load, p50_ms: Spread::of(vec![1.0]), p99_ms: Spread::of(vec![4.0]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(mib: u32) -> Memory {
        let kib = mib * 1024;
        Memory { resident_kib: kib, anonymous_kib: kib / 4, file_kib: kib / 4 * 3, peak_kib: 2 * kib }
    }

    fn report() -> Report {
        let (server, floor) = (Side::example(2000.0), Side::example(2500.0).load);
        let physical = Physical { statements: 3.5, sqlite_us: Some(80.0), ratio: Some(3.0) };
        let peer = PeerResult::Measured(PeerLine { side: Side::example(50.0), ratio: 40.0 });
        let (scenario, ratio) = (Scenario::Groups, Some(0.8));
        let (physical, peer) = (Some(physical), Some(peer));
        let measured = Line { scenario, server, floor: Some(floor), ratio, physical, peer };
        let failed = PeerResult::Failed { error: "unexpected response 500".to_owned() };
        let physical = Physical { statements: 8.0, sqlite_us: None, ratio: None };
        let line = Line { scenario: Scenario::Pay, physical: Some(physical), peer: Some(failed), ..measured.clone() };
        let scenario = Scenario::Inbox;
        let without_floor = Line { scenario, floor: None, ratio: None, physical: None, peer: None, ..measured.clone() };
        Report {
            command: "guildhall-bench".to_owned(),
            machine: "2 cores".to_owned(),
            database: "SQLite 3".to_owned(),
            volume: Volume { people: 1, groups: 2, posts: 3, deals: 4, messages: 5 },
            connections: 32,
            runs: 3,
            seconds: 5,
            ready_ms: 80.0,
            healthz: Side::example(9000.0).load,
            lines: vec![measured, line, without_floor],
            mixed: vec![Mixed { scenario: Scenario::Groups, pure: server.load, mixed: floor, ratio: 1.25 }],
            memory: MemoryCourse { start: memory(40), loaded: memory(80), rested: Some(memory(60)), rest_seconds: 300 },
            flood: None,
        }
    }

    #[track_caller]
    fn assert_row(text: &str, cells: &[&str]) {
        let words: Vec<&str> = cells.iter().flat_map(|cell| cell.split_whitespace()).collect();
        let found = text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == words);
        assert!(found, "{cells:?} is not in\n{text}");
    }

    #[test]
    fn a_report_shows_throughput_latency_cpu_and_context_switches() {
        let text = report().document().to_string();
        let (server, floor) = ("2000 (2000..2000)", "2500 (2500..2500)");
        let (p50, p99) = ("1.00 (1.00..1.00)", "4.00 (4.00..4.00)");
        assert_row(&text, &["20 groups", server, floor, "0.80", p50, p99, "300", "300", "2.50"]);
        assert_row(&text, &["20 groups: 1 requests were rejected and not counted"]);
        assert_row(&text, &["20 conversations", server, "–", "–", p50, p99, "300", "–", "2.50"]);
    }

    #[test]
    fn a_report_shows_the_physical_floor() {
        let text = report().document().to_string();
        assert_row(&text, &["20 groups", "3.50", "80.0", "380", "300", "3.00"]);
        assert_row(&text, &["record a payment", "8.00", "–", "–", "300", "–"]);
        let mut report = report();
        report.lines.iter_mut().for_each(|line| line.physical = None);
        assert!(!report.document().to_string().contains("Physical"));
    }

    #[test]
    fn a_report_shows_reads_mixed_with_writes() {
        let text = report().document().to_string();
        assert_row(&text, &["20 groups", "2000 (2000..2000)", "2500 (2500..2500)", "2375", "1.25", "300", "300"]);
    }

    #[test]
    fn a_report_shows_the_peer_and_its_failures() {
        let text = report().document().to_string();
        let (rate, p99) = ("50.0 (50.0..50.0)", "4.00 (4.00..4.00)");
        assert_row(&text, &["20 groups", "2000", rate, "40.00", "4.00", p99, "300", "300"]);
        assert_row(&text, &["record a payment: the peer failed: unexpected response 500"]);
    }

    #[test]
    fn a_report_splits_the_memory() {
        let text = report().document().to_string();
        assert_row(&text, &["after 300 s of rest", "60.0 MiB", "15.0 MiB", "45.0 MiB", "120.0 MiB"]);
    }

    #[test]
    fn a_report_has_a_plot_of_each_table() {
        let plots = report().document().plots;
        assert_eq!(
            plots.iter().map(|plot| plot.name).collect::<Vec<_>>(),
            ["throughput", "latency", "cpu", "mixed", "memory"]
        );
        let cpu = plots[2].svg().unwrap();
        for series in ["server", "floor", "SQLite and healthz", "peer"] {
            assert!(cpu.contains(series), "{series}");
        }
    }

    #[test]
    fn the_json_has_a_member_for_each_figure() {
        let json = serde_json::to_value(report()).unwrap();
        let line = &json["lines"][0];
        let figures = [
            &line["server"]["cpu_us"],
            &line["server"]["switches"],
            &line["server"]["per_second"]["median"],
            &line["floor"]["cpu_us"],
            &line["physical"]["sqlite_us"],
            &line["peer"]["ratio"],
            &json["mixed"][0]["mixed"]["per_second"]["min"],
            &json["memory"]["rested"]["anonymous_kib"],
            &json["healthz"]["cpu_us"],
        ];
        assert!(figures.iter().all(|figure| figure.is_number()), "{json:#}");
        assert_eq!(json["lines"][1]["peer"]["error"], "unexpected response 500");
    }
}

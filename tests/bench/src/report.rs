//! The results of a run, as a table and as JSON.

use std::{collections::BTreeMap, env, fmt, num::NonZero, thread::available_parallelism, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{fill::Volume, process::Memory, scenario::Scenario};

/// The median and range of several runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// From the values of the runs, at least one.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let value = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { median: value(values.len() / 2), min: value(0), max: value(values.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({}..{})", short(self.median), short(self.min), short(self.max)))
    }
}

/// Formats a number with its significant digits.
fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// Latency in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// The median.
    #[serde(rename = "p50_ms")]
    pub p50: f64,
    /// The 99th percentile.
    #[serde(rename = "p99_ms")]
    pub p99: f64,
    /// The maximum.
    #[serde(rename = "max_ms")]
    pub max: f64,
}

impl Latency {
    /// From a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |micros| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            max: ms(histogram.max()),
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99, max) = (short(self.p50), short(self.p99), short(self.max));
        write!(f, "p50 {p50} ms, p99 {p99} ms, max {max} ms")
    }
}

/// The result of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The scenario.
    pub scenario: Scenario,
    /// Responses per second of the server.
    pub server_per_second: Spread,
    /// Responses per second of the floor.
    pub floor_per_second: Spread,
    /// The server's median divided by the floor's.
    pub ratio: f64,
    /// The server's median latency at half of its throughput.
    pub p50_ms: Spread,
    /// The 99th percentile of the latency.
    pub p99_ms: Spread,
    /// Rejections because of overload.
    pub refused: u32,
}

/// The result of a scenario without a floor.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// Responses per second.
    pub per_second: Spread,
    /// The median latency at half of the throughput.
    pub p50_ms: Spread,
    /// The 99th percentile of the latency.
    pub p99_ms: Spread,
    /// Rejections because of overload.
    pub refused: u32,
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
    /// The scenarios.
    pub lines: Vec<Line>,
    /// The server's memory before the first scenario.
    pub idle: Memory,
    /// The same after the last one.
    pub loaded: Memory,
    /// The flood, if there was one.
    pub flood: Option<Flood>,
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
    format!("{cores} cores ({model}), shared by server, floor, database and load")
}

fn mib(kib: u32) -> String {
    format!("{:.1} MiB", f64::from(kib) / 1024.0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command    {}", self.command)?;
        writeln!(f, "machine    {}", self.machine)?;
        writeln!(f, "database   {}; {}", self.database, self.volume)?;
        writeln!(f, "load       {} connections, {} runs of {} s", self.connections, self.runs, self.seconds)?;
        writeln!(f, "start      ready after {} ms", short(self.ready_ms))?;
        writeln!(f)?;
        self.write_table(f)?;
        writeln!(f)?;
        let (idle, loaded) = (self.idle, self.loaded);
        let (before, after, peak) = (mib(idle.resident_kib), mib(loaded.resident_kib), mib(loaded.peak_kib));
        writeln!(f, "memory     {before} idle, {after} after the load, {peak} at most")?;
        match &self.flood {
            Some(flood) => write!(f, "{flood}"),
            None => Ok(()),
        }
    }
}

impl Report {
    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["scenario", "server/s (min..max)", "floor/s (min..max)", "ratio", "p50 ms", "p99 ms"];
        let [scenario, server, floor, ratio, p50, p99] = heads;
        writeln!(f, "{scenario:<26}{server:<24}{floor:<24}{ratio:<8}{p50:<22}{p99}")?;
        for line in &self.lines {
            let (name, ratio) = (line.scenario.name(), format!("{:.2}", line.ratio));
            let (server, floor) = (line.server_per_second, line.floor_per_second);
            let (p50, p99) = (line.p50_ms, line.p99_ms);
            writeln!(f, "{name:<26}{server:<24}{floor:<24}{ratio:<8}{p50:<22}{p99}")?;
        }
        for line in self.lines.iter().filter(|line| line.refused > 0) {
            writeln!(f, "{}: {} requests were rejected and not counted", line.scenario.name(), line.refused)?;
        }
        Ok(())
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flood      {} connections sign in as fast as they can", self.connections)?;
        writeln!(f, "  healthz before  {}", self.healthz_before)?;
        writeln!(f, "  healthz during  {}", self.healthz)?;
        let all: u32 = self.answers.values().sum();
        let share = |count: u32| format!("{:.1} %", 100.0 * f64::from(count) / f64::from(all.max(1)));
        // Listed even if there are none.
        let mut answers: BTreeMap<&str, u32> = ["200", "401", "429", "503"].map(|status| (status, 0)).into();
        answers.extend(self.answers.iter().map(|(status, count)| (status.as_str(), *count)));
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{status}: {}", share(*count))).collect();
        writeln!(f, "  responses       {all}, of which {}", answers.join(", "))?;
        let (before, after) = (mib(self.before.resident_kib), mib(self.after.resident_kib));
        let grown = self.after.peak_kib.saturating_sub(self.before.resident_kib);
        writeln!(f, "  memory          {before} before, {} more at most, {after} after", mib(grown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_shows_median_minimum_and_maximum() {
        assert_eq!(Spread::of(vec![1200.4, 8.0, 42.0]).to_string(), "42.0 (8.00..1200)");
        assert_eq!(Spread::of(vec![3.0]).to_string(), "3.00 (3.00..3.00)");
        assert_eq!(format!("{:<6}|", Spread::of(Vec::new())), "NaN (NaN..NaN)|");
    }
}

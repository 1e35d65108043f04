//! What a run has found, as a table and as JSON.

use std::{collections::BTreeMap, env, fmt, num::NonZero, thread::available_parallelism, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{fill::Volume, process::Memory, scenario::Scenario};

/// The middle of several runs, and how far apart they were.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// Of values, at least one.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), min: at(0), max: at(values.len().saturating_sub(1)) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({}..{})", short(self.median), short(self.min), short(self.max)))
    }
}

/// A number with as many digits as mean something.
fn short(number: f64) -> String {
    if number < 10.0 {
        format!("{number:.2}")
    } else if number < 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// How long requests took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of them no longer than this.
    #[serde(rename = "p50_ms")]
    pub p50: f64,
    /// All but one in a hundred no longer than this.
    #[serde(rename = "p99_ms")]
    pub p99: f64,
    /// None longer than this.
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

/// What a scenario gave.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Which one.
    pub scenario: Scenario,
    /// Answers a second of the server.
    pub server_per_second: Spread,
    /// Answers a second of the floor.
    pub floor_per_second: Spread,
    /// The server's median by the floor's.
    pub ratio: f64,
    /// The server's median latency at half its throughput.
    pub p50_ms: Spread,
    /// The 99th percentile of it.
    pub p99_ms: Spread,
    /// How often the server was too busy to answer.
    pub refused: u32,
}

/// What a scenario gave on a server that was measured alone.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Side {
    /// Answers a second.
    pub per_second: Spread,
    /// The median latency at half of this throughput.
    pub p50_ms: Spread,
    /// The 99th percentile of it.
    pub p99_ms: Spread,
    /// How often the server was too busy to answer.
    pub refused: u32,
}

/// What a flood of sign-ins did to the server.
#[derive(Clone, Debug, Serialize)]
pub struct Flood {
    /// How many connections it came on.
    pub connections: u32,
    /// `GET /healthz` before it.
    pub healthz_before: Latency,
    /// The same during it.
    pub healthz: Latency,
    /// How many answers had which status; `broken` where there was none.
    pub answers: BTreeMap<String, u32>,
    /// The server's memory before it.
    pub before: Memory,
    /// The same after it, with the peak since it began.
    pub after: Memory,
}

/// All that a run has found, and what one has to know to believe it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The command that made it.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The database.
    pub database: String,
    /// What was in it.
    pub volume: Volume,
    /// How many connections the load came on.
    pub connections: u32,
    /// How often each scenario was run on each side.
    pub runs: u32,
    /// How long a run was.
    pub seconds: u32,
    /// How long the server took to be ready.
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

/// The command that this process was started with.
pub fn command() -> String {
    env::args().collect::<Vec<_>>().join(" ")
}

/// The processor and its cores.
pub fn machine() -> String {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let known = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
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
            writeln!(f, "{}: {} requests were refused, and not counted", line.scenario.name(), line.refused)?;
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
        // Named even if there were none of them: that is news too.
        let mut answers: BTreeMap<&str, u32> = ["200", "401", "429", "503"].map(|status| (status, 0)).into();
        answers.extend(self.answers.iter().map(|(status, count)| (status.as_str(), *count)));
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{status}: {}", share(*count))).collect();
        writeln!(f, "  answers         {all}, of which {}", answers.join(", "))?;
        let (before, after) = (mib(self.before.resident_kib), mib(self.after.resident_kib));
        let grown = self.after.peak_kib.saturating_sub(self.before.resident_kib);
        writeln!(f, "  memory          {before} before, {} more at most, {after} after", mib(grown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        assert_eq!(Spread::of(vec![1200.4, 8.0, 42.0]).to_string(), "42.0 (8.00..1200)");
        assert_eq!(Spread::of(vec![3.0]).to_string(), "3.00 (3.00..3.00)");
        assert_eq!(format!("{:<6}|", Spread::of(Vec::new())), "NaN (NaN..NaN)|");
    }
}

//! Measures how the cost of requests grows with the data: the server alone, on a small and then on a large database.

use std::{
    fmt,
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use guildhall_accounts::HashCost;
use serde::Serialize;

use crate::{
    fill::{self, Databases, Volume},
    measure::{self, Plan},
    process::{self, Process},
    report::{self, Side},
    scenario::Scenario,
    target::Target,
};

/// The small database.
pub const SMALL: Volume = Volume { people: 10_000, groups: 1_000, posts: 50_000, deals: 0 };
/// The large one: ten times the groups, with the same number of posts in each.
pub const LARGE: Volume = Volume { people: 10_000, groups: 10_000, posts: 500_000, deals: 0 };
/// An organization with ten thousand deals.
pub const SMALL_DEALS: Volume = Volume { people: 100, groups: 1, posts: 10, deals: 10_000 };
/// An organization with a hundred times as many, by default.
pub const LARGE_DEALS: Volume = Volume { deals: 1_000_000, ..SMALL_DEALS };
/// All reads, and the most frequent writes.
pub const SCENARIOS: [Scenario; 12] = [
    Scenario::Me,
    Scenario::Users,
    Scenario::Groups,
    Scenario::Group,
    Scenario::GlobalFeed,
    Scenario::Feed,
    Scenario::Home,
    Scenario::Search,
    Scenario::SearchUncommon,
    Scenario::SearchCommon,
    Scenario::React,
    Scenario::CreatePost,
];

/// What is measured on each database.
pub struct Setup<'a> {
    /// The server.
    pub program: &'a Path,
    /// Its working directory.
    pub folder: &'a Path,
    /// The scenarios.
    pub scenarios: &'a [Scenario],
    /// Number of connections.
    pub connections: u32,
    /// Number and length of runs.
    pub plan: Plan,
    /// The volumes of the small and of the large database.
    pub volumes: [Volume; 2],
}

/// The result of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The scenario.
    pub scenario: Scenario,
    /// On the small database.
    pub small: Side,
    /// On the large one.
    pub large: Side,
    /// The relative cost of a request on the large one: the throughput on the small one divided by that on the large
    /// one.
    pub cost: f64,
}

/// All results, and the conditions of the measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The database.
    pub database: String,
    /// The volume of the small one.
    pub small: Volume,
    /// The volume of the large one.
    pub large: Volume,
    /// Number of connections.
    pub connections: u32,
    /// Runs per scenario and database.
    pub runs: u32,
    /// Length of a run.
    pub seconds: u64,
    /// The scenarios.
    pub lines: Vec<Line>,
}

impl Setup<'_> {
    /// Fills and measures the databases one after the other.
    pub async fn measure(&self, databases: &Databases) -> anyhow::Result<Growth> {
        let [small_volume, large_volume] = self.volumes;
        let (database, small) = self.measure_on(&databases.second, small_volume).await?;
        let (_, large) = self.measure_on(&databases.first, large_volume).await?;
        let sides = self.scenarios.iter().zip(small.into_iter().zip(large));
        let line = |(scenario, (small, large)): (&Scenario, (Side, Side))| Line {
            scenario: *scenario,
            small,
            large,
            cost: small.per_second.median / large.per_second.median,
        };
        Ok(Growth {
            command: report::command(),
            machine: report::machine(),
            database,
            small: small_volume,
            large: large_volume,
            connections: self.connections,
            runs: self.plan.runs,
            seconds: self.plan.length.as_secs(),
            lines: sides.map(line).collect(),
        })
    }

    /// Returns the database's version and the result of each scenario.
    async fn measure_on(&self, url: &str, volume: Volume) -> anyhow::Result<(String, Vec<Side>)> {
        writeln!(io::stderr(), "{volume} …")?;
        process::migrate(self.program, self.folder, url)?;
        let database = fill::fill_at(url, volume, &fill::password_hash(HashCost::default())?).await?;
        let server = Process::server(self.program, self.folder, url).await?;
        let target = Target::sign_in(server.address(), self.connections, volume).await?;
        let mut sides = Vec::new();
        for scenario in self.scenarios {
            writeln!(io::stderr(), "{} …", scenario.name())?;
            let side = measure::alone(*scenario, &target, self.plan).await;
            sides.push(side.with_context(|| format!("{}, {volume}", scenario.name()))?);
        }
        Ok((database, sides))
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command    {}", self.command)?;
        writeln!(f, "machine    {}", self.machine)?;
        writeln!(f, "database   {}", self.database)?;
        writeln!(f, "small      {}", self.small)?;
        writeln!(f, "large      {}", self.large)?;
        writeln!(f, "load       {} connections, {} runs of {} s", self.connections, self.runs, self.seconds)?;
        writeln!(f)?;
        let heads = ["scenario", "small/s (min..max)", "large/s (min..max)", "cost", "p99 ms small", "p99 ms large"];
        let [scenario, small, large, cost, p99_small, p99_large] = heads;
        writeln!(f, "{scenario:<26}{small:<24}{large:<24}{cost:<8}{p99_small:<22}{p99_large}")?;
        for line in &self.lines {
            let (name, cost) = (line.scenario.name(), format!("{:.2}", line.cost));
            let (small, large) = (line.small.per_second, line.large.per_second);
            let (p99_small, p99_large) = (line.small.p99_ms, line.large.p99_ms);
            writeln!(f, "{name:<26}{small:<24}{large:<24}{cost:<8}{p99_small:<22}{p99_large}")?;
        }
        for line in &self.lines {
            let refused = line.small.refused + line.large.refused;
            if refused > 0 {
                writeln!(f, "{}: {refused} requests were rejected and not counted", line.scenario.name())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Spread;

    #[test]
    fn the_report_shows_cost_and_rejections() {
        let side = |rate: f64| {
            let (per_second, ms) = (Spread::of(vec![rate]), Spread::of(vec![1.0]));
            Side { per_second, p50_ms: ms, p99_ms: ms, refused: 1 }
        };
        let line = Line { scenario: Scenario::Feed, small: side(2000.0), large: side(1000.0), cost: 2.0 };
        let growth = Growth {
            command: String::new(),
            machine: String::new(),
            database: String::new(),
            small: SMALL,
            large: LARGE,
            connections: 1,
            runs: 1,
            seconds: 1,
            lines: vec![line],
        };
        let text = growth.to_string();
        assert!(text.contains("small      10000 people, 1000 groups, 50000 posts\n"), "{text}");
        assert!(
            text.contains("20 posts of own groups    2000 (2000..2000)       1000 (1000..1000)       2.00    "),
            "{text}"
        );
        assert!(text.ends_with("20 posts of own groups: 2 requests were rejected and not counted\n"), "{text}");
    }

    #[test]
    fn groups_have_the_same_number_of_posts_in_both() {
        assert_eq!(SMALL.posts / SMALL.groups, LARGE.posts / LARGE.groups);
        assert_eq!(SMALL.people, LARGE.people);
    }
}

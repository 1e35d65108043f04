//! Measures how the cost of requests grows with the data: the server alone, on a small and then on a large database.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::Context;
use guildhall_accounts::HashCost;
use serde::Serialize;

use crate::{
    document::{Document, Results, Section, Table},
    figures::{ratio, short},
    fill::{self, Databases, Volume},
    measure::{self, Plan, Subject},
    plot::{Plot, Scale, Series},
    process::{self, Process},
    report::{self, Side},
    scenario::Scenario,
    target::Target,
};

/// The small database.
pub const SMALL: Volume = Volume { people: 10_000, groups: 1_000, posts: 50_000, deals: 0, messages: 0 };
/// The large one: ten times the groups, with the same number of posts in each.
pub const LARGE: Volume = Volume { people: 10_000, groups: 10_000, posts: 500_000, deals: 0, messages: 0 };
/// An organization with ten thousand deals.
pub const SMALL_DEALS: Volume = Volume { people: 100, groups: 1, posts: 10, deals: 10_000, messages: 0 };
/// An organization with a hundred times as many, by default.
pub const LARGE_DEALS: Volume = Volume { deals: 1_000_000, ..SMALL_DEALS };
/// A database with a hundred thousand messages: enough for full pages.
pub const SMALL_MESSAGES: Volume = Volume { people: 10_000, groups: 1, posts: 10, deals: 0, messages: 100_000 };
/// One with ten times as many, by default.
pub const LARGE_MESSAGES: Volume = Volume { messages: 1_000_000, ..SMALL_MESSAGES };
/// A database for pages, with something of everything.
pub const SMALL_PAGES: Volume =
    Volume { people: 10_000, groups: 1_000, posts: 50_000, deals: 10_000, messages: 100_000 };
/// One with ten times as many posts and messages.
pub const LARGE_PAGES: Volume = Volume { groups: 10_000, posts: 500_000, messages: 1_000_000, ..SMALL_PAGES };
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
            cost: small.load.per_second.median / large.load.per_second.median,
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
            let subject = Subject::new(target.clients(*scenario).await?, &[server.pid()]);
            let side = measure::alone(subject, self.plan).await;
            sides.push(side.with_context(|| format!("{}, {volume}", scenario.name()))?);
        }
        Ok((database, sides))
    }
}

impl Results for Growth {
    fn document(&self) -> Document {
        let conditions = vec![
            ("machine", self.machine.clone()),
            ("small", self.small.to_string()),
            ("large", self.large.to_string()),
            ("load", format!("{} connections, {} runs of {} s", self.connections, self.runs, self.seconds)),
        ];
        let (name, title) = match self.large {
            Volume { deals: 1.., messages: 1.., .. } => ("growth-pages", "Pages for people, and their growth"),
            Volume { deals: 1.., .. } => ("growth-deals", "Growth of deals"),
            Volume { messages: 1.., .. } => ("growth-messages", "Growth of messages"),
            _ => ("growth", "Growth"),
        };
        Document {
            name,
            title,
            database: self.database.clone(),
            command: self.command.clone(),
            conditions,
            sections: vec![self.section()],
            plots: vec![self.plot(name)],
        }
    }
}

impl Growth {
    fn section(&self) -> Section {
        let mut table = Table::new(&[
            "scenario",
            "small/s (min..max)",
            "large/s (min..max)",
            "cost",
            "p50 ms small",
            "p50 ms large",
            "p99 ms small",
            "p99 ms large",
            "CPU µs small",
            "CPU µs large",
        ]);
        let mut notes = Vec::new();
        for line in &self.lines {
            let (name, small, large) = (line.scenario.name(), &line.small, &line.large);
            table.push([
                name.to_owned(),
                small.load.per_second.to_string(),
                large.load.per_second.to_string(),
                ratio(line.cost),
                small.p50_ms.to_string(),
                large.p50_ms.to_string(),
                small.p99_ms.to_string(),
                large.p99_ms.to_string(),
                short(small.load.cost.cpu_us),
                short(large.load.cost.cpu_us),
            ]);
            let refused = small.load.refused + large.load.refused;
            if refused > 0 {
                notes.push(format!("{name}: {refused} requests were rejected and not counted"));
            }
        }
        Section { title: "Scenarios", table, notes }
    }

    fn plot(&self, name: &'static str) -> Plot {
        let costs = self.lines.iter().map(|line| Some(line.cost)).collect();
        Plot {
            name,
            title: "Cost of a response on the large database, relative to the small one",
            scale: Scale::Linear,
            labels: self.lines.iter().map(|line| line.scenario.name().to_owned()).collect(),
            series: vec![Series::new("cost", costs)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_shows_cost_and_rejections() {
        let (small, large) = (Side::example(2000.0), Side::example(1000.0));
        let line = Line { scenario: Scenario::Feed, small, large, cost: 2.0 };
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
        let text = growth.document().to_string();
        assert!(text.contains("small      10000 people, 1000 groups, 50000 posts\n"), "{text}");
        assert!(text.contains("20 posts of own groups  2000 (2000..2000)   1000 (1000..1000)   2.00  "), "{text}");
        assert!(text.contains("20 posts of own groups: 2 requests were rejected"), "{text}");
        assert!(growth.document().plots[0].svg().unwrap().contains("20 posts of own groups"));
    }
    #[test]
    fn groups_have_the_same_number_of_posts_in_both() {
        assert_eq!(SMALL.posts / SMALL.groups, LARGE.posts / LARGE.groups);
        assert_eq!(SMALL.people, LARGE.people);
    }
}

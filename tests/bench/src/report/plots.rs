//! The plots of a report.

use super::{Line, MemoryCourse, Mixed, PeerLine, PeerResult, Report, Side};
use crate::{
    plot::{Plot, Scale, Series},
    usage::Memory,
};

impl Report {
    /// The same figure of everything that is compared.
    fn compared(
        &self,
        server: impl Fn(&Line) -> Option<f64>,
        floor: impl Fn(&Line) -> Option<f64>,
        physical: impl Fn(&Line) -> Option<f64>,
        peer: impl Fn(&Side) -> f64,
    ) -> Vec<Series> {
        let peer = |line: &Line| match &line.peer {
            Some(PeerResult::Measured(PeerLine { side, .. })) => Some(peer(side)),
            Some(PeerResult::Failed { .. }) | None => None,
        };
        vec![
            Series::new("server", self.lines.iter().map(server).collect()),
            Series::new("floor", self.lines.iter().map(floor).collect()),
            Series::new("SQLite and healthz", self.lines.iter().map(physical).collect()),
            Series::new("peer", self.lines.iter().map(peer).collect()),
        ]
    }

    /// Everything that the tables show as plots.
    pub(super) fn plots(&self) -> Vec<Plot> {
        let labels: Vec<String> = self.lines.iter().map(|line| line.scenario.name().to_owned()).collect();
        let healthz = self.healthz.cost.cpu_us;
        let plot =
            |name, title, series| Plot { name, title, scale: Scale::Logarithmic, labels: labels.clone(), series };
        let mut plots = vec![
            plot(
                "throughput",
                "Responses per second",
                self.compared(
                    |line| Some(line.server.load.per_second.median),
                    |line| Some(line.floor?.per_second.median),
                    |_| None,
                    |peer| peer.load.per_second.median,
                ),
            ),
            plot(
                "latency",
                "99th percentile of the latency at half of the throughput, in ms",
                self.compared(|line| Some(line.server.p99_ms.median), |_| None, |_| None, |peer| peer.p99_ms.median),
            ),
            plot(
                "cpu",
                "CPU time per response, in µs",
                self.compared(
                    |line| Some(line.server.load.cost.cpu_us),
                    |line| Some(line.floor?.cost.cpu_us),
                    |line| Some(line.physical?.sqlite_us? + healthz),
                    |peer| peer.load.cost.cpu_us,
                ),
            ),
        ];
        if !self.mixed.is_empty() {
            let rate = |value: fn(&Mixed) -> f64| self.mixed.iter().map(|mixed| Some(value(mixed))).collect();
            plots.push(Plot {
                labels: self.mixed.iter().map(|mixed| mixed.scenario.name().to_owned()).collect(),
                ..plot(
                    "mixed",
                    "Responses per second of reads, alone and mixed with writes",
                    vec![
                        Series::new("reads only", rate(|mixed| mixed.pure.per_second.median)),
                        Series::new("mixed", rate(|mixed| mixed.mixed.per_second.median)),
                    ],
                )
            });
        }
        plots.push(self.memory.plot());
        plots
    }
}

impl MemoryCourse {
    fn plot(&self) -> Plot {
        let moments = self.moments();
        let pages = |kib: fn(&Memory) -> u32| {
            moments.iter().map(|(_, memory)| Some(f64::from(kib(memory)) / 1024.0)).collect::<Vec<_>>()
        };
        Plot {
            name: "memory",
            title: "Memory of the server, in MiB",
            scale: Scale::Linear,
            labels: moments.iter().map(|(moment, _)| moment.clone()).collect(),
            series: vec![
                Series::new("anonymous pages", pages(|memory| memory.anonymous_kib)),
                Series::new("file pages", pages(|memory| memory.file_kib)),
            ],
        }
    }
}

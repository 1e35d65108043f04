//! Figures of rooms, and their document.

use serde::Serialize;

use crate::{
    document::{self, Document, Section, Table},
    figures::{Latency, ratio, short, short_or_dash},
    plot::{Plot, Scale, Series},
};

/// As many messages as possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) messages_per_second: f64,
    pub(super) deliveries_per_second: f64,
    /// CPU time of the server for each delivery, in microseconds.
    pub(super) cpu_us: f64,
    pub(super) latency: Latency,
}

/// The figures of one server.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// Messages per second, of the best run.
    pub messages_per_second: f64,
    /// Deliveries per second, of the best run.
    pub deliveries_per_second: f64,
    /// The lowest CPU time of the server for each delivery, in microseconds.
    pub cpu_us: f64,
    /// From sending to receiving, with the highest throughput.
    pub saturated: Latency,
    /// Messages per second at which the next latency was measured.
    pub rate: f64,
    /// From when a message was due to when it was received.
    pub paced: Latency,
}

impl Figures {
    pub(super) fn of(bursts: &[Burst], rate: f64, paced: Latency) -> Self {
        let best = bursts.iter().max_by(|a, b| a.deliveries_per_second.total_cmp(&b.deliveries_per_second));
        let missing = Latency { p50: f64::NAN, p99: f64::NAN, max: f64::NAN };
        Self {
            messages_per_second: best.map_or(f64::NAN, |burst| burst.messages_per_second),
            deliveries_per_second: best.map_or(f64::NAN, |burst| burst.deliveries_per_second),
            cpu_us: bursts.iter().map(|burst| burst.cpu_us).fold(f64::NAN, f64::min),
            saturated: best.map_or(missing, |burst| burst.latency),
            rate,
            paced,
        }
    }
}

/// Fan-out to a number of sockets.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// The number of sockets in the room.
    pub sockets: u32,
    /// The server.
    pub server: Figures,
    /// The peer.
    pub peer: Option<Figures>,
}

/// Latency for the sockets that read, without and with others that do not.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SlowReaders {
    /// The number of sockets.
    pub sockets: u32,
    /// How many of them are slow in the second run.
    pub slow: u32,
    /// Messages per second.
    pub rate: f64,
    /// All sockets read.
    pub without: Latency,
    /// Some read about 2 KiB per second; the latency of the others.
    pub with: Latency,
}

/// Latency for the other sockets, without and with one that floods the server with frames.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Flooder {
    /// The number of the other sockets.
    pub sockets: u32,
    /// Messages per second.
    pub rate: f64,
    /// How often the server closed the flooder's socket.
    pub closed: u32,
    /// Nobody floods.
    pub without: Latency,
    /// The latency of the others while one floods.
    pub with: Latency,
}

/// All sockets reconnect at once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Storm {
    /// How many reconnected.
    pub sockets: u32,
    /// When half of them were back, in seconds.
    pub half_after: f64,
    /// When the last was back, in seconds.
    pub last_after: f64,
    /// How many messages were sent meanwhile; each socket has received each of them once.
    pub messages: u32,
}

/// All results, and the conditions of the measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: String,
    /// The database.
    pub database: String,
    /// Number of gateways.
    pub gateways: u32,
    /// How they announce events to each other.
    pub bus: &'static str,
    /// Length of a run.
    pub seconds: u32,
    /// Number of runs.
    pub runs: u32,
    /// One room.
    pub lines: Vec<Line>,
    /// A large room with slow readers.
    pub slow_readers: Option<SlowReaders>,
    /// A large room with a flooder.
    pub flooder: Option<Flooder>,
    /// A thousand small rooms.
    pub small_rooms: Option<Figures>,
    /// A reconnect storm.
    pub storm: Option<Storm>,
}

impl document::Results for Results {
    fn document(&self) -> Document {
        let (name, title) = match (self.gateways, self.bus) {
            (1, _) => ("rooms", "Rooms"),
            (_, "NATS") => ("rooms-gateways-nats", "Rooms with several gateways and NATS"),
            _ => ("rooms-gateways", "Rooms with several gateways"),
        };
        let conditions = vec![
            ("machine", self.machine.clone()),
            ("gateways", format!("{}, bus: {}", self.gateways, self.bus)),
            ("load", format!("up to 32 senders, best of {} runs of {} s", self.runs, self.seconds)),
        ];
        let sections = [
            Some(self.fan_out()),
            self.slow_readers.map(slow_readers),
            self.flooder.map(flooder),
            self.small_rooms.map(small_rooms),
            self.storm.map(storm),
        ];
        Document {
            name,
            title,
            database: self.database.clone(),
            command: self.command.clone(),
            conditions,
            sections: sections.into_iter().flatten().collect(),
            plots: vec![self.plot(name)],
        }
    }
}

impl Results {
    fn fan_out(&self) -> Section {
        let mut table = Table::new(&[
            "sockets",
            "deliveries/s",
            "peer/s",
            "ratio",
            "messages/s",
            "CPU µs",
            "peer CPU µs",
            "p50 ms",
            "p99 ms",
            "peer p99 ms",
        ]);
        for Line { sockets, server, peer } in &self.lines {
            table.push([
                sockets.to_string(),
                short(server.deliveries_per_second),
                short_or_dash(peer.map(|peer| peer.deliveries_per_second)),
                peer.map_or_else(
                    || "–".to_owned(),
                    |peer| ratio(server.deliveries_per_second / peer.deliveries_per_second),
                ),
                short(server.messages_per_second),
                short(server.cpu_us),
                short_or_dash(peer.map(|peer| peer.cpu_us)),
                short(server.paced.p50),
                short(server.paced.p99),
                short_or_dash(peer.map(|peer| peer.paced.p99)),
            ]);
        }
        let notes = vec![
            "CPU: of the server, for each delivery".to_owned(),
            "p50, p99: from sending to receiving, at a fifth of the highest throughput or 20,000 deliveries/s"
                .to_owned(),
            "the clients use the same machine".to_owned(),
        ];
        Section { title: "Fan-out of one room", table, notes }
    }

    fn plot(&self, name: &'static str) -> Plot {
        let values = |value: fn(&Line) -> Option<f64>| self.lines.iter().map(value).collect();
        let mut series = vec![Series::new("server", values(|line| Some(line.server.deliveries_per_second)))];
        if self.lines.iter().any(|line| line.peer.is_some()) {
            series.push(Series::new("peer", values(|line| line.peer.map(|peer| peer.deliveries_per_second))));
        }
        Plot {
            name,
            title: "Deliveries per second of one room, by the number of sockets",
            scale: Scale::Logarithmic,
            labels: self.lines.iter().map(|line| line.sockets.to_string()).collect(),
            series,
        }
    }
}

fn slow_readers(measured: SlowReaders) -> Section {
    let slow = format!("{} of {} slow", measured.slow, measured.sockets);
    let table = disturbance("readers", [("all fast".to_owned(), measured.without), (slow, measured.with)]);
    let notes = vec![
        format!("{} messages per second; the latency of those that read", short(measured.rate)),
        format!("p99 with slow readers to p99 without: {}", ratio(measured.with.p99 / measured.without.p99)),
    ];
    Section { title: "Slow readers", table, notes }
}

fn flooder(measured: Flooder) -> Section {
    let table = disturbance("flooder", [("none".to_owned(), measured.without), ("one".to_owned(), measured.with)]);
    let notes = vec![
        format!("{} messages per second; the latency of {} others", short(measured.rate), measured.sockets),
        format!("the server closed the flooder's socket {} times", measured.closed),
        format!("p99 with a flooder to p99 without: {}", ratio(measured.with.p99 / measured.without.p99)),
    ];
    Section { title: "Flooder", table, notes }
}

/// The latency without and with what disturbs.
fn disturbance(name: &'static str, rows: [(String, Latency); 2]) -> Table {
    let mut table = Table::new(&[name, "p50 ms", "p99 ms", "max ms"]);
    for (name, latency) in rows {
        table.push([name, short(latency.p50), short(latency.p99), short(latency.max)]);
    }
    table
}

fn small_rooms(measured: Figures) -> Section {
    let mut table = Table::new(&["deliveries/s", "messages/s", "CPU µs", "p50 ms", "p99 ms"]);
    table.push([
        short(measured.deliveries_per_second),
        short(measured.messages_per_second),
        short(measured.cpu_us),
        short(measured.paced.p50),
        short(measured.paced.p99),
    ]);
    let notes = vec![format!("p50, p99: {} messages per second, spread over all rooms", short(measured.rate))];
    Section { title: "1,000 rooms of 10", table, notes }
}

fn storm(measured: Storm) -> Section {
    let mut table = Table::new(&["sockets", "half are back after s", "the last after s", "messages meanwhile"]);
    let Storm { sockets, half_after, last_after, messages } = measured;
    table.push([sockets.to_string(), short(half_after), short(last_after), messages.to_string()]);
    let notes = vec!["each socket has received each message once and in order".to_owned()];
    Section { title: "Reconnect storm", table, notes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Results as _;

    fn figures(deliveries: f64) -> Figures {
        let latency = Latency { p50: 1.0, p99: 2.0, max: 3.0 };
        let burst = |deliveries_per_second| Burst {
            messages_per_second: deliveries_per_second / 10.0,
            deliveries_per_second,
            cpu_us: 4.0,
            latency,
        };
        Figures::of(&[burst(deliveries / 2.0), burst(deliveries)], 20.0, latency)
    }

    #[test]
    fn the_document_compares_with_the_peer() {
        let latency = |p99| Latency { p50: 1.0, p99, max: 40.0 };
        let results = Results {
            command: String::new(),
            machine: String::new(),
            database: String::new(),
            gateways: 2,
            bus: "NATS",
            seconds: 1,
            runs: 2,
            lines: vec![Line { sockets: 10, server: figures(9000.0), peer: Some(figures(300.0)) }],
            slow_readers: Some(SlowReaders {
                sockets: 100,
                slow: 10,
                rate: 5.0,
                without: latency(10.0),
                with: latency(12.5),
            }),
            flooder: Some(Flooder { sockets: 99, rate: 5.0, closed: 42, without: latency(10.0), with: latency(11.0) }),
            small_rooms: Some(figures(5000.0)),
            storm: Some(Storm { sockets: 99, half_after: 0.5, last_after: 1.25, messages: 7 }),
        };
        let document = results.document();
        let text = document.to_string();
        assert_eq!(document.name, "rooms-gateways-nats");
        for part in [
            "10       9000          300     30.00",
            "to p99 without: 1.25",
            "10 of 100 slow",
            "socket 42 times",
            "with a flooder to p99 without: 1.10",
            "1.25",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(document.plots[0].svg().unwrap().contains("peer"));
    }
}

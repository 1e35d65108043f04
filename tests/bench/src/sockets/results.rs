//! Figures of sockets, and their document.

use serde::Serialize;

use super::{EVENTS, LENGTH, PEOPLE, WRITERS};
use crate::{
    document::{self, Document, Section, Table},
    figures::{mib, ratio, short},
};

/// Deliveries per second to a number of sockets, of the best run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// The number of sockets.
    pub sockets: u32,
    /// Of Guildhall.
    pub server: f64,
    /// Of bare axum.
    pub bare: f64,
}

/// A server with idle sockets.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    /// The number of sockets.
    pub sockets: u32,
    /// The resident memory of the process before, in KiB.
    pub before_kib: u32,
    /// The resident memory of the process with them, in KiB.
    pub with_kib: u32,
    /// How many were opened per second.
    pub handshakes_per_second: f64,
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
    /// Number of runs.
    pub runs: u32,
    /// The fan-out, by the number of sockets.
    pub lines: Vec<Line>,
    /// Idle sockets, by their number.
    pub idle: Vec<Idle>,
}

impl document::Results for Results {
    fn document(&self) -> Document {
        Document {
            name: "sockets",
            title: "Sockets",
            database: self.database.clone(),
            command: self.command.clone(),
            conditions: vec![
                ("machine", self.machine.clone()),
                ("load", format!("{EVENTS} events of {LENGTH} bytes, {WRITERS} at a time, best of {} runs", self.runs)),
            ],
            sections: vec![fan_out(&self.lines), idle(&self.idle)],
            plots: Vec::new(),
        }
    }
}

fn fan_out(lines: &[Line]) -> Section {
    let mut table = Table::new(&["sockets", "deliveries/s", "bare axum/s", "ratio"]);
    for Line { sockets, server, bare } in lines {
        table.push([sockets.to_string(), short(*server), short(*bare), ratio(server / bare)]);
    }
    let notes = vec!["the server stores each event in a transaction of its own; bare axum stores nothing".to_owned()];
    Section { title: "Fan-out of one stream", table, notes }
}

fn idle(measured: &[Idle]) -> Section {
    let mut table = Table::new(&["sockets", "memory", "before", "KiB each", "handshakes/s"]);
    for Idle { sockets, before_kib, with_kib, handshakes_per_second } in measured {
        table.push([
            sockets.to_string(),
            mib(*with_kib),
            mib(*before_kib),
            short(f64::from(with_kib.saturating_sub(*before_kib)) / f64::from(*sockets)),
            short(*handshakes_per_second),
        ]);
    }
    let notes = vec![
        format!("the notifications of {PEOPLE} users, each in a server that was just started"),
        "memory: resident, with the pages of the program".to_owned(),
    ];
    Section { title: "Idle sockets", table, notes }
}

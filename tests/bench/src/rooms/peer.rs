//! The peer's rooms.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use serde::Deserialize;

use super::room::{Room, System};
use crate::peer::{Place as Installation, SocketPeer};

/// The peer with rooms of these sizes.
pub(super) struct Peer {
    process: SocketPeer,
    rooms: Rooms,
}

#[derive(Deserialize)]
struct Rooms {
    tokens: Vec<String>,
    /// By the number of participants.
    rooms: BTreeMap<u32, i64>,
}

/// Creates users and rooms, and serves them.
pub(super) async fn start(folder: &Path, source: &Path, python: &Path, sizes: &[u32]) -> anyhow::Result<Peer> {
    let place = Installation::new(folder, source, python, None)?;
    place.manage(&["migrate".to_owned()])?;
    let script = format!("sizes = {sizes:?}\n{}", include_str!("rooms.py"));
    let output = place.manage(&["shell".to_owned(), "-v".to_owned(), "0".to_owned(), "-c".to_owned(), script])?;
    let line = output.lines().last().context("the peer prints no rooms")?;
    Ok(Peer { rooms: serde_json::from_str(line)?, process: SocketPeer::start(&place).await? })
}

impl Peer {
    pub(super) fn room(&self, size: u32) -> anyhow::Result<Room> {
        let room = *self.rooms.rooms.get(&size).context("no such room")?;
        let tokens = self.rooms.tokens.clone();
        Ok(Room { system: System::Peer, addresses: vec![self.process.address()], id: room, tokens })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }
}

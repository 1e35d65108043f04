//! `guildhall verify-room`.

use std::{
    fs::File,
    io::{BufReader, stdin},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use guildhall_chat::verify_export;

use super::print_line;

#[derive(Args)]
pub(super) struct Command {
    /// The exported room; `-` reads from standard input
    file: PathBuf,
}

impl Command {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let outcome = if self.file == Path::new("-") {
            verify_export(stdin().lock())
        } else {
            let file = File::open(&self.file).with_context(|| format!("cannot open {}", self.file.display()))?;
            verify_export(BufReader::new(file))
        };
        let room = outcome.with_context(|| format!("{} is not a valid export of a room", self.file.display()))?;
        print_line(format_args!("Room {}: {} events, complete and unchanged.", room.room_id, room.events))?;
        print_line(format_args!("{} contents match their hashes, {} were deleted.", room.contents, room.deleted))?;
        print_line(format_args!("The last hash is {}", room.last_hash))
    }
}

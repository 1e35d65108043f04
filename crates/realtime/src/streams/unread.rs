//! Publishing what a user has not read.

use std::sync::Arc;

use guildhall_kernel::{Result, UserId, db::Tx};
use serde_json::{Map, Value};

use super::Streams;
use crate::{OwnStream, UnreadCounter, Version};

/// The type of the frame, and the name of its value.
const UNREAD_COUNT: &str = "unread_count";

impl Streams {
    /// Adds a number to the frame that [`publish_unread`](Self::publish_unread) sends; it replaces one of this name.
    pub fn register_unread(&self, counter: Arc<dyn UnreadCounter>) {
        self.0.unread.add(counter);
    }

    /// Sends the numbers of what a user has not read, of all domains, to their sockets, once the transaction has
    /// committed: `{"type": "unread_count", "messages": 2, "notifications": 5}`. The stream of the user has to be locked,
    /// or something was appended to it; take the version from there. Of concurrent transactions, the last one counts what
    /// the others have changed.
    ///
    /// # Errors
    /// Those of the counters.
    pub async fn publish_unread(&self, tx: &Tx, user: UserId, version: Version) -> Result<()> {
        let mut frame = Map::from_iter([("type".to_owned(), Value::from(UNREAD_COUNT))]);
        for counter in self.0.unread.all() {
            frame.insert(counter.name().to_owned(), counter.count(tx, user).await?.into());
        }
        self.publish_value(tx, &OwnStream::of(user), UNREAD_COUNT, version, &frame)
    }
}

//! What the database has of a stream.

use std::sync::Arc;

use crate::{Frame, Seq};

/// The state of a stream in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event.
    pub seq: Seq,
    /// Changes when the numbers start again.
    pub epoch: i64,
}

/// What the database has after some number.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The next events, in order.
    pub frames: Vec<Arc<Frame>>,
    /// The number of the last event of the stream.
    pub head: Seq,
}

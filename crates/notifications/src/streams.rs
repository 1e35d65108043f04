//! The streams of users: notifications that a user may no longer see are not sent again.

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use guildhall_kernel::{Caller, Error, Result};
use guildhall_realtime::{Frame, OwnStream, Seq, StreamHandler, StreamName};
use serde::Deserialize;

use crate::{
    Source, Target,
    core::{Core, visible},
};

/// Serves the streams `user/{id}` instead of [`OwnStream`]: a client that resumes does not get notifications of what its
/// user may no longer see.
#[derive(Clone)]
pub struct NotificationStreams {
    // Weak, because a source may own the streams, which own this.
    sources: Weak<[Arc<dyn Source>]>,
}

/// What is needed of the events of the stream.
#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    frame_type: String,
    target: Option<Target>,
}

/// The target of an event, if it is a notification about something.
fn target(event: &Frame) -> Option<Target> {
    let stored = serde_json::from_str::<Stored>(event.body()).ok()?;
    stored.target.filter(|_| stored.frame_type == "notification")
}

impl NotificationStreams {
    pub(crate) fn new(core: &Core) -> Self {
        Self { sources: Arc::downgrade(&core.host.sources) }
    }
}

#[async_trait]
impl StreamHandler for NotificationStreams {
    fn kinds(&self) -> Vec<&'static str> {
        OwnStream.kinds()
    }

    async fn visible_after(&self, caller: &Caller, stream: &StreamName) -> Result<Option<Seq>> {
        OwnStream.visible_after(caller, stream).await
    }

    async fn hidden(&self, caller: &Caller, _: &StreamName, events: &[Arc<Frame>]) -> Result<HashSet<Seq>> {
        let about: Vec<(Seq, Target)> = events.iter().filter_map(|event| Some((event.seq, target(event)?))).collect();
        if about.is_empty() {
            return Ok(HashSet::new());
        }
        let sources = self.sources.upgrade().ok_or_else(|| Error::internal("the notifications are closed"))?;
        let targets: Vec<Target> = about.iter().map(|(_, target)| target.clone()).collect();
        let visible = visible(&sources, caller.user, &targets).await?;
        Ok(about.into_iter().filter(|(_, target)| !visible.allows(Some(target))).map(|(seq, _)| seq).collect())
    }
}

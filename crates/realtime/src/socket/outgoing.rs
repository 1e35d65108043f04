//! What a socket sends.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::SinkExt;
use guildhall_kernel::Kind;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    outcome::{Outcome, failure},
    task::Task,
};
use crate::{Delivery, Frame, Next, Seq, StreamName, Subscription, close::Close, frame::with_stream};

/// How many events are taken from a stream at a time.
const BATCH: usize = 64;
/// How many events a subscriber may be behind.
const MAX_LAG: i64 = 5000;

impl Task<'_> {
    /// Sends what the subscriptions have.
    pub(super) async fn send_ready(&mut self) -> Outcome {
        let mut is_sent = false;
        let mut index = 0;
        while index < self.subscriptions.len() {
            let is_ready = self.subscriptions.get(index).is_some_and(Subscription::take_ready);
            if is_ready && self.send_stream(index, &mut is_sent).await? {
                continue; // this subscription has ended, and another one has its place
            }
            index += 1;
        }
        if is_sent { self.flush().await } else { Ok(()) }
    }

    /// Sends what one subscription has; returns whether it has ended.
    async fn send_stream(&mut self, index: usize, is_sent: &mut bool) -> Outcome<bool> {
        loop {
            let Some(subscription) = self.subscriptions.get_mut(index) else { return Ok(true) };
            if subscription.lag() > MAX_LAG {
                return Err(Close::TooSlow);
            }
            match subscription.poll(BATCH) {
                Next::Deliver(deliveries) => {
                    *is_sent = true;
                    if !self.send_deliveries(index, deliveries).await? {
                        return self.end(index).await;
                    }
                }
                Next::Read(after) => {
                    let page = self.streams.read(subscription.stream(), after).await;
                    match page {
                        Ok(page) => subscription.feed(page),
                        Err(error) => {
                            tracing::error!(%error, "could not read the events of a stream");
                            return Err(Close::Internal);
                        }
                    }
                }
                Next::Idle => return Ok(false),
                Next::Ended => {
                    *is_sent = true;
                    return self.end(index).await;
                }
            }
        }
    }

    /// Sends what a subscription has returned; returns whether the user may still follow the stream.
    async fn send_deliveries(&mut self, index: usize, deliveries: Vec<Delivery>) -> Outcome<bool> {
        let Some(subscription) = self.subscriptions.get(index) else { return Ok(true) };
        let (stream, began_at) = (subscription.stream().clone(), subscription.began_at());
        let hidden = self.hidden(&stream, began_at, &deliveries).await?;
        let user = self.caller.user;
        let checks = |delivery: &Delivery| matches!(delivery, Delivery::Frame(frame) if frame.checks(user) && frame.seq > began_at);
        let mut deliveries = deliveries.into_iter().peekable();
        while deliveries.peek().is_some() {
            let mut is_checked = false;
            // Up to the next event after which access is checked.
            let texts = std::iter::from_fn(|| {
                let delivery = deliveries.next_if(|_| !is_checked)?;
                is_checked = checks(&delivery);
                Some(match delivery {
                    Delivery::Frame(frame) if hidden.contains(&frame.seq) => Delivery::Frame(frame.hidden()),
                    other => other,
                })
            });
            let texts: Vec<Utf8Bytes> = texts.map(|delivery| self.encode(&stream, delivery)).collect();
            self.feed_all(texts).await?;
            if is_checked && !self.may_follow(&stream).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The numbers of those events from before the subscription that the user may no longer see.
    async fn hidden(&mut self, stream: &StreamName, began_at: Seq, deliveries: &[Delivery]) -> Outcome<HashSet<Seq>> {
        let from_before = |delivery: &Delivery| match delivery {
            Delivery::Frame(frame) if frame.seq <= began_at => Some(frame.clone()),
            _ => None,
        };
        let replayed: Vec<Arc<Frame>> = deliveries.iter().filter_map(from_before).collect();
        let handler = self.streams.handlers().get(stream).filter(|_| !replayed.is_empty());
        let Some(handler) = handler else { return Ok(HashSet::new()) };
        handler.hidden(&self.caller, stream, &replayed).await.map_err(|error| {
            tracing::error!(%error, "could not find out which events of a stream are visible");
            Close::Internal
        })
    }

    pub(super) async fn may_follow(&mut self, stream: &StreamName) -> Outcome<bool> {
        match self.streams.handlers().visible_after(&self.caller, stream).await {
            Ok(visible_after) => Ok(visible_after.is_some()),
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Forbidden | Kind::Conflict) => Ok(false),
            Err(error) => {
                tracing::error!(%error, "could not check who may follow a stream");
                Err(Close::Internal)
            }
        }
    }

    /// Ends a subscription; a socket with one stream is closed. Returns `true`.
    pub(super) async fn end(&mut self, index: usize) -> Outcome<bool> {
        let subscription = self.subscriptions.swap_remove(index);
        if !self.is_many {
            return Err(if subscription.is_closed() { Close::Gone } else { Close::NotAllowed });
        }
        let ended = json!({ "type": "unsubscribed", "stream": subscription.stream().as_str() });
        self.feed(Message::Text(ended.to_string().into())).await?;
        Ok(true)
    }

    fn encode(&self, stream: &StreamName, delivery: Delivery) -> Utf8Bytes {
        match delivery {
            Delivery::Frame(frame) if self.is_many => frame.named(stream),
            Delivery::Frame(frame) => frame.numbered(),
            Delivery::Transient(body) if self.is_many => with_stream(stream, &body),
            Delivery::Transient(body) => body,
            Delivery::Gap { from, to, reason } => {
                let gap = json!({ "type": "gap", "from": from, "to": to, "reason": reason }).to_string();
                if self.is_many { with_stream(stream, &gap) } else { gap.into() }
            }
        }
    }

    /// Puts a frame into the write buffer. Waits only if that is full.
    pub(super) async fn feed(&mut self, message: Message) -> Outcome {
        let limit = Duration::from_secs(self.streams.settings().write_seconds.into());
        match timeout(limit, self.socket.feed(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => Err(Close::TooSlow),
        }
    }

    /// Like [`feed`](Self::feed), for several texts with one deadline.
    async fn feed_all(&mut self, texts: Vec<Utf8Bytes>) -> Outcome {
        let limit = Duration::from_secs(self.streams.settings().write_seconds.into());
        let feeding = async {
            for text in texts {
                self.socket.feed(Message::Text(text)).await?;
            }
            Ok(())
        };
        match timeout(limit, feeding).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => Err(Close::TooSlow),
        }
    }

    pub(super) async fn flush(&mut self) -> Outcome {
        let limit = Duration::from_secs(self.streams.settings().write_seconds.into());
        match timeout(limit, self.socket.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => Err(Close::TooSlow),
        }
    }

    pub(super) async fn send_json(&mut self, frame: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(frame).map_err(|_| Close::Internal)?;
        self.feed(Message::Text(text.into())).await?;
        self.flush().await
    }
}

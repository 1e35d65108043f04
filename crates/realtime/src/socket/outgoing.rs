//! What a socket sends.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes};
use futures_util::SinkExt;
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    outcome::{Outcome, failure},
    task::Task,
};
use crate::{Delivery, Next, StreamName, Subscription, close::Close, frame::with_stream};

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
                    let stream = subscription.stream().clone();
                    for delivery in deliveries {
                        let text = self.encode(&stream, delivery);
                        self.feed(Message::Text(text)).await?;
                    }
                    *is_sent = true;
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
                Next::Ended if !self.is_many => return Err(Close::NotAllowed),
                Next::Ended => {
                    let subscription = self.subscriptions.swap_remove(index);
                    let ended = json!({ "type": "unsubscribed", "stream": subscription.stream().as_str() });
                    self.feed(Message::Text(ended.to_string().into())).await?;
                    *is_sent = true;
                    return Ok(true);
                }
            }
        }
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

//! What the log says of commands that fail.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::harness::{Client, harness};

/// Keeps the fields of all errors.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Visit for Errors {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn the_cause_of_a_failed_command_is_logged_and_not_sent() {
    let errors = Errors::default();
    let _guard = tracing::subscriber::set_default(errors.clone());
    let harness = harness().await;
    let address = harness.serve().await;
    let mut client = Client::connect(address, "/rooms/7/?token=5").await;
    client.next_of("hello").await;
    client.send(json!({ "type": "fail" })).await;
    let reply = client.next().await;
    assert_eq!((&reply["code"], reply.to_string().contains("disk")), (&json!("internal"), false));
    let logged = errors.0.lock().unwrap().join(" ");
    assert!(logged.contains("the disk is full") && logged.contains("user.id=5"), "{logged}");
}

//! Background tasks of the server.

use std::{sync::Arc, time::Duration};

use guildhall_kernel::{
    idempotency::Pruning,
    job::{Job, Jobs},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wiring::Services;

/// How often the tasks poll for work that another process has created.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Starts the background tasks: events, emails, webhooks, link previews, scheduled jobs, and the calibration of failed
/// sign-ins. They run until `stop` is cancelled.
pub(crate) fn start(services: &Services, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let mut all: Vec<Arc<dyn Job>> = vec![
        Arc::new(services.accounts.clone()),
        Arc::new(services.files.clone()),
        Arc::new(services.events.clone()),
        Arc::new(services.streams.clone()),
        Arc::new(services.messaging.clone()),
        Arc::new(services.chat.clone()),
        Arc::new(Pruning::new(services.db.clone(), services.clock.clone())),
    ];
    all.extend(services.deals.jobs());
    all.extend(services.notifications.jobs());
    let jobs = Jobs::new(services.db.clone(), services.clock.clone(), all);
    let spawn = |work| tokio::spawn(until_stopped(stop.clone(), work));
    let accounts = services.accounts.clone();
    let calibration: Task = Box::pin(async move {
        match accounts.calibrate().await {
            Ok(duration) => tracing::info!(duration_ms = duration.as_secs_f64() * 1000.0, "calibrated failed sign-ins"),
            Err(error) => tracing::warn!(%error, "could not calibrate failed sign-ins; they take one second"),
        }
    });
    let previews: Task = Box::pin(fetch_post_previews(services.clone()));
    let message_previews: Task = Box::pin(fetch_message_previews(services.clone()));
    let webhooks: Task = Box::pin(deliver_webhooks(services.clone()));
    let dispatcher = services.events.clone();
    let events: Task = Box::pin(async move { dispatcher.dispatch_forever().await });
    let streams = services.streams.clone();
    let streams: Task = Box::pin(async move { streams.run().await });
    let chat = services.chat.clone();
    let rooms: Task = Box::pin(async move { chat.run().await });
    let jobs: Task = Box::pin(run_jobs(jobs));
    let notifier = services.notifications.notifier();
    let notifications: Task = Box::pin(async move { notifier.deliver_forever().await });
    let pushes: Task = Box::pin(deliver_pushes(services.clone()));
    let all = [calibration, jobs, previews, message_previews, events, webhooks, streams, rooms, notifications, pushes];
    let mut tasks: Vec<_> = all.into_iter().map(spawn).collect();
    if services.mailer.is_some() {
        tasks.push(spawn(Box::pin(deliver_emails(services.clone()))));
    }
    tasks
}

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn until_stopped(stop: CancellationToken, work: Task) {
    stop.run_until_cancelled(work).await;
}

async fn run_jobs(jobs: Jobs) {
    loop {
        // Let a server that has just started handle requests first.
        tokio::time::sleep(POLL_INTERVAL).await;
        if let Err(error) = jobs.run_due().await {
            tracing::error!(%error, "could not run the due jobs");
        }
    }
}

/// Fetches the pages that new posts link to.
async fn fetch_post_previews(services: Services) {
    loop {
        // Woken by this process; another process is noticed by polling.
        let _ = tokio::time::timeout(POLL_INTERVAL, services.community.wait_for_previews()).await;
        if let Err(error) = services.community.fetch_previews().await {
            tracing::error!(error = %guildhall_kernel::Error::from(error), "could not fetch link previews of posts");
        }
    }
}

/// Fetches the pages that new messages link to.
async fn fetch_message_previews(services: Services) {
    loop {
        // Woken by this process; another process is noticed by polling.
        let _ = tokio::time::timeout(POLL_INTERVAL, services.messaging.wait_for_previews()).await;
        if let Err(error) = services.messaging.fetch_previews().await {
            tracing::error!(error = %guildhall_kernel::Error::from(error), "could not fetch link previews of messages");
        }
    }
}

/// Sends webhook messages from the outbox.
async fn deliver_webhooks(services: Services) {
    let mut changes = services.outbox.stored_work();
    loop {
        // Woken by this process; another process is noticed by polling.
        let _ = tokio::time::timeout(POLL_INTERVAL, changes.changed()).await;
        if let Err(error) = services.outbox.deliver(&services.deals.webhooks).await {
            tracing::error!(%error, "could not read the outbox");
        }
    }
}

/// Sends web pushes from the outbox.
async fn deliver_pushes(services: Services) {
    let mut changes = services.outbox.stored_work();
    loop {
        // Woken by this process; another process is noticed by polling.
        let _ = tokio::time::timeout(POLL_INTERVAL, changes.changed()).await;
        if let Err(error) = services.outbox.deliver(&services.notifications.pushes()).await {
            tracing::error!(%error, "could not read the outbox");
        }
    }
}

async fn deliver_emails(services: Services) {
    let Some(mailer) = services.mailer else { return };
    let mut changes = services.outbox.stored_work();
    loop {
        // Woken by this process; another process is noticed by polling.
        let _ = tokio::time::timeout(POLL_INTERVAL, changes.changed()).await;
        if let Err(error) = services.outbox.deliver_emails(&*mailer).await {
            tracing::error!(%error, "could not read the outbox");
        }
    }
}

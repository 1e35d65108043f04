//! What the server does beside answering requests.

use std::{sync::Arc, time::Duration};

use guildhall_kernel::{
    Clock,
    idempotency::Pruning,
    job::{Job, Jobs},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Services;

/// How often it is looked whether something is due that nobody here has announced.
const PAUSE: Duration = Duration::from_secs(5);

/// Delivers letters, does the jobs that are due, and measures what refusals have to take, until told
/// to stop.
pub(crate) fn start(services: &Services, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let all: Vec<Arc<dyn Job>> = vec![
        Arc::new(services.accounts.clone()),
        Arc::new(services.files.clone()),
        Arc::new(services.deals.clone()),
        Arc::new(Pruning::new(services.db.clone(), Clock::system())),
    ];
    let jobs = Jobs::new(services.db.clone(), Clock::system(), all);
    let until = |work| tokio::spawn(until_stopped(stop.clone(), work));
    let calibrating = services.accounts.clone();
    let calibration: Work = Box::pin(async move {
        match calibrating.calibrate().await {
            Ok(hold) => tracing::info!(hold_ms = hold.as_secs_f64() * 1000.0, "refusals of sign-ins were calibrated"),
            Err(error) => tracing::warn!(%error, "refusals of sign-ins could not be calibrated and take a second"),
        }
    });
    let previews = Box::pin(read_previews(services.clone()));
    let webhooks = Box::pin(tell_webhooks(services.clone()));
    let mut tasks = vec![until(calibration), until(Box::pin(do_jobs(jobs))), until(previews), until(webhooks)];
    if services.mailer.is_some() {
        tasks.push(until(Box::pin(deliver(services.clone()))));
    }
    tasks
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn until_stopped(stop: CancellationToken, work: Work) {
    stop.run_until_cancelled(work).await;
}

async fn do_jobs(jobs: Jobs) {
    loop {
        // Not at once: a server that has just started has better things to do.
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = jobs.run_due().await {
            tracing::error!(%error, "the jobs could not be looked at");
        }
    }
}

/// Reads the pages that new posts point at.
async fn read_previews(services: Services) {
    loop {
        // Either somebody here has posted something, or perhaps another process has.
        let _ = tokio::time::timeout(PAUSE, services.community.previews_wanted()).await;
        if let Err(error) = services.community.fetch_previews().await {
            tracing::error!(error = %guildhall_kernel::Error::from(error), "the links could not be looked at");
        }
    }
}

/// Tells webhooks what has happened.
async fn tell_webhooks(services: Services) {
    let mut news = services.outbox.news();
    loop {
        // Either somebody here has left something, or perhaps another process has.
        let _ = tokio::time::timeout(PAUSE, news.changed()).await;
        if let Err(error) = services.outbox.carry(&services.deals).await {
            tracing::error!(%error, "the outbox could not be read");
        }
    }
}

async fn deliver(services: Services) {
    let Some(mailer) = services.mailer else { return };
    let mut news = services.outbox.news();
    loop {
        // Either somebody here has posted something, or perhaps another process has.
        let _ = tokio::time::timeout(PAUSE, news.changed()).await;
        if let Err(error) = services.outbox.deliver(&*mailer).await {
            tracing::error!(%error, "the outbox could not be read");
        }
    }
}

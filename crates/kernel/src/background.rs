//! CPU-intensive work on threads with a lower priority than those that serve requests. The work runs outside of the
//! request: [`Origin::current`](crate::Origin::current) is empty there.

use std::{
    cell::Cell,
    io,
    sync::LazyLock,
    thread::{self, available_parallelism},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, Result};

/// The nice value of background threads (`nice(2)`): under contention such a thread gets about a thirtieth of the CPU
/// time of a normal one and is preempted when one wakes up.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

thread_local! {
    static IS_LOW_PRIORITY: Cell<bool> = const { Cell::new(false) };
}

/// The runtime of [`run`], with one thread per core.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let threads = available_parallelism()?.get();
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("background")
        .on_thread_start(lower_priority)
        .enable_all()
        .build()
});

/// Runs a future on shared low-priority threads: for work that also waits and never blocks its thread for long. The
/// future is aborted when the caller is dropped.
///
/// # Errors
/// 500 if no thread can be started or the future panics.
pub async fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = RUNTIME.as_ref().map_err(Error::internal)?;
    AbortOnDropHandle::new(runtime.spawn(future)).await.map_err(Error::internal)
}

/// Runs a future on a low-priority thread of its own: for work that blocks its thread for long. The caller limits the
/// number of these threads, with a [`Gate`](crate::Gate) for instance. When the caller is dropped, the future is
/// dropped at its next await.
///
/// # Errors
/// 500 if no thread can be started or the work panics.
pub async fn run_blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    let (mut sender, receiver) = oneshot::channel();
    let body = move || {
        lower_priority();
        runtime.block_on(async {
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = sender.closed() => return,
            };
            // The caller may have been dropped.
            let _ = sender.send(outcome);
        });
    };
    thread::Builder::new().name("background".to_owned()).spawn(body).map_err(Error::internal)?;
    receiver.await.map_err(|_| Error::internal("background work panicked"))
}

/// Whether the current thread has a low priority.
pub(crate) fn is_low_priority() -> bool {
    IS_LOW_PRIORITY.get()
}

/// Lowers the priority of the current thread permanently: raising it again takes privileges that a server should not
/// have. Only on Linux, since elsewhere the priority belongs to the process.
pub(crate) fn lower_priority() {
    if IS_LOW_PRIORITY.replace(true) {
        return;
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_may_await_and_runs_at_a_low_priority() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let during = run_blocking(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            priority()
        });
        let during = during.await.unwrap();
        let shared = run(async move { priority() }).await.unwrap();
        assert_eq!(priority(), before, "only the background thread changes its priority");
        if cfg!(target_os = "linux") {
            assert!(during > before && shared > before, "{before} -> {during}, {shared}");
        }
    }

    #[tokio::test]
    async fn work_is_dropped_with_its_caller() {
        let (started, has_started) = oneshot::channel();
        let (guard, is_dropped) = oneshot::channel::<()>();
        let work = tokio::spawn(run_blocking(async move {
            let _guard = guard;
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
        has_started.await.unwrap();
        work.abort();
        assert!(is_dropped.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run(async { panic!("boom") }).await.unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Internal);
        let error = run_blocking(async { panic!("boom") }).await.unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Internal);
    }
}

//! Work that keeps a core busy for long, on threads that give way to those that answer requests. The work runs outside of
//! the request: [`Origin::current`](crate::Origin::current) does not know it there.

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

/// How much a thread gives way, on the scale of `nice(2)`: where others want its core, it gets about a thirtieth of what
/// one of those gets, and leaves it as soon as one of those wakes.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// The threads of [`run`], as many as there are cores.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    let threads = available_parallelism()?.get();
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("background")
        .on_thread_start(give_way)
        .enable_all()
        .build()
});

/// Runs a future on threads that it shares with others, at a lower priority than those that answer requests: for what
/// waits as well as computes, and never computes for long at a time. It ends where nobody waits for it any more.
///
/// # Errors
/// 500 where no thread can be started, or where the future panics.
pub async fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = RUNTIME.as_ref().map_err(Error::internal)?;
    AbortOnDropHandle::new(runtime.spawn(future)).await.map_err(Error::internal)
}

/// Runs work on a thread of its own, at a lower priority than those that answer requests: for what computes for long
/// at a time. How many of these threads there are is for the caller to limit, with a [`Gate`](crate::Gate) for
/// instance. Where nobody waits for the work any more, it ends where it waits for something itself.
///
/// # Errors
/// 500 where no thread can be started, or where the work panics.
pub async fn run_blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let runtime = Handle::current();
    let (mut sender, receiver) = oneshot::channel();
    let body = move || {
        give_way();
        runtime.block_on(async {
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = sender.closed() => return,
            };
            // Whoever has asked may be gone.
            let _ = sender.send(outcome);
        });
    };
    thread::Builder::new().name("background".to_owned()).spawn(body).map_err(Error::internal)?;
    receiver.await.map_err(|_| Error::internal("work in the background has panicked"))
}

/// Has the current thread a lower priority than those that answer requests?
pub(crate) fn gives_way() -> bool {
    GIVES_WAY.get()
}

/// Lowers the priority of the current thread, for good: raising it again takes rights that a server should not have.
/// Elsewhere than on Linux a priority is one of a whole process, and stays.
pub(crate) fn give_way() {
    if GIVES_WAY.replace(true) {
        return;
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the priority of a thread stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_may_wait_for_something_and_gives_way() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        let during = run_blocking(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            priority()
        });
        let during = during.await.unwrap();
        let shared = run(async move { priority() }).await.unwrap();
        assert_eq!(priority(), before, "only the thread that works gives way");
        if cfg!(target_os = "linux") {
            assert!(during > before && shared > before, "{before} -> {during}, {shared}");
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let (begun, has_begun) = oneshot::channel();
        let (held, is_dropped) = oneshot::channel::<()>();
        let work = tokio::spawn(run_blocking(async move {
            let _held = held;
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
        has_begun.await.unwrap();
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

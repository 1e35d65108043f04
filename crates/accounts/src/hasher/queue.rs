use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use guildhall_kernel::{self as kernel, Kind, background};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The total memory of all running work, in MiB.
pub(super) const MEMORY_MIB: u32 = 128;
/// The queue's capacity: on two cores about half a second of hashing at the default cost.
pub(super) const CAPACITY: usize = 32;

/// Limits CPU-intensive work. At most one piece of work per core runs at a time, since more would share the same cores,
/// and no more than fits into a memory budget. When the queue is full, requests are rejected immediately, so that a
/// flood of sign-ins cannot pile up.
pub(super) struct Queue {
    pub(super) cores: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    pub(super) waiting: AtomicUsize,
}

/// A queued request; leaves the queue on drop.
struct Entry<'a>(&'a AtomicUsize);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Permission to use a core and some memory.
pub(super) struct Permit {
    _memory: OwnedSemaphorePermit,
    _core: OwnedSemaphorePermit,
}

impl Permit {
    /// Runs the work on a blocking thread and returns the permit. The work owns the permit meanwhile, since
    /// the request that waits for it may be cancelled.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<(T, Self)> {
        background::run_blocking(async move { work().map(|outcome| (outcome, self)) }).await?
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            memory: Arc::new(Semaphore::new(MEMORY_MIB as usize)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for a core and the memory.
    ///
    /// # Errors
    /// 503 `auth_busy` if the queue is full.
    pub(super) async fn acquire(&self, memory_kib: u32) -> kernel::Result<Permit> {
        let entry = Entry(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= CAPACITY {
            return Err(busy());
        }
        let mib = memory_kib.div_ceil(1024).clamp(1, MEMORY_MIB);
        let memory = self.memory.clone().acquire_many_owned(mib).await.map_err(kernel::Error::internal)?;
        let core = self.cores.clone().acquire_owned().await.map_err(kernel::Error::internal)?;
        drop(entry);
        Ok(Permit { _memory: memory, _core: core })
    }

    /// Waits for a core and the memory, and runs the work on a blocking thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        memory_kib: u32,
        work: impl FnOnce() -> kernel::Result<T> + Send + 'static,
    ) -> kernel::Result<T> {
        Ok(self.acquire(memory_kib).await?.run(work).await?.0)
    }
}

/// 503 if the queue is full.
pub(crate) fn busy() -> kernel::Error {
    let detail = "Too many sign-ins at the moment. Try again shortly.";
    kernel::Error::new(Kind::Unavailable, "auth_busy", detail).retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_waits_for_its_memory() {
        let queue = Queue::new();
        let used = queue.memory.clone().acquire_many_owned(MEMORY_MIB - 10).await.unwrap();
        let blocked = tokio::time::timeout(Duration::from_millis(50), queue.run(100 * 1024, || Ok(()))).await;
        assert!(blocked.is_err(), "exceeds the free memory");
        drop(used);
        queue.run(300 * 1024, || Ok(())).await.unwrap();
    }
}

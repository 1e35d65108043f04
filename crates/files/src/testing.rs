//! Files for tests: on a database, with a store in memory and a clock that the test controls.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use guildhall_kernel::{
    Clock, Quota, Timestamp, UserId,
    testing::{Answer, TestClient, TestDb, migrations_with_people},
};
use sea_orm::DbErr;
use sea_orm_migration::MigrationTrait;

use crate::{
    content::{Content, Stored},
    files::Files,
    id::FileId,
    limits::UploadLimits,
    migrations::migrations,
    route::router,
    store::Store,
};

/// The largest file that may be uploaded, in bytes.
pub(crate) const LARGEST: usize = 100_000;
pub(crate) const QUOTA: Quota = Quota::new("upload_bytes", 200_000, Duration::from_secs(24 * 3600));
pub(crate) const ANNA: UserId = UserId(1);
pub(crate) const MOUNT: &str = "https://example.org/api";
pub(crate) const HOUR: i64 = 3600;

/// The migrations of the kernel and of this crate, with a user table of the host.
pub(crate) fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations_with_people(2);
    all.extend(migrations());
    all
}

/// A store in memory, whose operations can be made to fail.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) objects: Mutex<BTreeMap<String, Bytes>>,
    broken: AtomicBool,
}

impl Memory {
    pub(crate) fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Whether all operations fail.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn fail_if_broken(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(io::Error::other("the store is broken")) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Memory {
    async fn put(&self, name: &str, content: Bytes, _: &str) -> io::Result<()> {
        self.fail_if_broken()?;
        self.objects.lock().unwrap().insert(name.to_owned(), content);
        Ok(())
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        self.fail_if_broken()?;
        let found = self.objects.lock().unwrap().get(name).cloned();
        found.map(Body::from).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        self.fail_if_broken()?;
        self.objects.lock().unwrap().remove(name);
        Ok(())
    }
}

/// Files with a clock that the test controls.
pub(crate) struct Kit {
    pub(crate) db: TestDb,
    pub(crate) store: Arc<Memory>,
    elapsed: Arc<AtomicI64>,
    pub(crate) files: Files,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new(all_migrations).await;
        let (store, elapsed) = (Arc::new(Memory::default()), Arc::new(AtomicI64::new(0)));
        let seconds = elapsed.clone();
        // 100 seconds after the start of a half hour.
        let now = move || Timestamp::from_unix_seconds(1_800_000_100 + seconds.load(Ordering::SeqCst));
        let mount = MOUNT.parse().unwrap();
        let limits = UploadLimits { bytes: LARGEST, quota: QUOTA, reserve: None };
        let files = Files::open(db.handle(), store.clone(), Clock::from_fn(now), mount, limits).await.unwrap();
        Self { db, store, elapsed, files }
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.elapsed.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn attach(&self, stored: &Stored) -> Result<FileId, DbErr> {
        let files = &self.files;
        self.db.write(|tx| async move { files.attach(&tx, stored).await }).await
    }

    /// Stores and attaches content.
    pub(crate) async fn add(&self, content: Content) -> FileId {
        let stored = self.files.store(ANNA, content).await.unwrap();
        self.attach(&stored).await.unwrap()
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        let path = url.strip_prefix(MOUNT).unwrap();
        TestClient::new(router(self.files.clone()).into()).get(path).await
    }
}

pub(crate) fn text(text: &'static str) -> Content {
    Content::bytes("text/plain", Bytes::from(text))
}

pub(crate) fn picture() -> Content {
    Content::variants("image/png", vec![("small", Bytes::from("tiny")), ("large", Bytes::from("huge and fine"))])
}

//! Tests of files, on a database and with a store in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use guildhall_kernel::{
    HostTables,
    db::SqlMigration,
    doctor::Severity,
    testing::{Answer, TestClient, TestDb},
};
use sea_orm_migration::MigrationTrait;

use super::*;

/// The largest file that may be uploaded, in bytes.
pub(super) const LARGEST: usize = 100_000;
const QUOTA: Quota = Quota::new("upload_bytes", 200_000, Duration::from_secs(24 * 3600));
const ANNA: UserId = UserId(1);
const MOUNT: &str = "https://example.org/api";
const HOUR: i64 = 3600;

/// The migrations of the kernel and of this crate, after one that creates a user table of the host.
pub(crate) fn all_migrations() -> Vec<Box<dyn MigrationTrait>> {
    let people = SqlMigration::new(
        "m20240101_000000_people",
        "CREATE TABLE people (id {id}); INSERT INTO people DEFAULT VALUES; INSERT INTO people DEFAULT VALUES;",
        "DROP TABLE people;",
    );
    let mut all: Vec<Box<dyn MigrationTrait>> = vec![Box::new(people)];
    all.extend(guildhall_kernel::migrations(&HostTables { users: "people" }));
    all.extend(crate::migrations());
    all
}

/// A store in memory, whose operations can be made to fail.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    broken: AtomicBool,
}

impl Memory {
    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
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
pub(super) struct Kit {
    db: TestDb,
    store: Arc<Memory>,
    elapsed: Arc<AtomicI64>,
    pub(super) files: Files,
}

impl Kit {
    pub(super) async fn new() -> Self {
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

    fn advance(&self, seconds: i64) {
        self.elapsed.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn keep(&self, stored: &Stored) -> Result<FileId, DbErr> {
        let files = &self.files;
        self.db.write(|tx| async move { files.keep(tx.conn(), stored).await }).await
    }

    async fn put_and_keep(&self, content: Content) -> FileId {
        let stored = self.files.put(ANNA, content).await.unwrap();
        self.keep(&stored).await.unwrap()
    }

    async fn get(&self, url: &str) -> Answer {
        let path = url.strip_prefix(MOUNT).unwrap();
        TestClient::new(router(self.files.clone()).into()).get(path).await
    }

    async fn rows(&self) -> usize {
        file::Entity::find().all(self.db.conn()).await.unwrap().len()
    }
}

fn text(text: &'static str) -> Content {
    Content::bytes("text/plain", Bytes::from(text))
}

fn picture() -> Content {
    Content::variants("image/png", vec![("small", Bytes::from("tiny")), ("large", Bytes::from("huge and fine"))])
}

#[tokio::test]
async fn a_file_can_be_read_at_its_url_until_that_expires() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, text("hello")).await.unwrap();
    assert_eq!((stored.content_type(), stored.size()), ("text/plain", 5));
    let id = kit.keep(&stored).await.unwrap();
    let url = kit.files.url(id, None, "notes.txt", Some(UserId(7)));
    assert!(url.starts_with(&format!("{MOUNT}/files/{id}/notes.txt?u=7&e=1800003600&s=")), "{url}");
    let answer = kit.get(&url).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "hello"));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("content-disposition", "attachment; filename*=UTF-8''notes.txt"),
        ("cache-control", "private, max-age=1800, immutable"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    kit.advance(HOUR - 101);
    assert_eq!(kit.get(&url).await.status, 200);
    kit.advance(1);
    let expired = kit.get(&url).await;
    assert_eq!((expired.status.as_u16(), expired.code().as_str()), (404, "file_not_found"));
}

#[tokio::test]
async fn a_url_stays_the_same_for_a_while_and_is_valid_for_at_least_half_an_hour() {
    let kit = Kit::new().await;
    let id = kit.put_and_keep(text("hello")).await;
    let url = || kit.files.url(id, None, "a", None);
    let first = url();
    kit.advance(1699);
    let last = url();
    assert_eq!(first, last);
    kit.advance(1);
    assert_ne!(url(), first);
    kit.advance(1799);
    assert_eq!(kit.get(&last).await.status, 200);
}

#[tokio::test]
async fn the_variants_of_an_image_have_separate_urls_and_are_displayed_inline() {
    let kit = Kit::new().await;
    let id = kit.put_and_keep(picture()).await;
    for (variant, content) in [("small", "tiny"), ("large", "huge and fine")] {
        let answer = kit.get(&kit.files.url(id, Some(variant), "me.png", None)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, content));
        assert_eq!(answer.headers["content-type"], "image/png");
        assert_eq!(answer.headers["content-disposition"], "inline");
    }
    for variant in [None, Some("medium")] {
        assert_eq!(kit.get(&kit.files.url(id, variant, "me.png", None)).await.code(), "file_not_found");
    }
}

#[tokio::test]
async fn a_url_is_valid_only_for_its_file_variant_and_user() {
    let kit = Kit::new().await;
    let (one, other) = (kit.put_and_keep(picture()).await, kit.put_and_keep(picture()).await);
    let url = kit.files.url(one, Some("small"), "me.png", Some(UserId(7)));
    assert_eq!(kit.get(&url).await.status, 200);
    let (signed, signature) = url.split_once("&s=").unwrap();
    for changed in [
        url.replace(&format!("/files/{one}/"), &format!("/files/{other}/")),
        url.replace(&format!("/files/{one}/"), "/files/999/"),
        url.replace("v=small", "v=large"),
        url.replace("v=small&", ""),
        url.replace("u=7", "u=8"),
        url.replace("u=7&", ""),
        url.replace("e=1800003600", "e=1800007200"),
        url.replace("e=1800003600&", ""),
        url.replace("e=1800003600", "e=never"),
        url.replace("me.png", "me.html"),
        format!("{signed}&s="),
        format!("{signed}&s={}", &signature[..4]),
        format!("{signed}&s={}", "A".repeat(22)),
        format!("{signed}&s=%C3%BC"),
    ] {
        assert_ne!(changed, url);
        let answer = kit.get(&changed).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "file_not_found"), "{changed}");
    }
    let unsigned = kit.get(url.split_once('?').unwrap().0).await;
    assert_eq!((unsigned.status.as_u16(), unsigned.code().as_str()), (401, "not_authenticated"));
}

#[tokio::test]
async fn any_file_name_is_preserved() {
    let kit = Kit::new().await;
    let id = kit.put_and_keep(text("hello")).await;
    let answer = kit.get(&kit.files.url(id, None, "Grüße & 100%?/#.txt", None)).await;
    assert_eq!(answer.status, 200);
    let saved = "attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%26%20100%25%3F%2F%23.txt";
    assert_eq!(answer.headers["content-disposition"], saved);
    for name in ["", ".", ".."] {
        let url = kit.files.url(id, None, name, None);
        assert!(url.contains("/file?"), "{url}");
        assert_eq!(kit.get(&url).await.status, 200);
    }
}

#[tokio::test]
async fn unattached_content_is_deleted_after_an_hour() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, picture()).await.unwrap();
    kit.advance(HOUR - 1);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert_eq!(kit.store.names().len(), 2);
    kit.advance(1);
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
    assert!(kit.keep(&stored).await.is_err(), "the content has been deleted");
    assert_eq!(kit.rows().await, 0);
}

#[tokio::test]
async fn a_file_is_stored_until_its_row_is_deleted() {
    let kit = Kit::new().await;
    let id = kit.put_and_keep(picture()).await;
    let url = kit.files.url(id, Some("small"), "me.png", None);
    kit.advance(HOUR);
    kit.advance(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert_eq!(kit.store.names().len(), 2);
    kit.db.write(|tx| async move { tx.conn().execute_unprepared("DELETE FROM files_file").await }).await.unwrap();
    assert_eq!(kit.get(&url).await.code(), "file_not_found");
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
    assert_eq!(kit.files.collect().await.unwrap(), 0);
}

#[tokio::test]
async fn a_transaction_that_rolls_back_attaches_nothing() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, text("hello")).await.unwrap();
    let (files, stored) = (&kit.files, &stored);
    let outcome = kit.db.write(|tx| async move {
        files.keep(tx.conn(), stored).await?;
        Err::<(), _>(DbErr::Custom("no".to_owned()))
    });
    assert!(outcome.await.is_err());
    assert_eq!(kit.rows().await, 0);
    kit.advance(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
}

#[tokio::test]
async fn content_that_is_being_deleted_cannot_be_attached() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, text("hello")).await.unwrap();
    kit.advance(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert!(kit.keep(&stored).await.is_err(), "a part of it may be deleted");
}

#[tokio::test]
async fn a_failed_deletion_is_retried() {
    let kit = Kit::new().await;
    for _ in 0..3 {
        kit.files.put(ANNA, text("hello")).await.unwrap();
    }
    kit.advance(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    kit.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0, "not before the delay");
    kit.advance(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 3);
    assert!(kit.store.names().is_empty());
}

#[tokio::test]
async fn a_broken_store_is_unavailable_and_a_missing_object_is_not_found() {
    let kit = Kit::new().await;
    let id = kit.put_and_keep(text("hello")).await;
    let url = kit.files.url(id, None, "a", None);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.get(&url).await.status, 503);
    assert_eq!(kit.files.put(ANNA, text("hello")).await.unwrap_err().kind(), Kind::Unavailable);
    kit.store.broken.store(false, Ordering::SeqCst);
    kit.store.objects.lock().unwrap().clear();
    assert_eq!(kit.get(&url).await.code(), "file_not_found");
}

#[tokio::test]
async fn the_doctor_reports_a_broken_store_and_pending_deletions() {
    let kit = Kit::new().await;
    kit.files.put(ANNA, text("hello")).await.unwrap();
    let found = kit.files.examine().await.unwrap();
    assert!(found.iter().all(|finding| finding.severity == Severity::Ok), "{found:?}");
    assert_eq!(kit.store.names().len(), 1, "the check deletes its object");
    kit.advance(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    let found = kit.files.examine().await.unwrap();
    assert!(found[0].is_error() && found[0].message.contains("the store is broken"), "{found:?}");
    assert!(found[1].message.starts_with("1 files to be deleted"), "{found:?}");
}

#[tokio::test]
async fn urls_of_another_installation_are_invalid() {
    let (kit, other) = (Kit::new().await, Kit::new().await);
    let (id, same_id) = (kit.put_and_keep(text("hello")).await, other.put_and_keep(text("hello")).await);
    assert_eq!(id, same_id);
    assert_eq!(other.get(&kit.files.url(id, None, "a", None)).await.code(), "file_not_found");
    let moved = kit.files.mounted_at("https://example.com/x".parse().unwrap());
    assert!(moved.url(id, None, "a", None).starts_with("https://example.com/x/files/"));
}

#[tokio::test]
async fn fault_14_uploads_of_one_user_are_limited_per_day() {
    let kit = Kit::new().await;
    let upload = |user, bytes: usize| {
        let files = kit.files.clone();
        async move { files.put(user, Content::bytes("text/plain", vec![0; bytes].into())).await }
    };
    upload(ANNA, 90_000).await.unwrap();
    upload(ANNA, 90_000).await.unwrap();
    let refused = upload(ANNA, 30_000).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::TooMany, "quota_exceeded"));
    assert_eq!(kit.store.names().len(), 2, "a refused upload is not stored");
    kit.files.count_upload(ANNA, 20_000).await.unwrap();
    assert_eq!(kit.files.count_upload(ANNA, 1).await.unwrap_err().code(), "quota_exceeded");
    upload(UserId(2), 90_000).await.unwrap();
    kit.advance(24 * HOUR + 1);
    upload(ANNA, 90_000).await.unwrap();
    // Usage that was counted by a clock that was ahead is ignored.
    kit.advance(-400 * 24 * HOUR);
    upload(ANNA, 190_000).await.unwrap();
    assert_eq!(upload(ANNA, 200_001).await.unwrap_err().kind(), Kind::TooMany);
}

#[tokio::test]
async fn fault_14_uploads_leave_a_part_of_the_disk_free() {
    let kit = Kit::new().await;
    let with_reserve = async |percent| {
        let reserve = Some(Reserve { folder: "/".into(), percent });
        let limits = UploadLimits { bytes: LARGEST, quota: QUOTA, reserve };
        let files = Files::open(kit.db.handle(), kit.store.clone(), Clock::system(), MOUNT.parse().unwrap(), limits);
        files.await.unwrap().put(ANNA, text("hello")).await
    };
    assert!(with_reserve(0).await.is_ok());
    let refused = with_reserve(100).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::Unavailable, "storage_low"));
}

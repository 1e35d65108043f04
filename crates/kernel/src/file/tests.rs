//! What is promised of files, on a database and with a store in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use super::*;
use crate::{
    doctor::Severity,
    testing::{Answer, TestClient, TestDb},
};

/// The largest file that may be uploaded, in bytes.
pub(super) const LARGEST: usize = 100_000;
const QUOTA: Quota = Quota::new("upload_bytes", 200_000, Duration::from_secs(24 * 3600));
const ANNA: UserId = UserId(1);
const MOUNT: &str = "https://example.org/api";
const HOUR: i64 = 3600;

/// A store that forgets everything, and can be out of order.
#[derive(Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    broken: AtomicBool,
}

impl Memory {
    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn works(&self) -> io::Result<()> {
        if self.broken.load(Ordering::SeqCst) { Err(io::Error::other("out of order")) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Memory {
    async fn put(&self, name: &str, content: Bytes, _: &str) -> io::Result<()> {
        self.works()?;
        self.objects.lock().unwrap().insert(name.to_owned(), content);
        Ok(())
    }

    async fn get(&self, name: &str) -> io::Result<Body> {
        self.works()?;
        let found = self.objects.lock().unwrap().get(name).cloned();
        found.map(Body::from).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    async fn delete(&self, name: &str) -> io::Result<()> {
        self.works()?;
        self.objects.lock().unwrap().remove(name);
        Ok(())
    }
}

/// Files with a clock that a test can move.
pub(super) struct Kit {
    db: TestDb,
    store: Arc<Memory>,
    ahead: Arc<AtomicI64>,
    pub(super) files: Files,
}

impl Kit {
    pub(super) async fn new() -> Self {
        let db = TestDb::new(crate::migrations::beside_people).await;
        let (store, ahead) = (Arc::new(Memory::default()), Arc::new(AtomicI64::new(0)));
        let hands = ahead.clone();
        // 100 seconds after a half hour has begun.
        let now = move || Timestamp::from_unix_seconds(1_800_000_100 + hands.load(Ordering::SeqCst));
        let mount = MOUNT.parse().unwrap();
        let limits = UploadLimits { bytes: LARGEST, quota: QUOTA, reserve: None };
        let files = Files::open(db.handle(), store.clone(), Clock::from_fn(now), mount, limits).await.unwrap();
        Self { db, store, ahead, files }
    }

    fn wait(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn keep(&self, stored: &Stored) -> Result<FileId, DbErr> {
        let files = &self.files;
        self.db.write(|tx| async move { files.keep(tx.conn(), stored).await }).await
    }

    async fn kept(&self, content: Content) -> FileId {
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

fn text(words: &'static str) -> Content {
    Content::bytes("text/plain", Bytes::from(words))
}

fn picture() -> Content {
    Content::variants("image/png", vec![("small", Bytes::from("tiny")), ("large", Bytes::from("huge and fine"))])
}

#[tokio::test]
async fn what_is_kept_is_read_at_its_address_until_that_expires() {
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
    kit.wait(HOUR - 101);
    assert_eq!(kit.get(&url).await.status, 200);
    kit.wait(1);
    let late = kit.get(&url).await;
    assert_eq!((late.status.as_u16(), late.code().as_str()), (404, "file_not_found"));
}

#[tokio::test]
async fn an_address_stays_the_same_for_a_while_and_is_good_for_half_an_hour_at_least() {
    let kit = Kit::new().await;
    let id = kit.kept(text("hello")).await;
    let url = || kit.files.url(id, None, "a", None);
    let first = url();
    kit.wait(1699);
    let last = url();
    assert_eq!(first, last);
    kit.wait(1);
    assert_ne!(url(), first);
    kit.wait(1799);
    assert_eq!(kit.get(&last).await.status, 200);
}

#[tokio::test]
async fn the_sizes_of_a_picture_have_addresses_of_their_own_and_are_shown() {
    let kit = Kit::new().await;
    let id = kit.kept(picture()).await;
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
async fn an_address_opens_nothing_but_what_it_was_made_for() {
    let kit = Kit::new().await;
    let (one, other) = (kit.kept(picture()).await, kit.kept(picture()).await);
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
async fn any_name_is_given_back_as_it_was() {
    let kit = Kit::new().await;
    let id = kit.kept(text("hello")).await;
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
async fn what_was_put_and_never_kept_goes_after_an_hour() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, picture()).await.unwrap();
    kit.wait(HOUR - 1);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert_eq!(kit.store.names().len(), 2);
    kit.wait(1);
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
    assert!(kit.keep(&stored).await.is_err(), "there is nothing left to be kept");
    assert_eq!(kit.rows().await, 0);
}

#[tokio::test]
async fn what_is_kept_stays_until_its_row_is_deleted() {
    let kit = Kit::new().await;
    let id = kit.kept(picture()).await;
    let url = kit.files.url(id, Some("small"), "me.png", None);
    kit.wait(HOUR);
    kit.wait(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert_eq!(kit.store.names().len(), 2);
    kit.db.write(|tx| async move { tx.conn().execute_unprepared("DELETE FROM kernel_file").await }).await.unwrap();
    assert_eq!(kit.get(&url).await.code(), "file_not_found");
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
    assert_eq!(kit.files.collect().await.unwrap(), 0);
}

#[tokio::test]
async fn an_act_that_is_taken_back_keeps_nothing() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, text("hello")).await.unwrap();
    let (files, stored) = (&kit.files, &stored);
    let act = kit.db.write(|tx| async move {
        files.keep(tx.conn(), stored).await?;
        Err::<(), _>(DbErr::Custom("no".to_owned()))
    });
    assert!(act.await.is_err());
    assert_eq!(kit.rows().await, 0);
    kit.wait(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 1);
    assert!(kit.store.names().is_empty());
}

#[tokio::test]
async fn what_is_being_removed_is_not_kept_any_more() {
    let kit = Kit::new().await;
    let stored = kit.files.put(ANNA, text("hello")).await.unwrap();
    kit.wait(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    assert!(kit.keep(&stored).await.is_err(), "a part of it may be gone");
}

#[tokio::test]
async fn what_a_store_in_trouble_does_not_remove_is_tried_again() {
    let kit = Kit::new().await;
    for _ in 0..3 {
        kit.files.put(ANNA, text("hello")).await.unwrap();
    }
    kit.wait(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0);
    kit.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(kit.files.collect().await.unwrap(), 0, "not at once");
    kit.wait(HOUR);
    assert_eq!(kit.files.collect().await.unwrap(), 3);
    assert!(kit.store.names().is_empty());
}

#[tokio::test]
async fn a_store_out_of_order_is_unavailable_and_one_that_lost_a_file_has_none() {
    let kit = Kit::new().await;
    let id = kit.kept(text("hello")).await;
    let url = kit.files.url(id, None, "a", None);
    kit.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(kit.get(&url).await.status, 503);
    assert_eq!(kit.files.put(ANNA, text("hello")).await.unwrap_err().kind(), Kind::Unavailable);
    kit.store.broken.store(false, Ordering::SeqCst);
    kit.store.objects.lock().unwrap().clear();
    assert_eq!(kit.get(&url).await.code(), "file_not_found");
}

#[tokio::test]
async fn an_examination_tells_whether_the_store_works_and_what_waits() {
    let kit = Kit::new().await;
    kit.files.put(ANNA, text("hello")).await.unwrap();
    let found = kit.files.examine().await.unwrap();
    assert!(found.iter().all(|finding| finding.severity == Severity::Ok), "{found:?}");
    assert_eq!(kit.store.names().len(), 1, "what it has written is gone");
    kit.wait(HOUR);
    kit.store.broken.store(true, Ordering::SeqCst);
    let found = kit.files.examine().await.unwrap();
    assert!(found[0].is_fault() && found[0].message.contains("out of order"), "{found:?}");
    assert!(found[1].message.starts_with("1 files wait"), "{found:?}");
}

#[tokio::test]
async fn another_installation_does_not_know_the_addresses_of_this_one() {
    let (kit, other) = (Kit::new().await, Kit::new().await);
    let (id, same) = (kit.kept(text("hello")).await, other.kept(text("hello")).await);
    assert_eq!(id, same);
    assert_eq!(other.get(&kit.files.url(id, None, "a", None)).await.code(), "file_not_found");
    let moved = kit.files.mounted_at("https://example.com/x".parse().unwrap());
    assert!(moved.url(id, None, "a", None).starts_with("https://example.com/x/files/"));
}

#[tokio::test]
async fn fault_14_a_person_uploads_so_much_in_a_day_and_no_more() {
    let kit = Kit::new().await;
    let upload = |user, bytes: usize| {
        let files = kit.files.clone();
        async move { files.put(user, Content::bytes("text/plain", vec![0; bytes].into())).await }
    };
    upload(ANNA, 90_000).await.unwrap();
    upload(ANNA, 90_000).await.unwrap();
    let refused = upload(ANNA, 30_000).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (Kind::TooMany, "quota_exceeded"));
    assert_eq!(kit.store.names().len(), 2, "nothing was stored for what was refused");
    kit.files.count_upload(ANNA, 20_000).await.unwrap();
    assert_eq!(kit.files.count_upload(ANNA, 1).await.unwrap_err().code(), "quota_exceeded");
    upload(UserId(2), 90_000).await.unwrap();
    kit.wait(24 * HOUR + 1);
    upload(ANNA, 90_000).await.unwrap();
    // Whatever a clock that was ahead has counted is of no day.
    kit.wait(-400 * 24 * HOUR);
    upload(ANNA, 190_000).await.unwrap();
    assert_eq!(upload(ANNA, 200_001).await.unwrap_err().kind(), Kind::TooMany);
}

#[tokio::test]
async fn fault_14_uploads_leave_some_of_the_disk_free() {
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

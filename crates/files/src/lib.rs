#![doc = include_str!("../README.md")]

mod entity;
mod folder;
mod link;
mod migrations;
mod picture;
mod route;
mod store;
#[cfg(test)]
mod tests;
mod upload;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Set, sea_query::Expr,
};

pub use folder::FolderStore;
use link::{Link, Signer, percent_encoded};
pub use migrations::migrations;
pub use picture::{Fit, Size, pictures};
pub use route::{openapi, router};
pub use store::Store;
pub use upload::{FORM_BYTES, Form, Upload};

use guildhall_kernel::{
    Clock, Db, Error, Kind, PublicUrl, Quota, Result, Timestamp, UserId, count_up_to, define_id, doctor::Finding,
    job::Job, secret,
};

use crate::entity::{file, garbage as file_garbage};

/// The name of the secret that signs URLs.
const SECRET: &str = "files.signing_key";
/// How long stored content may stay unattached.
const GRACE: Duration = Duration::from_secs(3600);
/// The delay after a failed deletion.
const RETRY_DELAY: Duration = Duration::from_secs(3600);
/// How many files are deleted at a time.
const BATCH: u64 = 100;
/// The number of files awaiting deletion above which the doctor reports it.
const MAX_GARBAGE: u64 = 5000;
/// How long, in seconds, a URL stays the same; after that it remains valid for as long again.
const STEP: i64 = 1800;

define_id!(
    /// A file.
    FileId
);

/// Content to be stored: one object, or the variants of a picture.
#[derive(Clone)]
pub struct Content {
    content_type: String,
    objects: Vec<(&'static str, Bytes)>,
}

impl Content {
    /// Content of one object.
    pub fn bytes(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { content_type: content_type.into(), objects: vec![("", bytes)] }
    }

    /// Content of several variants of the same type, with their names: lower-case letters, digits and `-`.
    pub fn variants(content_type: impl Into<String>, variants: Vec<(&'static str, Bytes)>) -> Self {
        Self { content_type: content_type.into(), objects: variants }
    }

    /// The total size of all variants, in bytes.
    fn size(&self) -> i64 {
        let size: usize = self.objects.iter().map(|(_, bytes)| bytes.len()).sum();
        i64::try_from(size).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("content_type", &self.content_type)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Content that has been stored and not attached yet.
#[derive(Clone, Debug)]
pub struct Stored {
    key: String,
    content_type: String,
    size: i64,
    variants: String,
    due_at: Timestamp,
}

impl Stored {
    /// The media type: `image/png`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The total size of all variants, in bytes.
    pub fn size(&self) -> i64 {
        self.size
    }
}

/// The name of an object in the store.
fn object_name(key: &str, variant: &str) -> String {
    if variant.is_empty() { key.to_owned() } else { format!("{key}.{variant}") }
}

/// The files of an installation; cheap to clone.
#[derive(Clone)]
pub struct Files {
    shared: Arc<Shared>,
    mount: PublicUrl,
}

struct Shared {
    db: Db,
    store: Arc<dyn Store>,
    clock: Clock,
    signer: Signer,
    limits: UploadLimits,
}

/// Limits for uploads.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// The largest file, in bytes.
    pub bytes: usize,
    /// How many bytes one user may upload.
    pub quota: Quota,
    /// The disk space that uploads leave free.
    pub reserve: Option<Reserve>,
}

impl UploadLimits {
    /// A limit on the file size only.
    pub const fn up_to(bytes: usize) -> Self {
        Self { bytes, quota: Quota::unlimited(), reserve: None }
    }
}

/// Space on a local disk that uploads leave free for the database and other writes.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// A folder on the disk.
    pub folder: PathBuf,
    /// The part of the disk that must stay free, in percent.
    pub percent: u8,
}

impl Reserve {
    /// Whether there is too little free space. If the disk cannot be queried, there is enough.
    fn is_used_up(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return false };
        u128::from(disk.f_bavail) * 100 < u128::from(disk.f_blocks) * u128::from(self.percent)
    }
}

impl Files {
    /// The files in a store. `mount` is the URL at which [`router`] is nested. Generates the signing secret on first
    /// use.
    pub async fn open(
        db: Db,
        store: Arc<dyn Store>,
        clock: Clock,
        mount: PublicUrl,
        limits: UploadLimits,
    ) -> Result<Self> {
        let signer = Signer::new(&secret::open(&db, SECRET).await?)?;
        Ok(Self { shared: Arc::new(Shared { db, store, clock, signer, limits }), mount })
    }

    /// The same files with another URL.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl) -> Self {
        Self { shared: self.shared.clone(), mount }
    }

    /// Whether the signing secret exists.
    pub async fn is_set_up(db: &Db) -> Result<bool> {
        secret::exists(db, SECRET).await
    }

    /// The largest file that may be uploaded, in bytes.
    pub fn upload_bytes(&self) -> usize {
        self.shared.limits.bytes
    }

    /// 503 `storage_low` while there is too little free disk space for uploads.
    pub fn check_room(&self) -> Result<()> {
        let used_up = self.shared.limits.reserve.as_ref().is_some_and(Reserve::is_used_up);
        if !used_up {
            return Ok(());
        }
        tracing::error!("uploads are refused: the disk is almost full");
        let detail = "Uploads are temporarily disabled: the server is low on disk space.";
        Err(Error::new(Kind::Unavailable, "storage_low", detail).retry_after(Duration::from_secs(600)))
    }

    /// Counts an upload that is not stored with [`put`](Self::put).
    ///
    /// # Errors
    /// 429 `quota_exceeded` if the quota is used up.
    pub async fn count_upload(&self, user: UserId, bytes: usize) -> Result<()> {
        let Shared { db, clock, limits, .. } = &*self.shared;
        db.write(|tx| async move { limits.quota.take(tx.conn(), user, bytes as u64, clock.now()).await }).await
    }

    /// Stores uploaded content, to be attached with [`keep`](Self::keep) within an hour. Call it before the
    /// transaction, since a store may be slow. 503 if the store is unreachable, 429 if the quota is used up.
    pub async fn put(&self, user: UserId, content: Content) -> Result<Stored> {
        self.check_room()?;
        let variants: Vec<&str> = content.objects.iter().map(|(name, _)| *name).collect();
        let stored = Stored {
            key: store::random_key()?,
            size: content.size(),
            variants: variants.join(","),
            content_type: content.content_type,
            due_at: self.shared.clock.now() + GRACE,
        };
        // First, so that the store never contains an object without a row.
        let row = file_garbage::ActiveModel {
            key: Set(stored.key.clone()),
            variants: Set(stored.variants.clone()),
            due_at: Set(stored.due_at),
        };
        let (row, size) = (&row, u64::try_from(stored.size).unwrap_or_default());
        let Shared { db, clock, limits, .. } = &*self.shared;
        let recorded = db.write(|tx| async move {
            limits.quota.take(tx.conn(), user, size, clock.now()).await?;
            file_garbage::Entity::insert(row.clone()).exec_without_returning(tx.conn()).await.map_err(Error::from)
        });
        recorded.await?;
        for (variant, bytes) in content.objects {
            let name = object_name(&stored.key, variant);
            self.shared.store.put(&name, bytes, &stored.content_type).await.map_err(Error::unavailable)?;
        }
        Ok(stored)
    }

    /// Attaches stored content, in the transaction that uses it. Fails after more than an hour.
    pub async fn keep(&self, conn: &impl ConnectionTrait, stored: &Stored) -> Result<FileId, DbErr> {
        let garbage = file_garbage::Entity::delete_many()
            .filter(file_garbage::COLUMN.key.eq(stored.key.as_str()))
            // A node that deletes the content has changed this.
            .filter(file_garbage::COLUMN.due_at.eq(stored.due_at));
        if garbage.exec(conn).await?.rows_affected != 1 {
            return Err(DbErr::Custom("the file was not attached in time and has been deleted".to_owned()));
        }
        let row = file::ActiveModel {
            id: NotSet,
            key: Set(stored.key.clone()),
            content_type: Set(stored.content_type.clone()),
            size: Set(stored.size),
            variants: Set(stored.variants.clone()),
            created_at: Set(self.shared.clock.now()),
        };
        Ok(row.insert(conn).await?.id)
    }

    /// A signed URL of a file for a user who may see it, valid for 30 to 60 minutes. It needs no authentication, so
    /// that pages can embed pictures, and stays the same for half an hour, so that it can be cached. `name` is the
    /// file name for downloads.
    pub fn url(&self, id: FileId, variant: Option<&str>, name: &str, viewer: Option<UserId>) -> String {
        // Browsers resolve these as path segments, even when percent-encoded.
        let name = if matches!(name, "" | "." | "..") { "file" } else { name };
        let expires = (self.shared.clock.now().unix_seconds().div_euclid(STEP) + 2) * STEP;
        let (expires, viewer) = (expires.to_string(), viewer.map(|viewer| viewer.to_string()));
        let (variant, viewer) = (variant.unwrap_or_default(), viewer.unwrap_or_default());
        let link = Link { id, variant, viewer: &viewer, expires: &expires, name };
        let signature = self.shared.signer.sign(&link);
        let mut query = String::new();
        for (key, value) in [("v", variant), ("u", viewer.as_str()), ("e", expires.as_str())] {
            if !value.is_empty() {
                query = format!("{query}{key}={}&", percent_encoded(value));
            }
        }
        self.mount.join(&format!("/files/{id}/{}?{query}s={signature}", percent_encoded(name)))
    }

    /// Verifies a signed URL and opens its file.
    async fn open_signed(&self, link: &Link<'_>, signature: &str) -> Result<(file::Model, Body)> {
        let Shared { db, store, clock, signer, .. } = &*self.shared;
        let not_found =
            || Error::new(Kind::NotFound, "file_not_found", "The file does not exist, or its URL has expired.");
        let expires = link.expires.parse::<i64>().unwrap_or_default();
        if !signer.has_signed(link, signature) || expires <= clock.now().unix_seconds() {
            return Err(not_found());
        }
        let row = file::Entity::find_by_id(link.id).one(db.conn()).await?.ok_or_else(not_found)?;
        if !row.variants.split(',').any(|variant| variant == link.variant) {
            return Err(not_found());
        }
        match store.get(&object_name(&row.key, link.variant)).await {
            Ok(content) => Ok((row, content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(file.id = %row.id, "a file is missing from the store");
                Err(not_found())
            }
            Err(error) => Err(Error::unavailable(error)),
        }
    }

    /// Deletes unattached content from the store and returns how many files were deleted. A failed deletion is retried
    /// an hour later.
    pub async fn collect(&self) -> Result<u64> {
        let mut collected = 0;
        loop {
            let now = self.shared.clock.now();
            let due = file_garbage::Entity::find()
                .filter(file_garbage::COLUMN.due_at.lte(now))
                .order_by_asc(file_garbage::Column::DueAt)
                .order_by_asc(file_garbage::Column::Key)
                .limit(BATCH)
                .all(self.shared.db.conn())
                .await?;
            if due.is_empty() {
                return Ok(collected);
            }
            let until = now + RETRY_DELAY;
            let leased = self.lease(&due, until).await?;
            let mut deleted = Vec::new();
            for row in &leased {
                match self.delete_objects(row).await {
                    Ok(()) => deleted.push(row.key.as_str()),
                    Err(error) => tracing::warn!(%error, "a file could not be deleted from the store"),
                }
            }
            self.delete_garbage(&deleted, until).await?;
            collected += deleted.len() as u64;
            if deleted.len() < leased.len() {
                // The store has a problem; further deletions would fail as well.
                return Ok(collected);
            }
        }
    }

    /// Leases due rows, except those that were attached or leased by another node meanwhile.
    async fn lease<'a>(
        &self,
        due: &'a [file_garbage::Model],
        until: Timestamp,
    ) -> Result<Vec<&'a file_garbage::Model>, DbErr> {
        self.shared
            .db
            .write(|tx| async move {
                let mut leased = Vec::new();
                for row in due {
                    let change = file_garbage::Entity::update_many()
                        .col_expr(file_garbage::Column::DueAt, Expr::value(until))
                        .filter(file_garbage::COLUMN.key.eq(row.key.as_str()))
                        .filter(file_garbage::COLUMN.due_at.eq(row.due_at));
                    if change.exec(tx.conn()).await?.rows_affected == 1 {
                        leased.push(row);
                    }
                }
                Ok(leased)
            })
            .await
    }

    async fn delete_objects(&self, row: &file_garbage::Model) -> io::Result<()> {
        for variant in row.variants.split(',') {
            self.shared.store.delete(&object_name(&row.key, variant)).await?;
        }
        Ok(())
    }

    async fn delete_garbage(&self, keys: &[&str], until: Timestamp) -> Result<(), DbErr> {
        if keys.is_empty() {
            return Ok(());
        }
        self.shared
            .db
            .write(|tx| async move {
                file_garbage::Entity::delete_many()
                    .filter(file_garbage::COLUMN.key.is_in(keys.iter().copied()))
                    .filter(file_garbage::COLUMN.due_at.eq(until))
                    .exec(tx.conn())
                    .await
                    .map(|_| ())
            })
            .await
    }

    /// Checks that the store works and that deletions keep up.
    pub async fn examine(&self) -> Result<Vec<Finding>> {
        let store = match self.shared.store.check().await {
            Ok(()) => Finding::ok("files", "files can be written, read and deleted"),
            Err(error) => Finding::error("files", format!("the file store does not work: {error}")),
        };
        let due = file_garbage::COLUMN.due_at.lte(self.shared.clock.now());
        let waiting = count_up_to(file_garbage::Entity::find().filter(due), self.shared.db.conn()).await?;
        let message = format!("{waiting} files to be deleted from the store");
        let garbage = if waiting > MAX_GARBAGE {
            Finding::note("file_garbage", message)
        } else {
            Finding::ok("file_garbage", message)
        };
        Ok(vec![store, garbage])
    }
}

#[async_trait]
impl Job for Files {
    fn name(&self) -> &'static str {
        "files.collect"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self) -> Result<()> {
        self.collect().await.map(|_| ())
    }
}

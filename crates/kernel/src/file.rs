//! Files that people upload: their content lies in a store, what is known of them in the database.
//!
//! Content is [put](Files::put) before the transaction of the act that it belongs to, and
//! [kept](Files::keep) within it. What was put and never kept is removed after an hour, and so is what
//! is kept no longer: whoever deletes the row of a file, by a cascade or a trigger for instance, has its
//! content removed.

mod folder;
mod link;
mod picture;
mod route;
mod store;
#[cfg(test)]
#[cfg(feature = "testing")]
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
pub use picture::{Fit, Size, pictures};
pub use route::{openapi, router};
pub use store::Store;
pub use upload::{FORM_BYTES, Form, Upload};

use crate::{
    Clock, Db, Error, Kind, PublicUrl, Result, Timestamp, UserId, define_id,
    doctor::Finding,
    entity::{file, file_garbage},
    job::Job,
    page::count_up_to,
    quota::Quota,
    secret,
};

/// The secret that addresses are signed with.
const SECRET: &str = "kernel.files";
/// How long what was put waits to be kept.
const GRACE: Duration = Duration::from_secs(3600);
/// How much later a removal that failed is tried again.
const PAUSE: Duration = Duration::from_secs(3600);
/// How many are removed at a time.
const BATCH: u64 = 100;
/// How many may wait to be removed before something is wrong.
const MOST_GARBAGE: u64 = 5000;
/// For so long, in seconds, an address stays the same, and for as long again it goes on opening the file.
const STEP: i64 = 1800;

define_id!(
    /// A file that is kept.
    FileId
);

/// What is to be stored: one object, or the variants of one picture.
#[derive(Clone)]
pub struct Content {
    content_type: String,
    objects: Vec<(&'static str, Bytes)>,
}

impl Content {
    /// One object.
    pub fn bytes(content_type: impl Into<String>, bytes: Bytes) -> Self {
        Self { content_type: content_type.into(), objects: vec![("", bytes)] }
    }

    /// Several variants of the same type, each by its name: lower-case letters, digits and `-`.
    pub fn variants(content_type: impl Into<String>, variants: Vec<(&'static str, Bytes)>) -> Self {
        Self { content_type: content_type.into(), objects: variants }
    }

    /// Bytes, of all variants together.
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

/// Content that has been put and waits to be kept.
#[derive(Clone, Debug)]
pub struct Stored {
    key: String,
    content_type: String,
    size: i64,
    variants: String,
    due_at: Timestamp,
}

impl Stored {
    /// What sort of content it is: `image/png`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Bytes, of all variants together.
    pub fn size(&self) -> i64 {
        self.size
    }
}

/// What an object is called in the store.
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

/// What uploads are limited to.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// The largest file, in bytes.
    pub bytes: usize,
    /// How many bytes one person may upload.
    pub quota: Quota,
    /// Where uploads end, or the database grows, and how much of it has to stay free.
    pub reserve: Option<Reserve>,
}

impl UploadLimits {
    /// Files of up to so many bytes, and no other limits.
    pub const fn up_to(bytes: usize) -> Self {
        Self { bytes, quota: Quota::unlimited(), reserve: None }
    }
}

/// Space on a disk of this machine that uploads leave free, so that what is written without them still fits.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// A folder on the disk.
    pub folder: PathBuf,
    /// How much of the disk has to be free, in percent.
    pub percent: u8,
}

impl Reserve {
    /// Is there less space than has to be? A disk that cannot be asked is as good as any.
    fn is_used_up(&self) -> bool {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return false };
        u128::from(disk.f_bavail) * 100 < u128::from(disk.f_blocks) * u128::from(self.percent)
    }
}

impl Files {
    /// The files in a store. `mount` is where [`router`] is nested. Makes the key that addresses are signed with
    /// when there is none yet.
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

    /// The same files, at another address.
    #[must_use]
    pub fn mounted_at(&self, mount: PublicUrl) -> Self {
        Self { shared: self.shared.clone(), mount }
    }

    /// Has the key been made that addresses are signed with?
    pub async fn is_set_up(db: &Db) -> Result<bool> {
        secret::exists(db, SECRET).await
    }

    /// The largest file that may be uploaded, in bytes.
    pub fn upload_bytes(&self) -> usize {
        self.shared.limits.bytes
    }

    /// Refuses uploads with 503 `storage_low` while there is too little space for them.
    pub fn check_room(&self) -> Result<()> {
        let used_up = self.shared.limits.reserve.as_ref().is_some_and(Reserve::is_used_up);
        if !used_up {
            return Ok(());
        }
        tracing::error!("uploads are refused: the disk is almost full");
        let detail = "There is no room for uploads just now.";
        Err(Error::new(Kind::Unavailable, "storage_low", detail).retry_after(Duration::from_secs(600)))
    }

    /// Counts what a person has uploaded, where it is not [put](Self::put).
    ///
    /// # Errors
    /// 429 `quota_exceeded` beyond their quota.
    pub async fn count_upload(&self, user: UserId, bytes: usize) -> Result<()> {
        let Shared { db, clock, limits, .. } = &*self.shared;
        db.write(|tx| async move { limits.quota.take(tx.conn(), user, bytes as u64, clock.now()).await }).await
    }

    /// Stores content that somebody has uploaded, for [`keep`](Self::keep) to be called within an hour. Belongs
    /// before the transaction: a store may be slow. 503 where it cannot be reached, 429 beyond their quota.
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
        // First of all, so that there is nothing in the store that the database does not know of.
        let row = file_garbage::ActiveModel {
            key: Set(stored.key.clone()),
            variants: Set(stored.variants.clone()),
            due_at: Set(stored.due_at),
        };
        let (row, size) = (&row, u64::try_from(stored.size).unwrap_or_default());
        let Shared { db, clock, limits, .. } = &*self.shared;
        let noted = db.write(|tx| async move {
            limits.quota.take(tx.conn(), user, size, clock.now()).await?;
            file_garbage::Entity::insert(row.clone()).exec_without_returning(tx.conn()).await.map_err(Error::from)
        });
        noted.await?;
        for (variant, bytes) in content.objects {
            let name = object_name(&stored.key, variant);
            self.shared.store.put(&name, bytes, &stored.content_type).await.map_err(Error::unavailable)?;
        }
        Ok(stored)
    }

    /// Keeps what was put, in the transaction of the act that it belongs to: if that is taken back, it is
    /// as if this had not been called. Fails where more than an hour has passed.
    pub async fn keep(&self, conn: &impl ConnectionTrait, stored: &Stored) -> Result<FileId, DbErr> {
        let waiting = file_garbage::Entity::delete_many()
            .filter(file_garbage::COLUMN.key.eq(stored.key.as_str()))
            // Whoever removes it has moved that ahead.
            .filter(file_garbage::COLUMN.due_at.eq(stored.due_at));
        if waiting.exec(conn).await?.rows_affected != 1 {
            return Err(DbErr::Custom("a file waited too long to be kept and has been removed".to_owned()));
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

    /// The address at which somebody who may see a file reads it, for half an hour at least and an hour
    /// at most. It works without signing in, so that pages can show pictures; asked for twice, it is
    /// mostly the same, so that caches help. `name` is what the file is saved as.
    pub fn url(&self, id: FileId, variant: Option<&str>, name: &str, viewer: Option<UserId>) -> String {
        // Browsers take these for steps in a path, however they are written.
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

    /// What an address opens that was given out: the file and its content.
    async fn open_signed(&self, link: &Link<'_>, signature: &str) -> Result<(file::Model, Body)> {
        let Shared { db, store, clock, signer, .. } = &*self.shared;
        let gone =
            || Error::new(Kind::NotFound, "file_not_found", "There is no such file, or its address has expired.");
        let expires = link.expires.parse::<i64>().unwrap_or_default();
        if !signer.has_signed(link, signature) || expires <= clock.now().unix_seconds() {
            return Err(gone());
        }
        let row = file::Entity::find_by_id(link.id).one(db.conn()).await?.ok_or_else(gone)?;
        if !row.variants.split(',').any(|variant| variant == link.variant) {
            return Err(gone());
        }
        match store.get(&object_name(&row.key, link.variant)).await {
            Ok(content) => Ok((row, content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(file.id = %row.id, "a file is not in the store");
                Err(gone())
            }
            Err(error) => Err(Error::unavailable(error)),
        }
    }

    /// Removes from the store what nobody keeps; gives how many files that were. What cannot be removed
    /// is tried again an hour later.
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
            let until = now + PAUSE;
            let taken = self.take(&due, until).await?;
            let mut gone = Vec::new();
            for row in &taken {
                match self.remove(row).await {
                    Ok(()) => gone.push(row.key.as_str()),
                    Err(error) => tracing::warn!(%error, "a file could not be removed from the store"),
                }
            }
            self.forget(&gone, until).await?;
            collected += gone.len() as u64;
            if gone.len() < taken.len() {
                // What goes wrong with one goes wrong with the next.
                return Ok(collected);
            }
        }
    }

    /// Takes what is due, unless somebody has kept it meanwhile, or takes it as well.
    async fn take<'a>(
        &self,
        due: &'a [file_garbage::Model],
        until: Timestamp,
    ) -> Result<Vec<&'a file_garbage::Model>, DbErr> {
        self.shared
            .db
            .write(|tx| async move {
                let mut taken = Vec::new();
                for row in due {
                    let change = file_garbage::Entity::update_many()
                        .col_expr(file_garbage::Column::DueAt, Expr::value(until))
                        .filter(file_garbage::COLUMN.key.eq(row.key.as_str()))
                        .filter(file_garbage::COLUMN.due_at.eq(row.due_at));
                    if change.exec(tx.conn()).await?.rows_affected == 1 {
                        taken.push(row);
                    }
                }
                Ok(taken)
            })
            .await
    }

    async fn remove(&self, row: &file_garbage::Model) -> io::Result<()> {
        for variant in row.variants.split(',') {
            self.shared.store.delete(&object_name(&row.key, variant)).await?;
        }
        Ok(())
    }

    async fn forget(&self, keys: &[&str], until: Timestamp) -> Result<(), DbErr> {
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

    /// Can the store be used, and does what is to be removed from it go?
    pub async fn examine(&self) -> Result<Vec<Finding>> {
        let store = match self.shared.store.check().await {
            Ok(()) => Finding::ok("files", "files can be written, read and removed"),
            Err(error) => Finding::fault("files", format!("the file store cannot be used: {error}")),
        };
        let due = file_garbage::COLUMN.due_at.lte(self.shared.clock.now());
        let waiting = count_up_to(file_garbage::Entity::find().filter(due), self.shared.db.conn()).await?;
        let message = format!("{waiting} files wait to be removed from the store");
        let garbage = if waiting > MOST_GARBAGE {
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
        "kernel.collect_files"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self) -> Result<()> {
        self.collect().await.map(|_| ())
    }
}

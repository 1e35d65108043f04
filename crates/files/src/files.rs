//! The files of an installation.

mod doctor;
mod garbage;
mod urls;

use std::{sync::Arc, time::Duration};

use guildhall_kernel::{Clock, Db, Error, Kind, PublicUrl, Result, UserId, secret};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};

use crate::{
    content::{Content, Stored},
    entity::{file, garbage as garbage_row},
    id::FileId,
    limits::{Reserve, UploadLimits},
    link::Signer,
    store::{Store, object_name, random_key},
};

/// The name of the secret that signs URLs.
const SECRET: &str = "files.signing_key";
/// How long stored content may stay unattached.
const GRACE: Duration = Duration::from_secs(3600);

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

impl Files {
    /// The files in a store. `mount` is the URL at which [`router`](crate::router) is nested. Generates the signing
    /// secret on first use.
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

    /// Counts an upload that is not stored with [`store`](Self::store).
    ///
    /// # Errors
    /// 429 `quota_exceeded` if the quota is used up.
    pub async fn count_upload(&self, user: UserId, bytes: usize) -> Result<()> {
        let Shared { db, clock, limits, .. } = &*self.shared;
        db.write(|tx| async move { limits.quota.consume(&tx, user, bytes as u64, clock.now()).await }).await
    }

    /// Stores uploaded content, to be attached with [`attach`](Self::attach) within an hour. Call it before the
    /// transaction, since a store may be slow. 503 if the store is unreachable, 429 if the quota is used up.
    pub async fn store(&self, user: UserId, content: Content) -> Result<Stored> {
        self.check_room()?;
        let variants: Vec<&str> = content.objects.iter().map(|(name, _)| *name).collect();
        let stored = Stored {
            key: random_key()?,
            size: content.size(),
            variants: variants.join(","),
            content_type: content.media_type,
            due_at: self.shared.clock.now() + GRACE,
        };
        // First, so that the store never contains an object without a row.
        let row = garbage_row::ActiveModel {
            key: Set(stored.key.clone()),
            variants: Set(stored.variants.clone()),
            due_at: Set(stored.due_at),
        };
        let (row, size) = (&row, u64::try_from(stored.size).unwrap_or_default());
        let Shared { db, clock, limits, .. } = &*self.shared;
        let recorded = db.write(|tx| async move {
            limits.quota.consume(&tx, user, size, clock.now()).await?;
            garbage_row::Entity::insert(row.clone()).exec_without_returning(&tx).await.map_err(Error::from)
        });
        recorded.await?;
        for (variant, bytes) in content.objects {
            let name = object_name(&stored.key, variant);
            self.shared.store.put(&name, bytes, &stored.content_type).await.map_err(Error::unavailable)?;
        }
        Ok(stored)
    }

    /// Makes stored content a file, in the transaction that stores its id. Fails after more than an hour.
    pub async fn attach(&self, conn: &impl ConnectionTrait, stored: &Stored) -> Result<FileId, DbErr> {
        let unattached = garbage_row::Entity::delete_many()
            .filter(garbage_row::COLUMN.key.eq(stored.key.as_str()))
            // A node that deletes the content has changed this.
            .filter(garbage_row::COLUMN.due_at.eq(stored.due_at));
        if unattached.exec(conn).await?.rows_affected != 1 {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ANNA, HOUR, Kit, LARGEST, MOUNT, QUOTA, text};

    #[tokio::test]
    async fn a_transaction_that_rolls_back_attaches_nothing() {
        let kit = Kit::new().await;
        let stored = kit.files.store(ANNA, text("hello")).await.unwrap();
        let (files, stored) = (&kit.files, &stored);
        let outcome = kit.db.write(|tx| async move {
            files.attach(&tx, stored).await?;
            Err::<(), _>(DbErr::Custom("no".to_owned()))
        });
        assert!(outcome.await.is_err());
        assert_eq!(kit.db.count_rows("files_file").await, 0);
        kit.advance(HOUR);
        assert_eq!(kit.files.collect().await.unwrap(), 1);
        assert!(kit.store.names().is_empty());
    }

    #[tokio::test]
    async fn content_that_is_being_deleted_cannot_be_attached() {
        let kit = Kit::new().await;
        let stored = kit.files.store(ANNA, text("hello")).await.unwrap();
        kit.advance(HOUR);
        kit.store.set_broken(true);
        assert_eq!(kit.files.collect().await.unwrap(), 0);
        assert!(kit.attach(&stored).await.is_err(), "a part of it may be deleted");
    }

    #[tokio::test]
    async fn fault_14_uploads_of_one_user_are_limited_per_day() {
        let kit = Kit::new().await;
        let upload = |user, bytes: usize| {
            let files = kit.files.clone();
            async move { files.store(user, Content::bytes("text/plain", vec![0; bytes].into())).await }
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
            let files =
                Files::open(kit.db.handle(), kit.store.clone(), Clock::system(), MOUNT.parse().unwrap(), limits);
            files.await.unwrap().store(ANNA, text("hello")).await
        };
        assert!(with_reserve(0).await.is_ok());
        let refused = with_reserve(100).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (Kind::Unavailable, "storage_low"));
    }
}

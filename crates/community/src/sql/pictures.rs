//! The pictures of groups.

use async_trait::async_trait;
use axum::body::Bytes;
use guildhall_files as file;
use guildhall_files::{FileId, Fit, Size};
use guildhall_kernel::Caller;
use sea_orm::{
    ActiveValue::{NotSet, Unchanged},
    ConnectionTrait, EntityTrait, Set,
};

use super::{GroupAccess, SqlCommunity, scope::Viewer};
use crate::{
    Error, Group, GroupId, PictureKind, PictureUrls, Pictures, Result, entity::group, model::GroupRow, picture,
};

/// The sizes of the square picture.
const IMAGE: &[Size] = &[
    Size { name: "small", width: 96, height: 96, fit: Fit::Cover },
    Size { name: "medium", width: 256, height: 256, fit: Fit::Cover },
    Size { name: "large", width: 512, height: 512, fit: Fit::Cover },
];
/// The sizes of the banner, which keeps its aspect ratio.
const BANNER: &[Size] = &[
    Size { name: "small", width: 480, height: 480, fit: Fit::Within },
    Size { name: "medium", width: 960, height: 960, fit: Fit::Within },
    Size { name: "large", width: 1920, height: 1920, fit: Fit::Within },
];

impl SqlCommunity {
    /// Stores or clears a picture's file. A trigger deletes the previous file.
    async fn store_picture(
        &self,
        conn: &impl ConnectionTrait,
        id: GroupId,
        kind: PictureKind,
        file: Option<FileId>,
    ) -> Result<()> {
        let (image_id, banner_id) = match kind {
            PictureKind::Image => (Set(file), NotSet),
            PictureKind::Banner => (NotSet, Set(file)),
        };
        let row = group::ActiveModel {
            id: Unchanged(id),
            image_id,
            banner_id,
            updated_at: Set(self.host.clock.now()),
            ..Default::default()
        };
        group::Entity::update(row).exec_without_returning(conn).await?;
        Ok::<_, Error>(())
    }

    /// The URLs of a group's pictures, signed for the viewer.
    pub(super) fn picture_urls(&self, row: &GroupRow, viewer: Viewer) -> (Option<PictureUrls>, Option<PictureUrls>) {
        let urls = |file: FileId| {
            let url = |size| self.host.files.url(file, Some(size), &row.slug, Some(viewer.id()));
            PictureUrls { small: url("small"), medium: url("medium"), large: url("large") }
        };
        (row.image_id.map(urls), row.banner_id.map(urls))
    }

    pub(super) fn fallback_url(&self, row: &GroupRow) -> String {
        picture::fallback_url(&self.host.mount, row.id, &row.name)
    }
}

#[async_trait]
impl Pictures for SqlCommunity {
    async fn set_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind, content: Bytes) -> Result<Group> {
        // Checked before anything is decoded or stored, and again in the transaction.
        GroupAccess::load(self.db.conn(), caller, id).await?.require_moderator()?;
        let sizes = match kind {
            PictureKind::Image => IMAGE,
            PictureKind::Banner => BANNER,
        };
        let stored = self.host.files.put(caller.user, file::pictures(caller.user, content, sizes).await?).await?;
        let stored = &stored;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let file = self.host.files.keep(conn, stored).await?;
                self.store_picture(conn, id, kind, Some(file)).await
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn remove_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                self.store_picture(conn, id, kind, None).await
            })
            .await
    }
}

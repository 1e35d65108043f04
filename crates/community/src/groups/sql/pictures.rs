//! The pictures of groups.

use async_trait::async_trait;
use axum::body::Bytes;
use guildhall_files as file;
use guildhall_files::{FileId, Fit, Size};
use guildhall_kernel::{Caller, db};
use sea_orm::ConnectionTrait;

use super::{SqlGroups, show::GroupRow};
use crate::{
    core::{access::GroupAccess, scope::Viewer},
    entity::group,
    error::Result,
    groups::{Group, PictureKind, PictureUrls, Pictures, fallback_picture},
    id::GroupId,
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

impl SqlGroups {
    /// Stores or clears a picture's file. A trigger deletes the previous file.
    async fn store_picture(
        &self,
        conn: &impl ConnectionTrait,
        group: &group::Model,
        kind: PictureKind,
        file: Option<FileId>,
    ) -> Result<()> {
        let mut after = group::Model { updated_at: self.core.now(), ..group.clone() };
        match kind {
            PictureKind::Image => after.image_id = file,
            PictureKind::Banner => after.banner_id = file,
        }
        Ok(db::store_changes(conn, group, &after).await?)
    }

    /// The URLs of a group's pictures, signed for the viewer.
    pub(super) fn picture_urls(&self, row: &GroupRow, viewer: Viewer) -> (Option<PictureUrls>, Option<PictureUrls>) {
        let urls = |file: FileId| {
            let url = |size| self.core.host.files.url(file, Some(size), &row.slug, Some(viewer.id()));
            PictureUrls { small: url("small"), medium: url("medium"), large: url("large") }
        };
        (row.image_id.map(urls), row.banner_id.map(urls))
    }

    pub(super) fn fallback_url(&self, row: &GroupRow) -> String {
        fallback_picture::url(&self.core.host.mount, row.id, &row.name)
    }
}

#[async_trait]
impl Pictures for SqlGroups {
    async fn set_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind, content: Bytes) -> Result<Group> {
        // Checked before anything is decoded or stored, and again in the transaction.
        GroupAccess::load(self.core.db.conn(), caller, id).await?.require_moderator()?;
        let sizes = match kind {
            PictureKind::Image => IMAGE,
            PictureKind::Banner => BANNER,
        };
        let content = file::pictures(caller.user, "image", content, sizes).await?;
        let stored = &self.core.host.files.store(caller.user, content).await?;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let file = self.core.host.files.attach(conn, stored).await?;
                self.store_picture(conn, &access.group, kind, Some(file)).await
            })
            .await?;
        self.find_group(caller.into(), id).await
    }

    async fn remove_picture(&self, caller: &Caller, id: GroupId, kind: PictureKind) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                self.store_picture(conn, &access.group, kind, None).await
            })
            .await
    }
}

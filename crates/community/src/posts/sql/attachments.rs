//! Attachments of posts.

use async_trait::async_trait;
use guildhall_files as file;
use guildhall_kernel::{Caller, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};

use super::{
    SqlPosts,
    access::{Rights, group_of, lock_post},
    approval::{needs_approval, update_post_count},
};
use crate::{
    core::scope::Viewer,
    entity::{attachment, post},
    error::{Error, Result},
    id::{AttachmentId, PostId},
    posts::{Attachment, Attachments},
};

/// The maximum number of attachments of a post.
const MAX_ATTACHMENTS: u64 = 10;

/// The caller's post, if it can take another attachment.
async fn own_post_for_attachment(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: PostId,
) -> Result<(post::Model, Rights)> {
    let (post, rights) = lock_post(conn, caller, id).await?;
    if !rights.is_author {
        return Err(Error::NotAuthor);
    }
    let count = attachment::Entity::find().filter(attachment::COLUMN.post_id.eq(id)).count(conn).await?;
    if count < MAX_ATTACHMENTS {
        Ok((post, rights))
    } else {
        Err(Error::field("file", format!("A post can have at most {MAX_ATTACHMENTS} attachments.")))
    }
}

impl SqlPosts {
    pub(super) fn show_attachment(&self, row: attachment::Model, viewer: Viewer) -> Attachment {
        let signed = |variant| self.core.host.files.url(row.file_id, variant, &row.name, Some(viewer.id()));
        Attachment {
            id: row.id,
            url: signed(row.is_picture.then_some(file::LARGE)),
            medium_url: row.is_picture.then(|| signed(Some(file::MEDIUM))),
            preview_url: row.is_picture.then(|| signed(Some(file::SMALL))),
            content_type: row.content_type,
            size: row.size,
            name: row.name,
        }
    }
}

#[async_trait]
impl Attachments for SqlPosts {
    async fn attach(&self, caller: &Caller, id: PostId, upload: file::Upload) -> Result<Attachment> {
        // Checked before anything is stored, and again in the transaction.
        own_post_for_attachment(self.core.db.conn(), caller, id).await?;
        let name = &upload.name.clone();
        let content = upload.into_attachment(caller.user).await?;
        let is_picture = content.dimensions(file::LARGE).is_some();
        let stored = &self.core.host.files.store(caller.user, content).await?;
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = own_post_for_attachment(conn, caller, id).await?;
                let file_id = self.core.host.files.attach(conn, stored).await?;
                let now = self.core.now();
                let row = attachment::ActiveModel {
                    id: NotSet,
                    post_id: Set(id),
                    file_id: Set(file_id),
                    name: Set(name.clone()),
                    content_type: Set(stored.content_type().to_owned()),
                    size: Set(stored.size()),
                    is_picture: Set(is_picture),
                    created_at: Set(now),
                };
                let pipeline = tx.pipeline();
                let row = async { Ok(row.insert(&pipeline).await?) };
                let (row, group) = tokio::try_join!(row, group_of(&pipeline, &post))?;
                let mut after = post::Model { has_extras: true, updated_at: now, ..post.clone() };
                after.is_approved &= !needs_approval(group.as_ref(), rights.is_moderator);
                update_post_count(conn, &post, &after).await?;
                db::store_changes(conn, &post, &after).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        Ok(self.show_attachment(row, caller.into()))
    }

    async fn detach(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = lock_post(conn, caller, id).await?;
                if !rights.is_author && !rights.is_moderator {
                    return Err(Error::NotAuthor);
                }
                let deleted = attachment::Entity::delete_by_id(attachment)
                    .filter(attachment::COLUMN.post_id.eq(id))
                    .exec(conn)
                    .await?;
                if deleted.rows_affected == 0 {
                    return Err(Error::NotFound("attachment"));
                }
                let after = post::Model { has_extras: true, updated_at: self.core.now(), ..post.clone() };
                Ok(db::store_changes(conn, &post, &after).await?)
            })
            .await
    }
}

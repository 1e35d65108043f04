//! Attachments of posts.

use async_trait::async_trait;
use guildhall_files as file;
use guildhall_kernel::Caller;
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, Set};

use super::{
    SqlCommunity,
    posts::{SIZES, needs_approval, touch_post, update_post_count},
};
use crate::{
    Attachment, AttachmentId, Attachments, Error, PostId, Result,
    entity::{attachment, group},
};

#[async_trait]
impl Attachments for SqlCommunity {
    async fn attach(&self, caller: &Caller, id: PostId, upload: file::Upload) -> Result<Attachment> {
        // Checked before anything is stored, and again in the transaction.
        self.own_post_for_attachment(self.db.conn(), caller, id).await?;
        let is_picture = upload.content_type.starts_with("image/");
        let content = if is_picture {
            file::pictures(caller.user, upload.bytes, SIZES).await?
        } else {
            file::Content::bytes(upload.content_type, upload.bytes)
        };
        let stored = self.host.files.put(caller.user, content).await?;
        let (stored, name) = (&stored, &upload.name);
        let row = self
            .db
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = self.own_post_for_attachment(conn, caller, id).await?;
                let file_id = self.host.files.keep(conn, stored).await?;
                let now = self.host.clock.now();
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
                let row = row.insert(conn).await?;
                let group = match post.group_id {
                    Some(group) => group::Entity::find_by_id(group).one(conn).await?,
                    None => None,
                };
                let is_approved = post.is_approved && !needs_approval(group.as_ref(), rights.is_moderator);
                update_post_count(conn, &post, is_approved, post.visibility).await?;
                touch_post(conn, id, is_approved, now).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        Ok(self.show_attachment(row, caller.into()))
    }

    async fn detach(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = self.lock_post(conn, caller, id).await?;
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
                touch_post(conn, id, post.is_approved, self.host.clock.now()).await
            })
            .await
    }
}

//! Attachments of messages: uploaded first, and attached in the transaction that stores the message.

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    http::{HeaderValue, header},
    response::Response,
};
use guildhall_files::{Files, LARGE, MEDIUM, SMALL, Signature, Upload};
use guildhall_kernel::{
    Caller, Quota, UserId,
    db::{self, Sql, Tx},
};
use sea_orm::{ActiveValue::NotSet, ConnectionTrait, EntityTrait, Set};

use super::SqlMessaging;
use crate::{
    core::Core,
    entity::attachment,
    error::{Error, Result},
    id::{AttachmentId, MessageId},
    model::Attachment,
    service::Attachments,
};

/// What the ids in signed URLs identify.
const SCOPE: &str = "messaging_attachment";
/// How long an upload can be sent.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How many uploads one transaction deletes.
const BATCH: i64 = 500;
/// The caching of a response to a URL that is the same for all users.
const NOT_CACHED: HeaderValue = HeaderValue::from_static("private, no-store");

/// The columns of an attachment.
macro_rules! columns {
    () => {
        "id, message_id, uploader_id, position, file_id, name, content_type, size, width, height, created_at"
    };
}
pub(super) use columns;

/// Attaches uploads of a user to a message, in the order of the list.
const ATTACH: Sql = Sql::per_backend(
    concat!(
        "UPDATE messaging_attachment SET message_id = $1, uploader_id = NULL, ",
        "position = (SELECT key FROM json_each($3) WHERE value = messaging_attachment.id) ",
        "WHERE uploader_id = $2 AND id IN (SELECT value FROM json_each($3)) RETURNING ",
        columns!()
    ),
    concat!(
        "UPDATE messaging_attachment SET message_id = $1, uploader_id = NULL, position = (SELECT l.no - 1 ",
        "FROM json_array_elements_text($3::json) WITH ORDINALITY AS l (value, no) ",
        "WHERE l.value::bigint = messaging_attachment.id) WHERE uploader_id = $2 ",
        "AND id IN (SELECT value::bigint FROM json_array_elements_text($3::json)) RETURNING ",
        columns!()
    ),
);
const IDS: &str = "SELECT id FROM messaging_attachment WHERE message_id = $1 ORDER BY position";
const UNSENT: &str =
    concat!("SELECT ", columns!(), " FROM messaging_attachment WHERE uploader_id = $1 ORDER BY id LIMIT 1000");
/// An upload that is sent meanwhile stays.
const DELETE_UNSENT: &str = "DELETE FROM messaging_attachment WHERE message_id IS NULL AND id IN (SELECT id \
    FROM messaging_attachment WHERE message_id IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)";

/// The ids of the attachments of a message, in their order.
pub(super) async fn attachment_ids(conn: &impl ConnectionTrait, id: MessageId) -> Result<Vec<AttachmentId>> {
    Ok(db::scalars(conn, IDS, [id.into()]).await?)
}

/// The files that a user has uploaded and not sent.
pub(crate) async fn unsent_attachments(
    core: &Core,
    conn: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<Attachment>> {
    let rows: Vec<attachment::Model> = db::rows(conn, UNSENT, [user.into()]).await?;
    Ok(rows.into_iter().map(|row| show(core, row, user)).collect())
}

/// An attachment as a user sees it.
pub(super) fn show(core: &Core, row: attachment::Model, viewer: UserId) -> Attachment {
    let files = &core.host.files;
    show_with(row, |id, variant, name| {
        core.host.mount.join(&format!("/attachments/{}", files.signed_path(SCOPE, id, variant, name, viewer)))
    })
}

/// An attachment in an event, which is the same for everybody and stored.
fn show_to_everybody(core: &Core, row: attachment::Model) -> Attachment {
    show_with(row, |id, variant, name| {
        core.host.mount.path(&format!("/attachments/{}", Files::unsigned_path(id, variant, name)))
    })
}

fn show_with(row: attachment::Model, url: impl Fn(i64, Option<&str>, &str) -> String) -> Attachment {
    let is_picture = row.width.is_some();
    Attachment {
        id: row.id,
        url: url(row.id.0, is_picture.then_some(LARGE), &row.name),
        medium_url: is_picture.then(|| url(row.id.0, Some(MEDIUM), &row.name)),
        preview_url: is_picture.then(|| url(row.id.0, Some(SMALL), &row.name)),
        name: row.name,
        content_type: row.content_type,
        size: row.size,
        width: row.width,
        height: row.height,
    }
}

impl SqlMessaging {
    /// The limit on uploads. It also limits those that are not sent, which are deleted after a day.
    fn upload_quota(&self) -> Quota {
        Quota::per_day("message_uploads", self.core.settings.uploads_per_day.into())
    }

    /// Attaches uploads of a user to a new message. Returns them as its event shows them.
    pub(super) async fn attach(
        &self,
        tx: &Tx,
        message: MessageId,
        sender: UserId,
        ids: &[AttachmentId],
    ) -> Result<Vec<Attachment>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let list = db::id_list(ids.iter().map(|id| id.0));
        let mut rows: Vec<attachment::Model> = db::rows(tx, ATTACH, [message.into(), sender.into(), list]).await?;
        if rows.len() != ids.len() {
            return Err(Error::field("attachments", "Use files that you have uploaded and not sent yet."));
        }
        rows.sort_by_key(|row| row.position);
        Ok(rows.into_iter().map(|row| show_to_everybody(&self.core, row)).collect())
    }

    /// The user for whom a URL was signed, if their account is active.
    async fn signed_viewer(&self, id: AttachmentId, name: &str, signature: &Signature) -> Result<UserId> {
        let viewer = self.core.host.files.viewer(SCOPE, id.0, name, signature)?;
        match self.core.require_active(&[viewer]).await {
            Ok(()) => Ok(viewer),
            Err(Error::UserNotFound) => Err(Error::NotFound("attachment")),
            Err(error) => Err(error),
        }
    }

    /// Requires that a user may read an attachment.
    async fn check_readable(&self, user: UserId, row: &attachment::Model) -> Result<()> {
        let is_readable = match row.message_id {
            Some(message) => match self.find_message(self.core.db.conn(), user, message).await {
                Ok(_) => true,
                Err(Error::MessageNotFound(_)) => false,
                Err(error) => return Err(error),
            },
            None => row.uploader_id == Some(user),
        };
        if is_readable { Ok(()) } else { Err(Error::NotFound("attachment")) }
    }

    /// Deletes uploads that were not sent in time; returns their number.
    pub(super) async fn delete_unsent_attachments(&self) -> Result<u64> {
        let before = self.core.now() - LIFETIME;
        let mut deleted = 0;
        loop {
            let delete = |tx| async move { db::execute(&tx, DELETE_UNSENT, [before.into(), BATCH.into()]).await };
            let batch = self.core.write(delete).await?;
            deleted += batch;
            if batch == 0 {
                return Ok(deleted);
            }
        }
    }
}

#[async_trait]
impl Attachments for SqlMessaging {
    async fn upload(&self, caller: &Caller, upload: Upload) -> Result<Attachment> {
        let (files, now) = (&self.core.host.files, self.core.now());
        // First, so that the quota limits the work too. A file that is refused afterwards counts.
        self.core.write(|tx| async move { self.upload_quota().consume(&tx, caller.user, 1, now).await }).await?;
        let name = &upload.name.clone();
        let content = upload.into_attachment(caller.user).await?;
        let dimensions = content.dimensions(LARGE);
        let stored = &files.store(caller.user, content).await?;
        let row = self
            .core
            .write(|tx| async move {
                let row = attachment::ActiveModel {
                    id: NotSet,
                    message_id: Set(None),
                    uploader_id: Set(Some(caller.user)),
                    position: Set(0),
                    file_id: Set(files.attach(&tx, stored).await?),
                    name: Set(name.clone()),
                    content_type: Set(stored.content_type().to_owned()),
                    size: Set(stored.size()),
                    width: Set(dimensions.map(|(width, _)| width.into())),
                    height: Set(dimensions.map(|(_, height)| height.into())),
                    created_at: Set(now),
                };
                Ok::<_, Error>(db::insert(&tx, row).await?)
            })
            .await?;
        Ok(show(&self.core, row, caller.user))
    }

    async fn download(
        &self,
        caller: Option<Caller>,
        id: AttachmentId,
        name: String,
        signature: Signature,
    ) -> Result<Response> {
        let files = &self.core.host.files;
        let viewer = match caller {
            Some(caller) => caller.user,
            None => self.signed_viewer(id, &name, &signature).await?,
        };
        let row = attachment::Entity::find_by_id(id).one(self.core.db.conn()).await?;
        let row = row.ok_or(Error::NotFound("attachment"))?;
        self.check_readable(viewer, &row).await?;
        let mut response = files.respond(row.file_id, signature.variant(), &row.name).await?;
        if !signature.is_signed() {
            response.headers_mut().insert(header::CACHE_CONTROL, NOT_CACHED);
        }
        Ok(response)
    }
}

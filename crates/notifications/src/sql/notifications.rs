//! The notifications of a user.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, UserId, db};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select, sea_query::Expr};

use super::SqlNotifications;
use crate::{
    Error, Notification, NotificationFilter, NotificationId, Notifications, ReadAll, Result, Target, UnreadCount,
    core::{Visible, count_unread},
    entity::notification,
};

const READ: &str = "UPDATE notifications_notification SET read_at = $1 \
     WHERE id = $2 AND recipient_id = $3 AND read_at IS NULL";

const READ_ALL: &str = "UPDATE notifications_notification SET read_at = $1 \
     WHERE recipient_id = $2 AND read_at IS NULL AND id <= $3";

const READ_ABOUT: &str = "UPDATE notifications_notification SET read_at = $1 \
     WHERE recipient_id = $2 AND read_at IS NULL AND id <= $3 AND target_kind = $4 AND target_id = $5";

/// Every query of notifications starts here.
fn notifications_of(user: UserId) -> Select<notification::Entity> {
    notification::Entity::find().filter(notification::COLUMN.recipient_id.eq(user))
}

impl SqlNotifications {
    /// Marks hidden notifications as read, so that they do not count as unread.
    async fn read_hidden(&self, user: UserId, hidden: &[NotificationId]) -> Result<()> {
        let now = Some(self.core.now());
        self.core
            .db
            .write(|tx| async move {
                let version = self.core.lock_unread(&tx, user).await?;
                notification::Entity::update_many()
                    .col_expr(notification::Column::ReadAt, Expr::value(now))
                    .filter(notification::COLUMN.recipient_id.eq(user))
                    .filter(notification::COLUMN.id.is_in(hidden.iter().copied()))
                    .filter(notification::COLUMN.read_at.is_null())
                    .exec(&tx)
                    .await?;
                self.core.publish_unread(&tx, user, version).await
            })
            .await
    }

    async fn show_visible(&self, rows: &[notification::Model], visible: &Visible) -> Result<Vec<Notification>> {
        let rows: Vec<_> = rows.iter().filter(|row| visible.allows(row.target().as_ref())).collect();
        let people = self.core.people(rows.iter().filter_map(|row| row.actor_id)).await?;
        Ok(rows.into_iter().map(|row| self.core.show(row, &people)).collect())
    }
}

#[async_trait]
impl Notifications for SqlNotifications {
    async fn notifications(
        &self,
        caller: &Caller,
        filter: NotificationFilter,
        cursor: CursorQuery,
    ) -> Result<CursorPage<Notification>> {
        let mut select = notifications_of(caller.user);
        match filter.unread {
            Some(true) => select = select.filter(notification::COLUMN.read_at.is_null()),
            Some(false) => select = select.filter(notification::COLUMN.read_at.is_not_null()),
            None => {}
        }
        let rows = cursor.apply(select, notification::Column::Id).all(self.core.db.conn()).await?;
        let (rows, page) = CursorPage::from_rows(rows, |row: &notification::Model| row.id.0, &cursor).split();
        let targets: Vec<Target> = rows.iter().filter_map(notification::Model::target).collect();
        let visible = self.core.visible(caller.user, &targets).await?;
        let hidden = rows.iter().filter(|row| row.read_at.is_none() && !visible.allows(row.target().as_ref()));
        let hidden: Vec<NotificationId> = hidden.map(|row| row.id).collect();
        if !hidden.is_empty() {
            self.read_hidden(caller.user, &hidden).await?;
        }
        Ok(page.with_results(self.show_visible(&rows, &visible).await?))
    }

    async fn unread_notifications(&self, caller: &Caller) -> Result<UnreadCount> {
        Ok(count_unread(self.core.db.conn(), caller.user).await?)
    }

    async fn read_notification(&self, caller: &Caller, id: NotificationId) -> Result<()> {
        let (user, now) = (caller.user, self.core.now());
        self.core
            .db
            .write(|tx| async move {
                let version = self.core.lock_unread(&tx, user).await?;
                if db::execute(&tx, READ, [now.into(), id.into(), user.into()]).await? == 1 {
                    return self.core.publish_unread(&tx, user, version).await;
                }
                // Read already, or not the caller's.
                let own = notifications_of(user).filter(notification::COLUMN.id.eq(id));
                own.one(&tx).await?.map(|_| ()).ok_or(Error::NotFound("notification"))
            })
            .await
    }

    async fn read_all_notifications(&self, caller: &Caller, which: ReadAll) -> Result<UnreadCount> {
        let (user, now) = (caller.user, self.core.now());
        let up_to = which.up_to.unwrap_or(NotificationId(i64::MAX));
        let target = &which.target;
        self.core
            .db
            .write(|tx| async move {
                let version = self.core.lock_unread(&tx, user).await?;
                let values = [now.into(), user.into(), up_to.into()];
                let read = match target {
                    Some(target) => {
                        let about = [target.kind.as_str().into(), target.id.into()];
                        db::execute(&tx, READ_ABOUT, values.into_iter().chain(about)).await?
                    }
                    None => db::execute(&tx, READ_ALL, values).await?,
                };
                if read > 0 {
                    self.core.publish_unread(&tx, user, version).await?;
                }
                Ok(count_unread(&tx, user).await?)
            })
            .await
    }
}

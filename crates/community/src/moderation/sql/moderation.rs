//! Bans and the moderation log.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Keyed, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter, Set, SqlErr, sea_query::OnConflict,
};

use super::SqlModeration;
use crate::{
    core::{
        access::GroupAccess,
        days,
        invites::revoke_from,
        membership::{close_request, delete_membership, role_of},
        moderation_log::ModerationEntry,
        rsvps::delete_rsvps_in_group,
    },
    entity::{ban, join_request::RequestStatus, moderation},
    error::{Error, Result},
    event::{MemberRemoved, UserBanned, UserUnbanned},
    id::GroupId,
    moderation::{Ban, LogEntry, Moderation, NewBan},
};

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "ban::Entity")]
struct BanRow {
    user_id: UserId,
    reason: String,
    until: Option<Timestamp>,
    banned_by: Option<UserId>,
    created_at: Timestamp,
}

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "moderation::Entity")]
struct LogRow {
    id: i64,
    actor_id: Option<UserId>,
    action: String,
    subject_id: Option<UserId>,
    target: String,
    detail: String,
    at: Timestamp,
}

impl Keyed for LogRow {
    fn key(&self) -> i64 {
        self.id
    }
}

impl SqlModeration {
    async fn show_bans(&self, rows: Vec<BanRow>) -> Result<Vec<Ban>> {
        let ids: Vec<UserId> = rows.iter().flat_map(|row| [Some(row.user_id), row.banned_by]).flatten().collect();
        let people = self.core.people(ids).await?;
        let person = |id: Option<UserId>| id.and_then(|id| people.get(&id)).cloned();
        let show = |row: BanRow| Ban {
            user: person(Some(row.user_id)),
            reason: row.reason,
            until: row.until,
            banned_by: person(row.banned_by),
            created_at: row.created_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

#[async_trait]
impl Moderation for SqlModeration {
    async fn ban(&self, caller: &Caller, id: GroupId, new: NewBan) -> Result<Ban> {
        new.validate()?;
        let now = self.core.now();
        let until = new.days.map(|count| now + days(count));
        let new = &new;
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let access = GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let user = new.user_id;
                if user == caller.user {
                    return Err(Error::field("user_id", "You cannot ban yourself."));
                }
                if let Some(role) = role_of(conn, id, user).await? {
                    access.may_remove(role)?;
                    delete_membership(conn, id, user, now).await?;
                    tx.emit(&MemberRemoved { group: id, user, actor: caller.user }).await?;
                }
                close_request(conn, id, user, RequestStatus::Denied, Some(caller.user), now).await?;
                revoke_from(conn, id, user).await?;
                delete_rsvps_in_group(conn, id, user, now).await?;
                let row = ban::ActiveModel {
                    id: NotSet,
                    group_id: Set(id),
                    user_id: Set(user),
                    reason: Set(new.reason.trim().to_owned()),
                    until: Set(until),
                    banned_by: Set(Some(caller.user)),
                    created_at: Set(now),
                };
                let replace = OnConflict::columns([ban::Column::GroupId, ban::Column::UserId])
                    .update_columns([
                        ban::Column::Reason,
                        ban::Column::Until,
                        ban::Column::BannedBy,
                        ban::Column::CreatedAt,
                    ])
                    .to_owned();
                let stored = ban::Entity::insert(row).on_conflict(replace).exec_without_returning(conn).await;
                stored.map_err(|error| match error.sql_err() {
                    Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::field("user_id", "User not found."),
                    _ => error.into(),
                })?;
                tx.emit(&UserBanned { group: id, user, actor: caller.user }).await?;
                let entry = ModerationEntry {
                    group: Some(id),
                    actor: caller.user,
                    action: "banned",
                    subject: Some(user),
                    target: format!("member {user}"),
                    detail: new.reason.trim(),
                };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await?;
        let row = BanRow {
            user_id: new.user_id,
            reason: new.reason.trim().to_owned(),
            until,
            banned_by: Some(caller.user),
            created_at: now,
        };
        self.show_bans(vec![row]).await?.pop().ok_or(Error::NotFound("ban"))
    }

    async fn unban(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let lifted = ban::Entity::delete_many()
                    .filter(ban::COLUMN.group_id.eq(id))
                    .filter(ban::COLUMN.user_id.eq(user))
                    .exec(conn)
                    .await?;
                if lifted.rows_affected == 0 {
                    return Err(Error::NotFound("ban"));
                }
                tx.emit(&UserUnbanned { group: id, user, actor: caller.user }).await?;
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let (action, target) = ("unbanned", format!("member {user}"));
                let entry = ModerationEntry { group, actor, action, subject, target, detail: "" };
                Ok(self.core.log_moderation(conn, entry).await?)
            })
            .await
    }

    async fn bans(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Ban>> {
        let conn = self.core.db.conn();
        GroupAccess::load(conn, caller, id).await?.require_moderator()?;
        let select = ban::Entity::find().filter(ban::COLUMN.group_id.eq(id));
        let ordering = Ordering { fields: &[("id", ban::Column::Id)], default: "-id", id: ban::Column::Id };
        let (rows, page) = Page::<BanRow>::fetch(select, &ordering, &page, conn).await?.split();
        let bans = self.show_bans(rows).await?;
        Ok(page.with_results(|_| bans))
    }

    async fn log(&self, caller: &Caller, id: GroupId, cursor: CursorQuery) -> Result<CursorPage<LogEntry>> {
        let conn = self.core.db.conn();
        GroupAccess::load(conn, caller, id).await?.require_moderator()?;
        let select = moderation::Entity::find().filter(moderation::COLUMN.group_id.eq(id));
        let page = CursorPage::<LogRow>::fetch(select, moderation::Column::Id, &cursor, conn).await?;
        let ids: Vec<UserId> = page.results.iter().flat_map(|row| [row.actor_id, row.subject_id]).flatten().collect();
        let people = self.core.people(ids).await?;
        let person = |id: Option<UserId>| id.and_then(|id| people.get(&id)).cloned();
        Ok(page.map(|row| LogEntry {
            id: row.id,
            at: row.at,
            actor: person(row.actor_id),
            action: row.action,
            subject: person(row.subject_id),
            target: row.target,
            detail: row.detail,
        }))
    }
}

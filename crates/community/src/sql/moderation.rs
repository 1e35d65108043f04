//! Keeping order in a group: bans, and the log of what was done.

use std::time::Duration;

use garde::Validate;
use guildhall_kernel::{Caller, Keyed, Ordering, Page, PageQuery, Slice, SliceQuery, Timestamp, UserId};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, DerivePartialModel, EntityTrait, QueryFilter, Set, sea_query::OnConflict,
};

use super::{
    Moderated, Seat, SqlCommunity,
    invites::revoke_from,
    members::{dismiss, may_remove, role_of, settle},
    rsvps::forget_rsvps_of,
};
use crate::{
    Ban, Error, GroupId, LogEntry, NewBan, RequestStatus, Result,
    entity::{ban, moderation},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

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

/// So many days as a time.
pub(super) fn days(count: i64) -> Duration {
    DAY.saturating_mul(u32::try_from(count).unwrap_or(0))
}

impl SqlCommunity {
    pub(super) async fn keep_out(&self, caller: &Caller, id: GroupId, new: NewBan) -> Result<Ban> {
        new.validate()?;
        let now = self.host.clock.now();
        let until = new.days.map(|count| now + days(count));
        let new = &new;
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let seat = Seat::take(conn, caller, id).await?.moderator()?;
                let user = new.user_id;
                if user == caller.user {
                    return Err(Error::field("user_id", "You cannot ban yourself."));
                }
                if let Some(role) = role_of(conn, id, user).await? {
                    may_remove(&seat, role)?;
                    dismiss(conn, id, user, now).await?;
                }
                settle(conn, id, user, RequestStatus::Denied, Some(caller.user), now).await?;
                revoke_from(conn, id, user).await?;
                forget_rsvps_of(conn, id, user, now).await?;
                let row = ban::ActiveModel {
                    id: NotSet,
                    group_id: Set(id),
                    user_id: Set(user),
                    reason: Set(new.reason.trim().to_owned()),
                    until: Set(until),
                    banned_by: Set(Some(caller.user)),
                    created_at: Set(now),
                };
                let again = OnConflict::columns([ban::Column::GroupId, ban::Column::UserId])
                    .update_columns([
                        ban::Column::Reason,
                        ban::Column::Until,
                        ban::Column::BannedBy,
                        ban::Column::CreatedAt,
                    ])
                    .to_owned();
                let stored = ban::Entity::insert(row).on_conflict(again).exec_without_returning(conn).await;
                stored.map_err(|error| match error.sql_err() {
                    Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => {
                        Error::field("user_id", "There is no such person.")
                    }
                    _ => error.into(),
                })?;
                let act = Moderated {
                    group: Some(id),
                    actor: caller.user,
                    action: "banned",
                    subject: Some(user),
                    target: format!("member {user}"),
                    detail: new.reason.trim(),
                };
                Ok(self.note(conn, act).await?)
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

    pub(super) async fn let_back(&self, caller: &Caller, id: GroupId, user: UserId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, id).await?.moderator()?;
                let lifted = ban::Entity::delete_many()
                    .filter(ban::COLUMN.group_id.eq(id))
                    .filter(ban::COLUMN.user_id.eq(user))
                    .exec(conn)
                    .await?;
                if lifted.rows_affected == 0 {
                    return Err(Error::NotFound("ban"));
                }
                let (group, actor, subject) = (Some(id), caller.user, Some(user));
                let target = format!("member {user}");
                Ok(self.note(conn, Moderated { group, actor, action: "unbanned", subject, target, detail: "" }).await?)
            })
            .await
    }

    pub(super) async fn list_bans(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Ban>> {
        let conn = self.db.conn();
        Seat::look(conn, caller, id).await?.moderator()?;
        let select = ban::Entity::find().filter(ban::COLUMN.group_id.eq(id));
        let ordering = Ordering { fields: &[("id", ban::Column::Id)], usual: "-id", id: ban::Column::Id };
        let (rows, page) = Page::<BanRow>::fetch(select, &ordering, &page, conn).await?.take();
        let bans = self.show_bans(rows).await?;
        Ok(page.with(|_| bans))
    }

    async fn show_bans(&self, rows: Vec<BanRow>) -> Result<Vec<Ban>> {
        let ids: Vec<UserId> = rows.iter().flat_map(|row| [Some(row.user_id), row.banned_by]).flatten().collect();
        let people = self.people(ids).await?;
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

    pub(super) async fn read_log(&self, caller: &Caller, id: GroupId, slice: SliceQuery) -> Result<Slice<LogEntry>> {
        let conn = self.db.conn();
        Seat::look(conn, caller, id).await?.moderator()?;
        let select = moderation::Entity::find().filter(moderation::COLUMN.group_id.eq(id));
        let slice = Slice::<LogRow>::fetch(select, moderation::Column::Id, &slice, conn).await?;
        let ids: Vec<UserId> = slice.results.iter().flat_map(|row| [row.actor_id, row.subject_id]).flatten().collect();
        let people = self.people(ids).await?;
        let person = |id: Option<UserId>| id.and_then(|id| people.get(&id)).cloned();
        Ok(slice.map(|row| LogEntry {
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

//! Invites: for a person, for an address, or for whoever has the link.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Timestamp, UserId,
    letter::{Action, Letter, Letterhead},
    mail::{Mail, address_key},
    outbox::Unasked,
    secret::{fingerprint, random},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{
    Moderated, Seat, SqlCommunity, lock_group,
    members::{admit, is_banned, role_of},
    moderation::days,
};
use crate::{
    Error, GroupId, Invitation, Invite, InviteId, InviteState, InviteStatus, IssuedInvite, NewInvite, Result,
    entity::{group, invite},
};

/// For how many days an invite is good unless said otherwise.
const USUAL_DAYS: i64 = 7;
/// How many letters somebody's invitations make in a day.
const LETTERS_BY_ONE: u64 = 100;
/// How many invitations somebody is shown.
const MOST_INVITATIONS: u64 = 100;

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "invite::Entity")]
struct InviteRow {
    id: InviteId,
    user_id: Option<UserId>,
    email: Option<String>,
    status: InviteState,
    max_uses: Option<i64>,
    uses: i64,
    invited_by: Option<UserId>,
    created_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Clone, Debug, FromQueryResult)]
struct InvitationRow {
    id: InviteId,
    group_id: GroupId,
    group_name: String,
    invited_by: Option<UserId>,
    expires_at: Timestamp,
}

fn status(state: InviteState, expires_at: Timestamp, now: Timestamp) -> InviteStatus {
    match state {
        InviteState::Accepted => InviteStatus::Accepted,
        InviteState::Revoked => InviteStatus::Revoked,
        InviteState::Pending if expires_at <= now => InviteStatus::Expired,
        InviteState::Pending => InviteStatus::Pending,
    }
}

async fn revoke(conn: &impl ConnectionTrait, which: Condition) -> Result<u64> {
    let revoked = invite::Entity::update_many()
        .col_expr(invite::Column::Status, Expr::value(InviteState::Revoked))
        .filter(which)
        .filter(invite::COLUMN.status.eq(InviteState::Pending))
        .exec(conn)
        .await?;
    Ok(revoked.rows_affected)
}

/// Takes back what invites somebody by name.
pub(super) async fn revoke_personal(conn: &impl ConnectionTrait, group: GroupId, user: UserId) -> Result<()> {
    let theirs = Condition::all().add(invite::COLUMN.group_id.eq(group)).add(invite::COLUMN.user_id.eq(user));
    revoke(conn, theirs).await.map(|_| ())
}

/// Takes back what invites somebody by name, and what they have made for others.
pub(super) async fn revoke_from(conn: &impl ConnectionTrait, group: GroupId, user: UserId) -> Result<()> {
    revoke_personal(conn, group, user).await?;
    let made = Condition::all().add(invite::COLUMN.group_id.eq(group)).add(invite::COLUMN.invited_by.eq(user));
    revoke(conn, made).await.map(|_| ())
}

/// Uses an invite once more, if it is good still: the counter is the lock.
async fn spend(conn: &impl ConnectionTrait, id: InviteId, now: Timestamp) -> Result<bool> {
    let uses = || Expr::col(invite::Column::Uses);
    let last = uses().add(1).gte(Expr::col(invite::Column::MaxUses));
    let state = Expr::case(Condition::all().add(last), Expr::value(InviteState::Accepted))
        .finally(Expr::col(invite::Column::Status));
    let spent = invite::Entity::update_many()
        .col_expr(invite::Column::Uses, uses().add(1))
        .col_expr(invite::Column::Status, state.into())
        .filter(invite::COLUMN.id.eq(id))
        .filter(invite::COLUMN.status.eq(InviteState::Pending))
        .filter(invite::COLUMN.expires_at.gt(now))
        .exec(conn)
        .await?;
    Ok(spent.rows_affected > 0)
}

impl SqlCommunity {
    pub(super) async fn issue_invite(&self, caller: &Caller, id: GroupId, new: NewInvite) -> Result<IssuedInvite> {
        new.validate()?;
        let (user_id, email) = match (new.user_id, &new.email) {
            (Some(Some(_)), Some(Some(_))) => {
                return Err(Error::field("email", "Give either a person or an address."));
            }
            // Whoever says that it is for somebody must not get a link that is for anybody.
            (Some(None), None | Some(None)) => {
                return Err(Error::field("user_id", "Give a person, or leave it out for a link that anybody can use."));
            }
            (None, Some(None)) => {
                return Err(Error::field("email", "Give an address, or leave it out for a link that anybody can use."));
            }
            (user, email) => (user.flatten(), email.clone().flatten()),
        };
        let now = self.host.clock.now();
        let token = URL_SAFE_NO_PAD.encode(random::<24>()?);
        let expires_at = now + days(new.expires_days.unwrap_or(USUAL_DAYS));
        let for_one = user_id.is_some() || email.is_some();
        let max_uses = if for_one { Some(new.max_uses.unwrap_or(1)) } else { new.max_uses };
        let email_key = email.as_deref().map(address_key);
        let url = self.host.home.join(&format!("/invites/{token}/"));
        let row = &invite::ActiveModel {
            id: NotSet,
            group_id: Set(id),
            token_hash: Set(fingerprint(&token)),
            user_id: Set(user_id),
            email_key: Set(email_key.clone()),
            status: Set(InviteState::Pending),
            max_uses: Set(max_uses),
            uses: Set(0),
            invited_by: Set(Some(caller.user)),
            created_at: Set(now),
            expires_at: Set(expires_at),
            email: Set(email.clone()),
        };
        let inviter = self.people([caller.user]).await?.remove(&caller.user);
        let inviter = inviter.map_or_else(|| "Somebody".to_owned(), |person| person.display_name);
        let (email, email_key, inviter, token_ref, url_ref) = (&email, &email_key, &inviter, &token, &url);
        let made = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let mut seat = Seat::take(conn, caller, id).await?.inside()?;
                if !seat.group.members_invite {
                    seat = seat.moderator()?;
                }
                if let Some(user) = user_id {
                    if role_of(conn, id, user).await?.is_some() {
                        return Err(Error::field("user_id", "They are in the group already."));
                    }
                    if is_banned(conn, id, user, now).await? {
                        return Err(Error::field("user_id", "They may not be in the group."));
                    }
                    revoke_personal(conn, id, user).await?;
                }
                if let Some(key) = email_key {
                    let same = Condition::all()
                        .add(invite::COLUMN.group_id.eq(id))
                        .add(invite::COLUMN.email_key.eq(key.clone()));
                    revoke(conn, same).await?;
                }
                let made = row.clone().insert(conn).await.map_err(|error| match error.sql_err() {
                    Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => {
                        Error::field("user_id", "There is no such person.")
                    }
                    _ => error.into(),
                })?;
                if let Some(email) = email {
                    self.spare_mailboxes(conn, caller, email, now).await?;
                    let mail =
                        self.invitation_letter(email, inviter, &seat.group.name, token_ref, url_ref, expires_at)?;
                    self.host.outbox.post(conn, None, &mail, expires_at.since(now)).await?;
                }
                Ok::<_, Error>(made.id)
            })
            .await?;
        self.host.outbox.wake();
        Ok(IssuedInvite { id: made, token, url, status: InviteStatus::Pending, expires_at })
    }

    /// Nobody's letter box is filled by inviting them again and again, and nobody invites the whole world.
    async fn spare_mailboxes(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        email: &str,
        now: Timestamp,
    ) -> Result<()> {
        let since = now - days(1);
        let has_room = self.host.outbox.may_post(conn, Unasked::Invitation, email).await?;
        let by_caller = invite::Entity::find()
            .filter(invite::COLUMN.invited_by.eq(caller.user))
            .filter(invite::COLUMN.created_at.gt(since))
            .filter(invite::COLUMN.email_key.is_not_null())
            .count(conn)
            .await?;
        if !has_room || by_caller > LETTERS_BY_ONE { Err(Error::TooManyInvites) } else { Ok(()) }
    }

    fn invitation_letter(
        &self,
        to: &str,
        inviter: &str,
        group: &str,
        token: &str,
        url: &str,
        until: Timestamp,
    ) -> Result<Mail> {
        let head = Letterhead { service: self.host.name.clone(), home: self.host.home.clone() };
        let lines = vec![
            format!("{inviter} invites you to the group {group} at {}.", head.service),
            "Sign in, or make an account with this address, and accept.".to_owned(),
            "If you do not know what this is about, ignore this letter.".to_owned(),
        ];
        let action =
            Action { label: "Accept", url: url.to_owned(), token: token.to_owned(), until: until.for_people() };
        let subject = format!("An invitation to {group}");
        let letter = Letter { to: to.to_owned(), name: String::new(), subject, lines, action: Some(action) };
        Ok(head.write(letter)?)
    }

    pub(super) async fn list_invites(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Invite>> {
        let conn = self.db.conn();
        Seat::look(conn, caller, id).await?.moderator()?;
        let select = invite::Entity::find().filter(invite::COLUMN.group_id.eq(id));
        let ordering = Ordering { fields: &[("id", invite::Column::Id)], usual: "-id", id: invite::Column::Id };
        let (rows, page) = Page::<InviteRow>::fetch(select, &ordering, &page, conn).await?.take();
        let ids: Vec<UserId> = rows.iter().flat_map(|row| [row.user_id, row.invited_by]).flatten().collect();
        let people = self.people(ids).await?;
        let person = |id: Option<UserId>| id.and_then(|id| people.get(&id)).cloned();
        let now = self.host.clock.now();
        let show = |row: InviteRow| Invite {
            id: row.id,
            user: person(row.user_id),
            email: row.email,
            status: status(row.status, row.expires_at, now),
            uses: row.uses,
            max_uses: row.max_uses,
            invited_by: person(row.invited_by),
            created_at: row.created_at,
            expires_at: row.expires_at,
        };
        Ok(page.with(|_| rows.into_iter().map(show).collect()))
    }

    pub(super) async fn withdraw_invite(&self, caller: &Caller, id: GroupId, invite: InviteId) -> Result<()> {
        self.withdraw(caller, id, Condition::all().add(invite::COLUMN.id.eq(invite))).await
    }

    pub(super) async fn withdraw_token(&self, caller: &Caller, id: GroupId, token: &str) -> Result<()> {
        self.withdraw(caller, id, Condition::all().add(invite::COLUMN.token_hash.eq(fingerprint(token)))).await
    }

    async fn withdraw(&self, caller: &Caller, id: GroupId, which: Condition) -> Result<()> {
        let which = &which.add(invite::COLUMN.group_id.eq(id));
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                Seat::take(conn, caller, id).await?.moderator()?;
                let found = invite::Entity::find().filter(which.clone()).one(conn).await?;
                let found = found.ok_or(Error::NotFound("invite"))?;
                // One that was used up or taken back before stays as it is.
                if revoke(conn, which.clone()).await? > 0 {
                    let act = Moderated {
                        group: Some(id),
                        actor: caller.user,
                        action: "revoked_invite",
                        subject: found.user_id,
                        target: format!("invite {}", found.id),
                        detail: "",
                    };
                    self.note(conn, act).await?;
                }
                Ok(())
            })
            .await
    }

    /// Joins the group that a token is for; only this group, where one is named.
    pub(super) async fn use_token(&self, caller: &Caller, only: Option<GroupId>, token: &str) -> Result<GroupId> {
        let now = self.host.clock.now();
        let unknown = || Error::NotFound("invite");
        let found = invite::Entity::find().filter(invite::COLUMN.token_hash.eq(fingerprint(token)));
        let found = found.one(self.db.conn()).await?.ok_or_else(unknown)?;
        if only.is_some_and(|only| only != found.group_id) {
            return Err(unknown());
        }
        if found.user_id.is_some_and(|user| user != caller.user) {
            return Err(Error::InviteForOther);
        }
        if let Some(email) = &found.email_key
            && !self.host.directory.has_address(caller.user, email).await?
        {
            return Err(Error::InviteForOther);
        }
        let (id, invite) = (found.group_id, found.id);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                // The group first, as everybody who changes who is in it does.
                lock_group(conn, id).await?;
                group::Entity::find_by_id(id).one(conn).await?.ok_or_else(unknown)?;
                if role_of(conn, id, caller.user).await?.is_some() {
                    return Ok(());
                }
                if is_banned(conn, id, caller.user, now).await? {
                    return Err(Error::Banned);
                }
                if !spend(conn, invite, now).await? {
                    let row = invite::Entity::find_by_id(invite).one(conn).await?.ok_or_else(unknown)?;
                    return Err(Error::InviteSpent(match status(row.status, row.expires_at, now) {
                        InviteStatus::Revoked => "revoked",
                        InviteStatus::Expired => "expired",
                        _ => "used up",
                    }));
                }
                admit(conn, id, caller.user, None, now).await
            })
            .await?;
        Ok(id)
    }

    /// Uses the invite that names somebody, if there is one; tells whether there was.
    pub(super) async fn spend_personal(
        &self,
        conn: &impl ConnectionTrait,
        group: GroupId,
        user: UserId,
        now: Timestamp,
    ) -> Result<bool> {
        let theirs = invite::Entity::find()
            .filter(invite::COLUMN.group_id.eq(group))
            .filter(invite::COLUMN.user_id.eq(user))
            .filter(Expr::cust("status = 'pending'"))
            .one(conn)
            .await?;
        match theirs {
            Some(invite) => spend(conn, invite.id, now).await,
            None => Ok(false),
        }
    }

    pub(super) async fn list_invitations(&self, caller: &Caller) -> Result<Vec<Invitation>> {
        let rows = invite::Entity::find()
            .select_only()
            .columns([
                invite::Column::Id,
                invite::Column::GroupId,
                invite::Column::InvitedBy,
                invite::Column::ExpiresAt,
            ])
            .column_as(group::Column::Name, "group_name")
            .join(
                sea_orm::JoinType::InnerJoin,
                invite::Entity::belongs_to(group::Entity).from(invite::Column::GroupId).to(group::Column::Id).into(),
            )
            .filter(invite::COLUMN.user_id.eq(caller.user))
            .filter(invite::COLUMN.status.eq(InviteState::Pending))
            .filter(invite::COLUMN.expires_at.gt(self.host.clock.now()))
            .order_by_desc(invite::Column::Id)
            .limit(MOST_INVITATIONS)
            .into_model::<InvitationRow>()
            .all(self.db.conn())
            .await?;
        let people = self.people(rows.iter().filter_map(|row| row.invited_by)).await?;
        let show = |row: InvitationRow| Invitation {
            id: row.id,
            group: row.group_id,
            group_name: row.group_name,
            invited_by: row.invited_by.and_then(|id| people.get(&id)).cloned(),
            expires_at: row.expires_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }
}

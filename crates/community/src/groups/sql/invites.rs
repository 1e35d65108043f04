//! Invites: for a user, for an email address, or for whoever has the link.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Timestamp, UserId,
    mail::{Action, EmailBranding, EmailTemplate, Mail, address_key},
    outbox::Unsolicited,
    secret::{fingerprint, random},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait,
    FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::{SqlGroups, accept::status};
use crate::{
    core::{
        access::GroupAccess,
        days,
        invites::{revoke, revoke_personal},
        membership::{is_banned, role_of},
        moderation_log::ModerationEntry,
    },
    entity::{
        group,
        invite::{self, InviteState},
    },
    error::{Error, Result},
    event::UserInvited,
    groups::{Group, Invitation, Invite, InviteStatus, Invites, IssuedInvite, NewInvite},
    id::{GroupId, InviteId},
};

/// How many days an invite is valid by default.
const DEFAULT_DAYS: i64 = 7;

/// The maximum number of invitation emails that one user may cause per day.
const MAX_EMAILS_PER_DAY: u64 = 100;

/// The maximum number of invitations listed.
const MAX_INVITATIONS: u64 = 100;

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

impl SqlGroups {
    /// Limits the emails that one user may cause and that one address may receive.
    async fn check_email_quota(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        email: &str,
        now: Timestamp,
    ) -> Result<()> {
        let since = now - days(1);
        let allowed = self.core.host.outbox.may_email(conn, Unsolicited::Invitation, email).await?;
        let sent_by_caller = invite::Entity::find()
            .filter(invite::COLUMN.invited_by.eq(caller.user))
            .filter(invite::COLUMN.created_at.gt(since))
            .filter(invite::COLUMN.email_key.is_not_null())
            .count(conn)
            .await?;
        if !allowed || sent_by_caller > MAX_EMAILS_PER_DAY { Err(Error::TooManyInvites) } else { Ok(()) }
    }

    fn invitation_email(
        &self,
        to: &str,
        inviter: &str,
        group: &str,
        token: &str,
        url: &str,
        until: Timestamp,
    ) -> Result<Mail> {
        let branding = EmailBranding { service: self.core.host.name.clone(), home: self.core.host.home.clone() };
        let lines = vec![
            format!("{inviter} invites you to the group {group} at {}.", branding.service),
            "Sign in, or create an account with this email address, and accept the invitation.".to_owned(),
            "If you did not expect this email, you can ignore it.".to_owned(),
        ];
        let action =
            Action { label: "Accept", url: url.to_owned(), token: token.to_owned(), until: until.for_people() };
        let subject = format!("An invitation to {group}");
        let template = EmailTemplate { to: to.to_owned(), name: String::new(), subject, lines, action: Some(action) };
        Ok(branding.write(template)?)
    }

    async fn revoke_matching(&self, caller: &Caller, id: GroupId, condition: Condition) -> Result<()> {
        let condition = &condition.add(invite::COLUMN.group_id.eq(id));
        self.core
            .write(|tx| async move {
                let conn = &tx;
                GroupAccess::load_for_update(conn, caller, id).await?.require_moderator()?;
                let invite = invite::Entity::find().filter(condition.clone()).one(conn).await?;
                let invite = invite.ok_or(Error::NotFound("invite"))?;
                // An invite that was used up or revoked before stays as it is.
                if revoke(conn, condition.clone()).await? > 0 {
                    let entry = ModerationEntry {
                        group: Some(id),
                        actor: caller.user,
                        action: "revoked_invite",
                        subject: invite.user_id,
                        target: format!("invite {}", invite.id),
                        detail: "",
                    };
                    self.core.log_moderation(conn, entry).await?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl Invites for SqlGroups {
    async fn invite(&self, caller: &Caller, id: GroupId, new: NewInvite) -> Result<IssuedInvite> {
        new.validate()?;
        let (user_id, email) = match (new.user_id, &new.email) {
            (Some(Some(_)), Some(Some(_))) => {
                return Err(Error::field("email", "Provide either a user or an email address, not both."));
            }
            // An explicit `null` is an error: the caller meant an invite for one person, not an open link.
            (Some(None), None | Some(None)) => {
                return Err(Error::field(
                    "user_id",
                    "Provide a user, or omit the field for a link that anybody can use.",
                ));
            }
            (None, Some(None)) => {
                return Err(Error::field(
                    "email",
                    "Provide an email address, or omit the field for a link that anybody can use.",
                ));
            }
            (user, email) => (user.flatten(), email.clone().flatten()),
        };
        let now = self.core.now();
        let token = URL_SAFE_NO_PAD.encode(random::<24>()?);
        let expires_at = now + days(new.expires_days.unwrap_or(DEFAULT_DAYS));
        let is_personal = user_id.is_some() || email.is_some();
        let max_uses = if is_personal { Some(new.max_uses.unwrap_or(1)) } else { new.max_uses };
        let email_key = email.as_deref().map(address_key);
        let url = self.core.host.home.join(&format!("/invites/{token}/"));
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
        let inviter = self.core.people([caller.user]).await?.remove(&caller.user);
        let inviter = inviter.map_or_else(|| "Somebody".to_owned(), |person| person.display_name);
        let (email, email_key, inviter, token_ref, url_ref) = (&email, &email_key, &inviter, &token, &url);
        let invite_id = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                let mut access = GroupAccess::load_for_update(conn, caller, id).await?.require_reader()?;
                if !access.group.members_invite {
                    access = access.require_moderator()?;
                }
                if let Some(user) = user_id {
                    if role_of(conn, id, user).await?.is_some() {
                        return Err(Error::field("user_id", "This user is already a member of the group."));
                    }
                    if is_banned(conn, id, user, now).await? {
                        return Err(Error::field("user_id", "This user is banned from the group."));
                    }
                    revoke_personal(conn, id, user).await?;
                }
                if let Some(key) = email_key {
                    let same_email = Condition::all()
                        .add(invite::COLUMN.group_id.eq(id))
                        .add(invite::COLUMN.email_key.eq(key.clone()));
                    revoke(conn, same_email).await?;
                }
                let invite = row.clone().insert(conn).await.map_err(|error| match error.sql_err() {
                    Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)) => {
                        Error::field("user_id", "User not found.")
                    }
                    _ => error.into(),
                })?;
                let invited = UserInvited { group: id, invite: invite.id, user: user_id, actor: caller.user };
                tx.emit(&invited).await?;
                if let Some(email) = email {
                    self.check_email_quota(conn, caller, email, now).await?;
                    let mail =
                        self.invitation_email(email, inviter, &access.group.name, token_ref, url_ref, expires_at)?;
                    self.core.host.outbox.enqueue_email(conn, None, &mail, expires_at.since(now)).await?;
                }
                Ok::<_, Error>(invite.id)
            })
            .await?;
        Ok(IssuedInvite { id: invite_id, token, url, status: InviteStatus::Pending, expires_at })
    }

    async fn invites(&self, caller: &Caller, id: GroupId, page: PageQuery) -> Result<Page<Invite>> {
        let conn = self.core.db.conn();
        GroupAccess::load(conn, caller, id).await?.require_moderator()?;
        let select = invite::Entity::find().filter(invite::COLUMN.group_id.eq(id));
        let ordering = Ordering { fields: &[("id", invite::Column::Id)], default: "-id", id: invite::Column::Id };
        let (rows, page) = Page::<InviteRow>::fetch(select, &ordering, &page, conn).await?.split();
        let ids: Vec<UserId> = rows.iter().flat_map(|row| [row.user_id, row.invited_by]).flatten().collect();
        let people = self.core.people(ids).await?;
        let person = |id: Option<UserId>| id.and_then(|id| people.get(&id)).cloned();
        let now = self.core.now();
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
        Ok(page.with_results(|_| rows.into_iter().map(show).collect()))
    }

    async fn revoke_invite(&self, caller: &Caller, id: GroupId, invite: InviteId) -> Result<()> {
        self.revoke_matching(caller, id, Condition::all().add(invite::COLUMN.id.eq(invite))).await
    }

    async fn revoke_token(&self, caller: &Caller, id: GroupId, token: String) -> Result<()> {
        let token = &token;
        self.revoke_matching(caller, id, Condition::all().add(invite::COLUMN.token_hash.eq(fingerprint(token)))).await
    }

    async fn accept_invite(&self, caller: &Caller, token: String) -> Result<Group> {
        let id = self.use_token(caller, None, &token).await?;
        self.find_group(caller.into(), id).await
    }

    async fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>> {
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
            .filter(invite::COLUMN.expires_at.gt(self.core.now()))
            .order_by_desc(invite::Column::Id)
            .limit(MAX_INVITATIONS)
            .into_model::<InvitationRow>()
            .all(self.core.db.conn())
            .await?;
        let people = self.core.people(rows.iter().filter_map(|row| row.invited_by)).await?;
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

//! Invitations to organizations. An invitation is a member row with the status `invited`; all operations require an
//! active member.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use guildhall_kernel::{
    Caller, Ordering, Page, PageQuery, Quota, UserId,
    audit::AuditEvent,
    db::{self, Tx},
    mail::EmailTemplate,
    outbox::Unsolicited,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

use crate::{
    Error, Invitation, Invitations, Member, MemberId, MemberStatus, OrganizationId, OrganizationStub, Result, RoleStub,
    SqlTenancy,
    core::access::Access,
    entity::{member, organization, role},
    permission::OWNER,
    tenancy::sql::members::has_other_owner,
};

/// How many invitations one user may send per day.
const QUOTA: Quota = Quota::per_day("invitations", 100);
/// How long delivery of the email is attempted.
const EMAIL_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The recipient of an invitation, and the name of the inviter.
pub(crate) struct Invitee {
    pub(crate) user: UserId,
    pub(crate) name: String,
    /// `None` if they have no verified address; they see the invitation when they sign in.
    pub(crate) email: Option<String>,
    pub(crate) inviter: String,
}

/// The pending invitations of a user.
fn pending_invitations(user: UserId) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::COLUMN.user_id.eq(user))
        .filter(member::COLUMN.status.eq(MemberStatus::Invited))
}

async fn find(conn: &impl ConnectionTrait, caller: &Caller, id: MemberId) -> Result<member::Model> {
    let row = pending_invitations(caller.user).filter(member::COLUMN.id.eq(id)).one(conn).await?;
    row.ok_or(Error::NotFound("invitation"))
}

impl SqlTenancy {
    /// Looks up the recipient of an invitation. Call it before the transaction, since the directory may be slow.
    pub(crate) async fn load_invitee(&self, caller: &Caller, user: UserId) -> Result<Invitee> {
        let people = self.core.people([user, caller.user]).await?;
        let name = |id: UserId| people.get(&id).map(|person| person.display_name.clone());
        let Some(invitee) = name(user) else { return Err(Error::field("user_id", "User not found.")) };
        let email = self.core.host.directory.addresses(&[user]).await?.pop().map(|(_, address)| address);
        Ok(Invitee { user, name: invitee, email, inviter: name(caller.user).unwrap_or_default() })
    }

    /// Counts an invitation against the sender's quota and enqueues an email to the recipient, unless the address has
    /// reached its daily limit.
    pub(crate) async fn send_invitation(
        &self,
        tx: &Tx,
        (caller, access): (&Caller, &Access),
        invitee: &Invitee,
    ) -> Result<()> {
        QUOTA.consume(tx, caller.user, 1, self.core.now()).await?;
        let Some(email) = &invitee.email else { return Ok(()) };
        if !self.core.host.outbox.may_email(tx, Unsolicited::Invitation, email).await? {
            return Ok(());
        }
        let (org, branding) = (&access.org.name, &self.core.host.branding);
        let template = EmailTemplate {
            to: email.clone(),
            name: invitee.name.clone(),
            subject: format!("An invitation to {org}"),
            lines: vec![
                format!("{} invites you to the organization {org} at {}.", invitee.inviter, branding.service),
                format!("Sign in at {} to accept or decline. You become a member when you accept.", branding.home),
            ],
            action: None,
        };
        self.core.host.outbox.enqueue_email(tx, Some(invitee.user), &branding.write(template)?, EMAIL_LIFETIME).await?;
        Ok(())
    }
}

#[async_trait]
impl Invitations for SqlTenancy {
    async fn invitations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Invitation>> {
        let conn = self.core.db.conn();
        let ordering = Ordering { fields: &[("id", member::Column::Id)], default: "-id", id: member::Column::Id };
        let page = Page::<member::Model>::fetch(pending_invitations(caller.user), &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let orgs = organization::Entity::find()
            .filter(organization::COLUMN.id.is_in(rows.iter().map(|row| row.org_id)))
            .all(conn)
            .await?;
        let orgs: HashMap<_, _> = orgs.into_iter().map(|org| (org.id, org.name)).collect();
        let roles =
            role::Entity::find().filter(role::COLUMN.id.is_in(rows.iter().map(|row| row.role_id))).all(conn).await?;
        let roles: HashMap<_, _> = roles.into_iter().map(|role| (role.id, role.name)).collect();
        let people = self.core.people(rows.iter().filter_map(|row| row.invited_by)).await?;
        let show = |row: member::Model| {
            Some(Invitation {
                id: row.id,
                organization: OrganizationStub { id: row.org_id, name: orgs.get(&row.org_id)?.clone() },
                role: RoleStub { id: row.role_id, name: roles.get(&row.role_id)?.clone() },
                invited_by: row.invited_by.and_then(|user| people.get(&user)).cloned(),
                created_at: row.created_at,
            })
        };
        Ok(page.with_results(|_| rows.into_iter().filter_map(show).collect()))
    }

    async fn accept_invitation(&self, caller: &Caller, id: MemberId) -> Result<Member> {
        let (access, row, role) = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let org = find(conn, caller, id).await?.org_id;
                db::lock::<organization::Entity>(conn, org).await?;
                // Read again under the lock: it may have been withdrawn.
                let before = find(conn, caller, id).await?;
                let now = self.core.now();
                let after = member::Model { status: MemberStatus::Active, updated_at: now, ..before.clone() };
                db::store_changes(conn, &before, &after).await?;
                let access = self.core.access(conn, caller, org).await?;
                self.core.record_changed(conn, (caller, &access), "deals.accept_invitation", &before, &after).await?;
                let role = access.role.clone();
                Ok::<_, Error>((access, after, role))
            })
            .await?;
        self.show_member(&access, row, role).await
    }

    async fn decline_invitation(&self, caller: &Caller, id: MemberId) -> Result<()> {
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let org = find(conn, caller, id).await?.org_id;
                db::lock::<organization::Entity>(conn, org).await?;
                find(conn, caller, id).await?;
                member::Entity::delete_by_id(id).exec(conn).await?;
                let scope = format!("deals/{org}");
                let object = format!("{scope}/member/{id}");
                let event = AuditEvent::new("deals.decline_invitation").by(caller);
                Ok::<_, Error>(event.of(scope, object).record(conn, self.core.now()).await?)
            })
            .await
    }

    async fn leave_organization(&self, caller: &Caller, org: OrganizationId) -> Result<()> {
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let id = self.core.access(conn, caller, org).await?.member.id;
                // Wait for the member's running operations, so that their results are reassigned too.
                db::lock_to_remove::<member::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let is_owner = access.role.key.as_deref() == Some(OWNER);
                if is_owner && !has_other_owner(conn, org, id).await? {
                    return Err(Error::LastOwner);
                }
                let detail = vec![("user_id", caller.user.0.into())];
                self.core.record(conn, (caller, &access), "deals.leave_organization", ("member", id.0), detail).await?;
                self.end_membership(conn, &access.member).await
            })
            .await
    }
}

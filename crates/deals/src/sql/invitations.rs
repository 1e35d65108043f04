//! Invitations into organizations. An invited person has a row and is no member yet: every read and every operation
//! asks for active members.

use std::collections::HashMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Quota, UserId, letter::Letter, outbox::Unasked};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select};

use super::{SqlDeals, access::Access, lock, lock_to_remove, members::other_owners, store};
use crate::{
    Error, Invitation, Invitations, Member, MemberId, MemberStatus, OrganizationId, OrganizationStub, Result, RoleStub,
    entity::{member, organization, role},
    permission::OWNER,
};

/// How many people somebody invites in a day.
const INVITATIONS: Quota = Quota::per_day("invitations", 100);
/// How long the email about one is worth sending.
const LIFE: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3600);

/// Where an invitation goes, and who is told about whom.
pub(super) struct Invited {
    pub(super) user: UserId,
    pub(super) name: String,
    /// None where they have verified no address: they find the invitation when they sign in.
    pub(super) address: Option<String>,
    pub(super) inviter: String,
}

/// The invitations of somebody that are not answered.
fn open_invitations(user: UserId) -> Select<member::Entity> {
    member::Entity::find()
        .filter(member::COLUMN.user_id.eq(user))
        .filter(member::COLUMN.status.eq(MemberStatus::Invited))
}

async fn find(conn: &impl ConnectionTrait, caller: &Caller, id: MemberId) -> Result<member::Model> {
    let found = open_invitations(caller.user).filter(member::COLUMN.id.eq(id)).one(conn).await?;
    found.ok_or(Error::NotFound("invitation"))
}

impl SqlDeals {
    /// Whom an invitation is for, asked before the transaction: who they are is not ours to know.
    pub(super) async fn whom_to_invite(&self, caller: &Caller, user: UserId) -> Result<Invited> {
        let people = self.people([user, caller.user]).await?;
        let name = |id: UserId| people.get(&id).map(|person| person.display_name.clone());
        let Some(invited) = name(user) else { return Err(Error::field("user_id", "There is no such person.")) };
        let address = self.host.directory.addresses(&[user]).await?.pop().map(|(_, address)| address);
        Ok(Invited { user, name: invited, address, inviter: name(caller.user).unwrap_or_default() })
    }

    /// Counts an invitation for whoever sends it, and writes to whoever gets it. Where an address has had enough email
    /// for a day, the invitation is there without.
    pub(super) async fn post_invitation(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        invited: &Invited,
    ) -> Result<()> {
        INVITATIONS.take(conn, caller.user, 1, self.now()).await?;
        let Some(address) = &invited.address else { return Ok(()) };
        if !self.host.outbox.may_post(conn, Unasked::Invitation, address).await? {
            return Ok(());
        }
        let (org, letterhead) = (&access.org.name, &self.host.letterhead);
        let letter = Letter {
            to: address.clone(),
            name: invited.name.clone(),
            subject: format!("An invitation to {org}"),
            lines: vec![
                format!("{} invites you to the organization {org} at {}.", invited.inviter, letterhead.service),
                format!("Sign in at {} to accept or decline. Until you accept, nothing changes.", letterhead.home),
            ],
            action: None,
        };
        self.host.outbox.post(conn, Some(invited.user), &letterhead.write(letter)?, LIFE).await?;
        self.has_news();
        Ok(())
    }
}

#[async_trait]
impl Invitations for SqlDeals {
    async fn invitations(&self, caller: &Caller, page: PageQuery) -> Result<Page<Invitation>> {
        let conn = self.db.conn();
        let ordering = Ordering { fields: &[("id", member::Column::Id)], usual: "-id", id: member::Column::Id };
        let page = Page::<member::Model>::fetch(open_invitations(caller.user), &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let orgs = organization::Entity::find()
            .filter(organization::COLUMN.id.is_in(rows.iter().map(|row| row.org_id)))
            .all(conn)
            .await?;
        let orgs: HashMap<_, _> = orgs.into_iter().map(|org| (org.id, org.name)).collect();
        let roles =
            role::Entity::find().filter(role::COLUMN.id.is_in(rows.iter().map(|row| row.role_id))).all(conn).await?;
        let roles: HashMap<_, _> = roles.into_iter().map(|role| (role.id, role.name)).collect();
        let people = self.people(rows.iter().filter_map(|row| row.invited_by)).await?;
        let show = |row: member::Model| {
            Some(Invitation {
                id: row.id,
                organization: OrganizationStub { id: row.org_id, name: orgs.get(&row.org_id)?.clone() },
                role: RoleStub { id: row.role_id, name: roles.get(&row.role_id)?.clone() },
                invited_by: row.invited_by.and_then(|user| people.get(&user)).cloned(),
                created_at: row.created_at,
            })
        };
        Ok(page.with(|_| rows.into_iter().filter_map(show).collect()))
    }

    async fn accept_invitation(&self, caller: &Caller, id: MemberId) -> Result<Member> {
        let (access, row, role) = self
            .act(|tx| async move {
                let conn = tx.conn();
                let org = find(conn, caller, id).await?.org_id;
                lock::<organization::Entity>(conn, org).await?;
                // Once more, locked: it may have been withdrawn.
                let before = find(conn, caller, id).await?;
                let now = self.now();
                let after = member::Model { status: MemberStatus::Active, updated_at: now, ..before.clone() };
                store(conn, &before, &after).await?;
                let access = self.enter(conn, caller, org).await?;
                self.changed(conn, (caller, &access), "deals.accept_invitation", &before, &after).await?;
                let role = access.role.clone();
                Ok::<_, Error>((access, after, role))
            })
            .await?;
        self.show_member(&access, row, role).await
    }

    async fn decline_invitation(&self, caller: &Caller, id: MemberId) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            let org = find(conn, caller, id).await?.org_id;
            lock::<organization::Entity>(conn, org).await?;
            find(conn, caller, id).await?;
            member::Entity::delete_by_id(id).exec(conn).await?;
            let realm = format!("deals/{org}");
            let object = format!("{realm}/member/{id}");
            let event = guildhall_kernel::audit::Event::new("deals.decline_invitation").by(caller);
            Ok::<_, Error>(event.of(realm, object).record(conn, self.now()).await?)
        })
        .await
    }

    async fn leave_organization(&self, caller: &Caller, org: OrganizationId) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let id = self.enter(conn, caller, org).await?.member.id;
            // What they are doing is waited for, and then handed over.
            lock_to_remove::<member::Entity>(conn, id).await?;
            let access = self.enter(conn, caller, org).await?;
            let is_owner = access.role.key.as_deref() == Some(OWNER);
            if is_owner && other_owners(conn, org, id).await? == 0 {
                return Err(Error::LastOwner);
            }
            let detail = vec![("user_id", caller.user.0.into())];
            self.noted(conn, (caller, &access), "deals.leave_organization", ("member", id.0), detail).await?;
            self.let_go(conn, &access.member).await
        })
        .await
    }
}

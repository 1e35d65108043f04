//! Roles. Nobody can grant permissions that they lack, or change their own role.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, db, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};

use crate::{
    Error, MemberBlocker, MemberStatus, NewRole, OrganizationId, Result, Role, RoleId, RolePatch, Roles, SqlTenancy,
    core::access::{Access, grants_of, reads_deals},
    entity::{member, organization, role},
    event::DealAccessEnded,
    permission::{Grants, OWNER, Permission},
};

const TAKEN: &str = "A role with this name already exists.";
const REPLACE_ROLE: &str =
    "UPDATE deals_member SET role_id = $3 WHERE org_id = $1 AND role_id = $2 AND status = 'gone'";

pub(crate) fn show(row: role::Model) -> Role {
    Role {
        id: row.id,
        is_system: row.key.as_deref() == Some(OWNER),
        permissions: grants_of(&row).names(),
        key: row.key,
        name: row.name,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Returns a role of the organization.
pub(crate) async fn find(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let row = role::Entity::find_by_id(id).filter(role::COLUMN.org_id.eq(access.org.id)).one(conn).await?;
    row.ok_or(Error::NotFound("role"))
}

/// Parses the permissions of a role, all of which the caller must have.
fn parse_grants(access: &Access, permissions: &[String]) -> Result<Grants> {
    let grants = Grants::parse(permissions)
        .map_err(|name| Error::field("permissions", format!("Unknown permission: {name}.")))?;
    if access.grants.includes(&grants) {
        Ok(grants)
    } else {
        Err(Error::Escalation("You cannot grant permissions that you do not have."))
    }
}

/// Returns a role that the caller may change: neither the owner's nor their own, and not above their own.
async fn find_changeable(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let role = find(conn, access, id).await?;
    if role.key.as_deref() == Some(OWNER) {
        return Err(Error::Escalation("The owner's role cannot be changed or deleted."));
    }
    if role.id == access.role.id {
        return Err(Error::Escalation("You cannot change or delete your own role."));
    }
    if !access.grants.includes(&grants_of(&role)) {
        return Err(Error::Escalation("You cannot change or delete a role above your own."));
    }
    Ok(role)
}

#[async_trait]
impl Roles for SqlTenancy {
    async fn roles(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Role>> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberRead).await?;
        let select = role::Entity::find().filter(role::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", role::Column::Id), ("name", role::Column::NameKey)],
            default: "id",
            id: role::Column::Id,
        };
        let page = Page::<role::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(show).collect()))
    }

    async fn create_role(&self, caller: &Caller, org: OrganizationId, new: NewRole) -> Result<Role> {
        new.validate()?;
        let new = &new;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::RoleManage).await?;
                let grants = parse_grants(&access, &new.permissions)?;
                let now = self.core.now();
                let name = new.name.trim();
                let row = role::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    key: Set(None),
                    name: Set(name.to_owned()),
                    name_key: Set(text::fold(name)),
                    permissions: Set(serde_json::Value::from(grants.names()).to_string()),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(conn).await?;
                self.core.record_created(conn, (caller, &access), "deals.create_role", &row).await?;
                Ok(show(row))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn role(&self, caller: &Caller, org: OrganizationId, id: RoleId) -> Result<Role> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberRead).await?;
        Ok(show(find(self.core.db.conn(), &access, id).await?))
    }

    async fn change_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        patch: RolePatch,
        known: IfMatch,
    ) -> Result<Role> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::RoleManage).await?;
                let before = find_changeable(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                    after.name_key = text::fold(&after.name);
                }
                if let Some(permissions) = &patch.permissions {
                    let grants = parse_grants(&access, permissions)?;
                    after.permissions = serde_json::Value::from(grants.names()).to_string();
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_role", &before, &after).await?;
                if reads_deals(MemberStatus::Active, &before) && !reads_deals(MemberStatus::Active, &after) {
                    tx.emit(&DealAccessEnded { organization_id: org, user: None }).await?;
                }
                Ok(show(after))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn delete_role(&self, caller: &Caller, org: OrganizationId, id: RoleId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::RoleManage).await?;
                let row = find_changeable(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                // Former members need no role, but the column is required: give them any other.
                db::execute(conn, REPLACE_ROLE, [org.into(), id.into(), access.role.id.into()]).await?;
                let members =
                    member::Entity::find().filter(member::COLUMN.org_id.eq(org)).filter(member::COLUMN.role_id.eq(id));
                let count = members.count(conn).await?;
                if count > 0 {
                    let blocker = MemberBlocker { model: "member", relation: "role", count, examples: Vec::new() };
                    return Err(Error::Protected("Members have this role.", vec![blocker], &["change_member"]));
                }
                role::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("name", row.name.into())];
                self.core.record(conn, (caller, &access), "deals.delete_role", ("role", id.0), detail).await
            })
            .await
    }
}

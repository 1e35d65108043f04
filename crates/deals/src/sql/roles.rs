//! What members may do. Nobody gives what they lack, and nobody changes what they themselves may do.

use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, text};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::{
    SqlDeals,
    access::{Access, grants_of},
    lock, many, number, run, store,
};
use crate::{
    Error, Holding, NewRole, OrganizationId, Result, Role, RoleId, RolePatch,
    entity::{organization, role},
    permission::{Grants, OWNER, Permission},
};

const TAKEN: &str = "There is a role of this name.";

pub(super) fn show(row: role::Model) -> Role {
    Role {
        id: row.id,
        is_system: row.key.as_deref() == Some(OWNER),
        permissions: grants_of(&row).words(),
        key: row.key,
        name: row.name,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// A role of the organization.
pub(super) async fn find(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let found = role::Entity::find_by_id(id).filter(role::COLUMN.org_id.eq(access.org.id)).one(conn).await?;
    found.ok_or(Error::NotFound("role"))
}

/// The words of a role, none of which the caller lacks.
fn granted(access: &Access, words: &[String]) -> Result<Grants> {
    let grants = Grants::parse(words)
        .map_err(|word| Error::field("permissions", format!("There is no such permission: {word}.")))?;
    if access.grants.hold(&grants) { Ok(grants) } else { Err(Error::Escalation("Nobody grants what they lack.")) }
}

/// A role that the caller may change: neither the owner's nor their own, and no higher than theirs.
async fn changeable(conn: &impl ConnectionTrait, access: &Access, id: RoleId) -> Result<role::Model> {
    let found = find(conn, access, id).await?;
    if found.key.as_deref() == Some(OWNER) {
        return Err(Error::Escalation("The owner's role stays as it is."));
    }
    if found.id == access.role.id {
        return Err(Error::Escalation("Nobody changes the role that they hold."));
    }
    if !access.grants.hold(&grants_of(&found)) {
        return Err(Error::Escalation("That role grants what you lack."));
    }
    Ok(found)
}

impl SqlDeals {
    pub(super) async fn list_roles(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Role>> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::MemberRead).await?;
        let select = role::Entity::find().filter(role::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", role::Column::Id), ("name", role::Column::NameKey)],
            usual: "id",
            id: role::Column::Id,
        };
        let page = Page::<role::Model>::fetch(select, &ordering, &page, self.db.conn()).await?;
        Ok(page.with(|rows| rows.into_iter().map(show).collect()))
    }

    pub(super) async fn insert_role(&self, caller: &Caller, org: OrganizationId, new: &NewRole) -> Result<Role> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::RoleManage).await?;
            let grants = granted(&access, &new.permissions)?;
            let now = self.now();
            let name = new.name.trim();
            let row = role::ActiveModel {
                id: NotSet,
                org_id: Set(org),
                key: Set(None),
                name: Set(name.to_owned()),
                name_key: Set(text::fold(name)),
                permissions: Set(serde_json::Value::from(grants.words()).to_string()),
                created_at: Set(now),
                updated_at: Set(now),
            };
            let row = row.insert(conn).await?;
            self.made(conn, (caller, &access), "deals.create_role", &row).await?;
            Ok(show(row))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    pub(super) async fn find_role(&self, caller: &Caller, org: OrganizationId, id: RoleId) -> Result<Role> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::MemberRead).await?;
        Ok(show(find(self.db.conn(), &access, id).await?))
    }

    pub(super) async fn update_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        patch: &RolePatch,
        known: &IfMatch,
    ) -> Result<Role> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::RoleManage).await?;
            let before = changeable(conn, &access, id).await?;
            access.check(known, before.updated_at)?;
            let mut after = before.clone();
            if let Some(name) = &patch.name {
                name.trim().clone_into(&mut after.name);
                after.name_key = text::fold(&after.name);
            }
            if let Some(words) = &patch.permissions {
                after.permissions = serde_json::Value::from(granted(&access, words)?.words()).to_string();
            }
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_role", &before, &after).await?;
            Ok(show(after))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    pub(super) async fn drop_role(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: RoleId,
        known: &IfMatch,
    ) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::RoleManage).await?;
            let row = changeable(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            // Those who are gone keep no role: any will do for them.
            let sql = "UPDATE deals_member SET role_id = $3 WHERE org_id = $1 AND role_id = $2 AND status = 'gone'";
            run(conn, sql, [org.into(), id.into(), access.role.id.into()]).await?;
            let sql = "SELECT COUNT(*) FROM deals_member WHERE org_id = $1 AND role_id = $2";
            let members = number(conn, sql, [org.into(), id.into()]).await?;
            if members > 0 {
                let held = Holding { model: "member", relation: "role", count: many(members), examples: Vec::new() };
                return Err(Error::Protected("The role is somebody's.", vec![held], &["change_member"]));
            }
            role::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.into())];
            self.noted(conn, (caller, &access), "deals.delete_role", ("role", id.0), detail).await
        })
        .await
    }
}

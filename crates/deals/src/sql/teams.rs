//! Teams: people who see what each other own.

use std::collections::{HashMap, HashSet};

use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, text};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::{SqlDeals, access::Access, lock, many, number, store};
use crate::{
    Error, Holding, NewTeam, OrganizationId, Result, Team, TeamId, TeamPatch,
    entity::{organization, team},
    permission::Permission,
};

const TAKEN: &str = "There is a team of this name.";
/// How many teams an organization has at most: all are looked through to find those below one.
const MOST_TEAMS: i64 = 500;

fn show(row: team::Model) -> Team {
    Team {
        id: row.id,
        name: row.name,
        parent_id: row.parent_id,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// A team of the organization.
pub(super) async fn find(conn: &impl ConnectionTrait, access: &Access, id: TeamId) -> Result<team::Model> {
    let found = team::Entity::find_by_id(id).filter(team::COLUMN.org_id.eq(access.org.id)).one(conn).await?;
    found.ok_or(Error::NotFound("team"))
}

/// A team that another can be part of: one of the organization, and none of its own parts.
async fn fit_parent(conn: &impl ConnectionTrait, access: &Access, own: Option<TeamId>, parent: TeamId) -> Result<()> {
    if access.leads_as_far_as_teams() {
        return Err(Error::Escalation("Whoever leads a team does not say which teams are below it."));
    }
    let of_org = team::Entity::find().filter(team::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
    let parents: HashMap<TeamId, Option<TeamId>> = of_org.iter().map(|team| (team.id, team.parent_id)).collect();
    if !parents.contains_key(&parent) {
        return Err(Error::field("parent_id", "There is no such team."));
    }
    let mut seen = HashSet::new();
    let mut next = Some(parent);
    while let Some(above) = next {
        if Some(above) == own || !seen.insert(above) {
            return Err(Error::field("parent_id", "A team is no part of itself."));
        }
        next = parents.get(&above).copied().flatten();
    }
    Ok(())
}

impl SqlDeals {
    pub(super) async fn list_teams(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Team>> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::MemberRead).await?;
        let select = team::Entity::find().filter(team::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", team::Column::Id), ("name", team::Column::NameKey)],
            usual: "id",
            id: team::Column::Id,
        };
        let page = Page::<team::Model>::fetch(select, &ordering, &page, self.db.conn()).await?;
        Ok(page.with(|rows| rows.into_iter().map(show).collect()))
    }

    pub(super) async fn insert_team(&self, caller: &Caller, org: OrganizationId, new: &NewTeam) -> Result<Team> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::TeamManage).await?;
            let count = number(conn, "SELECT COUNT(*) FROM deals_team WHERE org_id = $1", [org.into()]).await?;
            if count >= MOST_TEAMS {
                return Err(Error::field("name", format!("An organization has at most {MOST_TEAMS} teams.")));
            }
            if let Some(parent) = new.parent_id {
                fit_parent(conn, &access, None, parent).await?;
            }
            let now = self.now();
            let name = new.name.trim();
            let row = team::ActiveModel {
                id: NotSet,
                org_id: Set(org),
                name: Set(name.to_owned()),
                name_key: Set(text::fold(name)),
                parent_id: Set(new.parent_id),
                created_at: Set(now),
                updated_at: Set(now),
            };
            let row = row.insert(conn).await?;
            self.made(conn, (caller, &access), "deals.create_team", &row).await?;
            Ok(show(row))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    pub(super) async fn find_team(&self, caller: &Caller, org: OrganizationId, id: TeamId) -> Result<Team> {
        let access = self.enter_to(self.db.conn(), caller, org, Permission::MemberRead).await?;
        Ok(show(find(self.db.conn(), &access, id).await?))
    }

    pub(super) async fn update_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        patch: &TeamPatch,
        known: &IfMatch,
    ) -> Result<Team> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::TeamManage).await?;
            let before = find(conn, &access, id).await?;
            access.check(known, before.updated_at)?;
            let mut after = before.clone();
            if let Some(name) = &patch.name {
                name.trim().clone_into(&mut after.name);
                after.name_key = text::fold(&after.name);
            }
            if let Some(parent) = patch.parent_id {
                if let Some(parent) = parent {
                    fit_parent(conn, &access, Some(id), parent).await?;
                }
                after.parent_id = parent;
            }
            after.updated_at = self.now();
            store(conn, &before, &after).await?;
            self.changed(conn, (caller, &access), "deals.change_team", &before, &after).await?;
            Ok(show(after))
        })
        .await
        .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    pub(super) async fn drop_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        known: &IfMatch,
    ) -> Result<()> {
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<organization::Entity>(conn, org).await?;
            let access = self.enter_to(conn, caller, org, Permission::TeamManage).await?;
            let row = find(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            let mut blockers = Vec::new();
            for (model, relation, sql) in [
                ("member", "team", "SELECT COUNT(*) FROM deals_member WHERE org_id = $1 AND team_id = $2"),
                ("team", "parent", "SELECT COUNT(*) FROM deals_team WHERE org_id = $1 AND parent_id = $2"),
            ] {
                let count = many(number(conn, sql, [org.into(), id.into()]).await?);
                if count > 0 {
                    blockers.push(Holding { model, relation, count, examples: Vec::new() });
                }
            }
            if !blockers.is_empty() {
                return Err(Error::Protected("The team is not empty.", blockers, &["change_member", "change_team"]));
            }
            team::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.into())];
            self.noted(conn, (caller, &access), "deals.delete_team", ("team", id.0), detail).await
        })
        .await
    }
}

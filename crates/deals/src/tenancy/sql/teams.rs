//! Teams.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, db, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Set,
};

use crate::{
    Error, MemberBlocker, NewTeam, OrganizationId, Result, SqlTenancy, Team, TeamId, TeamPatch, Teams,
    core::access::Access,
    entity::{member, organization, team},
    permission::Permission,
};

const TAKEN: &str = "A team with this name already exists.";
/// How many teams an organization may have: all are loaded to find the subteams of one.
const MAX_TEAMS: u64 = 500;

fn show(row: team::Model) -> Team {
    Team {
        id: row.id,
        name: row.name,
        parent_id: row.parent_id,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Returns a team of the organization.
pub(crate) async fn find(conn: &impl ConnectionTrait, access: &Access, id: TeamId) -> Result<team::Model> {
    let row = team::Entity::find_by_id(id).filter(team::COLUMN.org_id.eq(access.org.id)).one(conn).await?;
    row.ok_or(Error::NotFound("team"))
}

/// Checks a parent team: it is in the organization, and not the team itself or one of its subteams.
async fn check_parent(conn: &impl ConnectionTrait, access: &Access, own: Option<TeamId>, parent: TeamId) -> Result<()> {
    if access.leads_with_team_scope() {
        return Err(Error::Escalation(
            "You cannot change the hierarchy of teams, since it would extend your own access.",
        ));
    }
    let teams = team::Entity::find().filter(team::COLUMN.org_id.eq(access.org.id)).all(conn).await?;
    let parents: HashMap<TeamId, Option<TeamId>> = teams.iter().map(|team| (team.id, team.parent_id)).collect();
    if !parents.contains_key(&parent) {
        return Err(Error::field("parent_id", "Team not found."));
    }
    let mut seen = HashSet::new();
    let mut next = Some(parent);
    while let Some(ancestor) = next {
        if Some(ancestor) == own || !seen.insert(ancestor) {
            return Err(Error::field("parent_id", "A team cannot be its own ancestor."));
        }
        next = parents.get(&ancestor).copied().flatten();
    }
    Ok(())
}

#[async_trait]
impl Teams for SqlTenancy {
    async fn teams(&self, caller: &Caller, org: OrganizationId, page: PageQuery) -> Result<Page<Team>> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberRead).await?;
        let select = team::Entity::find().filter(team::COLUMN.org_id.eq(access.org.id));
        let ordering = Ordering {
            fields: &[("id", team::Column::Id), ("name", team::Column::NameKey)],
            default: "id",
            id: team::Column::Id,
        };
        let page = Page::<team::Model>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        Ok(page.with_results(|rows| rows.into_iter().map(show).collect()))
    }

    async fn create_team(&self, caller: &Caller, org: OrganizationId, new: NewTeam) -> Result<Team> {
        new.validate()?;
        let new = &new;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::TeamManage).await?;
                let count = team::Entity::find().filter(team::COLUMN.org_id.eq(org)).count(conn).await?;
                if count >= MAX_TEAMS {
                    return Err(Error::field("name", format!("An organization can have at most {MAX_TEAMS} teams.")));
                }
                if let Some(parent) = new.parent_id {
                    check_parent(conn, &access, None, parent).await?;
                }
                let now = self.core.now();
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
                self.core.record_created(conn, (caller, &access), "deals.create_team", &row).await?;
                Ok(show(row))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn team(&self, caller: &Caller, org: OrganizationId, id: TeamId) -> Result<Team> {
        let access = self.core.authorize(self.core.db.conn(), caller, org, Permission::MemberRead).await?;
        Ok(show(find(self.core.db.conn(), &access, id).await?))
    }

    async fn change_team(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TeamId,
        patch: TeamPatch,
        known: IfMatch,
    ) -> Result<Team> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::TeamManage).await?;
                let before = find(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(name) = &patch.name {
                    name.trim().clone_into(&mut after.name);
                    after.name_key = text::fold(&after.name);
                }
                if let Some(parent) = patch.parent_id {
                    if let Some(parent) = parent {
                        check_parent(conn, &access, Some(id), parent).await?;
                    }
                    after.parent_id = parent;
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_team", &before, &after).await?;
                Ok(show(after))
            })
            .await
            .map_err(|error: Error| error.or_duplicate(&["name_key"], TAKEN))
    }

    async fn delete_team(&self, caller: &Caller, org: OrganizationId, id: TeamId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<organization::Entity>(conn, org).await?;
                let access = self.core.authorize(conn, caller, org, Permission::TeamManage).await?;
                let row = find(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                let members =
                    member::Entity::find().filter(member::COLUMN.org_id.eq(org)).filter(member::COLUMN.team_id.eq(id));
                let subteams =
                    team::Entity::find().filter(team::COLUMN.org_id.eq(org)).filter(team::COLUMN.parent_id.eq(id));
                let counts =
                    [("member", "team", members.count(conn).await?), ("team", "parent", subteams.count(conn).await?)];
                let blocker = |(model, relation, count)| MemberBlocker { model, relation, count, examples: Vec::new() };
                let blockers: Vec<_> = counts.into_iter().filter(|(_, _, count)| *count > 0).map(blocker).collect();
                if !blockers.is_empty() {
                    return Err(Error::Protected(
                        "The team has members or subteams.",
                        blockers,
                        &["change_member", "change_team"],
                    ));
                }
                team::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("name", row.name.into())];
                self.core.record(conn, (caller, &access), "deals.delete_team", ("team", id.0), detail).await
            })
            .await
    }
}

//! Lists as people want to see them again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QuerySelect, QueryTrait, Select,
};
use serde_json::Value;

use super::{SqlDeals, access::Access, lock, store};
use crate::{
    Error, Filter, NewView, OrganizationId, Result, Sharing, View, ViewId, ViewPatch, Viewed, Views,
    entity::{member, view},
    permission::Permission,
};

const TAKEN: &str = "You have a view of this name.";

/// The views that the caller may use.
fn seen(access: &Access) -> Select<view::Entity> {
    let mut open = Condition::any()
        .add(view::COLUMN.member_id.eq(access.member.id))
        .add(view::COLUMN.shared.eq(Sharing::Organization));
    if let Some(team) = access.member.team_id {
        let of_team = member::Entity::find()
            .select_only()
            .column(member::Column::Id)
            .filter(member::COLUMN.org_id.eq(access.org.id))
            .filter(member::COLUMN.team_id.eq(team));
        let of_team = view::Column::MemberId.in_subquery(of_team.into_query());
        open = open.add(Condition::all().add(view::COLUMN.shared.eq(Sharing::Team)).add(of_team));
    }
    view::Entity::find().filter(view::COLUMN.org_id.eq(access.org.id)).filter(open)
}

async fn find(conn: &impl ConnectionTrait, access: &Access, id: ViewId) -> Result<view::Model> {
    seen(access).filter(view::COLUMN.id.eq(id)).one(conn).await?.ok_or(Error::NotFound("view"))
}

/// A view of the caller's own.
async fn find_own(conn: &impl ConnectionTrait, access: &Access, id: ViewId) -> Result<view::Model> {
    let found = find(conn, access, id).await?;
    // Whoever may share tidies up what others have shared.
    if found.member_id != access.member.id {
        access.may(Permission::ViewShare)?;
    }
    Ok(found)
}

fn filters_of(row: &view::Model) -> BTreeMap<String, String> {
    serde_json::from_str(&row.filters).unwrap_or_default()
}

impl SqlDeals {
    async fn show_views(&self, rows: Vec<view::Model>) -> Result<Vec<View>> {
        let people = self.members_as_people(self.db.conn(), rows.iter().map(|row| row.member_id)).await?;
        let show = |row: view::Model| View {
            id: row.id,
            entity: row.entity,
            filters: filters_of(&row),
            name: row.name,
            ordering: row.ordering,
            columns: serde_json::from_str(&row.columns).unwrap_or_default(),
            shared: row.shared,
            owner: people.get(row.member_id),
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_view(&self, row: view::Model) -> Result<View> {
        self.show_views(vec![row]).await?.pop().ok_or(Error::NotFound("view"))
    }

    /// A list as the view shows it that `?view=` names; what else is asked for goes before what the view says.
    pub(super) async fn through_view(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        of: Viewed,
        filter: Filter,
        page: PageQuery,
    ) -> Result<(Filter, PageQuery)> {
        let Some(id) = filter.number("view")? else { return Ok((filter, page)) };
        let named = find(conn, access, ViewId(id)).await?;
        if named.entity != of {
            return Err(Error::NotFound("view"));
        }
        Ok((filter.over("view", filters_of(&named)), page.or_ordered(&named.ordering)))
    }

    /// A view's filters have to be such as its list understands. A stage that is named is kept by its id, since it may
    /// get another name.
    async fn check_filters(&self, caller: &Caller, access: &Access, row: &mut view::Model) -> Result<()> {
        let mut filters = filters_of(row);
        if let Some(stage) = filters.get_mut("stage").filter(|_| row.entity == Viewed::Deals) {
            let ids = self.stages_named(self.db.conn(), access, stage).await?;
            *stage = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            row.filters = serde_json::json!(filters).to_string();
        }
        let filter = Filter::new(filters);
        if filter.get("view").is_some() {
            return Err(Error::field("filters", "A view does not show another one."));
        }
        let page = PageQuery::new(1, 1).ordered(row.ordering.clone());
        let org = access.org.id;
        match row.entity {
            Viewed::Clients => crate::Clients::clients(self, caller, org, filter, page).await.map(|_| ()),
            Viewed::Deals => crate::Deals::deals(self, caller, org, None, filter, page).await.map(|_| ()),
            Viewed::Payments => crate::Payments::payments(self, caller, org, None, filter, page).await.map(|_| ()),
            Viewed::Tasks => crate::Work::tasks(self, caller, org, filter, page).await.map(|_| ()),
        }
    }
}

#[async_trait]
impl Views for SqlDeals {
    async fn views(
        &self,
        caller: &Caller,
        org: OrganizationId,
        of: Option<Viewed>,
        page: PageQuery,
    ) -> Result<Page<View>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let mut select = seen(&access);
        if let Some(of) = of {
            select = select.filter(view::COLUMN.entity.eq(of));
        }
        let ordering = Ordering { fields: &[("id", view::Column::Id)], usual: "id", id: view::Column::Id };
        let page = Page::<view::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_views(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn create_view(&self, caller: &Caller, org: OrganizationId, new: NewView) -> Result<View> {
        new.validate()?;
        let access = self.enter(self.db.conn(), caller, org).await?;
        let now = self.now();
        let mut row = view::Model {
            id: ViewId(0),
            org_id: org,
            member_id: access.member.id,
            entity: new.entity,
            name: new.name.trim().to_owned(),
            name_key: text::fold(new.name.trim()),
            filters: serde_json::json!(new.filters).to_string(),
            ordering: new.ordering.trim().to_owned(),
            columns: Value::from(new.columns).to_string(),
            shared: new.shared,
            created_at: now,
            updated_at: now,
        };
        self.check_filters(caller, &access, &mut row).await?;
        let row = &row;
        let row = self
            .act(|tx| async move {
                let access = self.enter(tx.conn(), caller, org).await?;
                if row.shared != Sharing::Private {
                    access.may(Permission::ViewShare)?;
                }
                let row = view::ActiveModel { id: NotSet, ..row.clone().into() }.reset_all().insert(tx.conn()).await?;
                self.made(tx.conn(), (caller, &access), "deals.create_view", &row).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| error.or_duplicate(&["name_key"], TAKEN))?;
        self.show_view(row).await
    }

    async fn view(&self, caller: &Caller, org: OrganizationId, id: ViewId) -> Result<View> {
        let access = self.enter(self.db.conn(), caller, org).await?;
        self.show_view(find(self.db.conn(), &access, id).await?).await
    }

    async fn change_view(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: ViewId,
        patch: ViewPatch,
        known: IfMatch,
    ) -> Result<View> {
        patch.validate()?;
        let access = self.enter(self.db.conn(), caller, org).await?;
        let apply = |before: &view::Model| {
            let mut after = before.clone();
            if let Some(name) = &patch.name {
                name.trim().clone_into(&mut after.name);
                after.name_key = text::fold(&after.name);
            }
            if let Some(filters) = &patch.filters {
                after.filters = serde_json::json!(filters).to_string();
            }
            if let Some(ordering) = &patch.ordering {
                ordering.trim().clone_into(&mut after.ordering);
            }
            if let Some(columns) = &patch.columns {
                after.columns = Value::from(columns.clone()).to_string();
            }
            after.shared = patch.shared.unwrap_or(after.shared);
            after
        };
        let mut checked = apply(&find_own(self.db.conn(), &access, id).await?);
        self.check_filters(caller, &access, &mut checked).await?;
        let (known, apply, checked, patch) = (&known, &apply, &checked, &patch);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<view::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                let before = find_own(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = apply(&before);
                if patch.filters.is_some() {
                    after.filters.clone_from(&checked.filters);
                }
                if after.shared != Sharing::Private {
                    access.may(Permission::ViewShare)?;
                }
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                self.changed(conn, (caller, &access), "deals.change_view", &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await
            .map_err(|error| error.or_duplicate(&["name_key"], TAKEN))?;
        self.show_view(row).await
    }

    async fn delete_view(&self, caller: &Caller, org: OrganizationId, id: ViewId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<view::Entity>(conn, id).await?;
            let access = self.enter(conn, caller, org).await?;
            let row = find_own(conn, &access, id).await?;
            access.check(known, row.updated_at)?;
            view::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("name", row.name.into())];
            self.noted(conn, (caller, &access), "deals.delete_view", ("view", id.0), detail).await
        })
        .await
    }
}

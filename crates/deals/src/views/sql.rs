//! Saved views of lists.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, db, text};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::Value;

use crate::{
    Clients, Deals, Error, Filter, NewView, OrganizationId, Payments, Result, SavedViews, Sharing, SqlClients,
    SqlLedger, SqlSales, SqlTasks, Tasks, View, ViewId, ViewPatch, Viewed,
    core::{
        Core,
        access::Access,
        views::{filters_of, find_view, visible_views},
    },
    entity::view,
    permission::Permission,
    sales::sql::stages::lookup::find_stages,
};

const NAME_TAKEN: &str = "You already have a view with this name.";

/// A view that the caller may change.
async fn find_editable(conn: &impl ConnectionTrait, access: &Access, id: ViewId) -> Result<view::Model> {
    let row = find_view(conn, access, id).await?;
    // Members who may share views may also clean up the shared views of others.
    if row.member_id != access.member.id {
        access.may(Permission::ViewShare)?;
    }
    Ok(row)
}

/// Saved views of lists, on a database.
#[derive(Clone)]
pub struct SqlSavedViews {
    pub(crate) core: Core,
    pub(crate) clients: SqlClients,
    pub(crate) sales: SqlSales,
    pub(crate) tasks: SqlTasks,
    pub(crate) ledger: SqlLedger,
}

impl SqlSavedViews {
    async fn show_views(&self, rows: Vec<view::Model>) -> Result<Vec<View>> {
        let people = self.core.members_as_people(self.core.db.conn(), rows.iter().map(|row| row.member_id)).await?;
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

    /// Checks that the filters of a view are valid for its list. Names of stages are replaced by ids, because stages
    /// may be renamed.
    async fn check_filters(&self, caller: &Caller, access: &Access, row: &mut view::Model) -> Result<()> {
        let mut filters = filters_of(row);
        if let Some(stage) = filters.get_mut("stage").filter(|_| row.entity == Viewed::Deals) {
            let ids = find_stages(self.core.db.conn(), access, stage).await?;
            *stage = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            row.filters = serde_json::json!(filters).to_string();
        }
        let filter = Filter::new(filters);
        if filter.get("view").is_some() {
            return Err(Error::field("filters", "A view cannot refer to another view."));
        }
        let page = PageQuery::new(1, 1).ordered(row.ordering.clone());
        let org = access.org.id;
        match row.entity {
            Viewed::Clients => Clients::clients(&self.clients, caller, org, filter, page).await.map(|_| ()),
            Viewed::Deals => Deals::deals(&self.sales, caller, org, None, filter, page).await.map(|_| ()),
            Viewed::Payments => Payments::payments(&self.ledger, caller, org, None, filter, page).await.map(|_| ()),
            Viewed::Tasks => Tasks::tasks(&self.tasks, caller, org, filter, page).await.map(|_| ()),
        }
    }
}

#[async_trait]
impl SavedViews for SqlSavedViews {
    async fn views(
        &self,
        caller: &Caller,
        org: OrganizationId,
        list: Option<Viewed>,
        page: PageQuery,
    ) -> Result<Page<View>> {
        let conn = self.core.db.conn();
        let access = self.core.access(conn, caller, org).await?;
        let mut select = visible_views(&access);
        if let Some(list) = list {
            select = select.filter(view::COLUMN.entity.eq(list));
        }
        let ordering = Ordering { fields: &[("id", view::Column::Id)], default: "id", id: view::Column::Id };
        let page = Page::<view::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let views = self.show_views(rows).await?;
        Ok(page.with_results(|_| views))
    }

    async fn create_view(&self, caller: &Caller, org: OrganizationId, new: NewView) -> Result<View> {
        new.validate()?;
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        let now = self.core.now();
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
            .core
            .db
            .write(|tx| async move {
                let access = self.core.access(&tx, caller, org).await?;
                if row.shared != Sharing::Private {
                    access.may(Permission::ViewShare)?;
                }
                let row = view::ActiveModel { id: NotSet, ..row.clone().into() }.reset_all().insert(&tx).await?;
                self.core.record_created(&tx, (caller, &access), "deals.create_view", &row).await?;
                Ok::<_, Error>(row)
            })
            .await
            .map_err(|error| error.or_duplicate(&["name_key"], NAME_TAKEN))?;
        self.show_view(row).await
    }

    async fn view(&self, caller: &Caller, org: OrganizationId, id: ViewId) -> Result<View> {
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        self.show_view(find_view(self.core.db.conn(), &access, id).await?).await
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
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
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
            if let Some(shared) = patch.shared {
                after.shared = shared;
            }
            after
        };
        let mut checked = apply(&find_editable(self.core.db.conn(), &access, id).await?);
        self.check_filters(caller, &access, &mut checked).await?;
        let (known, apply, checked, patch) = (&known, &apply, &checked, &patch);
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<view::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let before = find_editable(conn, &access, id).await?;
                access.check(known, before.updated_at)?;
                let mut after = apply(&before);
                if patch.filters.is_some() {
                    after.filters.clone_from(&checked.filters);
                }
                if after.shared != Sharing::Private {
                    access.may(Permission::ViewShare)?;
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_view", &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await
            .map_err(|error| error.or_duplicate(&["name_key"], NAME_TAKEN))?;
        self.show_view(row).await
    }

    async fn delete_view(&self, caller: &Caller, org: OrganizationId, id: ViewId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<view::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let row = find_editable(conn, &access, id).await?;
                access.check(known, row.updated_at)?;
                view::Entity::delete_by_id(id).exec(conn).await?;
                let detail = vec![("name", row.name.into())];
                self.core.record(conn, (caller, &access), "deals.delete_view", ("view", id.0), detail).await
            })
            .await
    }
}

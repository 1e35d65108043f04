//! What was done with clients, and what is to be done.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Slice, SliceQuery, Timestamp};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter,
    QuerySelect, QueryTrait, Select, Set,
};

use super::{SqlDeals, access::Access, as_field, lock, store};
use crate::{
    Activity, ClientId, DealId, Error, Filter, NewActivity, NewTask, OrganizationId, Place, Result, Task, TaskId,
    TaskPatch, Viewed, Work,
    entity::{activity, client, deal, task},
    filter::{Field, Holds},
    permission::Permission,
};

/// What has no time is due after everything that has.
fn due_key(due: Option<Timestamp>) -> i64 {
    due.map_or(i64::MAX, Timestamp::unix_micros)
}

impl SqlDeals {
    async fn read_activities(&self, found: Select<activity::Entity>, slice: &SliceQuery) -> Result<Slice<Activity>> {
        let conn = self.db.conn();
        let rows = slice.cut(found, activity::Column::Id).all(conn).await?;
        let (rows, slice) = Slice::of(rows, |row: &activity::Model| row.id.0, slice).take();
        let people = self.members_as_people(conn, rows.iter().map(|row| row.created_by)).await?;
        let show = |row: activity::Model| Activity {
            id: row.id,
            client_id: row.client_id,
            deal_id: row.deal_id,
            kind: row.kind,
            content: row.content,
            happened_at: row.happened_at,
            created_by: people.get(row.created_by),
            created_at: row.created_at,
        };
        Ok(slice.with(rows.into_iter().map(show).collect()))
    }

    async fn write_down(
        &self,
        conn: &impl ConnectionTrait,
        (caller, access): (&Caller, &Access),
        client: ClientId,
        deal: Option<DealId>,
        new: &NewActivity,
    ) -> Result<activity::Model> {
        let now = self.now();
        let row = activity::ActiveModel {
            id: NotSet,
            org_id: Set(access.org.id),
            client_id: Set(client),
            deal_id: Set(deal),
            kind: Set(new.kind),
            content: Set(new.content.trim().to_owned()),
            happened_at: Set(new.happened_at.unwrap_or(now)),
            created_by: Set(access.member.id),
            created_at: Set(now),
        };
        let row = row.insert(conn).await?;
        let detail = vec![("client", client.0.into()), ("deal", deal.map(|deal| deal.0).into())];
        self.noted(conn, (caller, access), "deals.log_activity", ("activity", row.id.0), detail).await?;
        Ok(row)
    }

    async fn show_activity(&self, row: activity::Model) -> Result<Activity> {
        let one = activity::Entity::find_by_id(row.id);
        let found = self.read_activities(one, &SliceQuery::newest(1)).await?;
        found.results.into_iter().next().ok_or(Error::NotFound("activity"))
    }

    async fn show_tasks(&self, rows: Vec<task::Model>) -> Result<Vec<Task>> {
        let members: Vec<_> = rows.iter().flat_map(|row| [row.assignee_id, row.created_by]).collect();
        let people = self.members_as_people(self.db.conn(), members).await?;
        let now = self.now();
        let show = |row: task::Model| Task {
            id: row.id,
            title: row.title,
            notes: row.notes,
            client_id: row.client_id,
            deal_id: row.deal_id,
            assignee: people.get(row.assignee_id),
            created_by: people.get(row.created_by),
            is_late: row.done_at.is_none() && row.due_at.is_some_and(|due| due < now),
            due_at: row.due_at,
            remind_at: row.remind_at,
            done_at: row.done_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn show_task(&self, row: task::Model) -> Result<Task> {
        self.show_tasks(vec![row]).await?.pop().ok_or(Error::NotFound("task"))
    }

    /// A task that the caller may see, and what they may do with it.
    async fn task_for(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        id: TaskId,
        permission: Permission,
    ) -> Result<task::Model> {
        let found = access.tasks_for(Permission::TaskRead).filter(task::COLUMN.id.eq(id)).one(conn).await?;
        let found = found.ok_or(Error::NotFound("task"))?;
        access.may_with(permission, found.assignee_id, found.created_by)?;
        Ok(found)
    }
}

#[async_trait]
impl Work for SqlDeals {
    async fn timeline(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        slice: SliceQuery,
    ) -> Result<Slice<Activity>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        access.find_client(conn, client).await?;
        // What is about a deal that the caller may not see is not theirs to read either.
        let seen = access.deals().select_only().column(deal::Column::Id).into_query();
        let open =
            Condition::any().add(activity::COLUMN.deal_id.is_null()).add(activity::Column::DealId.in_subquery(seen));
        let found = activity::Entity::find()
            .filter(activity::COLUMN.org_id.eq(org))
            .filter(activity::COLUMN.client_id.eq(client))
            .filter(open);
        self.read_activities(found, &slice).await
    }

    async fn activities(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        slice: SliceQuery,
    ) -> Result<Slice<Activity>> {
        let conn = self.db.conn();
        let access = self.enter(conn, caller, org).await?;
        let deal = access.find_deal(conn, at).await?;
        let found = activity::Entity::find()
            .filter(activity::COLUMN.org_id.eq(org))
            .filter(activity::COLUMN.deal_id.eq(deal.id));
        self.read_activities(found, &slice).await
    }

    async fn log_with_client(
        &self,
        caller: &Caller,
        org: OrganizationId,
        client: ClientId,
        new: NewActivity,
    ) -> Result<Activity> {
        new.validate()?;
        let new = &new;
        let row = self
            .act(|tx| async move {
                lock::<client::Entity>(tx.conn(), client).await?;
                let access = self.enter(tx.conn(), caller, org).await?;
                access.client_for(tx.conn(), client, Permission::ClientUpdate).await?;
                self.write_down(tx.conn(), (caller, &access), client, None, new).await
            })
            .await?;
        self.show_activity(row).await
    }

    async fn log_activity(
        &self,
        caller: &Caller,
        org: OrganizationId,
        at: Place,
        new: NewActivity,
    ) -> Result<Activity> {
        new.validate()?;
        let new = &new;
        let row = self
            .act(|tx| async move {
                let opened = self.open_deal(tx.conn(), caller, org, at, Permission::DealUpdate).await?;
                let (access, deal) = (opened.access, opened.before);
                self.write_down(tx.conn(), (caller, &access), deal.client_id, Some(deal.id), new).await
            })
            .await?;
        self.show_activity(row).await
    }

    async fn tasks(&self, caller: &Caller, org: OrganizationId, filter: Filter, page: PageQuery) -> Result<Page<Task>> {
        let conn = self.db.conn();
        let access = self.enter_to(conn, caller, org, Permission::TaskRead).await?;
        let (filter, page) = self.through_view(conn, &access, Viewed::Tasks, filter, page).await?;
        let fields = [
            Field { name: "id", column: task::Column::Id, holds: Holds::Number },
            Field { name: "client_id", column: task::Column::ClientId, holds: Holds::Number },
            Field { name: "deal_id", column: task::Column::DealId, holds: Holds::Number },
            Field { name: "due_at", column: task::Column::DueAt, holds: Holds::Moment },
            Field { name: "done_at", column: task::Column::DoneAt, holds: Holds::Moment },
        ];
        let mut select = access.tasks_for(Permission::TaskRead).filter(filter.condition(&fields, &["owner", "done"])?);
        select = match filter.get("done").unwrap_or("false") {
            "false" => select.filter(task::COLUMN.done_at.is_null()),
            "true" => select.filter(task::COLUMN.done_at.is_not_null()),
            "all" => select,
            _ => return Err(Error::field("done", "Choose from: false, true, all.")),
        };
        if let Some(assignee) = self.owner_of(conn, &access, &filter).await? {
            select = select.filter(task::COLUMN.assignee_id.eq(assignee));
        }
        let ordering = Ordering {
            fields: &[("id", task::Column::Id), ("due_at", task::Column::DueKey)],
            usual: "due_at",
            id: task::Column::Id,
        };
        let page = Page::<task::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.take();
        let shown = self.show_tasks(rows).await?;
        Ok(page.with(|_| shown))
    }

    async fn create_task(&self, caller: &Caller, org: OrganizationId, new: NewTask) -> Result<Task> {
        new.validate()?;
        let new = &new;
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                let access = self.enter_to(conn, caller, org, Permission::TaskUpdate).await?;
                let missing = |field| as_field(field, "There is no such thing.");
                let deal = match new.deal_id {
                    Some(id) => {
                        lock::<deal::Entity>(conn, id).await?;
                        Some(access.find_deal(conn, id.into()).await.map_err(missing("deal_id"))?)
                    }
                    None => None,
                };
                let client = match (new.client_id, &deal) {
                    (Some(id), Some(deal)) if id != deal.client_id => {
                        return Err(Error::field("client_id", "The deal is another client's."));
                    }
                    (_, Some(deal)) => Some(deal.client_id),
                    (Some(id), None) => {
                        lock::<client::Entity>(conn, id).await?;
                        Some(access.find_client(conn, id).await.map_err(missing("client_id"))?.id)
                    }
                    (None, None) => None,
                };
                let assignee = match new.assignee_id {
                    Some(user) => access.heir(conn, "assignee_id", user).await?.id,
                    None => access.member.id,
                };
                if assignee != access.member.id {
                    access.may_hand_to(Permission::TaskUpdate, assignee)?;
                }
                let now = self.now();
                let row = task::ActiveModel {
                    id: NotSet,
                    org_id: Set(org),
                    title: Set(new.title.trim().to_owned()),
                    notes: Set(new.notes.clone()),
                    client_id: Set(client),
                    deal_id: Set(deal.map(|deal| deal.id)),
                    assignee_id: Set(assignee),
                    created_by: Set(access.member.id),
                    due_at: Set(new.due_at),
                    due_key: Set(due_key(new.due_at)),
                    done_at: Set(None),
                    created_at: Set(now),
                    updated_at: Set(now),
                    remind_at: Set(new.remind_at),
                    is_reminded: Set(false),
                };
                let row = row.insert(conn).await?;
                self.made(conn, (caller, &access), "deals.create_task", &row).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        self.show_task(row).await
    }

    async fn task(&self, caller: &Caller, org: OrganizationId, id: TaskId) -> Result<Task> {
        let access = self.enter(self.db.conn(), caller, org).await?;
        self.show_task(self.task_for(self.db.conn(), &access, id, Permission::TaskRead).await?).await
    }

    async fn change_task(
        &self,
        caller: &Caller,
        org: OrganizationId,
        id: TaskId,
        patch: TaskPatch,
        known: IfMatch,
    ) -> Result<Task> {
        patch.validate()?;
        let (patch, known) = (&patch, &known);
        let row = self
            .act(|tx| async move {
                let conn = tx.conn();
                lock::<task::Entity>(conn, id).await?;
                let access = self.enter(conn, caller, org).await?;
                let before = self.task_for(conn, &access, id, Permission::TaskUpdate).await?;
                access.check(known, before.updated_at)?;
                let mut after = before.clone();
                if let Some(title) = &patch.title {
                    title.trim().clone_into(&mut after.title);
                }
                if let Some(notes) = &patch.notes {
                    after.notes.clone_from(notes);
                }
                if let Some(user) = patch.assignee_id {
                    after.assignee_id = access.heir(conn, "assignee_id", user).await?.id;
                    if after.assignee_id != before.assignee_id {
                        access.may_hand_to(Permission::TaskUpdate, after.assignee_id)?;
                    }
                }
                after.due_at = patch.due_at.unwrap_or(after.due_at);
                after.due_key = due_key(after.due_at);
                if let Some(moment) = patch.remind_at.filter(|moment| *moment != before.remind_at) {
                    after.remind_at = moment;
                    after.is_reminded = false;
                }
                if let Some(done) = patch.is_done
                    && done != before.done_at.is_some()
                {
                    after.done_at = done.then(|| self.now());
                }
                after.updated_at = self.now();
                store(conn, &before, &after).await?;
                self.changed(conn, (caller, &access), "deals.change_task", &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_task(row).await
    }

    async fn delete_task(&self, caller: &Caller, org: OrganizationId, id: TaskId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.act(|tx| async move {
            let conn = tx.conn();
            lock::<task::Entity>(conn, id).await?;
            let access = self.enter(conn, caller, org).await?;
            let row = self.task_for(conn, &access, id, Permission::TaskUpdate).await?;
            access.check(known, row.updated_at)?;
            task::Entity::delete_by_id(id).exec(conn).await?;
            let detail = vec![("title", row.title.into())];
            self.noted(conn, (caller, &access), "deals.delete_task", ("task", id.0), detail).await
        })
        .await
    }
}

//! Tasks.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, db};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::list_filters;
use crate::{
    Error, Filter, NewTask, OrganizationId, Result, SqlTasks, Task, TaskId, TaskPatch, Tasks, Viewed,
    core::{Field, ValueKind, access::Access, as_field, views::apply_view},
    entity::{client, deal, task},
    event::{self, TaskCreated, TaskData, TaskDeleted},
    permission::Permission,
};

/// The sort key of a due time. Tasks without one sort last.
fn due_key(due: Option<Timestamp>) -> i64 {
    due.map_or(i64::MAX, Timestamp::unix_micros)
}

impl SqlTasks {
    async fn show_tasks(&self, rows: Vec<task::Model>) -> Result<Vec<Task>> {
        let members: Vec<_> = rows.iter().flat_map(|row| [row.assignee_id, row.created_by]).collect();
        let people = self.core.members_as_people(self.core.db.conn(), members).await?;
        let now = self.core.now();
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

    /// A task that the caller may see, for an operation that needs this permission.
    async fn task_for(
        &self,
        conn: &impl ConnectionTrait,
        access: &Access,
        id: TaskId,
        permission: Permission,
    ) -> Result<task::Model> {
        let row = access.tasks_for(Permission::TaskRead).filter(task::COLUMN.id.eq(id)).one(conn).await?;
        let row = row.ok_or(Error::NotFound("task"))?;
        access.may_with(permission, row.assignee_id, row.created_by)?;
        Ok(row)
    }
}

#[async_trait]
impl Tasks for SqlTasks {
    async fn tasks(&self, caller: &Caller, org: OrganizationId, filter: Filter, page: PageQuery) -> Result<Page<Task>> {
        let conn = self.core.db.conn();
        let access = self.core.authorize(conn, caller, org, Permission::TaskRead).await?;
        let (filter, page) = apply_view(conn, &access, Viewed::Tasks, filter, page).await?;
        let fields = [
            Field { name: "id", column: task::Column::Id, kind: ValueKind::Number },
            Field { name: "client_id", column: task::Column::ClientId, kind: ValueKind::Number },
            Field { name: "deal_id", column: task::Column::DealId, kind: ValueKind::Number },
            Field { name: "due_at", column: task::Column::DueAt, kind: ValueKind::Timestamp },
            Field { name: "done_at", column: task::Column::DoneAt, kind: ValueKind::Timestamp },
        ];
        let mut select = access.tasks_for(Permission::TaskRead).filter(filter.condition(&fields, &["owner", "done"])?);
        select = match filter.get("done").unwrap_or("false") {
            "false" => select.filter(task::COLUMN.done_at.is_null()),
            "true" => select.filter(task::COLUMN.done_at.is_not_null()),
            "all" => select,
            _ => return Err(Error::field("done", "Choose from: false, true, all.")),
        };
        if let Some(assignee) = list_filters::owner(conn, &access, &filter).await? {
            select = select.filter(task::COLUMN.assignee_id.eq(assignee));
        }
        let ordering = Ordering {
            fields: &[("id", task::Column::Id), ("due_at", task::Column::DueKey)],
            default: "due_at",
            id: task::Column::Id,
        };
        let page = Page::<task::Model>::fetch(select, &ordering, &page, conn).await?;
        let (rows, page) = page.split();
        let tasks = self.show_tasks(rows).await?;
        Ok(page.with_results(|_| tasks))
    }

    async fn create_task(&self, caller: &Caller, org: OrganizationId, new: NewTask) -> Result<Task> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                let access = self.core.authorize(conn, caller, org, Permission::TaskUpdate).await?;
                let deal = match new.deal_id {
                    Some(id) => {
                        db::lock::<deal::Entity>(conn, id).await?;
                        let found = access.find_deal(conn, id.into()).await;
                        Some(found.map_err(as_field("deal_id", "There is no such deal."))?)
                    }
                    None => None,
                };
                let client = match (new.client_id, &deal) {
                    (Some(id), Some(deal)) if id != deal.client_id => {
                        return Err(Error::field("client_id", "The deal belongs to another client."));
                    }
                    (_, Some(deal)) => Some(deal.client_id),
                    (Some(id), None) => {
                        db::lock::<client::Entity>(conn, id).await?;
                        let found = access.find_client(conn, id).await;
                        Some(found.map_err(as_field("client_id", "There is no such client."))?.id)
                    }
                    (None, None) => None,
                };
                let assignee = match new.assignee_id {
                    Some(user) => access.successor(conn, "assignee_id", user).await?.id,
                    None => access.member.id,
                };
                if assignee != access.member.id {
                    access.may_reassign_to(Permission::TaskUpdate, assignee)?;
                }
                let now = self.core.now();
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
                self.core.record_created(conn, (caller, &access), "deals.create_task", &row).await?;
                tx.emit(&TaskCreated { organization_id: org, task: TaskData::from(&row) }).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        self.show_task(row).await
    }

    async fn task(&self, caller: &Caller, org: OrganizationId, id: TaskId) -> Result<Task> {
        let access = self.core.access(self.core.db.conn(), caller, org).await?;
        self.show_task(self.task_for(self.core.db.conn(), &access, id, Permission::TaskRead).await?).await
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
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<task::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
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
                    after.assignee_id = access.successor(conn, "assignee_id", user).await?.id;
                    if after.assignee_id != before.assignee_id {
                        access.may_reassign_to(Permission::TaskUpdate, after.assignee_id)?;
                    }
                }
                after.due_at = patch.due_at.unwrap_or(after.due_at);
                after.due_key = due_key(after.due_at);
                if let Some(remind_at) = patch.remind_at.filter(|remind_at| *remind_at != before.remind_at) {
                    after.remind_at = remind_at;
                    after.is_reminded = false;
                }
                if let Some(is_done) = patch.is_done
                    && is_done != before.done_at.is_some()
                {
                    after.done_at = is_done.then(|| self.core.now());
                }
                after.updated_at = self.core.now();
                db::store_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_task", &before, &after).await?;
                event::task_updated(&tx, &before, &after).await?;
                Ok::<_, Error>(after)
            })
            .await?;
        self.show_task(row).await
    }

    async fn delete_task(&self, caller: &Caller, org: OrganizationId, id: TaskId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<task::Entity>(conn, id).await?;
                let access = self.core.access(conn, caller, org).await?;
                let row = self.task_for(conn, &access, id, Permission::TaskUpdate).await?;
                access.check(known, row.updated_at)?;
                task::Entity::delete_by_id(id).exec(conn).await?;
                tx.emit(&TaskDeleted { organization_id: org, id, title: row.title.clone() }).await?;
                let detail = vec![("title", row.title.into())];
                self.core.record(conn, (caller, &access), "deals.delete_task", ("task", id.0), detail).await
            })
            .await
    }
}

//! Tasks.

use async_trait::async_trait;
use futures_util::future::OptionFuture;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, db};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, EntityTrait, QueryFilter, Set, sea_query::Expr};

use super::list_filters;
use crate::{
    Error, Filter, NewTask, OrganizationId, Result, SqlTasks, Task, TaskId, TaskPatch, Tasks, Viewed,
    core::{
        Conn, Field, People, ValueKind,
        access::Access,
        as_field,
        objects::{stored_client, stored_deal},
        scope::TASK_TARGET_IS_LIVE,
        store::defer_changes,
        views::apply_view,
    },
    entity::{client, deal, task},
    event::{self, TaskCreated, TaskData, TaskDeleted},
    permission::Permission,
};

/// The sort key of a due time. Tasks without one sort last.
fn due_key(due: Option<Timestamp>) -> i64 {
    due.map_or(i64::MAX, Timestamp::unix_micros)
}

fn show(row: task::Model, people: &People, now: Timestamp) -> Task {
    Task {
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
    }
}

impl SqlTasks {
    async fn show_tasks(&self, access: &Access, rows: Vec<task::Model>) -> Result<Vec<Task>> {
        let members = rows.iter().flat_map(|row| [row.assignee_id, row.created_by]);
        let people = self.core.colleagues_as_people(self.core.db.conn(), &access.member, members).await?;
        let now = self.core.now();
        Ok(rows.into_iter().map(|row| show(row, &people, now)).collect())
    }

    async fn show_task(&self, access: &Access, row: task::Model) -> Result<Task> {
        self.show_tasks(access, vec![row]).await?.pop().ok_or(Error::NotFound("task"))
    }

    /// Loads the caller's access, and a task that they may see and have a permission for.
    async fn access_to_task<C: Conn>(
        &self,
        conn: &C,
        caller: &Caller,
        (org, id): (OrganizationId, TaskId),
        permission: Permission,
    ) -> Result<(Access, task::Model)> {
        let pipeline = conn.pipeline();
        let found =
            task::Entity::find_by_id(id).filter(task::COLUMN.org_id.eq(org)).filter(Expr::cust(TASK_TARGET_IS_LIVE));
        let (access, row) = self.core.access_and((conn, &pipeline), caller, org, found.one(&pipeline)).await?;
        let is_visible = |row: &task::Model| access.covers(Permission::TaskRead, row.assignee_id, row.created_by);
        let row = row?.filter(is_visible).ok_or(Error::NotFound("task"))?;
        access.may_with(permission, row.assignee_id, row.created_by)?;
        Ok((access, row))
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
        let tasks = self.show_tasks(&access, rows).await?;
        Ok(page.with_results(|_| tasks))
    }

    async fn create_task(&self, caller: &Caller, org: OrganizationId, new: NewTask) -> Result<Task> {
        new.validate()?;
        let new = &new;
        let row = self
            .core
            .db
            .write(|tx| async move {
                if let Some(id) = new.deal_id {
                    db::lock::<deal::Entity>(&tx, id).await?;
                } else if let Some(id) = new.client_id {
                    db::lock::<client::Entity>(&tx, id).await?;
                }
                let pipeline = &tx.pipeline();
                let of_client = new.client_id.filter(|_| new.deal_id.is_none());
                let read = async {
                    tokio::join!(
                        OptionFuture::from(new.deal_id.map(|id| stored_deal(pipeline, org, id))),
                        OptionFuture::from(of_client.map(|id| stored_client(pipeline, org, id))),
                    )
                };
                let (access, (deal, client)) = self.core.access_and((&tx, pipeline), caller, org, read).await?;
                access.may(Permission::TaskUpdate)?;
                let deal = match (new.deal_id, deal) {
                    (Some(id), Some(row)) => {
                        let found = access.visible_deal(row?, id.into());
                        Some(found.map_err(as_field("deal_id", "There is no such deal."))?)
                    }
                    _ => None,
                };
                let client = match (new.client_id, &deal, client) {
                    (Some(id), Some(deal), _) if id != deal.client_id => {
                        return Err(Error::field("client_id", "The deal belongs to another client."));
                    }
                    (_, Some(deal), _) => Some(deal.client_id),
                    (Some(id), None, Some(row)) => {
                        let found = access.visible_client(row?, id);
                        Some(found.map_err(as_field("client_id", "There is no such client."))?.id)
                    }
                    _ => None,
                };
                let assignee = match new.assignee_id {
                    Some(user) => access.successor(&tx, "assignee_id", user).await?.id,
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
                    announced_due_at: Set(None),
                };
                let row = db::insert(&tx, row).await?;
                self.core.record_created(&tx, (caller, &access), "deals.create_task", &row).await?;
                tx.emit(&TaskCreated { organization_id: org, task: TaskData::from(&row) }).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        let members = [(row.created_by, caller.user), (row.assignee_id, new.assignee_id.unwrap_or(caller.user))];
        Ok(show(row, &self.core.accounts_as_people(members).await?, self.core.now()))
    }

    async fn task(&self, caller: &Caller, org: OrganizationId, id: TaskId) -> Result<Task> {
        let (access, row) = self.access_to_task(self.core.db.conn(), caller, (org, id), Permission::TaskRead).await?;
        self.show_task(&access, row).await
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
        let (access, row) = self
            .core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<task::Entity>(conn, id).await?;
                let (access, before) = self.access_to_task(conn, caller, (org, id), Permission::TaskUpdate).await?;
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
                defer_changes(conn, &before, &after).await?;
                self.core.record_changed(conn, (caller, &access), "deals.change_task", &before, &after).await?;
                event::task_updated(&tx, &before, &after).await?;
                Ok::<_, Error>((access, after))
            })
            .await?;
        self.show_task(&access, row).await
    }

    async fn delete_task(&self, caller: &Caller, org: OrganizationId, id: TaskId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                db::lock::<task::Entity>(conn, id).await?;
                let (access, row) = self.access_to_task(conn, caller, (org, id), Permission::TaskUpdate).await?;
                access.check(known, row.updated_at)?;
                task::Entity::delete_by_id(id).exec(&tx.deferred()).await?;
                let detail = vec![("title", row.title.clone().into())];
                self.core.record(conn, (caller, &access), "deals.delete_task", ("task", id.0), detail).await?;
                tx.emit(&TaskDeleted { organization_id: org, id, title: row.title }).await?;
                Ok(())
            })
            .await
    }
}

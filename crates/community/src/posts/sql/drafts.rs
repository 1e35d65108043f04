//! Drafts of posts. They have a table of their own, so that no list of posts can include one.

use async_trait::async_trait;
use guildhall_kernel::{self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, db, text};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect, Select, Set,
};

use super::SqlPosts;
use crate::{
    core::access::GroupAccess,
    entity::draft,
    error::{Error, Result},
    id::DraftId,
    markdown::MAX_TEXT_LENGTH,
    posts::{Draft, Drafts, NewPost, Post},
};

/// The maximum number of drafts of a user.
const MAX_DRAFTS: u64 = 100;

impl TryFrom<draft::Model> for Draft {
    type Error = Error;

    fn try_from(row: draft::Model) -> Result<Self> {
        let post = serde_json::from_str(&row.body).map_err(kernel::Error::internal)?;
        Ok(Self { id: row.id, post, created_at: row.created_at, updated_at: row.updated_at })
    }
}

/// Checks only what storing requires: a draft may be incomplete. It is validated in full when it is published.
fn check_storable(new: &NewPost) -> Result<()> {
    let field_error = |field| move |error: garde::Error| Error::field(field, error.message());
    text::block(0, MAX_TEXT_LENGTH)(new.content.as_str(), &()).map_err(field_error("content"))?;
    text::line(0, 300)(new.title.as_str(), &()).map_err(field_error("title"))?;
    if new.tags.len() > 10 || new.tags.iter().any(|tag| tag.len() > 200) {
        return Err(Error::field("tags", "At most 10 tags."));
    }
    if let Some(poll) = &new.poll
        && (poll.options.len() > 10 || poll.options.iter().any(|option| option.len() > 1_000))
    {
        return Err(Error::field("poll", "At most 10 options."));
    }
    Ok(())
}

/// One of the caller's drafts.
fn own_draft(caller: &Caller, id: DraftId) -> Select<draft::Entity> {
    draft::Entity::find_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user))
}

async fn find_draft(conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<draft::Model> {
    own_draft(caller, id).one(conn).await?.ok_or(Error::NotFound("draft"))
}

/// One of the caller's drafts, locked until the transaction ends.
async fn lock_draft(conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<draft::Model> {
    own_draft(caller, id).lock_exclusive().one(conn).await?.ok_or(Error::NotFound("draft"))
}

/// Deletes one of the caller's drafts.
async fn remove_draft(conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<()> {
    let own = draft::Entity::delete_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user));
    if own.exec(conn).await?.rows_affected == 0 { Err(Error::NotFound("draft")) } else { Ok(()) }
}

impl SqlPosts {
    async fn store_draft(&self, caller: &Caller, id: Option<DraftId>, new: NewPost) -> Result<Draft> {
        check_storable(&new)?;
        let body = &serde_json::to_string(&new).map_err(kernel::Error::internal)?;
        let (new, now) = (&new, self.core.now());
        let row = self
            .core
            .write(|tx| async move {
                let conn = &tx;
                if let Some(group) = new.group {
                    GroupAccess::load(conn, caller, group).await?.require_member()?;
                }
                if let Some(id) = id {
                    let draft = lock_draft(conn, caller, id).await?;
                    let after =
                        draft::Model { group_id: new.group, body: body.clone(), updated_at: now, ..draft.clone() };
                    db::store_changes(conn, &draft, &after).await?;
                    return Ok(after);
                }
                let own = draft::Entity::find().filter(draft::COLUMN.author_id.eq(caller.user));
                if own.count(conn).await? >= MAX_DRAFTS {
                    return Err(Error::field("content", format!("You can have at most {MAX_DRAFTS} drafts.")));
                }
                let row = draft::ActiveModel {
                    id: NotSet,
                    author_id: Set(caller.user),
                    group_id: Set(new.group),
                    body: Set(body.clone()),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                Ok(row.insert(conn).await?)
            })
            .await?;
        row.try_into()
    }
}

#[async_trait]
impl Drafts for SqlPosts {
    async fn save_draft(&self, caller: &Caller, new: NewPost) -> Result<Draft> {
        self.store_draft(caller, None, new).await
    }

    async fn drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>> {
        let own = draft::Entity::find().filter(draft::COLUMN.author_id.eq(caller.user));
        let ordering = Ordering { fields: &[("id", draft::Column::Id)], default: "-id", id: draft::Column::Id };
        let (rows, page) = Page::<draft::Model>::fetch(own, &ordering, &page, self.core.db.conn()).await?.split();
        let drafts = rows.into_iter().map(Draft::try_from).collect::<Result<Vec<_>>>()?;
        Ok(page.with_results(|_| drafts))
    }

    async fn draft(&self, caller: &Caller, id: DraftId) -> Result<Draft> {
        find_draft(self.core.db.conn(), caller, id).await?.try_into()
    }

    async fn change_draft(&self, caller: &Caller, id: DraftId, new: NewPost) -> Result<Draft> {
        self.store_draft(caller, Some(id), new).await
    }

    async fn delete_draft(&self, caller: &Caller, id: DraftId) -> Result<()> {
        self.core.write(|tx| async move { remove_draft(&tx, caller, id).await }).await
    }

    async fn publish_draft(&self, caller: &Caller, id: DraftId) -> Result<Post> {
        let draft = Draft::try_from(find_draft(self.core.db.conn(), caller, id).await?)?;
        let prepared = self.prepare_post(&draft.post).await?;
        let (draft, prepared) = (&draft, &prepared);
        let row = self
            .core
            .write(|tx| async move {
                // Read again under a lock, so that a draft is published once, and with the content that was prepared.
                let current = lock_draft(&tx, caller, id).await?;
                IfMatch::only(draft.updated_at.into()).check(current.updated_at)?;
                draft::Entity::delete_by_id(id).exec(&tx.deferred()).await?;
                self.store_post(&tx, caller, &draft.post, prepared).await
            })
            .await?;
        self.show_created(caller, row).await
    }
}

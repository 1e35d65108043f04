//! Drafts of posts. They have a table of their own, so that no list of posts can include one.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, IfMatch, Ordering, Page, PageQuery, Timestamp, text};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect, Set,
};

use super::{GroupAccess, SqlCommunity};
use crate::{Draft, DraftId, Drafts, Error, NewPost, Post, Result, entity::draft, model::MAX_TEXT_LENGTH};

/// The maximum number of drafts of a user.
const MAX_DRAFTS: u64 = 100;

#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "draft::Entity")]
struct DraftRow {
    id: DraftId,
    body: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl TryFrom<DraftRow> for Draft {
    type Error = Error;

    fn try_from(row: DraftRow) -> Result<Self> {
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

impl SqlCommunity {
    pub(super) async fn store_draft(&self, caller: &Caller, id: Option<DraftId>, new: NewPost) -> Result<Draft> {
        check_storable(&new)?;
        let body = &serde_json::to_string(&new).map_err(kernel::Error::internal)?;
        let (new, now) = (&new, self.host.clock.now());
        self.db
            .write(|tx| async move {
                let conn = &tx;
                if let Some(group) = new.group {
                    GroupAccess::load(conn, caller, group).await?.require_member()?;
                }
                let id = if let Some(id) = id {
                    self.find_draft(conn, caller, id).await?;
                    let row = draft::ActiveModel {
                        id: Unchanged(id),
                        group_id: Set(new.group),
                        body: Set(body.clone()),
                        updated_at: Set(now),
                        ..Default::default()
                    };
                    draft::Entity::update(row).exec_without_returning(conn).await?;
                    id
                } else {
                    let own = draft::Entity::find().filter(draft::COLUMN.author_id.eq(caller.user));
                    if sea_orm::PaginatorTrait::count(own, conn).await? >= MAX_DRAFTS {
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
                    row.insert(conn).await?.id
                };
                self.find_draft(conn, caller, id).await
            })
            .await
    }

    pub(super) async fn find_draft(&self, conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<Draft> {
        let own = draft::Entity::find_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user));
        own.into_partial_model::<DraftRow>().one(conn).await?.ok_or(Error::NotFound("draft"))?.try_into()
    }

    /// One of the caller's drafts, locked so that it cannot change while it is published.
    pub(super) async fn lock_draft(&self, conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<Draft> {
        let own = draft::Entity::find_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user)).lock_exclusive();
        own.into_partial_model::<DraftRow>().one(conn).await?.ok_or(Error::NotFound("draft"))?.try_into()
    }

    /// Deletes one of the caller's drafts.
    pub(super) async fn remove_draft(&self, conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<()> {
        let own = draft::Entity::delete_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user));
        if own.exec(conn).await?.rows_affected == 0 { Err(Error::NotFound("draft")) } else { Ok(()) }
    }
}

#[async_trait]
impl Drafts for SqlCommunity {
    async fn save_draft(&self, caller: &Caller, new: NewPost) -> Result<Draft> {
        self.store_draft(caller, None, new).await
    }

    async fn drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>> {
        let own = draft::Entity::find().filter(draft::COLUMN.author_id.eq(caller.user));
        let ordering = Ordering { fields: &[("id", draft::Column::Id)], default: "-id", id: draft::Column::Id };
        let (rows, page) = Page::<DraftRow>::fetch(own, &ordering, &page, self.db.conn()).await?.take();
        let drafts = rows.into_iter().map(Draft::try_from).collect::<Result<Vec<_>>>()?;
        Ok(page.with(|_| drafts))
    }

    async fn draft(&self, caller: &Caller, id: DraftId) -> Result<Draft> {
        self.find_draft(self.db.conn(), caller, id).await
    }

    async fn change_draft(&self, caller: &Caller, id: DraftId, new: NewPost) -> Result<Draft> {
        self.store_draft(caller, Some(id), new).await
    }

    async fn delete_draft(&self, caller: &Caller, id: DraftId) -> Result<()> {
        self.db.write(|tx| async move { self.remove_draft(&tx, caller, id).await }).await
    }

    async fn publish_draft(&self, caller: &Caller, id: DraftId) -> Result<Post> {
        let draft = self.find_draft(self.db.conn(), caller, id).await?;
        draft.post.validate()?;
        let prepared = self.prepare(&draft.post.content).await?;
        let (prepared, known) = (&prepared, draft.updated_at);
        let row = self
            .db
            .write(|tx| async move {
                let conn = &tx;
                // Read again under a lock, so that a draft is published once, and with the content that was prepared.
                let draft = self.lock_draft(conn, caller, id).await?;
                IfMatch::only(known.into()).check(draft.updated_at)?;
                self.remove_draft(conn, caller, id).await?;
                self.store_post(conn, caller, &draft.post, prepared).await
            })
            .await?;
        self.show_created(caller, row).await
    }
}

//! Posts that are not posted yet. They are no posts, so that nothing that lists posts can show one.

use guildhall_kernel::{self as kernel, Caller, Ordering, Page, PageQuery, Timestamp, text};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QuerySelect, Set,
};

use super::{Seat, SqlCommunity};
use crate::{Draft, DraftId, Error, NewPost, Result, entity::draft, model::LONGEST_TEXT};

/// How many drafts somebody keeps at most.
const MOST_DRAFTS: u64 = 100;

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

/// A draft need not be ready, but has to be storable: what is missing shows when it is posted.
fn check(new: &NewPost) -> Result<()> {
    let faulty = |field| move |error: garde::Error| Error::field(field, error.message());
    text::block(0, LONGEST_TEXT)(new.content.as_str(), &()).map_err(faulty("content"))?;
    text::line(0, 300)(new.title.as_str(), &()).map_err(faulty("title"))?;
    if new.tags.len() > 10 || new.tags.iter().any(|tag| tag.len() > 200) {
        return Err(Error::field("tags", "At most 10 words."));
    }
    if let Some(poll) = &new.poll
        && (poll.options.len() > 10 || poll.options.iter().any(|option| option.len() > 1_000))
    {
        return Err(Error::field("poll", "At most 10 answers."));
    }
    Ok(())
}

impl SqlCommunity {
    pub(super) async fn keep_draft(&self, caller: &Caller, id: Option<DraftId>, new: NewPost) -> Result<Draft> {
        check(&new)?;
        let body = &serde_json::to_string(&new).map_err(kernel::Error::internal)?;
        let (new, now) = (&new, self.host.clock.now());
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                if let Some(group) = new.group {
                    Seat::look(conn, caller, group).await?.member()?;
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
                    if sea_orm::PaginatorTrait::count(own, conn).await? >= MOST_DRAFTS {
                        return Err(Error::field("content", format!("You have {MOST_DRAFTS} drafts already.")));
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

    /// The same, locked: nobody changes it while it is posted.
    pub(super) async fn lock_draft(&self, conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<Draft> {
        let own = draft::Entity::find_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user)).lock_exclusive();
        own.into_partial_model::<DraftRow>().one(conn).await?.ok_or(Error::NotFound("draft"))?.try_into()
    }

    pub(super) async fn list_drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>> {
        let own = draft::Entity::find().filter(draft::COLUMN.author_id.eq(caller.user));
        let ordering = Ordering { fields: &[("id", draft::Column::Id)], usual: "-id", id: draft::Column::Id };
        let (rows, page) = Page::<DraftRow>::fetch(own, &ordering, &page, self.db.conn()).await?.take();
        let drafts = rows.into_iter().map(Draft::try_from).collect::<Result<Vec<_>>>()?;
        Ok(page.with(|_| drafts))
    }

    /// Takes a draft away; 404 where there is none.
    pub(super) async fn forget_draft(&self, conn: &impl ConnectionTrait, caller: &Caller, id: DraftId) -> Result<()> {
        let own = draft::Entity::delete_by_id(id).filter(draft::COLUMN.author_id.eq(caller.user));
        if own.exec(conn).await?.rows_affected == 0 { Err(Error::NotFound("draft")) } else { Ok(()) }
    }

    pub(super) async fn drop_draft(&self, caller: &Caller, id: DraftId) -> Result<()> {
        self.db.write(|tx| async move { self.forget_draft(tx.conn(), caller, id).await }).await
    }
}

//! Posts as the viewer sees them.

use std::collections::HashMap;

use guildhall_kernel::{
    Keyed, Ordering, Page, PageQuery, Timestamp, UserId,
    db::{self, Pipeline, QueryTemplate},
};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, PartialModelTrait, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};

use super::{SqlPosts, polls::polls_of, score::reaction_counts};
use crate::{
    core::scope::{Viewer, ViewerKind, visible_posts},
    entity::{
        attachment, bookmark, link_preview, mention,
        post::{self, PostCategory, Visibility},
        post_tag, reaction,
    },
    error::{Error, Result},
    id::{GroupId, PostId},
    posts::{Attachment, LinkPreview, Poll, Post},
};

/// The columns of [`Post`], and the viewer's reaction and bookmark.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct PostRow {
    pub(crate) id: PostId,
    pub(crate) group_id: Option<GroupId>,
    pub(crate) author_id: Option<UserId>,
    pub(crate) title: String,
    pub(crate) content: String,
    pub(crate) content_html: String,
    pub(crate) visibility: Visibility,
    pub(crate) category: PostCategory,
    pub(crate) is_approved: bool,
    pub(crate) is_pinned: bool,
    pub(crate) is_featured: bool,
    pub(crate) is_locked: bool,
    pub(crate) has_extras: bool,
    pub(crate) comment_count: i64,
    pub(crate) reactions: String,
    pub(crate) hot: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) my_reaction: Option<String>,
    pub(crate) bookmark_id: Option<i64>,
}

impl Keyed for PostRow {
    fn key(&self) -> i64 {
        self.id.0
    }
}

impl PostRow {
    /// A post that was just stored, without reactions and bookmarks.
    pub(super) fn new(row: post::Model) -> Self {
        Self {
            id: row.id,
            group_id: row.group_id,
            author_id: row.author_id,
            title: row.title,
            content: row.content,
            content_html: row.content_html,
            visibility: row.visibility,
            category: row.category,
            is_approved: row.is_approved,
            is_pinned: row.is_pinned,
            is_featured: row.is_featured,
            is_locked: row.is_locked,
            has_extras: row.has_extras,
            comment_count: row.comment_count,
            reactions: row.reactions,
            hot: row.hot,
            created_at: row.created_at,
            updated_at: row.updated_at,
            my_reaction: None,
            bookmark_id: None,
        }
    }
}

impl PartialModelTrait for PostRow {
    fn select_cols_nested<S: QuerySelect>(select: S, _: Option<&str>, _: Option<&'static str>) -> S {
        // All columns but the search text, which is only used in conditions.
        let columns = post::Column::iter().filter(|column| !matches!(column, post::Column::SearchText));
        columns.fold(select, |select, column| select.column_as(column.into_expr(), column.as_str()))
    }
}

/// Adds the viewer's reaction and bookmark to each post.
pub(crate) fn with_viewer_columns(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
    let id = || Expr::col((post::Entity, post::Column::Id));
    let own_reaction = reaction::Entity::find()
        .select_only()
        .column(reaction::Column::Kind)
        .filter(Expr::col((reaction::Entity, reaction::Column::PostId)).eq(id()))
        .filter(reaction::COLUMN.user_id.eq(viewer.id()))
        .into_query();
    let own_bookmark = bookmark::Entity::find()
        .select_only()
        .column(bookmark::Column::Id)
        .filter(Expr::col((bookmark::Entity, bookmark::Column::PostId)).eq(id()))
        .filter(bookmark::COLUMN.user_id.eq(viewer.id()))
        .into_query();
    posts.expr_as(Expr::from(own_reaction), "my_reaction").expr_as(Expr::from(own_bookmark), "bookmark_id")
}

/// The columns of [`PostRow`], with the viewer's reaction and bookmark.
pub(crate) fn rows_of(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
    with_viewer_columns(PostRow::select_cols(posts.select_only()), viewer)
}

static POSTS: QueryTemplate<ViewerKind> = QueryTemplate::new(|kind, ids| {
    let (viewer, posts) = kind.split(ids);
    let posts = visible_posts(viewer).filter(post::COLUMN.id.is_in(posts.iter().copied().map(PostId)));
    rows_of(posts, viewer).into_query()
});

static TAGS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    post_tag::Entity::find()
        .filter(post_tag::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .order_by_asc(post_tag::Column::Position)
        .into_query()
});

static ATTACHMENTS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    attachment::Entity::find()
        .filter(attachment::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .order_by_asc(attachment::Column::Id)
        .into_query()
});

static LINK_PREVIEWS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    link_preview::Entity::find()
        .filter(link_preview::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .filter(link_preview::COLUMN.title.is_not_null())
        .order_by_asc(link_preview::Column::Position)
        .into_query()
});

static MENTIONS: QueryTemplate<()> = QueryTemplate::new(|(), posts| {
    mention::Entity::find()
        .filter(mention::COLUMN.post_id.is_in(posts.iter().copied().map(PostId)))
        .filter(mention::COLUMN.comment_id.is_null())
        .order_by_asc(mention::Column::Id)
        .into_query()
});

/// Tags, attachments and other parts of a post that are stored in their own tables.
#[derive(Debug, Default)]
struct Extras {
    tags: Vec<String>,
    attachments: Vec<Attachment>,
    link_previews: Vec<LinkPreview>,
    mentions: Vec<UserId>,
    poll: Option<Poll>,
}

impl SqlPosts {
    pub(crate) async fn page_of_posts(
        &self,
        posts: Select<post::Entity>,
        ordering: &Ordering<'_, post::Column>,
        page: &PageQuery,
        viewer: Viewer,
    ) -> Result<Page<Post>> {
        let viewer_columns = |rows| with_viewer_columns(rows, viewer);
        let (rows, page) =
            Page::<PostRow>::fetch_with(posts, viewer_columns, ordering, page, self.core.db.conn()).await?.split();
        let posts = self.show_posts(&self.core.pipeline(), rows, viewer).await?;
        Ok(page.with_results(|_| posts))
    }

    /// The posts with these ids that the viewer may read, in this order.
    pub(crate) async fn posts_in_order(&self, viewer: Viewer, ids: &[PostId]) -> Result<Vec<Post>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let bound = viewer.with_ids(&db::pad_ids(ids.iter().map(|id| id.0)));
        let rows = POSTS.rows::<PostRow>(self.core.db.conn(), &viewer.kind(), &bound).await?;
        let posts = self.show_posts(&self.core.pipeline(), rows, viewer).await?;
        let mut posts: HashMap<PostId, Post> = posts.into_iter().map(|post| (post.id, post)).collect();
        Ok(ids.iter().filter_map(|id| posts.remove(id)).collect())
    }

    /// The posts as the viewer sees them. The number of queries does not depend on the number of posts.
    pub(crate) async fn show_posts(
        &self,
        conn: &Pipeline<'_>,
        rows: Vec<PostRow>,
        viewer: Viewer,
    ) -> Result<Vec<Post>> {
        let with_extras: Vec<PostId> = rows.iter().filter(|row| row.has_extras).map(|row| row.id).collect();
        let mut extras =
            if with_extras.is_empty() { HashMap::new() } else { self.extras(conn, &with_extras, viewer).await? };
        let authors = rows.iter().filter_map(|row| row.author_id);
        let mentioned = extras.values().flat_map(|extras: &Extras| extras.mentions.iter().copied());
        let people = self.core.people(authors.chain(mentioned)).await?;
        let show = |row: PostRow| {
            let extras = extras.remove(&row.id).unwrap_or_default();
            let person = |id: &UserId| people.get(id).cloned();
            Post {
                id: row.id,
                group: row.group_id,
                author: row.author_id.as_ref().and_then(person),
                title: row.title,
                content: row.content,
                content_html: row.content_html,
                visibility: row.visibility,
                category: row.category,
                tags: extras.tags,
                attachments: extras.attachments,
                link_previews: extras.link_previews,
                mentions: extras.mentions.iter().filter_map(person).collect(),
                poll: extras.poll,
                reactions: reaction_counts(&row.reactions),
                my_reaction: row.my_reaction,
                comment_count: row.comment_count,
                is_bookmarked: row.bookmark_id.is_some(),
                is_pinned: row.is_pinned,
                is_featured: row.is_featured,
                is_locked: row.is_locked,
                is_approved: row.is_approved,
                created_at: row.created_at,
                updated_at: row.updated_at,
            }
        };
        Ok(rows.into_iter().map(show).collect())
    }

    async fn extras(&self, conn: &Pipeline<'_>, ids: &[PostId], viewer: Viewer) -> Result<HashMap<PostId, Extras>> {
        let posts = db::pad_ids(ids.iter().map(|id| id.0));
        let rows = async {
            Ok(tokio::try_join!(
                TAGS.rows::<post_tag::Model>(conn, &(), &posts),
                ATTACHMENTS.rows::<attachment::Model>(conn, &(), &posts),
                LINK_PREVIEWS.rows::<link_preview::Model>(conn, &(), &posts),
                MENTIONS.rows::<mention::Model>(conn, &(), &posts),
            )?)
        };
        let ((tags, attachments, previews, mentions), polls) = tokio::try_join!(rows, polls_of(conn, ids, viewer))?;
        let mut all: HashMap<PostId, Extras> = HashMap::new();
        for tag in tags {
            all.entry(tag.post_id).or_default().tags.push(tag.tag);
        }
        for row in attachments {
            all.entry(row.post_id).or_default().attachments.push(self.show_attachment(row, viewer));
        }
        for row in previews {
            let preview = LinkPreview {
                url: row.url,
                title: row.title.unwrap_or_default(),
                description: row.description.unwrap_or_default(),
                site: row.site.unwrap_or_default(),
            };
            all.entry(row.post_id).or_default().link_previews.push(preview);
        }
        for row in mentions {
            all.entry(row.post_id).or_default().mentions.push(row.user_id);
        }
        for (post, poll) in polls {
            all.entry(post).or_default().poll = Some(poll);
        }
        Ok(all)
    }

    /// A post as the viewer sees it.
    pub(super) async fn find_post(&self, viewer: Viewer, id: PostId) -> Result<Post> {
        self.posts_in_order(viewer, &[id]).await?.pop().ok_or(Error::PostNotFound(id))
    }
}

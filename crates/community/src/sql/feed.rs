//! Feeds: selection, order and presentation of posts.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Ordering, Page, PageQuery, UserId, Window, text};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, Iterable, JoinType, Order,
    PartialModelTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, ExprTrait, IntoCondition, Query, SelectStatement, UnionType},
};

use super::{
    SqlCommunity,
    scope::{Viewer, all_posts, in_group, joined_by, public_posts, visible, visible_posts},
};
use crate::{
    Attachment, Error, Feed, FeedFilter, FeedType, LinkPreview, Poll, PollOption, Post, PostId, Result,
    entity::{
        attachment, bookmark, follow, link_preview, mention, poll, poll_option, poll_vote, post, post_tag, reaction,
    },
    model::PostRow,
};

impl PartialModelTrait for PostRow {
    fn select_cols_nested<S: QuerySelect>(select: S, _: Option<&str>, _: Option<&'static str>) -> S {
        // All columns but the search text, which is only used in conditions.
        let columns = post::Column::iter().filter(|column| !matches!(column, post::Column::SearchText));
        columns.fold(select, |select, column| select.column_as(column.into_expr(), column.as_str()))
    }
}

/// Adds the viewer's reaction and bookmark to each post.
pub(super) fn with_viewer_columns(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
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
pub(super) fn rows_of(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
    with_viewer_columns(PostRow::select_cols(posts.select_only()), viewer)
}

/// Applies the filters that all kinds of feeds share.
fn apply_filter(mut posts: Select<post::Entity>, filter: &FeedFilter, viewer: Viewer) -> Select<post::Entity> {
    if let Some(group) = filter.group {
        posts = posts.filter(post::COLUMN.group_id.eq(group));
    }
    if let Some(author) = filter.author {
        posts = posts.filter(post::COLUMN.author_id.eq(author));
    }
    if let Some(category) = filter.category {
        posts = posts.filter(post::COLUMN.category.eq(category));
    }
    if let Some(pinned) = filter.pinned {
        posts = posts.filter(post::COLUMN.is_pinned.eq(pinned));
    }
    if let Some(tag) = filter.tag.as_ref().filter(|tag| !tag.is_empty()) {
        let tag = text::fold(tag.trim_start_matches('#'));
        let tagged = post_tag::Entity::find()
            .select_only()
            .column(post_tag::Column::PostId)
            .filter(post_tag::COLUMN.tag.eq(tag))
            .into_query();
        posts = posts.filter(post::Column::Id.in_subquery(tagged));
    }
    if filter.mentioned == Some(true) {
        let mentioning = mention::Entity::find()
            .select_only()
            .column(mention::Column::PostId)
            .filter(mention::COLUMN.user_id.eq(viewer.id()))
            .into_query();
        posts = posts.filter(post::Column::Id.in_subquery(mentioning));
    }
    posts
}

/// The kind of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FeedKind {
    /// All posts that the viewer may read.
    All,
    /// Public posts.
    Public,
    /// Public posts, by score.
    Trending,
    /// Posts in the viewer's groups.
    Joined,
    /// Posts by people whom the viewer follows.
    Followed,
}

impl FeedKind {
    fn from_filter(filter: &FeedFilter) -> Self {
        match filter.feed_type {
            Some(FeedType::Trending) => Self::Trending,
            Some(FeedType::Global) => Self::Public,
            Some(FeedType::Following) => Self::Followed,
            Some(FeedType::JoinedGroups) => Self::Joined,
            None if filter.joined_groups == Some(true) => Self::Joined,
            None => Self::All,
        }
    }
}

/// A part of a feed: the window of the cursor and the number of rows.
#[derive(Clone, Copy, Debug)]
struct FeedRange {
    window: Window,
    rows: u64,
}

impl FeedRange {
    /// The ids of this part of the posts, as a subquery.
    fn ids_of(self, posts: Select<post::Entity>) -> SelectStatement {
        let posts = posts.select_only().column(post::Column::Id);
        self.window.apply(posts, post::Column::Id, self.rows).into_query()
    }
}

/// The union of three queries for ids, each already limited.
fn union_of(sources: [SelectStatement; 3], union_type: UnionType) -> SelectStatement {
    let aliased = |source, name: &str| {
        let name = Alias::new(name);
        Query::select().column((name.clone(), Alias::new("id"))).from_subquery(source, name).take()
    };
    let [first, second, third] = sources;
    aliased(first, "first")
        .union(union_type, aliased(second, "second"))
        .union(union_type, aliased(third, "third"))
        .take()
}

/// The groups or authors whose posts make up a feed.
struct FeedSources {
    /// A subquery for their ids.
    ids: SelectStatement,
    /// The name of its column.
    name: &'static str,
    /// The column of a post that refers to them.
    column: post::Column,
    /// The condition on their posts.
    condition: Condition,
}

impl FeedSources {
    fn groups_of(user: UserId) -> Self {
        let condition = in_group().into_condition();
        Self { ids: joined_by(user), name: "group_id", column: post::Column::GroupId, condition }
    }

    fn followed_by(viewer: Viewer) -> Self {
        let followed = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowedId)
            .filter(follow::COLUMN.follower_id.eq(viewer.id()))
            .into_query();
        Self { ids: followed, name: "followed_id", column: post::Column::AuthorId, condition: visible(viewer) }
    }

    /// All posts of the sources, unordered.
    fn posts(self) -> Select<post::Entity> {
        let Self { ids, column, condition, .. } = self;
        all_posts().filter(condition).filter(column.in_subquery(ids))
    }

    /// The newest posts of the sources, in the form that suits the database. SQLite scans the index once per source.
    /// PostgreSQL would scan the posts from the newest on, until enough match; so the query first finds the sources
    /// with the newest posts, and then their posts.
    fn newest(self, range: FeedRange, backend: DbBackend, filtered: PostFilter<'_>) -> SelectStatement {
        if backend == DbBackend::Sqlite {
            return range.ids_of(filtered(self.posts()));
        }
        let Self { ids: source_ids, name, column, condition } = self;
        let order = if matches!(range.window, Window::After(_)) { Order::Asc } else { Order::Desc };
        let (source, newest, near, each) =
            (Alias::new("anchor"), Alias::new("newest"), Alias::new("near"), Alias::new("each"));
        let id = Alias::new("id");
        let ids_of = |table: &Alias, rows: u64| {
            let of_source = Expr::col((post::Entity, column)).eq(Expr::col((table.clone(), Alias::new(name))));
            FeedRange { rows, ..range }.ids_of(filtered(all_posts().filter(condition.clone()).filter(of_source)))
        };
        let nearest = Query::select()
            .column((source.clone(), Alias::new(name)))
            .from_subquery(source_ids, source.clone())
            .join_lateral(JoinType::InnerJoin, ids_of(&source, 1), newest.clone(), Expr::val(true))
            .order_by((newest, id.clone()), order.clone())
            .limit(range.rows)
            .take();
        Query::select()
            .column((each.clone(), id.clone()))
            .from_subquery(nearest, near.clone())
            .join_lateral(JoinType::InnerJoin, ids_of(&near, range.rows), each.clone(), Expr::val(true))
            .order_by((each, id), order)
            .limit(range.rows)
            .take()
    }
}

/// Applies the filters of a feed to a query.
type PostFilter<'a> = &'a dyn Fn(Select<post::Entity>) -> Select<post::Entity>;

/// A feed: its kind, its filters and its viewer.
struct FeedQuery<'a> {
    kind: FeedKind,
    filter: &'a FeedFilter,
    viewer: Viewer,
    backend: DbBackend,
}

impl FeedQuery<'_> {
    fn filtered(&self, posts: Select<post::Entity>) -> Select<post::Entity> {
        apply_filter(posts, self.filter, self.viewer)
    }

    /// Whether an index leads to the posts directly, so that no sources have to be merged: for a single group, author
    /// or tag, for mentions, and for staff, who read everything.
    fn has_index(&self) -> bool {
        let filter = self.filter;
        let by_index = filter.group.is_some() || filter.author.is_some() || filter.tag.is_some();
        by_index || filter.mentioned == Some(true) || !matches!(self.viewer, Viewer::User(_))
    }

    fn own(&self) -> Select<post::Entity> {
        visible_posts(self.viewer).filter(post::COLUMN.author_id.eq(self.viewer.id()))
    }

    /// The posts of the feed. The viewer's permissions are always applied on top. With a range, only posts in it are
    /// selected.
    fn posts(&self, range: Option<FeedRange>) -> Select<post::Entity> {
        let filtered: PostFilter<'_> = &|posts| self.filtered(posts);
        let found = match (self.kind, range) {
            (FeedKind::Trending | FeedKind::Public, _) => return filtered(public_posts()),
            (FeedKind::All, _) if self.has_index() => return filtered(visible_posts(self.viewer)),
            (FeedKind::All, None) => {
                // Consistent with the merged sources: posts that await approval are in the moderation queue only.
                let own = post::COLUMN.author_id.eq(self.viewer.id());
                let approved = Expr::col((post::Entity, post::Column::IsApproved));
                return filtered(visible_posts(self.viewer)).filter(Condition::any().add(own).add(approved));
            }
            (FeedKind::Joined, None) => filtered(FeedSources::groups_of(self.viewer.id()).posts()),
            (FeedKind::Followed, None) => filtered(FeedSources::followed_by(self.viewer).posts()),
            (FeedKind::Joined, Some(range)) => {
                return self.readable(FeedSources::groups_of(self.viewer.id()).newest(range, self.backend, filtered));
            }
            (FeedKind::Followed, Some(range)) => {
                return self.readable(FeedSources::followed_by(self.viewer).newest(range, self.backend, filtered));
            }
            (FeedKind::All, Some(range)) => {
                let joined = FeedSources::groups_of(self.viewer.id()).newest(range, self.backend, filtered);
                let sources = [range.ids_of(filtered(public_posts())), joined, range.ids_of(filtered(self.own()))];
                return self.readable(union_of(sources, UnionType::All));
            }
        };
        found.filter(visible(self.viewer))
    }

    /// The posts with these ids that the viewer may read.
    fn readable(&self, ids: SelectStatement) -> Select<post::Entity> {
        visible_posts(self.viewer).filter(post::Column::Id.in_subquery(ids))
    }

    /// A query with one row per post of the feed, or at least `limit` rows if there are more.
    fn count_query(&self, limit: Option<u64>) -> SelectStatement {
        let ids = |posts: Select<post::Entity>| {
            let mut ids = self.filtered(posts).select_only().column(post::Column::Id).into_query();
            if let Some(limit) = limit {
                ids.limit(limit);
            }
            ids
        };
        if self.kind != FeedKind::All || self.has_index() {
            return self.posts(None).select_only().column(post::Column::Id).into_query();
        }
        let joined = FeedSources::groups_of(self.viewer.id()).posts();
        union_of([ids(public_posts()), ids(joined), ids(self.own())], UnionType::Distinct)
    }
}

impl SqlCommunity {
    /// The viewer of a feed. If the feed is filtered by group, they must have access to it.
    async fn feed_viewer(&self, caller: Option<Caller>, filter: &FeedFilter) -> Result<Viewer> {
        match filter.group {
            Some(group) => self.find_access(caller, group).await,
            None => self.viewer(caller),
        }
    }

    pub(super) async fn page_of_posts(
        &self,
        posts: Select<post::Entity>,
        ordering: &Ordering<'_, post::Column>,
        page: &PageQuery,
        viewer: Viewer,
    ) -> Result<Page<Post>> {
        let viewer_columns = |rows| with_viewer_columns(rows, viewer);
        let (rows, page) =
            Page::<PostRow>::fetch_with(posts, viewer_columns, ordering, page, self.db.conn()).await?.take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(page.with(|_| posts))
    }

    /// The posts with these ids that the viewer may read, in this order.
    pub(super) async fn posts_in_order(&self, viewer: Viewer, ids: &[PostId]) -> Result<Vec<Post>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = visible_posts(viewer).filter(post::COLUMN.id.is_in(ids.iter().copied()));
        let rows = rows_of(found, viewer).into_model::<PostRow>().all(self.db.conn()).await?;
        let mut posts: HashMap<PostId, Post> =
            self.show_posts(rows, viewer).await?.into_iter().map(|post| (post.id, post)).collect();
        Ok(ids.iter().filter_map(|id| posts.remove(id)).collect())
    }

    /// The posts as the viewer sees them. The number of queries does not depend on the number of posts.
    pub(super) async fn show_posts(&self, rows: Vec<PostRow>, viewer: Viewer) -> Result<Vec<Post>> {
        let with_extras: Vec<PostId> = rows.iter().filter(|row| row.has_extras).map(|row| row.id).collect();
        let mut extras =
            if with_extras.is_empty() { HashMap::new() } else { self.extras(&with_extras, viewer).await? };
        let authors = rows.iter().filter_map(|row| row.author_id);
        let mentioned = extras.values().flat_map(|extras: &Extras| extras.mentions.iter().copied());
        let people = self.people(authors.chain(mentioned)).await?;
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
                reactions: counts(&row.reactions),
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

    async fn extras(&self, ids: &[PostId], viewer: Viewer) -> Result<HashMap<PostId, Extras>> {
        let conn = self.db.conn();
        let mut all: HashMap<PostId, Extras> = HashMap::new();
        let post_ids = ids.iter().copied();
        let tags = post_tag::Entity::find()
            .filter(post_tag::COLUMN.post_id.is_in(post_ids.clone()))
            .order_by_asc(post_tag::Column::Position);
        for tag in tags.all(conn).await? {
            all.entry(tag.post_id).or_default().tags.push(tag.tag);
        }
        let attachments = attachment::Entity::find()
            .filter(attachment::COLUMN.post_id.is_in(post_ids.clone()))
            .order_by_asc(attachment::Column::Id);
        for row in attachments.all(conn).await? {
            all.entry(row.post_id).or_default().attachments.push(self.show_attachment(row, viewer));
        }
        let previews = link_preview::Entity::find()
            .filter(link_preview::COLUMN.post_id.is_in(post_ids.clone()))
            .filter(link_preview::COLUMN.title.is_not_null())
            .order_by_asc(link_preview::Column::Position);
        for row in previews.all(conn).await? {
            let preview = LinkPreview {
                url: row.url,
                title: row.title.unwrap_or_default(),
                description: row.description.unwrap_or_default(),
                site: row.site.unwrap_or_default(),
            };
            all.entry(row.post_id).or_default().link_previews.push(preview);
        }
        let mentions = mention::Entity::find()
            .filter(mention::COLUMN.post_id.is_in(post_ids.clone()))
            .filter(mention::COLUMN.comment_id.is_null())
            .order_by_asc(mention::Column::Id);
        for row in mentions.all(conn).await? {
            all.entry(row.post_id).or_default().mentions.push(row.user_id);
        }
        for (post, poll) in self.polls(conn, ids, viewer).await? {
            all.entry(post).or_default().poll = Some(poll);
        }
        Ok(all)
    }

    /// The polls of these posts, with the viewer's votes.
    pub(super) async fn polls(
        &self,
        conn: &impl ConnectionTrait,
        ids: &[PostId],
        viewer: Viewer,
    ) -> Result<HashMap<PostId, Poll>> {
        let post_ids = ids.iter().copied();
        let polls = poll::Entity::find().filter(poll::COLUMN.post_id.is_in(post_ids.clone())).all(conn).await?;
        if polls.is_empty() {
            return Ok(HashMap::new());
        }
        let empty = |row: poll::Model| {
            let poll = Poll {
                is_multiple: row.is_multiple,
                closes_at: row.closes_at,
                options: Vec::new(),
                my_votes: Vec::new(),
            };
            (row.post_id, poll)
        };
        let mut polls: HashMap<PostId, Poll> = polls.into_iter().map(empty).collect();
        let options = poll_option::Entity::find()
            .filter(poll_option::COLUMN.post_id.is_in(post_ids.clone()))
            .order_by_asc(poll_option::Column::Position);
        for row in options.all(conn).await? {
            if let Some(poll) = polls.get_mut(&row.post_id) {
                poll.options.push(PollOption { position: row.position, text: row.text, votes: row.votes });
            }
        }
        let own_votes = poll_vote::Entity::find()
            .filter(poll_vote::COLUMN.post_id.is_in(post_ids))
            .filter(poll_vote::COLUMN.user_id.eq(viewer.id()))
            .order_by_asc(poll_vote::Column::Position);
        for row in own_votes.all(conn).await? {
            if let Some(poll) = polls.get_mut(&row.post_id) {
                poll.my_votes.push(row.position);
            }
        }
        Ok(polls)
    }

    pub(super) fn show_attachment(&self, row: attachment::Model, viewer: Viewer) -> Attachment {
        let signed = |variant| self.host.files.url(row.file_id, variant, &row.name, Some(viewer.id()));
        Attachment {
            id: row.id,
            url: signed(row.is_picture.then_some("large")),
            preview_url: row.is_picture.then(|| signed(Some("small"))),
            content_type: row.content_type,
            size: row.size,
            name: row.name,
        }
    }

    /// A post as the viewer sees it.
    pub(super) async fn find_post(&self, viewer: Viewer, id: PostId) -> Result<Post> {
        self.posts_in_order(viewer, &[id]).await?.pop().ok_or(Error::PostNotFound(id))
    }
}

/// Tags, attachments and other parts of a post that are stored in their own tables.
#[derive(Debug, Default)]
struct Extras {
    tags: Vec<String>,
    attachments: Vec<Attachment>,
    link_previews: Vec<LinkPreview>,
    mentions: Vec<UserId>,
    poll: Option<Poll>,
}

/// Parses the reaction counts as stored in a post's row.
pub(super) fn counts(stored: &str) -> BTreeMap<String, i64> {
    serde_json::from_str(stored).unwrap_or_default()
}

#[async_trait]
impl Feed for SqlCommunity {
    async fn feed(&self, viewer: Option<Caller>, filter: FeedFilter, cursor: CursorQuery) -> Result<CursorPage<Post>> {
        let caller = viewer;
        let viewer = self.feed_viewer(caller, &filter).await?;
        let feed =
            FeedQuery { kind: FeedKind::from_filter(&filter), filter: &filter, viewer, backend: self.db.backend() };
        let trending = feed.kind == FeedKind::Trending;
        let range = FeedRange { window: cursor.window(), rows: cursor.rows() };
        let order_column = if trending { post::Column::Hot } else { post::Column::Id };
        let posts = cursor.apply(feed.posts(Some(range)), order_column);
        let rows = rows_of(posts, viewer).into_model::<PostRow>().all(self.db.conn()).await?;
        let key = |row: &PostRow| if trending { row.hot } else { row.id.0 };
        let (rows, page) = CursorPage::from_rows(rows, key, &cursor).take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(page.with(posts))
    }

    async fn feed_page(&self, viewer: Option<Caller>, filter: FeedFilter, page: PageQuery) -> Result<Page<Post>> {
        let caller = viewer;
        let viewer = self.feed_viewer(caller, &filter).await?;
        let feed =
            FeedQuery { kind: FeedKind::from_filter(&filter), filter: &filter, viewer, backend: self.db.backend() };
        let default = if feed.kind == FeedKind::Trending { "-hot" } else { "-id" };
        // In the default order the newest posts of each source suffice; any other order needs all posts.
        let limit = page.reach().filter(|_| page.is_default(default));
        let posts = feed.posts(limit.map(|rows| FeedRange { window: Window::Newest, rows }));
        let count_query = feed.count_query(page.counted());
        let fields = [("id", post::Column::Id), ("created_at", post::Column::Id), ("hot", post::Column::Hot)];
        let ordering = Ordering { fields: &fields, default, id: post::Column::Id };
        let viewer_columns = |rows| with_viewer_columns(rows, viewer);
        let conn = self.db.conn();
        let found = Page::<PostRow>::fetch_counting(posts, count_query, viewer_columns, &ordering, &page, conn);
        let (rows, page) = found.await?.take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(page.with(|_| posts))
    }
}

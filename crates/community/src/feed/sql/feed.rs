//! Feeds: selection and order of posts.

use async_trait::async_trait;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Ordering, Page, PageQuery, Window, db::QueryTemplate, text};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
    sea_query::{Alias, Expr, Query, SelectStatement, UnionType},
};

use super::{
    SqlFeed,
    sources::{FeedRange, FeedSources, PostFilter},
};
use crate::{
    core::scope::{Viewer, ViewerKind, public_posts, visible, visible_posts},
    entity::{mention, post, post_tag},
    error::Result,
    feed::{Feed, FeedFilter, FeedType},
    id::GroupId,
    posts::{
        Post,
        sql::show::{PostRow, rows_of, with_viewer_columns},
    },
};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FeedKind {
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

impl FeedKind {
    /// The column by which the feed is sorted, in descending order.
    fn order_column(self) -> post::Column {
        if self == Self::Trending { post::Column::Hot } else { post::Column::Id }
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

/// A feed: its kind, its filters and its viewer.
struct FeedQuery<'a> {
    kind: FeedKind,
    filter: &'a FeedFilter,
    viewer: Viewer,
}

impl<'a> FeedQuery<'a> {
    fn new(filter: &'a FeedFilter, viewer: Viewer) -> Self {
        Self { kind: FeedKind::from_filter(filter), filter, viewer }
    }

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
                return self.readable(FeedSources::groups_of(self.viewer.id()).newest(range, filtered));
            }
            (FeedKind::Followed, Some(range)) => {
                return self.readable(FeedSources::followed_by(self.viewer).newest(range, filtered));
            }
            (FeedKind::All, Some(range)) => {
                let joined = FeedSources::groups_of(self.viewer.id()).newest(range, filtered);
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

    /// One page of the feed.
    fn page(&self, range: FeedRange) -> Select<post::Entity> {
        let posts = range.window.apply(self.posts(Some(range)), self.kind.order_column(), range.rows);
        rows_of(posts, self.viewer)
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

/// What the text of the query for a page depends on, if the feed has no filter but the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PageKey {
    kind: FeedKind,
    viewer: ViewerKind,
    has_group: bool,
    window: WindowKind,
    by_lateral_join: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WindowKind {
    Newest,
    Before,
    After,
}

impl PageKey {
    /// The key of a page, and the ids: of the viewer and the group if there are any, the number of rows, and the end of
    /// the window.
    fn of(feed: &FeedQuery<'_>, range: FeedRange) -> Option<(Self, Vec<i64>)> {
        let FeedFilter { feed_type: _, joined_groups: _, group, author, tag, category, mentioned, pinned } =
            feed.filter;
        if author.is_some() || tag.is_some() || category.is_some() || mentioned.is_some() || pinned.is_some() {
            return None;
        }
        let (window, end) = match range.window {
            Window::Newest => (WindowKind::Newest, None),
            Window::Before(end) => (WindowKind::Before, Some(end)),
            Window::After(end) => (WindowKind::After, Some(end)),
        };
        let (has_group, by_lateral_join) = (group.is_some(), range.by_lateral_join);
        let key = Self { kind: feed.kind, viewer: feed.viewer.kind(), has_group, window, by_lateral_join };
        let mut ids: Vec<i64> = group.iter().map(|group| group.0).collect();
        ids.push(i64::try_from(range.rows).ok()?);
        ids.extend(end);
        Some((key, feed.viewer.with_ids(&ids)))
    }
}

static PAGE: QueryTemplate<PageKey> = QueryTemplate::new(|key, ids| {
    let (viewer, ids) = key.viewer.split(ids);
    let (group, ids) = match ids {
        [group, ids @ ..] if key.has_group => (Some(GroupId(*group)), ids),
        _ => (None, ids),
    };
    let (rows, window) = match (key.window, ids) {
        (WindowKind::Newest, [rows]) => (rows, Window::Newest),
        (WindowKind::Before, [rows, end]) => (rows, Window::Before(*end)),
        (WindowKind::After, [rows, end]) => (rows, Window::After(*end)),
        _ => return SelectStatement::new(),
    };
    let filter = FeedFilter { group, ..FeedFilter::default() };
    let feed = FeedQuery { kind: key.kind, filter: &filter, viewer };
    let range = FeedRange { window, rows: rows.unsigned_abs(), by_lateral_join: key.by_lateral_join };
    feed.page(range).into_query()
});

impl SqlFeed {
    /// The viewer of a feed. If the feed is filtered by group, they must have access to it.
    async fn feed_viewer(&self, caller: Option<Caller>, filter: &FeedFilter) -> Result<Viewer> {
        match filter.group {
            Some(group) => self.core.find_access(caller, group).await,
            None => self.core.viewer(caller),
        }
    }
}

#[async_trait]
impl Feed for SqlFeed {
    async fn feed(&self, viewer: Option<Caller>, filter: FeedFilter, cursor: CursorQuery) -> Result<CursorPage<Post>> {
        let viewer = self.feed_viewer(viewer, &filter).await?;
        let feed = FeedQuery::new(&filter, viewer);
        let trending = feed.kind == FeedKind::Trending;
        let range = FeedRange::new(cursor.window(), cursor.rows(), &self.core.db);
        let conn = self.core.db.conn();
        let rows = match PageKey::of(&feed, range) {
            Some((key, ids)) => PAGE.rows(conn, &key, &ids).await?,
            None => feed.page(range).into_model::<PostRow>().all(conn).await?,
        };
        let key = |row: &PostRow| if trending { row.hot } else { row.id.0 };
        let (rows, page) = CursorPage::from_rows(rows, key, &cursor).split();
        let posts = self.posts.show_posts(&self.core.pipeline(), rows, viewer).await?;
        Ok(page.with_results(posts))
    }

    async fn feed_page(&self, viewer: Option<Caller>, filter: FeedFilter, page: PageQuery) -> Result<Page<Post>> {
        let viewer = self.feed_viewer(viewer, &filter).await?;
        let feed = FeedQuery::new(&filter, viewer);
        let default = if feed.kind == FeedKind::Trending { "-hot" } else { "-id" };
        // In the default order the newest posts of each source suffice; any other order needs all posts.
        let limit = page.reach().filter(|_| page.is_default(default));
        let posts = feed.posts(limit.map(|rows| FeedRange::new(Window::Newest, rows, &self.core.db)));
        let count_query = feed.count_query(page.counted());
        let fields = [("id", post::Column::Id), ("created_at", post::Column::Id), ("hot", post::Column::Hot)];
        let ordering = Ordering { fields: &fields, default, id: post::Column::Id };
        let viewer_columns = |rows| with_viewer_columns(rows, viewer);
        let conn = self.core.db.conn();
        let found = Page::<PostRow>::fetch_counting(posts, count_query, viewer_columns, &ordering, &page, conn);
        let (rows, page) = found.await?.split();
        let posts = self.posts.show_posts(&self.core.pipeline(), rows, viewer).await?;
        Ok(page.with_results(|_| posts))
    }
}

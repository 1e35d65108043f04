//! Feeds: which posts, in which order, and how they are shown.

use std::collections::{BTreeMap, HashMap};

use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Slice, SliceQuery, UserId, Window, text};
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
    Attachment, Error, FeedFilter, FeedType, LinkPreview, Poll, PollOption, Post, PostId, Result,
    entity::{
        attachment, bookmark, follow, link_preview, mention, poll, poll_option, poll_vote, post, post_tag, reaction,
    },
    model::PostRow,
};

impl PartialModelTrait for PostRow {
    fn select_cols_nested<S: QuerySelect>(select: S, _: Option<&str>, _: Option<&'static str>) -> S {
        // All but what only a search reads.
        let columns = post::Column::iter().filter(|column| !matches!(column, post::Column::SearchText));
        columns.fold(select, |select, column| select.column_as(column.into_expr(), column.as_str()))
    }
}

/// Adds what the viewer has to do with each post.
pub(super) fn with_own_marks(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
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

/// The rows of posts, with what the viewer has to do with each.
pub(super) fn rows_of(posts: Select<post::Entity>, viewer: Viewer) -> Select<post::Entity> {
    with_own_marks(PostRow::select_cols(posts.select_only()), viewer)
}

/// What narrows a feed, whatever its source.
fn narrowed(mut posts: Select<post::Entity>, filter: &FeedFilter, viewer: Viewer) -> Select<post::Entity> {
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
        let naming = mention::Entity::find()
            .select_only()
            .column(mention::Column::PostId)
            .filter(mention::COLUMN.user_id.eq(viewer.id()))
            .into_query();
        posts = posts.filter(post::Column::Id.in_subquery(naming));
    }
    posts
}

/// Where a feed comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// All that the viewer may read.
    All,
    /// What everybody may read.
    Public,
    /// The same, by what people make of it.
    Trending,
    /// What is in the viewer's groups.
    Joined,
    /// What those wrote whom the viewer follows.
    Followed,
}

impl Source {
    fn of(filter: &FeedFilter) -> Self {
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

/// Which part of a feed is looked at: so many rows from a place on.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    window: Window,
    rows: u64,
}

impl Stretch {
    /// The part of some posts, by their ids, as a subquery.
    fn of(self, posts: Select<post::Entity>) -> SelectStatement {
        let posts = posts.select_only().column(post::Column::Id);
        self.window.cut(posts, post::Column::Id, self.rows).into_query()
    }
}

/// The posts of three sources, each cut already.
fn any_of(sources: [SelectStatement; 3], how: UnionType) -> SelectStatement {
    let named = |source, name: &str| {
        let name = Alias::new(name);
        Query::select().column((name.clone(), Alias::new("id"))).from_subquery(source, name).take()
    };
    let [first, second, third] = sources;
    named(first, "first").union(how, named(second, "second")).union(how, named(third, "third")).take()
}

/// What a feed is gathered from: groups, or people.
struct Anchors {
    /// Their ids.
    ids: SelectStatement,
    /// The column of that subquery.
    name: &'static str,
    /// The column of a post that names one.
    column: post::Column,
    /// What is read of each.
    which: Condition,
}

impl Anchors {
    fn groups_of(user: UserId) -> Self {
        let which = in_group().into_condition();
        Self { ids: joined_by(user), name: "group_id", column: post::Column::GroupId, which }
    }

    fn followed_by(viewer: Viewer) -> Self {
        let followed = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowedId)
            .filter(follow::COLUMN.follower_id.eq(viewer.id()))
            .into_query();
        Self { ids: followed, name: "followed_id", column: post::Column::AuthorId, which: visible(viewer) }
    }

    /// All posts of the anchors, in no order.
    fn posts(self) -> Select<post::Entity> {
        let Self { ids, column, which, .. } = self;
        all_posts().filter(which).filter(column.in_subquery(ids))
    }

    /// The newest posts of the anchors, in the way that suits the database: SQLite goes through the anchors' part
    /// of the index; PostgreSQL, which would rather read the posts from the newest on and look for one that
    /// fits, first finds the anchors with the newest posts, and then their posts.
    fn newest(self, part: Stretch, backend: DbBackend, narrow: Narrow<'_>) -> SelectStatement {
        if backend == DbBackend::Sqlite {
            return part.of(narrow(self.posts()));
        }
        let Self { ids: anchor_ids, name, column, which } = self;
        let order = if matches!(part.window, Window::After(_)) { Order::Asc } else { Order::Desc };
        let (anchor, newest, near, each) =
            (Alias::new("anchor"), Alias::new("newest"), Alias::new("near"), Alias::new("each"));
        let id = Alias::new("id");
        let of = |table: &Alias, rows: u64| {
            let here = Expr::col((post::Entity, column)).eq(Expr::col((table.clone(), Alias::new(name))));
            Stretch { rows, ..part }.of(narrow(all_posts().filter(which.clone()).filter(here)))
        };
        let nearest = Query::select()
            .column((anchor.clone(), Alias::new(name)))
            .from_subquery(anchor_ids, anchor.clone())
            .join_lateral(JoinType::InnerJoin, of(&anchor, 1), newest.clone(), Expr::val(true))
            .order_by((newest, id.clone()), order.clone())
            .limit(part.rows)
            .take();
        Query::select()
            .column((each.clone(), id.clone()))
            .from_subquery(nearest, near.clone())
            .join_lateral(JoinType::InnerJoin, of(&near, part.rows), each.clone(), Expr::val(true))
            .order_by((each, id), order)
            .limit(part.rows)
            .take()
    }
}

/// Narrows posts, whatever their source.
type Narrow<'a> = &'a dyn Fn(Select<post::Entity>) -> Select<post::Entity>;

/// A feed: a source, and what narrows it.
struct Feed<'a> {
    source: Source,
    filter: &'a FeedFilter,
    viewer: Viewer,
    backend: DbBackend,
}

impl Feed<'_> {
    fn narrow(&self, posts: Select<post::Entity>) -> Select<post::Entity> {
        narrowed(posts, self.filter, self.viewer)
    }

    /// Is there an index that leads to these posts, so that no source has to be gathered? One group, one author
    /// or one tag has one; and staff reads everything.
    fn is_direct(&self) -> bool {
        let filter = self.filter;
        let by_index = filter.group.is_some() || filter.author.is_some() || filter.tag.is_some();
        by_index || filter.mentioned == Some(true) || !matches!(self.viewer, Viewer::Person(_))
    }

    fn own(&self) -> Select<post::Entity> {
        visible_posts(self.viewer).filter(post::COLUMN.author_id.eq(self.viewer.id()))
    }

    /// The posts of the feed, every one through the scope, whatever the source has found. Where a part is named,
    /// only it is looked for.
    fn posts(&self, part: Option<Stretch>) -> Select<post::Entity> {
        let narrow: Narrow<'_> = &|posts| self.narrow(posts);
        let found = match (self.source, part) {
            (Source::Trending | Source::Public, _) => return narrow(public_posts()),
            (Source::All, _) if self.is_direct() => return narrow(visible_posts(self.viewer)),
            (Source::All, None) => {
                // As the sources have it: what waits to be let through is in the queue.
                let own = post::COLUMN.author_id.eq(self.viewer.id());
                let approved = Expr::col((post::Entity, post::Column::IsApproved));
                return narrow(visible_posts(self.viewer)).filter(Condition::any().add(own).add(approved));
            }
            (Source::Joined, None) => narrow(Anchors::groups_of(self.viewer.id()).posts()),
            (Source::Followed, None) => narrow(Anchors::followed_by(self.viewer).posts()),
            (Source::Joined, Some(part)) => {
                return self.through(Anchors::groups_of(self.viewer.id()).newest(part, self.backend, narrow));
            }
            (Source::Followed, Some(part)) => {
                return self.through(Anchors::followed_by(self.viewer).newest(part, self.backend, narrow));
            }
            (Source::All, Some(part)) => {
                let joined = Anchors::groups_of(self.viewer.id()).newest(part, self.backend, narrow);
                let sources = [part.of(narrow(public_posts())), joined, part.of(narrow(self.own()))];
                return self.through(any_of(sources, UnionType::All));
            }
        };
        found.filter(visible(self.viewer))
    }

    /// These posts, as far as the viewer may read them.
    fn through(&self, ids: SelectStatement) -> Select<post::Entity> {
        visible_posts(self.viewer).filter(post::Column::Id.in_subquery(ids))
    }

    /// As many rows as the feed has, or `most` where it has more.
    fn counted(&self, most: Option<u64>) -> SelectStatement {
        let ids = |posts: Select<post::Entity>| {
            let mut ids = self.narrow(posts).select_only().column(post::Column::Id).into_query();
            if let Some(most) = most {
                ids.limit(most);
            }
            ids
        };
        if self.source != Source::All || self.is_direct() {
            return self.posts(None).select_only().column(post::Column::Id).into_query();
        }
        let joined = Anchors::groups_of(self.viewer.id()).posts();
        any_of([ids(public_posts()), ids(joined), ids(self.own())], UnionType::Distinct)
    }
}

impl SqlCommunity {
    /// Who reads a feed. A group that is named has to be one that they may look into.
    async fn reader(&self, caller: Option<Caller>, filter: &FeedFilter) -> Result<Viewer> {
        match filter.group {
            Some(group) => self.look_into(caller, group).await,
            None => self.viewer(caller),
        }
    }

    pub(super) async fn read_feed(
        &self,
        caller: Option<Caller>,
        filter: FeedFilter,
        slice: SliceQuery,
    ) -> Result<Slice<Post>> {
        let viewer = self.reader(caller, &filter).await?;
        let feed = Feed { source: Source::of(&filter), filter: &filter, viewer, backend: self.db.backend() };
        let hottest = feed.source == Source::Trending;
        let part = Stretch { window: slice.window(), rows: slice.rows() };
        let by = if hottest { post::Column::Hot } else { post::Column::Id };
        let posts = slice.cut(feed.posts(Some(part)), by);
        let rows = rows_of(posts, viewer).into_model::<PostRow>().all(self.db.conn()).await?;
        let key = |row: &PostRow| if hottest { row.hot } else { row.id.0 };
        let (rows, slice) = Slice::of(rows, key, &slice).take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(slice.with(posts))
    }

    pub(super) async fn read_feed_page(
        &self,
        caller: Option<Caller>,
        filter: FeedFilter,
        page: PageQuery,
    ) -> Result<Page<Post>> {
        let viewer = self.reader(caller, &filter).await?;
        let feed = Feed { source: Source::of(&filter), filter: &filter, viewer, backend: self.db.backend() };
        let usual = if feed.source == Source::Trending { "-hot" } else { "-id" };
        // In the usual order the sources tell their newest; in any other all of them have to be known.
        let reach = page.reach().filter(|_| page.is_usual(usual));
        let posts = feed.posts(reach.map(|rows| Stretch { window: Window::Newest, rows }));
        let counted = feed.counted(page.counted());
        let fields = [("id", post::Column::Id), ("created_at", post::Column::Id), ("hot", post::Column::Hot)];
        let ordering = Ordering { fields: &fields, usual, id: post::Column::Id };
        let own_marks = |rows| with_own_marks(rows, viewer);
        let conn = self.db.conn();
        let found = Page::<PostRow>::fetch_counting(posts, counted, own_marks, &ordering, &page, conn);
        let (rows, page) = found.await?.take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(page.with(|_| posts))
    }

    pub(super) async fn page_of_posts(
        &self,
        posts: Select<post::Entity>,
        ordering: &Ordering<'_, post::Column>,
        page: &PageQuery,
        viewer: Viewer,
    ) -> Result<Page<Post>> {
        let own_marks = |rows| with_own_marks(rows, viewer);
        let (rows, page) = Page::<PostRow>::fetch_with(posts, own_marks, ordering, page, self.db.conn()).await?.take();
        let posts = self.show_posts(rows, viewer).await?;
        Ok(page.with(|_| posts))
    }

    /// The kept posts that the viewer may still read, the last kept first.
    pub(super) async fn read_bookmarks(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<Post>> {
        let viewer = Viewer::from(caller);
        let of_bookmark =
            Expr::col((post::Entity, post::Column::Id)).eq(Expr::col((bookmark::Entity, bookmark::Column::PostId)));
        let readable = visible_posts(viewer).select_only().expr(Expr::val(1)).filter(of_bookmark).into_query();
        let kept =
            bookmark::Entity::find().filter(bookmark::COLUMN.user_id.eq(caller.user)).filter(Expr::exists(readable));
        let kept = slice.cut(kept, bookmark::Column::Id).all(self.db.conn()).await?;
        let (kept, slice) = Slice::of(kept, |kept: &bookmark::Model| kept.id, &slice).take();
        let ids: Vec<PostId> = kept.iter().map(|kept| kept.post_id).collect();
        let posts = self.posts_in_order(viewer, &ids).await?;
        Ok(slice.with(posts))
    }

    /// These posts, as far as the viewer may read them, in this order.
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

    /// The posts as the viewer sees them, in one statement of the directory's, and a few more for those
    /// that have more to them than text, however many they are.
    pub(super) async fn show_posts(&self, rows: Vec<PostRow>, viewer: Viewer) -> Result<Vec<Post>> {
        let rich: Vec<PostId> = rows.iter().filter(|row| row.has_extras).map(|row| row.id).collect();
        let mut extras = if rich.is_empty() { HashMap::new() } else { self.extras(&rich, viewer).await? };
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
        let these = ids.iter().copied();
        let tags = post_tag::Entity::find()
            .filter(post_tag::COLUMN.post_id.is_in(these.clone()))
            .order_by_asc(post_tag::Column::Position);
        for tag in tags.all(conn).await? {
            all.entry(tag.post_id).or_default().tags.push(tag.tag);
        }
        let attachments = attachment::Entity::find()
            .filter(attachment::COLUMN.post_id.is_in(these.clone()))
            .order_by_asc(attachment::Column::Id);
        for row in attachments.all(conn).await? {
            all.entry(row.post_id).or_default().attachments.push(self.show_attachment(row, viewer));
        }
        let previews = link_preview::Entity::find()
            .filter(link_preview::COLUMN.post_id.is_in(these.clone()))
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
            .filter(mention::COLUMN.post_id.is_in(these.clone()))
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

    /// The polls of these posts, with what the viewer has chosen.
    pub(super) async fn polls(
        &self,
        conn: &impl ConnectionTrait,
        ids: &[PostId],
        viewer: Viewer,
    ) -> Result<HashMap<PostId, Poll>> {
        let these = ids.iter().copied();
        let polls = poll::Entity::find().filter(poll::COLUMN.post_id.is_in(these.clone())).all(conn).await?;
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
            .filter(poll_option::COLUMN.post_id.is_in(these.clone()))
            .order_by_asc(poll_option::Column::Position);
        for row in options.all(conn).await? {
            if let Some(poll) = polls.get_mut(&row.post_id) {
                poll.options.push(PollOption { position: row.position, text: row.text, votes: row.votes });
            }
        }
        let own = poll_vote::Entity::find()
            .filter(poll_vote::COLUMN.post_id.is_in(these))
            .filter(poll_vote::COLUMN.user_id.eq(viewer.id()))
            .order_by_asc(poll_vote::Column::Position);
        for row in own.all(conn).await? {
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

    /// One post as the viewer sees it.
    pub(super) async fn find_post(&self, viewer: Viewer, id: PostId) -> Result<Post> {
        self.posts_in_order(viewer, &[id]).await?.pop().ok_or(Error::PostNotFound(id))
    }
}

/// What a post has beside its text.
#[derive(Debug, Default)]
struct Extras {
    tags: Vec<String>,
    attachments: Vec<Attachment>,
    link_previews: Vec<LinkPreview>,
    mentions: Vec<UserId>,
    poll: Option<Poll>,
}

/// How many make what of a post, as its row keeps it.
pub(super) fn counts(stored: &str) -> BTreeMap<String, i64> {
    serde_json::from_str(stored).unwrap_or_default()
}

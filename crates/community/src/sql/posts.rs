//! Posts: writing, changing and removing them, and the files with them.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Quota, Slice, SliceQuery, Timestamp, UserId, file, text};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{Moderated, Seat, SqlCommunity, lock_group, members::role_of, scope::visible_posts};
use crate::{
    Attachment, AttachmentId, Comment, CommentId, CommentPatch, Draft, DraftId, Error, FeedFilter, Follow, GroupId,
    NewComment, NewPost, NewReport, Poll, Post, PostId, PostPatch, Posting, Posts, Report, ReportId, Result,
    SearchResults, Verdict, Visibility, Vote,
    entity::{attachment, group, link_preview, membership, mention, poll, poll_option, post, post_tag},
    markdown,
    model::PostRow,
    words,
};

/// How many files a post has at most.
const MOST_ATTACHMENTS: u64 = 10;
/// What a tenfold liking is worth, in microseconds: a post that ten people like stands beside one that is
/// half a day younger.
const TENFOLD: f64 = 45_000e6;
/// The sizes in which pictures with posts are kept.
const SIZES: &[file::Size] = &[
    file::Size { name: "small", width: 480, height: 480, fit: file::Fit::Within },
    file::Size { name: "large", width: 2048, height: 2048, fit: file::Fit::Within },
];

/// Where a post stands among those that people make something of: later than the moment at which it was
/// posted, by the logarithm of how much that is. It changes when something is made of the post, and
/// never by itself.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a rank is no exact number")]
pub(super) fn hot(created_at: Timestamp, reactions: i64, comments: i64) -> i64 {
    let score = Ord::max(reactions.saturating_add(comments.saturating_mul(2)), 0);
    created_at.unix_micros().saturating_add(((score as f64 + 1.0).log10() * TENFOLD) as i64)
}

/// What is made of a text before it is stored.
pub(super) struct Prepared {
    pub(super) html: String,
    pub(super) mentioned: Vec<UserId>,
    links: Vec<String>,
}

/// What somebody may do with a post.
struct Rights {
    is_author: bool,
    is_moderator: bool,
}

impl SqlCommunity {
    /// Reads a text: what it looks like, whom it names and where it points.
    pub(super) async fn prepare(&self, content: &str) -> Result<Prepared> {
        let found = markdown::find(content);
        let mentioned =
            if found.mentions.is_empty() { Vec::new() } else { self.host.directory.named(&found.mentions).await? };
        let html = markdown::html_of("content", content)?;
        Ok(Prepared { html, mentioned: mentioned.into_iter().map(|person| person.id).collect(), links: found.links })
    }

    /// Of those who are named only those who may read the post.
    pub(super) async fn readers_among(
        &self,
        conn: &impl ConnectionTrait,
        named: &[UserId],
        group: Option<&group::Model>,
        visibility: Visibility,
    ) -> Result<Vec<UserId>> {
        match group {
            _ if named.is_empty() || visibility == Visibility::Private => Ok(Vec::new()),
            Some(group) if group.is_private || visibility == Visibility::GroupOnly => {
                let members = membership::Entity::find()
                    .select_only()
                    .column(membership::Column::UserId)
                    .filter(membership::COLUMN.group_id.eq(group.id))
                    .filter(membership::COLUMN.user_id.is_in(named.iter().copied()));
                Ok(members.into_tuple().all(conn).await?)
            }
            _ => Ok(named.to_vec()),
        }
    }

    async fn store_post(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        new: &NewPost,
        prepared: &Prepared,
    ) -> Result<PostRow> {
        let now = self.host.clock.now();
        Quota::per_day("posts", self.settings.posts_per_day.into()).take(conn, caller.user, 1, now).await?;
        let seat = match new.group {
            Some(group) => Some(Seat::take(conn, caller, group).await?.member()?),
            None => None,
        };
        if let Some(seat) = &seat
            && seat.group.posting == Posting::Moderators
            && !seat.is_moderator()
        {
            return Err(Error::PostingClosed);
        }
        let usual = if seat.is_some() { Visibility::GroupOnly } else { Visibility::Public };
        let visibility = new.visibility.unwrap_or(usual);
        if seat.is_none() && visibility == Visibility::GroupOnly {
            return Err(Error::field("visibility", "A post for a group's members needs a group."));
        }
        let is_approved = seat.as_ref().is_none_or(|seat| !seat.group.approves_posts || seat.is_moderator());
        let mentioned =
            self.readers_among(conn, &prepared.mentioned, seat.as_ref().map(|seat| &seat.group), visibility).await?;
        let tags = tags(&new.tags);
        let links = !prepared.links.is_empty() && self.host.web.is_some();
        let has_extras = !tags.is_empty() || !mentioned.is_empty() || new.poll.is_some() || links;
        let title = new.title.trim();
        let row = post::ActiveModel {
            id: NotSet,
            group_id: Set(new.group),
            author_id: Set(Some(caller.user)),
            title: Set(title.to_owned()),
            content: Set(new.content.clone()),
            content_html: Set(prepared.html.clone()),
            visibility: Set(visibility),
            category: Set(new.category),
            is_approved: Set(is_approved),
            is_pinned: Set(false),
            is_featured: Set(false),
            is_locked: Set(false),
            has_extras: Set(has_extras),
            comment_count: Set(0),
            reactions: Set("{}".to_owned()),
            hot: Set(hot(now, 0, 0)),
            search_text: Set(words::index(&format!("{title} {}", new.content))),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let row = row.insert(conn).await?;
        if let (Some(group), true) = (new.group, counts(is_approved, visibility)) {
            count_posts(conn, group, 1).await?;
        }
        store_tags(conn, row.id, &tags).await?;
        store_mentions(conn, row.id, None, &mentioned, now).await?;
        if links {
            store_links(conn, row.id, &prepared.links, now).await?;
        }
        if let Some(new) = &new.poll {
            let closes_at = new.hours.map(|hours| now + std::time::Duration::from_secs(hours.unsigned_abs() * 3600));
            let row_of_poll = poll::ActiveModel {
                post_id: Set(row.id),
                is_multiple: Set(new.is_multiple),
                closes_at: Set(closes_at),
            };
            poll::Entity::insert(row_of_poll).exec_without_returning(conn).await?;
            let option = |(position, text): (i64, &String)| poll_option::ActiveModel {
                post_id: Set(row.id),
                position: Set(position),
                text: Set(text.trim().to_owned()),
                votes: Set(0),
            };
            let options = (0..).zip(&new.options).map(option);
            poll_option::Entity::insert_many(options).exec_without_returning(conn).await?;
        }
        Ok(PostRow::new(row))
    }

    /// Shows what was just stored.
    pub(super) async fn show_new(&self, caller: &Caller, row: PostRow) -> Result<Post> {
        if row.has_extras {
            self.wake_previews.notify_one();
        }
        let id = row.id;
        self.show_posts(vec![row], caller.into()).await?.pop().ok_or(Error::PostNotFound(id))
    }

    pub(super) async fn write_post(&self, caller: &Caller, new: NewPost) -> Result<Post> {
        new.validate()?;
        let prepared = self.prepare(&new.content).await?;
        let (new, prepared) = (&new, &prepared);
        let row = self.db.write(|tx| async move { self.store_post(tx.conn(), caller, new, prepared).await }).await?;
        self.show_new(caller, row).await
    }

    /// A post that the caller may read, locked; and what they may do with it. Its group is locked before, as
    /// everybody does who needs both.
    async fn rights(&self, conn: &impl ConnectionTrait, caller: &Caller, id: PostId) -> Result<(post::Model, Rights)> {
        lock_group_of(conn, id).await?;
        let found = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
        let found = found.ok_or(Error::PostNotFound(id))?;
        let role = match found.group_id {
            Some(group) => role_of(conn, group, caller.user).await?,
            None => None,
        };
        let outside = found.group_id.is_some() && role.is_none();
        let rights = Rights {
            // Who has left a group no longer speaks in it.
            is_author: found.author_id == Some(caller.user) && !outside,
            is_moderator: caller.roles.is_staff() || role.is_some_and(|role| role != membership::Role::Member),
        };
        Ok((found, rights))
    }

    async fn change(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post> {
        patch.validate()?;
        let prepared = match &patch.content {
            Some(content) => Some(self.prepare(content).await?),
            None => None,
        };
        let (patch, known, prepared) = (&patch, &known, &prepared);
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let (post, rights) = self.rights(conn, caller, id).await?;
                if patch.is_authors() && !rights.is_author {
                    return Err(Error::NotAuthor);
                }
                if patch.is_moderators() && !rights.is_moderator {
                    return Err(Error::NotModerator);
                }
                known.check(post.updated_at)?;
                self.store_change(conn, caller, post, patch, prepared.as_ref(), rights.is_moderator).await
            })
            .await?;
        if prepared.is_some() {
            self.wake_previews.notify_one();
        }
        self.find_post(caller.into(), id).await
    }

    async fn store_change(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        post: post::Model,
        patch: &PostPatch,
        prepared: Option<&Prepared>,
        is_moderator: bool,
    ) -> Result<()> {
        let (id, now) = (post.id, self.host.clock.now());
        let group = match post.group_id {
            Some(group) => group::Entity::find_by_id(group).one(conn).await?,
            None => None,
        };
        let visibility = patch.visibility.unwrap_or(post.visibility);
        if group.is_none() && visibility == Visibility::GroupOnly {
            return Err(Error::field("visibility", "A post for a group's members needs a group."));
        }
        let waits = patch.is_authors() && waits_again(group.as_ref(), is_moderator);
        let is_approved = post.is_approved && !waits;
        recount(conn, &post, is_approved, visibility).await?;
        let title = patch.title.as_ref().map_or(post.title.as_str(), |title| title.trim());
        let content = patch.content.as_ref().unwrap_or(&post.content);
        let search_text = words::index(&format!("{title} {content}"));
        let mut has_extras = post.has_extras;
        if let Some(tags_now) = &patch.tags {
            let tags_now = tags(tags_now);
            post_tag::Entity::delete_many().filter(post_tag::COLUMN.post_id.eq(id)).exec(conn).await?;
            store_tags(conn, id, &tags_now).await?;
            has_extras |= !tags_now.is_empty();
        }
        if visibility != post.visibility {
            // Fewer may read it now, perhaps: those no longer are named, in it or below it.
            let named = mention::Entity::find().filter(mention::COLUMN.post_id.eq(id));
            let named: Vec<UserId> = named.select_only().column(mention::Column::UserId).into_tuple().all(conn).await?;
            let readers = self.readers_among(conn, &named, group.as_ref(), visibility).await?;
            mention::Entity::delete_many()
                .filter(mention::COLUMN.post_id.eq(id))
                .filter(mention::COLUMN.user_id.is_not_in(readers))
                .exec(conn)
                .await?;
        }
        if let Some(prepared) = prepared {
            let of_post = mention::COLUMN.post_id.eq(id).and(mention::COLUMN.comment_id.is_null());
            mention::Entity::delete_many().filter(of_post).exec(conn).await?;
            let mentioned = self.readers_among(conn, &prepared.mentioned, group.as_ref(), visibility).await?;
            store_mentions(conn, id, None, &mentioned, now).await?;
            let links = self.host.web.is_some() && !prepared.links.is_empty();
            let known = link_preview::Entity::find().filter(link_preview::COLUMN.post_id.eq(id)).all(conn).await?;
            // Pages are not read again because a word beside their address has changed.
            if known.iter().map(|known| &known.url).ne(&prepared.links) {
                link_preview::Entity::delete_many().filter(link_preview::COLUMN.post_id.eq(id)).exec(conn).await?;
                if links {
                    store_links(conn, id, &prepared.links, now).await?;
                }
            }
            has_extras |= links || !mentioned.is_empty();
        }
        for (change, known_before, action) in [
            (patch.is_pinned, post.is_pinned, "pinned"),
            (patch.is_featured, post.is_featured, "featured"),
            (patch.is_locked, post.is_locked, "locked"),
        ] {
            if let Some(set) = change.filter(|set| *set != known_before) {
                let act = Moderated {
                    group: post.group_id,
                    actor: caller.user,
                    action: if set { action } else { undone(action) },
                    subject: post.author_id,
                    target: format!("post {id}"),
                    detail: title,
                };
                self.note(conn, act).await?;
            }
        }
        let row = post::ActiveModel {
            id: Unchanged(id),
            title: Set(title.to_owned()),
            content: Set(content.clone()),
            content_html: prepared.map_or(NotSet, |prepared| Set(prepared.html.clone())),
            visibility: Set(visibility),
            category: Set(patch.category.unwrap_or(post.category)),
            is_approved: Set(is_approved),
            is_pinned: Set(patch.is_pinned.unwrap_or(post.is_pinned)),
            is_featured: Set(patch.is_featured.unwrap_or(post.is_featured)),
            is_locked: Set(patch.is_locked.unwrap_or(post.is_locked)),
            has_extras: Set(has_extras),
            search_text: if search_text == post.search_text { NotSet } else { Set(search_text) },
            updated_at: Set(now),
            ..Default::default()
        };
        post::Entity::update(row).exec_without_returning(conn).await?;
        Ok(())
    }

    async fn remove(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let (post, rights) = self.rights(conn, caller, id).await?;
                if !rights.is_author && !rights.is_moderator && post.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                known.check(post.updated_at)?;
                self.erase_post(conn, caller, &post, "").await
            })
            .await
    }

    /// Removes a post, and notes it where somebody else than its author does so.
    pub(super) async fn erase_post(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        post: &post::Model,
        why: &str,
    ) -> Result<()> {
        if let (Some(group), true) = (post.group_id, counts(post.is_approved, post.visibility)) {
            count_posts(conn, group, -1).await?;
        }
        post::Entity::delete_by_id(post.id).exec(conn).await?;
        if post.author_id != Some(caller.user) {
            let act = Moderated {
                group: post.group_id,
                actor: caller.user,
                action: "removed_post",
                subject: post.author_id,
                target: format!("post {}", post.id),
                detail: if why.is_empty() { &post.title } else { why },
            };
            self.note(conn, act).await?;
        }
        Ok(())
    }

    async fn put_file(&self, caller: &Caller, id: PostId, upload: file::Upload) -> Result<Attachment> {
        // Looked at before anything is stored, and once more in the transaction.
        self.own_post_with_room(self.db.conn(), caller, id).await?;
        let is_picture = upload.content_type.starts_with("image/");
        let content = if is_picture {
            file::pictures(caller.user, upload.bytes, SIZES).await?
        } else {
            file::Content::bytes(upload.content_type, upload.bytes)
        };
        let stored = self.host.files.put(caller.user, content).await?;
        let (stored, name) = (&stored, &upload.name);
        let row = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                let (post, rights) = self.own_post_with_room(conn, caller, id).await?;
                let file_id = self.host.files.keep(conn, stored).await?;
                let now = self.host.clock.now();
                let row = attachment::ActiveModel {
                    id: NotSet,
                    post_id: Set(id),
                    file_id: Set(file_id),
                    name: Set(name.clone()),
                    content_type: Set(stored.content_type().to_owned()),
                    size: Set(stored.size()),
                    is_picture: Set(is_picture),
                    created_at: Set(now),
                };
                let row = row.insert(conn).await?;
                let group = match post.group_id {
                    Some(group) => group::Entity::find_by_id(group).one(conn).await?,
                    None => None,
                };
                let is_approved = post.is_approved && !waits_again(group.as_ref(), rights.is_moderator);
                recount(conn, &post, is_approved, post.visibility).await?;
                touch(conn, id, is_approved, now).await?;
                Ok::<_, Error>(row)
            })
            .await?;
        Ok(self.show_attachment(row, caller.into()))
    }

    /// The caller's post, with room for one more file.
    async fn own_post_with_room(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: PostId,
    ) -> Result<(post::Model, Rights)> {
        let (post, rights) = self.rights(conn, caller, id).await?;
        if !rights.is_author {
            return Err(Error::NotAuthor);
        }
        let files = attachment::Entity::find().filter(attachment::COLUMN.post_id.eq(id)).count(conn).await?;
        if files < MOST_ATTACHMENTS {
            Ok((post, rights))
        } else {
            Err(Error::field("file", format!("A post has at most {MOST_ATTACHMENTS} files.")))
        }
    }

    async fn remove_file(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = tx.conn();
                let (post, rights) = self.rights(conn, caller, id).await?;
                if !rights.is_author && !rights.is_moderator {
                    return Err(Error::NotAuthor);
                }
                let gone = attachment::Entity::delete_by_id(attachment)
                    .filter(attachment::COLUMN.post_id.eq(id))
                    .exec(conn)
                    .await?;
                if gone.rows_affected == 0 {
                    return Err(Error::NotFound("attachment"));
                }
                touch(conn, id, post.is_approved, self.host.clock.now()).await
            })
            .await
    }
}

impl PostRow {
    /// What was just stored, of which nobody has made anything yet.
    fn new(row: post::Model) -> Self {
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

/// Locks the group that a post is in, if it is in one.
pub(super) async fn lock_group_of(conn: &impl ConnectionTrait, id: PostId) -> Result<()> {
    if conn.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let group = post::Entity::find_by_id(id).select_only().column(post::Column::GroupId);
    if let Some(Some(group)) = group.into_tuple::<Option<GroupId>>().one(conn).await? {
        lock_group(conn, group).await?;
    }
    Ok(())
}

fn undone(action: &'static str) -> &'static str {
    match action {
        "pinned" => "unpinned",
        "featured" => "unfeatured",
        _ => "unlocked",
    }
}

/// Tags as they are stored: folded, without their mark, each once.
fn tags(given: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in given {
        let tag = text::fold(tag.trim_start_matches('#'));
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

async fn store_tags(conn: &impl ConnectionTrait, id: PostId, tags: &[String]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let row = |(position, tag): (i64, &String)| post_tag::ActiveModel {
        post_id: Set(id),
        position: Set(position),
        tag: Set(tag.clone()),
    };
    post_tag::Entity::insert_many((0..).zip(tags).map(row)).exec_without_returning(conn).await?;
    Ok(())
}

pub(super) async fn store_mentions(
    conn: &impl ConnectionTrait,
    id: PostId,
    comment: Option<CommentId>,
    mentioned: &[UserId],
    now: Timestamp,
) -> Result<()> {
    if mentioned.is_empty() {
        return Ok(());
    }
    let row = |user: &UserId| mention::ActiveModel {
        id: NotSet,
        post_id: Set(id),
        comment_id: Set(comment),
        user_id: Set(*user),
        created_at: Set(now),
    };
    mention::Entity::insert_many(mentioned.iter().map(row)).exec_without_returning(conn).await?;
    Ok(())
}

async fn store_links(conn: &impl ConnectionTrait, id: PostId, links: &[String], now: Timestamp) -> Result<()> {
    let row = |(position, url): (i64, &String)| link_preview::ActiveModel {
        post_id: Set(id),
        position: Set(position),
        url: Set(url.clone()),
        title: Set(None),
        description: Set(None),
        site: Set(None),
        attempts: Set(0),
        next_at: Set(Some(now)),
    };
    link_preview::Entity::insert_many((0..).zip(links).map(row)).exec_without_returning(conn).await?;
    Ok(())
}

/// A file has come or gone.
async fn touch(conn: &impl ConnectionTrait, id: PostId, is_approved: bool, now: Timestamp) -> Result<()> {
    let row = post::ActiveModel {
        id: Unchanged(id),
        has_extras: Set(true),
        is_approved: Set(is_approved),
        updated_at: Set(now),
        ..Default::default()
    };
    post::Entity::update(row).exec_without_returning(conn).await?;
    Ok(())
}

/// Where posts are let through one by one, so is what becomes of them.
fn waits_again(group: Option<&group::Model>, is_moderator: bool) -> bool {
    !is_moderator && group.is_some_and(|group| group.approves_posts)
}

/// Keeps the count of a post's group, where the post begins or ceases to count.
async fn recount(
    conn: &impl ConnectionTrait,
    post: &post::Model,
    is_approved: bool,
    visibility: Visibility,
) -> Result<()> {
    let (before, after) = (counts(post.is_approved, post.visibility), counts(is_approved, visibility));
    match post.group_id {
        Some(group) if before != after => count_posts(conn, group, if after { 1 } else { -1 }).await,
        _ => Ok(()),
    }
}

/// Is it one of the posts that its group counts? What only its author reads is not.
pub(super) fn counts(is_approved: bool, visibility: Visibility) -> bool {
    is_approved && visibility != Visibility::Private
}

/// Counts posts that have come or gone.
pub(super) async fn count_posts(conn: &impl ConnectionTrait, group: GroupId, by: i64) -> Result<()> {
    group::Entity::update_many()
        .col_expr(group::Column::PostCount, Expr::col(group::Column::PostCount).add(by))
        .filter(group::COLUMN.id.eq(group))
        .exec(conn)
        .await?;
    Ok(())
}

#[async_trait]
impl Posts for SqlCommunity {
    async fn create_post(&self, caller: &Caller, new: NewPost) -> Result<Post> {
        self.write_post(caller, new).await
    }

    async fn post(&self, viewer: Option<Caller>, id: PostId) -> Result<Post> {
        self.find_post(self.viewer(viewer)?, id).await
    }

    async fn change_post(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post> {
        self.change(caller, id, patch, known).await
    }

    async fn delete_post(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()> {
        self.remove(caller, id, known).await
    }

    async fn feed(&self, viewer: Option<Caller>, filter: FeedFilter, slice: SliceQuery) -> Result<Slice<Post>> {
        self.read_feed(viewer, filter, slice).await
    }

    async fn feed_page(&self, viewer: Option<Caller>, filter: FeedFilter, page: PageQuery) -> Result<Page<Post>> {
        self.read_feed_page(viewer, filter, page).await
    }

    async fn attach(&self, caller: &Caller, id: PostId, upload: file::Upload) -> Result<Attachment> {
        self.put_file(caller, id, upload).await
    }

    async fn detach(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()> {
        self.remove_file(caller, id, attachment).await
    }

    async fn vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll> {
        self.cast_vote(caller, id, vote).await
    }

    async fn react(&self, caller: &Caller, id: PostId, kind: String) -> Result<()> {
        self.set_reaction(caller, id, &kind, false).await
    }

    async fn unreact(&self, caller: &Caller, id: PostId, kind: Option<String>) -> Result<()> {
        self.take_reaction_back(caller, id, kind.as_deref()).await
    }

    async fn toggle_reaction(&self, caller: &Caller, id: PostId, kind: String) -> Result<Post> {
        self.set_reaction(caller, id, &kind, true).await?;
        self.find_post(caller.into(), id).await
    }

    async fn bookmark(&self, caller: &Caller, id: PostId, keep: bool) -> Result<()> {
        self.set_bookmark(caller, id, Some(keep)).await.map(|_| ())
    }

    async fn toggle_bookmark(&self, caller: &Caller, id: PostId) -> Result<bool> {
        self.set_bookmark(caller, id, None).await
    }

    async fn bookmarks(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<Post>> {
        self.read_bookmarks(caller, slice).await
    }

    async fn create_comment(&self, caller: &Caller, post: PostId, new: NewComment) -> Result<Comment> {
        self.write_comment(caller, post, new).await
    }

    async fn comments(
        &self,
        viewer: Option<Caller>,
        post: PostId,
        parent: Option<CommentId>,
        slice: SliceQuery,
    ) -> Result<Slice<Comment>> {
        self.read_comments(viewer, post, parent, slice).await
    }

    async fn comment(&self, viewer: Option<Caller>, id: CommentId) -> Result<Comment> {
        self.find_comment(self.viewer(viewer)?, id).await
    }

    async fn change_comment(
        &self,
        caller: &Caller,
        id: CommentId,
        patch: CommentPatch,
        known: IfMatch,
    ) -> Result<Comment> {
        self.rewrite_comment(caller, id, patch, known).await
    }

    async fn delete_comment(&self, caller: &Caller, id: CommentId) -> Result<()> {
        self.remove_comment(caller, id).await
    }

    async fn like_comment(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment> {
        self.set_like(caller, id, like).await
    }

    async fn save_draft(&self, caller: &Caller, new: NewPost) -> Result<Draft> {
        self.keep_draft(caller, None, new).await
    }

    async fn drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>> {
        self.list_drafts(caller, page).await
    }

    async fn draft(&self, caller: &Caller, id: DraftId) -> Result<Draft> {
        self.find_draft(self.db.conn(), caller, id).await
    }

    async fn change_draft(&self, caller: &Caller, id: DraftId, new: NewPost) -> Result<Draft> {
        self.keep_draft(caller, Some(id), new).await
    }

    async fn delete_draft(&self, caller: &Caller, id: DraftId) -> Result<()> {
        self.drop_draft(caller, id).await
    }

    async fn publish_draft(&self, caller: &Caller, id: DraftId) -> Result<Post> {
        let draft = self.find_draft(self.db.conn(), caller, id).await?;
        draft.post.validate()?;
        let prepared = self.prepare(&draft.post.content).await?;
        let (prepared, known) = (&prepared, draft.updated_at);
        let row = self
            .db
            .write(|tx| async move {
                let conn = tx.conn();
                // Read once more: of two who publish it at once one does, and what is posted is what was kept.
                let draft = self.lock_draft(conn, caller, id).await?;
                IfMatch::only(known.into()).check(draft.updated_at)?;
                self.forget_draft(conn, caller, id).await?;
                self.store_post(conn, caller, &draft.post, prepared).await
            })
            .await?;
        self.show_new(caller, row).await
    }

    async fn report_post(&self, caller: &Caller, id: PostId, new: NewReport) -> Result<Report> {
        self.report(caller, id, None, new).await
    }

    async fn report_comment(&self, caller: &Caller, id: CommentId, new: NewReport) -> Result<Report> {
        let comment = self.find_comment(caller.into(), id).await?;
        self.report(caller, comment.post, Some(id), new).await
    }

    async fn reports(&self, caller: &Caller, group: Option<GroupId>, page: PageQuery) -> Result<Page<Report>> {
        self.list_reports(caller, group, page).await
    }

    async fn decide_report(&self, caller: &Caller, id: ReportId, verdict: Verdict) -> Result<()> {
        self.settle_report(caller, id, verdict).await
    }

    async fn queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>> {
        self.list_queue(caller, group, page).await
    }

    async fn decide_post(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()> {
        self.let_through(caller, id, approve).await
    }

    async fn follow(&self, caller: &Caller, user: UserId, follow: bool) -> Result<()> {
        self.set_follow(caller, user, follow).await
    }

    async fn follows(&self, caller: &Caller, page: PageQuery) -> Result<Page<Follow>> {
        self.list_follows(caller, page).await
    }

    async fn search(&self, viewer: Option<Caller>, words: String, limit: u64) -> Result<SearchResults> {
        self.find_words(viewer, &words, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_like_is_hotter_than_what_is_as_old() {
        let now = Timestamp::from_unix_seconds(1_735_986_600);
        assert!(hot(now, 1, 0) > hot(now, 0, 0));
        assert!(hot(now, 0, 1) > hot(now, 1, 0));
        let half_a_day = std::time::Duration::from_secs(12 * 3600);
        assert!(hot(now, 9, 0) > hot(now + half_a_day, 0, 0));
        assert!(hot(now, 9, 0) < hot(now + half_a_day + half_a_day, 0, 0));
        assert!(hot(now, i64::MAX, i64::MAX) > hot(now, 0, 0));
    }

    #[test]
    fn fault_r29_tags_are_words_of_any_script_in_one_form() {
        let new = |tag: &str| NewPost { content: "x".into(), tags: vec![tag.to_owned()], ..NewPost::default() };
        for tag in ["हिन्दी", "தமிழ்", "ไทยใต้", "cafe\u{301}", "#Ünïcode"] {
            assert!(new(tag).validate().is_ok(), "{tag}");
        }
        assert!(new("two words").validate().is_err());
        assert_eq!(tags(&["cafe\u{301}".to_owned(), "café".to_owned()]), ["café"]);
    }

    #[test]
    fn tags_are_one_in_any_spelling() {
        let given = ["#Rust".to_owned(), "rust".to_owned(), "Web-Dev".to_owned()];
        assert_eq!(tags(&given), ["rust", "web-dev"]);
    }
}

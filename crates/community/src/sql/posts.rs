//! Creating, changing and deleting posts.

use async_trait::async_trait;
use garde::Validate;
use guildhall_files as file;
use guildhall_kernel::{Caller, IfMatch, Quota, Timestamp, UserId, db::Tx, text};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set,
    sea_query::{Expr, ExprTrait},
};

use super::{GroupAccess, ModerationEntry, SqlCommunity, lock_group, members::role_of, scope::visible_posts};
use crate::{
    CommentId, Error, GroupId, NewPost, Post, PostId, PostPatch, Posting, Posts, Result, Visibility,
    entity::{attachment, group, link_preview, membership, mention, poll, poll_option, post, post_tag},
    event::{PostChanged, PostCreated, PostDeleted, UserMentioned},
    markdown,
    model::PostRow,
    search,
};

/// The maximum number of attachments of a post.
const MAX_ATTACHMENTS: u64 = 10;
/// How much ten times the reactions add to the score of a post, in microseconds: half a day.
const TENFOLD_BONUS: f64 = 45_000e6;
/// The sizes in which attached pictures are stored.
pub(super) const SIZES: &[file::Size] = &[
    file::Size { name: "small", width: 480, height: 480, fit: file::Fit::Within },
    file::Size { name: "large", width: 2048, height: 2048, fit: file::Fit::Within },
];

/// The score for the trending order: the time of publication plus a bonus that grows with the logarithm of reactions
/// and comments. It only changes with these, so it needs no periodic update.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a score need not be exact")]
pub(super) fn hot_score(created_at: Timestamp, reactions: i64, comments: i64) -> i64 {
    let score = Ord::max(reactions.saturating_add(comments.saturating_mul(2)), 0);
    created_at.unix_micros().saturating_add(((score as f64 + 1.0).log10() * TENFOLD_BONUS) as i64)
}

/// What is derived from the Markdown of a post or comment before it is stored.
pub(super) struct Prepared {
    pub(super) html: String,
    pub(super) mentioned: Vec<UserId>,
    links: Vec<String>,
}

/// What the caller may do with a post.
pub(super) struct Rights {
    pub(super) is_author: bool,
    pub(super) is_moderator: bool,
}

impl SqlCommunity {
    /// Renders Markdown and resolves its mentions and links.
    pub(super) async fn prepare(&self, content: &str) -> Result<Prepared> {
        let references = markdown::find_references(content);
        let mentioned = if references.mentions.is_empty() {
            Vec::new()
        } else {
            self.host.directory.named(&references.mentions).await?
        };
        let html = markdown::html_of("content", content)?;
        Ok(Prepared {
            html,
            mentioned: mentioned.into_iter().map(|person| person.id).collect(),
            links: references.links,
        })
    }

    /// The users among these who may read a post with this visibility.
    pub(super) async fn filter_readers(
        &self,
        conn: &impl ConnectionTrait,
        users: &[UserId],
        group: Option<&group::Model>,
        visibility: Visibility,
    ) -> Result<Vec<UserId>> {
        match group {
            _ if users.is_empty() || visibility == Visibility::Private => Ok(Vec::new()),
            Some(group) if group.is_private || visibility == Visibility::GroupOnly => {
                let members = membership::Entity::find()
                    .select_only()
                    .column(membership::Column::UserId)
                    .filter(membership::COLUMN.group_id.eq(group.id))
                    .filter(membership::COLUMN.user_id.is_in(users.iter().copied()));
                Ok(members.into_tuple().all(conn).await?)
            }
            _ => Ok(users.to_vec()),
        }
    }

    pub(super) async fn store_post(
        &self,
        tx: &Tx,
        caller: &Caller,
        new: &NewPost,
        prepared: &Prepared,
    ) -> Result<PostRow> {
        let now = self.host.clock.now();
        Quota::per_day("posts", self.settings.posts_per_day.into()).take(tx, caller.user, 1, now).await?;
        let access = match new.group {
            Some(group) => Some(GroupAccess::load_for_update(tx, caller, group).await?.require_member()?),
            None => None,
        };
        if let Some(access) = &access
            && access.group.posting == Posting::Moderators
            && !access.is_moderator()
        {
            return Err(Error::PostingClosed);
        }
        let default = if access.is_some() { Visibility::GroupOnly } else { Visibility::Public };
        let visibility = new.visibility.unwrap_or(default);
        if access.is_none() && visibility == Visibility::GroupOnly {
            return Err(Error::field("visibility", "A post for group members must be in a group."));
        }
        let is_approved = access.as_ref().is_none_or(|access| !access.group.approves_posts || access.is_moderator());
        let mentioned = self
            .filter_readers(tx, &prepared.mentioned, access.as_ref().map(|access| &access.group), visibility)
            .await?;
        let tags = normalize_tags(&new.tags);
        let links = !prepared.links.is_empty() && self.host.page_fetcher.is_some();
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
            hot: Set(hot_score(now, 0, 0)),
            search_text: Set(search::index(&format!("{title} {}", new.content))),
            created_at: Set(now),
            updated_at: Set(now),
        };
        let row = row.insert(tx).await?;
        if let (Some(group), true) = (new.group, is_counted(is_approved, visibility)) {
            add_to_post_count(tx, group, 1).await?;
        }
        store_tags(tx, row.id, &tags).await?;
        store_mentions(tx, row.id, None, &mentioned, now).await?;
        if links {
            store_links(tx, row.id, &prepared.links, now).await?;
        }
        if let Some(new) = &new.poll {
            let closes_at = new.hours.map(|hours| now + std::time::Duration::from_secs(hours.unsigned_abs() * 3600));
            let poll_row = poll::ActiveModel {
                post_id: Set(row.id),
                is_multiple: Set(new.is_multiple),
                closes_at: Set(closes_at),
            };
            poll::Entity::insert(poll_row).exec_without_returning(tx).await?;
            let option_row = |(position, text): (i64, &String)| poll_option::ActiveModel {
                post_id: Set(row.id),
                position: Set(position),
                text: Set(text.trim().to_owned()),
                votes: Set(0),
            };
            let options = (0..).zip(&new.options).map(option_row);
            poll_option::Entity::insert_many(options).exec_without_returning(tx).await?;
        }
        let created = PostCreated { post: row.id, group: row.group_id, author: caller.user, is_approved };
        tx.emit(&created).await?;
        Ok(PostRow::new(row))
    }

    /// Shows a post that was just stored.
    pub(super) async fn show_created(&self, caller: &Caller, row: PostRow) -> Result<Post> {
        if row.has_extras {
            self.wake_previews.notify_one();
        }
        let id = row.id;
        self.show_posts(vec![row], caller.into()).await?.pop().ok_or(Error::PostNotFound(id))
    }

    /// Locks a post that the caller may read. Returns what they may do with it. The group is always locked before the
    /// post, to avoid deadlocks.
    pub(super) async fn lock_post(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: PostId,
    ) -> Result<(post::Model, Rights)> {
        lock_group_of(conn, id).await?;
        let post = visible_posts(caller.into()).filter(post::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
        let post = post.ok_or(Error::PostNotFound(id))?;
        let role = match post.group_id {
            Some(group) => role_of(conn, group, caller.user).await?,
            None => None,
        };
        let has_left = post.group_id.is_some() && role.is_none();
        let rights = Rights {
            // Authors who have left the group can no longer edit their posts in it.
            is_author: post.author_id == Some(caller.user) && !has_left,
            is_moderator: caller.roles.is_staff() || role.is_some_and(|role| role != membership::Role::Member),
        };
        Ok((post, rights))
    }

    async fn store_change(
        &self,
        tx: &Tx,
        caller: &Caller,
        post: post::Model,
        patch: &PostPatch,
        prepared: Option<&Prepared>,
        is_moderator: bool,
    ) -> Result<()> {
        let (id, now) = (post.id, self.host.clock.now());
        let group = match post.group_id {
            Some(group) => group::Entity::find_by_id(group).one(tx).await?,
            None => None,
        };
        let visibility = patch.visibility.unwrap_or(post.visibility);
        if group.is_none() && visibility == Visibility::GroupOnly {
            return Err(Error::field("visibility", "A post for group members must be in a group."));
        }
        let loses_approval = patch.needs_author() && needs_approval(group.as_ref(), is_moderator);
        let is_approved = post.is_approved && !loses_approval;
        update_post_count(tx, &post, is_approved, visibility).await?;
        let title = patch.title.as_ref().map_or(post.title.as_str(), |title| title.trim());
        let content = patch.content.as_ref().unwrap_or(&post.content);
        let search_text = search::index(&format!("{title} {content}"));
        let mut has_extras = post.has_extras;
        if let Some(new_tags) = &patch.tags {
            let new_tags = normalize_tags(new_tags);
            post_tag::Entity::delete_many().filter(post_tag::COLUMN.post_id.eq(id)).exec(tx).await?;
            store_tags(tx, id, &new_tags).await?;
            has_extras |= !new_tags.is_empty();
        }
        if visibility != post.visibility {
            // Remove mentions of people who may no longer read the post, in the post and in its comments.
            let mentioned = mention::Entity::find().filter(mention::COLUMN.post_id.eq(id));
            let mentioned: Vec<UserId> =
                mentioned.select_only().column(mention::Column::UserId).into_tuple().all(tx).await?;
            let readers = self.filter_readers(tx, &mentioned, group.as_ref(), visibility).await?;
            mention::Entity::delete_many()
                .filter(mention::COLUMN.post_id.eq(id))
                .filter(mention::COLUMN.user_id.is_not_in(readers))
                .exec(tx)
                .await?;
        }
        if let Some(prepared) = prepared {
            let of_post = mention::COLUMN.post_id.eq(id).and(mention::COLUMN.comment_id.is_null());
            mention::Entity::delete_many().filter(of_post).exec(tx).await?;
            let mentioned = self.filter_readers(tx, &prepared.mentioned, group.as_ref(), visibility).await?;
            store_mentions(tx, id, None, &mentioned, now).await?;
            let links = self.host.page_fetcher.is_some() && !prepared.links.is_empty();
            let current = link_preview::Entity::find().filter(link_preview::COLUMN.post_id.eq(id)).all(tx).await?;
            // Pages are fetched again only if the links have changed.
            if current.iter().map(|current| &current.url).ne(&prepared.links) {
                link_preview::Entity::delete_many().filter(link_preview::COLUMN.post_id.eq(id)).exec(tx).await?;
                if links {
                    store_links(tx, id, &prepared.links, now).await?;
                }
            }
            has_extras |= links || !mentioned.is_empty();
        }
        for (change, current, action) in [
            (patch.is_pinned, post.is_pinned, "pinned"),
            (patch.is_featured, post.is_featured, "featured"),
            (patch.is_locked, post.is_locked, "locked"),
        ] {
            if let Some(value) = change.filter(|value| *value != current) {
                let entry = ModerationEntry {
                    group: post.group_id,
                    actor: caller.user,
                    action: if value { action } else { opposite(action) },
                    subject: post.author_id,
                    target: format!("post {id}"),
                    detail: title,
                };
                self.log_moderation(tx, entry).await?;
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
        post::Entity::update(row).exec_without_returning(tx).await?;
        tx.emit(&PostChanged { post: id, actor: caller.user }).await?;
        Ok(())
    }

    async fn remove(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = self.lock_post(conn, caller, id).await?;
                if !rights.is_author && !rights.is_moderator && post.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                known.check(post.updated_at)?;
                self.erase_post(conn, caller, &post, "").await
            })
            .await
    }

    /// Deletes a post, and logs it unless the caller is the author.
    pub(super) async fn erase_post(&self, tx: &Tx, caller: &Caller, post: &post::Model, reason: &str) -> Result<()> {
        if let (Some(group), true) = (post.group_id, is_counted(post.is_approved, post.visibility)) {
            add_to_post_count(tx, group, -1).await?;
        }
        post::Entity::delete_by_id(post.id).exec(tx).await?;
        tx.emit(&PostDeleted { post: post.id, author: post.author_id, actor: caller.user }).await?;
        if post.author_id != Some(caller.user) {
            let entry = ModerationEntry {
                group: post.group_id,
                actor: caller.user,
                action: "removed_post",
                subject: post.author_id,
                target: format!("post {}", post.id),
                detail: if reason.is_empty() { &post.title } else { reason },
            };
            self.log_moderation(tx, entry).await?;
        }
        Ok(())
    }

    /// The caller's post, if it can take another attachment.
    pub(super) async fn own_post_for_attachment(
        &self,
        conn: &impl ConnectionTrait,
        caller: &Caller,
        id: PostId,
    ) -> Result<(post::Model, Rights)> {
        let (post, rights) = self.lock_post(conn, caller, id).await?;
        if !rights.is_author {
            return Err(Error::NotAuthor);
        }
        let count = attachment::Entity::find().filter(attachment::COLUMN.post_id.eq(id)).count(conn).await?;
        if count < MAX_ATTACHMENTS {
            Ok((post, rights))
        } else {
            Err(Error::field("file", format!("A post can have at most {MAX_ATTACHMENTS} attachments.")))
        }
    }
}

impl PostRow {
    /// A post that was just stored, without reactions and bookmarks.
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

/// Locks the group of a post, if it has one.
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

fn opposite(action: &'static str) -> &'static str {
    match action {
        "pinned" => "unpinned",
        "featured" => "unfeatured",
        _ => "unlocked",
    }
}

/// Folds tags, strips a leading `#` and removes duplicates.
fn normalize_tags(input: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in input {
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
    tx: &Tx,
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
    mention::Entity::insert_many(mentioned.iter().map(row)).exec_without_returning(tx).await?;
    for user in mentioned {
        tx.emit(&UserMentioned { post: id, comment, user: *user }).await?;
    }
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

/// Updates a post after an attachment was added or removed.
pub(super) async fn touch_post(
    conn: &impl ConnectionTrait,
    id: PostId,
    is_approved: bool,
    now: Timestamp,
) -> Result<()> {
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

/// Whether a changed post needs the approval of a moderator again.
pub(super) fn needs_approval(group: Option<&group::Model>, is_moderator: bool) -> bool {
    !is_moderator && group.is_some_and(|group| group.approves_posts)
}

/// Updates the post count of the group, if the change affects it.
pub(super) async fn update_post_count(
    conn: &impl ConnectionTrait,
    post: &post::Model,
    is_approved: bool,
    visibility: Visibility,
) -> Result<()> {
    let (before, after) = (is_counted(post.is_approved, post.visibility), is_counted(is_approved, visibility));
    match post.group_id {
        Some(group) if before != after => add_to_post_count(conn, group, if after { 1 } else { -1 }).await,
        _ => Ok(()),
    }
}

/// Whether a post is included in the post count of its group. Private posts are not.
pub(super) fn is_counted(is_approved: bool, visibility: Visibility) -> bool {
    is_approved && visibility != Visibility::Private
}

/// Adds to the post count of a group.
pub(super) async fn add_to_post_count(conn: &impl ConnectionTrait, group: GroupId, delta: i64) -> Result<()> {
    group::Entity::update_many()
        .col_expr(group::Column::PostCount, Expr::col(group::Column::PostCount).add(delta))
        .filter(group::COLUMN.id.eq(group))
        .exec(conn)
        .await?;
    Ok(())
}

#[async_trait]
impl Posts for SqlCommunity {
    async fn create_post(&self, caller: &Caller, new: NewPost) -> Result<Post> {
        new.validate()?;
        let prepared = self.prepare(&new.content).await?;
        let (new, prepared) = (&new, &prepared);
        let row = self.db.write(|tx| async move { self.store_post(&tx, caller, new, prepared).await }).await?;
        self.show_created(caller, row).await
    }

    async fn post(&self, viewer: Option<Caller>, id: PostId) -> Result<Post> {
        self.find_post(self.viewer(viewer)?, id).await
    }

    async fn change_post(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post> {
        patch.validate()?;
        let prepared = match &patch.content {
            Some(content) => Some(self.prepare(content).await?),
            None => None,
        };
        let (patch, known, prepared) = (&patch, &known, &prepared);
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (post, rights) = self.lock_post(conn, caller, id).await?;
                if patch.needs_author() && !rights.is_author {
                    return Err(Error::NotAuthor);
                }
                if patch.needs_moderator() && !rights.is_moderator {
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

    async fn delete_post(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()> {
        self.remove(caller, id, known).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_grows_with_reactions_and_comments() {
        let now = Timestamp::from_unix_seconds(1_735_986_600);
        assert!(hot_score(now, 1, 0) > hot_score(now, 0, 0));
        assert!(hot_score(now, 0, 1) > hot_score(now, 1, 0));
        let half_a_day = std::time::Duration::from_secs(12 * 3600);
        assert!(hot_score(now, 9, 0) > hot_score(now + half_a_day, 0, 0));
        assert!(hot_score(now, 9, 0) < hot_score(now + half_a_day + half_a_day, 0, 0));
        assert!(hot_score(now, i64::MAX, i64::MAX) > hot_score(now, 0, 0));
    }

    #[test]
    fn fault_r29_tags_of_any_script_are_normalized() {
        let new = |tag: &str| NewPost { content: "x".into(), tags: vec![tag.to_owned()], ..NewPost::default() };
        for tag in ["हिन्दी", "தமிழ்", "ไทยใต้", "cafe\u{301}", "#Ünïcode"] {
            assert!(new(tag).validate().is_ok(), "{tag}");
        }
        assert!(new("two words").validate().is_err());
        assert_eq!(normalize_tags(&["cafe\u{301}".to_owned(), "café".to_owned()]), ["café"]);
    }

    #[test]
    fn tags_are_normalized_and_deduplicated() {
        let input = ["#Rust".to_owned(), "rust".to_owned(), "Web-Dev".to_owned()];
        assert_eq!(normalize_tags(&input), ["rust", "web-dev"]);
    }
}

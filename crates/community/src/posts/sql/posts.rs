//! Creating, changing and deleting posts.

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{
    Caller, IfMatch, Quota, Timestamp,
    db::{self, Tx},
    search,
};
use sea_orm::{ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use super::{
    SqlPosts,
    access::{group_of, lock_post},
    approval::{add_to_post_count, is_counted, needs_approval, update_post_count},
    content::{
        Prepared, delete_hidden_mentions, filter_members, normalize_tags, readers, replace_mentions, replace_tags,
        store_links, store_mentions, store_tags,
    },
    polls::store_poll,
    score::hot_score,
    show::PostRow,
};
use crate::{
    core::{access::GroupAccess, moderation_log::ModerationEntry},
    entity::{
        group::{self, Posting},
        link_preview,
        post::{self, Visibility},
    },
    error::{Error, Result},
    event::{PostChanged, PostCreated, PostDeleted},
    id::{GroupId, PostId},
    markdown,
    posts::{NewPost, Post, PostPatch, Posts},
};

fn search_text(title: &str, content: &str) -> String {
    search::terms(&format!("{title} {content}"))
}

/// The post after a change by the author or a moderator.
fn apply_patch(post: &post::Model, patch: &PostPatch, html: Option<&str>, now: Timestamp) -> post::Model {
    let mut after = post.clone();
    if let Some(title) = &patch.title {
        title.trim().clone_into(&mut after.title);
    }
    if let Some(content) = &patch.content {
        after.content.clone_from(content);
    }
    if let Some(html) = html {
        html.clone_into(&mut after.content_html);
    }
    if let Some(visibility) = patch.visibility {
        after.visibility = visibility;
    }
    if let Some(category) = patch.category {
        after.category = category;
    }
    if let Some(is_pinned) = patch.is_pinned {
        after.is_pinned = is_pinned;
    }
    if let Some(is_featured) = patch.is_featured {
        after.is_featured = is_featured;
    }
    if let Some(is_locked) = patch.is_locked {
        after.is_locked = is_locked;
    }
    after.search_text = search_text(&after.title, &after.content);
    after.updated_at = now;
    after
}

/// A post outside a group cannot be for members only.
fn check_visibility(visibility: Visibility, is_in_group: bool) -> Result<()> {
    if visibility == Visibility::GroupOnly && !is_in_group {
        return Err(Error::field("visibility", "A post for group members must be in a group."));
    }
    Ok(())
}

/// The group that a new post is for, if any; it has to be locked.
async fn find_group(conn: &impl ConnectionTrait, caller: &Caller, id: Option<GroupId>) -> Result<Option<GroupAccess>> {
    match id {
        Some(id) => GroupAccess::load(conn, caller, id).await?.require_member().map(Some),
        None => Ok(None),
    }
}

/// What is derived from a new post, before the transaction that stores it.
pub(super) struct PreparedPost {
    content: Prepared,
    tags: Vec<String>,
    search_text: String,
}

impl SqlPosts {
    /// Validates a new post, renders it and normalizes its tags and its text for the search.
    pub(super) async fn prepare_post(&self, new: &NewPost) -> Result<PreparedPost> {
        new.validate()?;
        let search_text = search_text(new.title.trim(), &new.content);
        Ok(PreparedPost { content: self.prepare(&new.content).await?, tags: normalize_tags(&new.tags), search_text })
    }

    pub(super) async fn store_post(
        &self,
        tx: &Tx,
        caller: &Caller,
        new: &NewPost,
        prepared: &PreparedPost,
    ) -> Result<PostRow> {
        let PreparedPost { content: prepared, tags, search_text } = prepared;
        let now = self.core.now();
        if let Some(group) = new.group {
            db::lock::<group::Entity>(tx, group).await?;
        }
        let quota = Quota::per_day("posts", self.core.settings.posts_per_day.into());
        let pipeline = tx.pipeline();
        let (quota, access, members) = tokio::join!(
            quota.consume(&pipeline, caller.user, 1, now),
            find_group(&pipeline, caller, new.group),
            filter_members(&pipeline, &prepared.mentioned, new.group),
        );
        quota?;
        let (access, members) = (access?, members?);
        if let Some(access) = &access
            && access.group.posting == Posting::Moderators
            && !access.is_moderator()
        {
            return Err(Error::PostingClosed);
        }
        let default = if access.is_some() { Visibility::GroupOnly } else { Visibility::Public };
        let visibility = new.visibility.unwrap_or(default);
        check_visibility(visibility, access.is_some())?;
        let is_approved = access.as_ref().is_none_or(|access| !access.group.approves_posts || access.is_moderator());
        let group = access.as_ref().map(|access| &access.group);
        let mentioned = readers(&prepared.mentioned, members, group, visibility);
        let links = !prepared.links.is_empty() && self.core.host.page_fetcher.is_some();
        let has_extras = !tags.is_empty() || !mentioned.is_empty() || new.poll.is_some() || links;
        let row = post::ActiveModel {
            id: NotSet,
            group_id: Set(new.group),
            author_id: Set(Some(caller.user)),
            title: Set(new.title.trim().to_owned()),
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
            search_text: Set(search_text.clone()),
            created_at: Set(now),
            updated_at: Set(now),
        };
        if let (Some(group), true) = (new.group, is_counted(is_approved, visibility)) {
            add_to_post_count(tx, group, 1).await?;
        }
        let row = db::insert(tx, row).await?;
        let id = row.id;
        store_tags(tx, id, tags).await?;
        store_mentions(tx, id, None, &mentioned, now).await?;
        if links {
            store_links(tx, id, &prepared.links, now).await?;
        }
        if let Some(poll) = &new.poll {
            store_poll(tx, id, poll, now).await?;
        }
        tx.emit(&PostCreated { post: id, group: new.group, author: caller.user, is_approved }).await?;
        Ok(PostRow::new(row))
    }

    /// Shows a post that was just stored.
    pub(super) async fn show_created(&self, caller: &Caller, row: PostRow) -> Result<Post> {
        if row.has_extras {
            self.core.wake_previews.notify_one();
        }
        let id = row.id;
        self.show_posts(&self.core.pipeline(), vec![row], caller.into()).await?.pop().ok_or(Error::PostNotFound(id))
    }

    async fn store_change(
        &self,
        tx: &Tx,
        caller: &Caller,
        post: &post::Model,
        patch: &PostPatch,
        prepared: Option<&Prepared>,
        is_moderator: bool,
    ) -> Result<()> {
        let (id, now) = (post.id, self.core.now());
        let mentioned = prepared.map_or(&[][..], |prepared| prepared.mentioned.as_slice());
        let pipeline = tx.pipeline();
        let (group, members) =
            tokio::try_join!(group_of(&pipeline, post), filter_members(&pipeline, mentioned, post.group_id))?;
        let mut after = apply_patch(post, patch, prepared.map(|prepared| prepared.html.as_str()), now);
        check_visibility(after.visibility, group.is_some())?;
        after.is_approved &= !(patch.needs_author() && needs_approval(group.as_ref(), is_moderator));
        update_post_count(tx, post, &after).await?;
        if let Some(tags) = &patch.tags {
            let tags = normalize_tags(tags);
            replace_tags(tx, id, &tags).await?;
            after.has_extras |= !tags.is_empty();
        }
        if after.visibility != post.visibility {
            delete_hidden_mentions(tx, id, group.as_ref(), after.visibility).await?;
        }
        if let Some(prepared) = prepared {
            let mentioned = readers(mentioned, members, group.as_ref(), after.visibility);
            replace_mentions(tx, id, None, &mentioned, now).await?;
            let has_links = self.replace_links(tx, id, &prepared.links, now).await?;
            after.has_extras |= has_links || !mentioned.is_empty();
        }
        self.log_flags(tx, caller, post, &after).await?;
        db::store_changes(tx, post, &after).await?;
        tx.emit(&PostChanged { post: id, actor: caller.user }).await?;
        Ok(())
    }

    /// Replaces the links of a post. Pages are fetched again only if the links have changed. Returns whether previews
    /// are shown.
    async fn replace_links(&self, tx: &Tx, id: PostId, links: &[String], now: Timestamp) -> Result<bool> {
        let has_previews = self.core.host.page_fetcher.is_some() && !links.is_empty();
        let of_post = link_preview::COLUMN.post_id.eq(id);
        let current = link_preview::Entity::find().filter(of_post.clone()).all(tx).await?;
        if current.iter().map(|current| &current.url).ne(links) {
            link_preview::Entity::delete_many().filter(of_post).exec(&tx.deferred()).await?;
            if has_previews {
                store_links(tx, id, links, now).await?;
            }
        }
        Ok(has_previews)
    }

    /// Logs which flags of moderators have changed.
    async fn log_flags(&self, tx: &Tx, caller: &Caller, before: &post::Model, after: &post::Model) -> Result<()> {
        for (previous, current, set, unset) in [
            (before.is_pinned, after.is_pinned, "pinned", "unpinned"),
            (before.is_featured, after.is_featured, "featured", "unfeatured"),
            (before.is_locked, after.is_locked, "locked", "unlocked"),
        ] {
            if current != previous {
                let entry = ModerationEntry {
                    group: after.group_id,
                    actor: caller.user,
                    action: if current { set } else { unset },
                    subject: after.author_id,
                    target: format!("post {}", after.id),
                    detail: &after.title,
                };
                self.core.log_moderation(tx, entry).await?;
            }
        }
        Ok(())
    }

    /// Deletes a post, and logs it unless the caller is the author.
    pub(crate) async fn erase_post(&self, tx: &Tx, caller: &Caller, post: &post::Model, reason: &str) -> Result<()> {
        if let (Some(group), true) = (post.group_id, is_counted(post.is_approved, post.visibility)) {
            add_to_post_count(tx, group, -1).await?;
        }
        post::Entity::delete_by_id(post.id).exec(&tx.deferred()).await?;
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
            self.core.log_moderation(tx, entry).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Posts for SqlPosts {
    async fn create_post(&self, caller: &Caller, new: NewPost) -> Result<Post> {
        let prepared = self.prepare_post(&new).await?;
        let (new, prepared) = (&new, &prepared);
        let row = self.core.write(|tx| async move { self.store_post(&tx, caller, new, prepared).await }).await?;
        self.show_created(caller, row).await
    }

    fn preview(&self, content: String) -> Result<String> {
        let new = NewPost { content, ..NewPost::default() };
        new.validate()?;
        markdown::html_of("content", &new.content)
    }

    async fn post(&self, viewer: Option<Caller>, id: PostId) -> Result<Post> {
        self.find_post(self.core.viewer(viewer)?, id).await
    }

    async fn change_post(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post> {
        patch.validate()?;
        let prepared = match &patch.content {
            Some(content) => Some(self.prepare(content).await?),
            None => None,
        };
        let (patch, known, prepared) = (&patch, &known, &prepared);
        self.core
            .write(|tx| async move {
                let (post, rights) = lock_post(&tx, caller, id).await?;
                if patch.needs_author() && !rights.is_author {
                    return Err(Error::NotAuthor);
                }
                if patch.needs_moderator() && !rights.is_moderator {
                    return Err(Error::NotModerator);
                }
                known.check(post.updated_at)?;
                self.store_change(&tx, caller, &post, patch, prepared.as_ref(), rights.is_moderator).await
            })
            .await?;
        if prepared.is_some() {
            self.core.wake_previews.notify_one();
        }
        self.find_post(caller.into(), id).await
    }

    async fn delete_post(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()> {
        let known = &known;
        self.core
            .write(|tx| async move {
                let (post, rights) = lock_post(&tx, caller, id).await?;
                if !rights.is_author && !rights.is_moderator && post.author_id != Some(caller.user) {
                    return Err(Error::NotAuthor);
                }
                known.check(post.updated_at)?;
                self.erase_post(&tx, caller, &post, "").await
            })
            .await
    }
}

//! What is derived from the content of a post or comment: HTML, mentions, links and tags.

use guildhall_kernel::{Timestamp, UserId, db::Tx, text};
use sea_orm::{
    ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set, sea_query::ExprTrait,
};

use super::SqlPosts;
use crate::{
    entity::{group, link_preview, membership, mention, post::Visibility, post_tag},
    error::Result,
    event::UserMentioned,
    id::{CommentId, GroupId, PostId},
    markdown,
};

/// What is derived from the Markdown of a post or comment, before the transaction that stores it.
pub(super) struct Prepared {
    pub(super) html: String,
    pub(super) mentioned: Vec<UserId>,
    pub(super) links: Vec<String>,
}

impl SqlPosts {
    /// Renders Markdown and resolves its mentions and links.
    pub(super) async fn prepare(&self, content: &str) -> Result<Prepared> {
        let references = markdown::find_references(content);
        let mentioned = if references.mentions.is_empty() {
            Vec::new()
        } else {
            self.core.host.directory.named(&references.mentions).await?
        };
        let html = markdown::html_of("content", content)?;
        let mentioned = mentioned.into_iter().map(|person| person.id).collect();
        Ok(Prepared { html, mentioned, links: references.links })
    }
}

/// The users among these who are members of the group.
pub(super) async fn filter_members(
    conn: &impl ConnectionTrait,
    users: &[UserId],
    group: Option<GroupId>,
) -> Result<Vec<UserId>> {
    let Some(group) = group.filter(|_| !users.is_empty()) else { return Ok(Vec::new()) };
    let members = membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::COLUMN.group_id.eq(group))
        .filter(membership::COLUMN.user_id.is_in(users.iter().copied()));
    Ok(members.into_tuple().all(conn).await?)
}

/// The users among these who may read a post with this visibility, and the members among them.
pub(super) fn readers(
    users: &[UserId],
    members: Vec<UserId>,
    group: Option<&group::Model>,
    visibility: Visibility,
) -> Vec<UserId> {
    match group {
        _ if visibility == Visibility::Private => Vec::new(),
        Some(group) if group.is_private || visibility == Visibility::GroupOnly => members,
        _ => users.to_vec(),
    }
}

/// Folds tags, strips a leading `#` and removes duplicates.
pub(super) fn normalize_tags(input: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in input {
        let tag = text::fold(tag.trim_start_matches('#'));
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

pub(super) async fn store_tags(tx: &Tx, id: PostId, tags: &[String]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let row = |(position, tag): (i64, &String)| post_tag::ActiveModel {
        post_id: Set(id),
        position: Set(position),
        tag: Set(tag.clone()),
    };
    post_tag::Entity::insert_many((0..).zip(tags).map(row)).exec_without_returning(&tx.deferred()).await?;
    Ok(())
}

pub(super) async fn replace_tags(tx: &Tx, id: PostId, tags: &[String]) -> Result<()> {
    post_tag::Entity::delete_many().filter(post_tag::COLUMN.post_id.eq(id)).exec(&tx.deferred()).await?;
    store_tags(tx, id, tags).await
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
    mention::Entity::insert_many(mentioned.iter().map(row)).exec_without_returning(&tx.deferred()).await?;
    for user in mentioned {
        tx.emit(&UserMentioned { post: id, comment, user: *user }).await?;
    }
    Ok(())
}

/// Replaces the mentions in the content of a post, without those in its comments, or in the content of a comment. Who
/// was mentioned before is not mentioned again.
pub(super) async fn replace_mentions(
    tx: &Tx,
    id: PostId,
    comment: Option<CommentId>,
    mentioned: &[UserId],
    now: Timestamp,
) -> Result<()> {
    let in_content = mention::COLUMN.post_id.eq(id).and(match comment {
        Some(comment) => mention::COLUMN.comment_id.eq(comment),
        None => mention::COLUMN.comment_id.is_null(),
    });
    let before = mention::Entity::find().filter(in_content.clone()).select_only().column(mention::Column::UserId);
    let before: Vec<UserId> = before.into_tuple().all(tx).await?;
    if before.iter().any(|user| !mentioned.contains(user)) {
        mention::Entity::delete_many()
            .filter(in_content)
            .filter(mention::COLUMN.user_id.is_not_in(mentioned.iter().copied()))
            .exec(&tx.deferred())
            .await?;
    }
    let new: Vec<UserId> = mentioned.iter().copied().filter(|user| !before.contains(user)).collect();
    store_mentions(tx, id, comment, &new, now).await
}

/// Removes mentions of people who may no longer read a post, in the post and in its comments.
pub(super) async fn delete_hidden_mentions(
    tx: &Tx,
    id: PostId,
    group: Option<&group::Model>,
    visibility: Visibility,
) -> Result<()> {
    let mentioned = mention::Entity::find().filter(mention::COLUMN.post_id.eq(id));
    let mentioned: Vec<UserId> = mentioned.select_only().column(mention::Column::UserId).into_tuple().all(tx).await?;
    let members = filter_members(tx, &mentioned, group.map(|group| group.id)).await?;
    mention::Entity::delete_many()
        .filter(mention::COLUMN.post_id.eq(id))
        .filter(mention::COLUMN.user_id.is_not_in(readers(&mentioned, members, group, visibility)))
        .exec(&tx.deferred())
        .await?;
    Ok(())
}

pub(super) async fn store_links(tx: &Tx, id: PostId, links: &[String], now: Timestamp) -> Result<()> {
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
    link_preview::Entity::insert_many((0..).zip(links).map(row)).exec_without_returning(&tx.deferred()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use garde::Validate;

    use super::*;
    use crate::posts::NewPost;

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

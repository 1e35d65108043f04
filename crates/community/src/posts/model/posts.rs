use std::collections::BTreeMap;

use garde::Validate;
pub use guildhall_kernel::link_preview::LinkPreview;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;
use utoipa::ToSchema;

use crate::{
    entity::post::{PostCategory, Visibility},
    id::{GroupId, PostId},
    markdown::MAX_TEXT_LENGTH,
    posts::{Attachment, NewPoll, Poll},
};

/// A post as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Post {
    /// The post's id.
    pub id: PostId,
    /// The group it was posted in, if any.
    pub group: Option<GroupId>,
    /// The author; `null` once their account is deleted.
    pub author: Option<Person>,
    /// Its title; may be empty.
    pub title: String,
    /// Its content, as Markdown.
    pub content: String,
    /// The content as sanitized HTML.
    pub content_html: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// Its category.
    pub category: PostCategory,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its attachments.
    pub attachments: Vec<Attachment>,
    /// Previews of the pages that it links to.
    pub link_previews: Vec<LinkPreview>,
    /// The people it mentions who may read it.
    pub mentions: Vec<Person>,
    /// Its poll, if it has one.
    pub poll: Option<Poll>,
    /// Number of reactions of each kind.
    #[schema(example = json!({"like": 3}))]
    pub reactions: BTreeMap<String, i64>,
    /// The caller's reaction.
    pub my_reaction: Option<String>,
    /// Number of comments.
    pub comment_count: i64,
    /// Whether the caller has bookmarked it.
    pub is_bookmarked: bool,
    /// It is pinned to the top of its group.
    pub is_pinned: bool,
    /// It is featured by the moderators.
    pub is_featured: bool,
    /// Its discussion is closed.
    pub is_locked: bool,
    /// It is published: a moderator has approved it, or it needs no approval.
    pub is_approved: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A post to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
pub struct NewPost {
    /// Markdown.
    #[garde(custom(text::block(1, MAX_TEXT_LENGTH)))]
    pub content: String,
    /// Its title.
    #[serde(default)]
    #[garde(custom(text::line(0, 300)))]
    pub title: String,
    /// The group to post in, if any.
    #[serde(default, alias = "group_id")]
    #[garde(skip)]
    pub group: Option<GroupId>,
    /// Who may read it; by default the members of the group, or everybody if there is no group.
    #[serde(default, alias = "feed_visibility")]
    #[garde(skip)]
    pub visibility: Option<Visibility>,
    /// Its category.
    #[serde(default, alias = "post_category")]
    #[garde(skip)]
    pub category: PostCategory,
    /// Its tags, at most 10.
    #[serde(default)]
    #[garde(length(max = 10), inner(custom(tag)))]
    pub tags: Vec<String>,
    /// Its poll, if it has one.
    #[serde(default)]
    #[garde(dive)]
    pub poll: Option<NewPoll>,
}

/// One word; a leading `#` is ignored.
fn tag(tag: &str, (): &()) -> garde::Result {
    let tag = tag.trim_start_matches('#');
    text::line(1, 50)(tag, &())?;
    // Many scripts write vowels as combining marks.
    if tag.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '_')) {
        Ok(())
    } else {
        Err(garde::Error::new("Use letters, digits, - and _ only."))
    }
}

/// A change to a post; absent fields stay as they are. The author may change the content, the moderators of the
/// group the flags.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct PostPatch {
    /// Markdown.
    #[garde(custom(text::maybe(text::block(1, MAX_TEXT_LENGTH))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub content: Option<String>,
    /// Its title.
    #[garde(custom(text::maybe(text::line(0, 300))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Who may read it.
    #[serde(alias = "feed_visibility")]
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub visibility: Option<Visibility>,
    /// Its category.
    #[serde(alias = "post_category")]
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub category: Option<PostCategory>,
    /// Its tags.
    #[garde(inner(length(max = 10), inner(custom(tag))))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub tags: Option<Vec<String>>,
    /// Whether it is pinned to the top of its group. Only moderators may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_pinned: Option<bool>,
    /// Whether it is featured. Only moderators may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_featured: Option<bool>,
    /// Whether its discussion is closed. Only moderators may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_locked: Option<bool>,
}

impl PostPatch {
    /// Whether it changes a field that only the author may change.
    pub(crate) fn needs_author(&self) -> bool {
        self.content.is_some()
            || self.title.is_some()
            || self.visibility.is_some()
            || self.category.is_some()
            || self.tags.is_some()
    }

    /// Whether it changes a field that only moderators may change.
    pub(crate) fn needs_moderator(&self) -> bool {
        self.is_pinned.is_some() || self.is_featured.is_some() || self.is_locked.is_some()
    }
}

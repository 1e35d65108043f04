use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Keyed, Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter, FromQueryResult};
use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;
use utoipa::{IntoParams, ToSchema};

use super::{AttachmentId, CommentId, DraftId, Group, GroupId, MAX_TEXT_LENGTH, PostId, ReportId};

/// Who may read a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// The members of its group.
    GroupOnly,
    /// Everybody who may read its group.
    #[serde(alias = "public_global")]
    Public,
    /// Only its author.
    Private,
}

/// The category of a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PostCategory {
    /// No special category.
    #[default]
    General,
    /// An announcement.
    Announcement,
    /// About an event.
    Event,
    /// A job offer.
    JobPosting,
    /// A useful resource.
    Resource,
    /// A question.
    Question,
}

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

/// A file attached to a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attachment {
    /// The attachment's id.
    pub id: AttachmentId,
    /// The file name.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// The size in bytes; of a picture, the sum of all its sizes.
    pub size: i64,
    /// Absolute URL, valid for at least half an hour.
    pub url: String,
    /// Absolute URL of a small version, if the file is a picture.
    pub preview_url: Option<String>,
}

/// A preview of a linked page, from its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkPreview {
    /// The URL of the page.
    pub url: String,
    /// The title of the page.
    pub title: String,
    /// The description of the page.
    pub description: String,
    /// The name of the site.
    pub site: String,
}

/// A poll of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Poll {
    /// Whether several options may be chosen.
    pub is_multiple: bool,
    /// When voting ends, if it does.
    pub closes_at: Option<Timestamp>,
    /// The options.
    pub options: Vec<PollOption>,
    /// The positions of the options that the caller has voted for.
    pub my_votes: Vec<i64>,
}

/// An option of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PollOption {
    /// Its position, from 0, as used in votes.
    pub position: i64,
    /// Its text.
    pub text: String,
    /// Number of votes.
    pub votes: i64,
}

/// A poll to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
pub struct NewPoll {
    /// The options, 2 to 10.
    #[garde(length(min = 2, max = 10), inner(custom(text::line(1, 200))))]
    pub options: Vec<String>,
    /// Whether several options may be chosen.
    #[serde(default)]
    #[garde(skip)]
    pub is_multiple: bool,
    /// How many hours voting is open; without limit if absent.
    #[garde(inner(range(min = 1, max = 8_760)))]
    pub hours: Option<i64>,
}

/// A vote in a poll.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Vote {
    /// The positions of the chosen options, from 0; an empty list removes the vote.
    #[garde(length(max = 10))]
    pub options: Vec<i64>,
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

/// A kind of feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedType {
    /// Public posts, newest first.
    Global,
    /// Posts of the people whom the caller follows.
    Following,
    /// Public posts, ordered by reactions, comments and age.
    Trending,
    /// Posts in the caller's groups.
    JoinedGroups,
}

/// Filters of a feed. Without any, the feed holds all posts that the caller may read.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FeedFilter {
    /// The kind of feed.
    #[param(inline)]
    pub feed_type: Option<FeedType>,
    /// `true`: the same as `feed_type=joined_groups`.
    pub joined_groups: Option<bool>,
    /// Only posts of this group.
    #[serde(alias = "group_id")]
    pub group: Option<GroupId>,
    /// Only posts by this author.
    #[serde(alias = "author_id")]
    pub author: Option<UserId>,
    /// Only posts with this tag.
    pub tag: Option<String>,
    /// Only posts of this category.
    #[param(inline)]
    pub category: Option<PostCategory>,
    /// `true`: only posts that mention the caller, in the post or in a comment.
    pub mentioned: Option<bool>,
    /// `true`: only pinned posts.
    pub pinned: Option<bool>,
}

/// A draft of a post.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Draft {
    /// The draft's id.
    pub id: DraftId,
    /// The post to be published.
    #[serde(flatten)]
    pub post: NewPost,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A report to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewReport {
    /// The reason, shown to the moderators.
    #[garde(custom(text::line(1, 1_000)))]
    pub reason: String,
}

/// The status of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Not decided yet.
    Open,
    /// The report was justified.
    Upheld,
    /// The report was dismissed.
    Dismissed,
}

/// A report as moderators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// The report's id.
    pub id: ReportId,
    /// The group.
    pub group: Option<GroupId>,
    /// The reported post, or the post of the reported comment.
    pub post: PostId,
    /// The reported comment, if it is about a comment.
    pub comment: Option<CommentId>,
    /// The user who reported it.
    pub reporter: Option<Person>,
    /// The reason.
    pub reason: String,
    /// The report's status.
    pub status: ReportStatus,
    /// When it was reported.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// A moderator's decision about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportVerdict)]
pub enum Verdict {
    /// The report was not justified.
    Dismiss,
    /// The report was justified, and has been dealt with.
    Uphold,
    /// The report was justified; deletes the post or comment.
    Remove,
}

/// Search results.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// Groups with all these words in name or description.
    pub groups: Vec<Group>,
    /// Posts with all these words, newest first.
    pub posts: Vec<Post>,
    /// Members of the caller's groups whose names begin with the text.
    pub members: Vec<Person>,
}

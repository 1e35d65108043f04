use std::collections::BTreeMap;

use garde::Validate;
use guildhall_kernel::{Keyed, Person, Timestamp, UserId, text};
use sea_orm::{DeriveActiveEnum, EnumIter, FromQueryResult};
use serde::{Deserialize, Serialize};
use unicode_normalization::char::is_combining_mark;
use utoipa::{IntoParams, ToSchema};

use super::{AttachmentId, CommentId, DraftId, Group, GroupId, LONGEST_TEXT, PostId, ReportId};

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
    /// Nobody but its author.
    Private,
}

/// What sort of post it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PostCategory {
    /// Anything.
    #[default]
    General,
    /// Something that everybody should know.
    Announcement,
    /// Something that takes place.
    Event,
    /// Work that is offered.
    JobPosting,
    /// Something of use.
    Resource,
    /// Something that somebody wants to know.
    Question,
}

/// A post as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Post {
    /// The post's id.
    pub id: PostId,
    /// The group that it is in.
    pub group: Option<GroupId>,
    /// Who wrote it; `null` once they are gone.
    pub author: Option<Person>,
    /// What it is about; may be empty.
    pub title: String,
    /// What they wrote, as Markdown.
    pub content: String,
    /// The same as HTML that is safe to show.
    pub content_html: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// What sort of post it is.
    pub category: PostCategory,
    /// Words that it is found under.
    pub tags: Vec<String>,
    /// Files with it.
    pub attachments: Vec<Attachment>,
    /// What the pages say about themselves that it points at.
    pub link_previews: Vec<LinkPreview>,
    /// Whom it names, of those who may read it.
    pub mentions: Vec<Person>,
    /// A question with it.
    pub poll: Option<Poll>,
    /// How many make what of it.
    #[schema(example = json!({"like": 3}))]
    pub reactions: BTreeMap<String, i64>,
    /// What the caller makes of it.
    pub my_reaction: Option<String>,
    /// How many comments it has.
    pub comment_count: i64,
    /// Does the caller want to find it again?
    pub is_bookmarked: bool,
    /// It stands at the head of its group.
    pub is_pinned: bool,
    /// It is recommended.
    pub is_featured: bool,
    /// Its discussion is closed.
    pub is_locked: bool,
    /// A moderator has let it through, or none had to.
    pub is_approved: bool,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The columns of [`Post`], and what the viewer has to do with it.
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

/// A file with a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attachment {
    /// The attachment's id.
    pub id: AttachmentId,
    /// What the file is called.
    pub name: String,
    /// What sort of file it is.
    pub content_type: String,
    /// How long it is, in bytes; of a picture, all its sizes together.
    pub size: i64,
    /// Absolute URL, good for half an hour at least.
    pub url: String,
    /// The same of a small picture, where the file is one.
    pub preview_url: Option<String>,
}

/// What a page says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkPreview {
    /// Its address.
    pub url: String,
    /// What it is called.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// What the site is called.
    pub site: String,
}

/// A question with a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Poll {
    /// May one choose several answers?
    pub is_multiple: bool,
    /// Until when one can.
    pub closes_at: Option<Timestamp>,
    /// The answers.
    pub options: Vec<PollOption>,
    /// The places of the answers that the caller has chosen, from 0.
    pub my_votes: Vec<i64>,
}

/// An answer that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PollOption {
    /// Its place, from 0: what a vote names.
    pub position: i64,
    /// The answer.
    pub text: String,
    /// How many have chosen it.
    pub votes: i64,
}

/// A question to be asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
pub struct NewPoll {
    /// The answers, 2 to 10.
    #[garde(length(min = 2, max = 10), inner(custom(text::line(1, 200))))]
    pub options: Vec<String>,
    /// May one choose several?
    #[serde(default)]
    #[garde(skip)]
    pub is_multiple: bool,
    /// For how long one can choose, in hours; without it for ever.
    #[garde(inner(range(min = 1, max = 8_760)))]
    pub hours: Option<i64>,
}

/// The answers that are chosen.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct Vote {
    /// Their places, from 0; none takes a vote back.
    #[garde(length(max = 10))]
    pub options: Vec<i64>,
}

/// A post to be posted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
pub struct NewPost {
    /// Markdown.
    #[garde(custom(text::block(1, LONGEST_TEXT)))]
    pub content: String,
    /// What it is about.
    #[serde(default)]
    #[garde(custom(text::line(0, 300)))]
    pub title: String,
    /// The group to post in.
    #[serde(default, alias = "group_id")]
    #[garde(skip)]
    pub group: Option<GroupId>,
    /// Who may read it: the group's members unless said otherwise, and everybody where there is no group.
    #[serde(default, alias = "feed_visibility")]
    #[garde(skip)]
    pub visibility: Option<Visibility>,
    /// What sort of post it is.
    #[serde(default, alias = "post_category")]
    #[garde(skip)]
    pub category: PostCategory,
    /// Words that it is found under, at most 10.
    #[serde(default)]
    #[garde(length(max = 10), inner(custom(tag)))]
    pub tags: Vec<String>,
    /// A question with it.
    #[serde(default)]
    #[garde(dive)]
    pub poll: Option<NewPoll>,
}

/// One word, without the mark that people write before it.
fn tag(tag: &str, (): &()) -> garde::Result {
    let tag = tag.trim_start_matches('#');
    text::line(1, 50)(tag, &())?;
    // Many scripts write vowels as marks on letters.
    if tag.chars().all(|c| c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '_')) {
        Ok(())
    } else {
        Err(garde::Error::new("Use letters, digits, - and _ only."))
    }
}

/// A change to a post; absent fields stay as they are. What it says is its author's, the rest its group's
/// moderators' to change.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct PostPatch {
    /// Markdown.
    #[garde(custom(text::maybe(text::block(1, LONGEST_TEXT))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub content: Option<String>,
    /// What it is about.
    #[garde(custom(text::maybe(text::line(0, 300))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Who may read it.
    #[serde(alias = "feed_visibility")]
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub visibility: Option<Visibility>,
    /// What sort of post it is.
    #[serde(alias = "post_category")]
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub category: Option<PostCategory>,
    /// Words that it is found under.
    #[garde(inner(length(max = 10), inner(custom(tag))))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub tags: Option<Vec<String>>,
    /// Does it stand at the head of its group? Moderators decide.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_pinned: Option<bool>,
    /// Is it recommended? Moderators decide.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_featured: Option<bool>,
    /// Is its discussion closed? Moderators decide.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_locked: Option<bool>,
}

impl PostPatch {
    /// Does it change what the author says?
    pub(crate) fn is_authors(&self) -> bool {
        self.content.is_some()
            || self.title.is_some()
            || self.visibility.is_some()
            || self.category.is_some()
            || self.tags.is_some()
    }

    /// Does it change what moderators decide?
    pub(crate) fn is_moderators(&self) -> bool {
        self.is_pinned.is_some() || self.is_featured.is_some() || self.is_locked.is_some()
    }
}

/// Which feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedType {
    /// What everybody may read.
    Global,
    /// What those wrote whom the caller follows.
    Following,
    /// What everybody may read, by what people make of it.
    Trending,
    /// What is in the groups that the caller is in.
    JoinedGroups,
}

/// Which posts to list: without anything, all that the caller may read.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FeedFilter {
    /// Which feed.
    #[param(inline)]
    pub feed_type: Option<FeedType>,
    /// `true`: as `feed_type=joined_groups`.
    pub joined_groups: Option<bool>,
    /// Only posts of this group.
    #[serde(alias = "group_id")]
    pub group: Option<GroupId>,
    /// Only posts of this person.
    #[serde(alias = "author_id")]
    pub author: Option<UserId>,
    /// Only posts with this tag.
    pub tag: Option<String>,
    /// Only posts of this sort.
    #[param(inline)]
    pub category: Option<PostCategory>,
    /// `true`: only posts that name the caller, in themselves or in a comment.
    pub mentioned: Option<bool>,
    /// `true`: only posts that are at the head of their group.
    pub pinned: Option<bool>,
}

/// A post that is not posted yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Draft {
    /// The draft's id.
    pub id: DraftId,
    /// What will be posted.
    #[serde(flatten)]
    pub post: NewPost,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is wrong with a post or a comment.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewReport {
    /// In words for the moderators.
    #[garde(custom(text::line(1, 1_000)))]
    pub reason: String,
}

/// What has become of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum ReportStatus {
    /// Nobody has decided yet.
    Open,
    /// It was right.
    Upheld,
    /// It was not.
    Dismissed,
}

/// A report as moderators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// The report's id.
    pub id: ReportId,
    /// The group.
    pub group: Option<GroupId>,
    /// The post.
    pub post: PostId,
    /// The comment, where it is about one.
    pub comment: Option<CommentId>,
    /// Who reports.
    pub reporter: Option<Person>,
    /// Why.
    pub reason: String,
    /// What has become of it.
    pub status: ReportStatus,
    /// When it was reported.
    pub created_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// What a moderator decides about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportVerdict)]
pub enum Verdict {
    /// Nothing is wrong.
    Dismiss,
    /// Something was, and has been seen to.
    Uphold,
    /// Something was: the post or comment goes.
    Remove,
}

/// What was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// Groups with these words in name or description.
    pub groups: Vec<Group>,
    /// Posts with these words, newest first.
    pub posts: Vec<Post>,
    /// People in the caller's groups whose names begin like this.
    pub members: Vec<Person>,
}

use guildhall_kernel::UserId;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{entity::post::PostCategory, id::GroupId};

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

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, text};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{entity::group::Posting, groups::PictureUrls, id::GroupId};

/// A group as the caller sees it. Of a private listed group, outsiders see the name, description and pictures, but
/// not its members or their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Group {
    /// The group's id.
    pub id: GroupId,
    /// Its name. Not unique.
    pub name: String,
    /// Its unique name in URLs.
    pub slug: String,
    /// Its description.
    pub description: String,
    /// Its category: one word.
    pub category: String,
    /// Only members can read its content.
    pub is_private: bool,
    /// It is private, but every signed-in user can see its name, description and pictures, and request to join.
    pub is_listed: bool,
    /// It is the group of a company.
    pub is_corporate_group: bool,
    /// Absolute URL of its picture; a generated one if none was uploaded.
    pub image_url: String,
    /// Its uploaded picture in three sizes, if it has one.
    pub image_urls: Option<PictureUrls>,
    /// Absolute URL of its banner, if it has one.
    pub banner_url: Option<String>,
    /// Its banner in three sizes, if it has one.
    pub banner_urls: Option<PictureUrls>,
    /// The user who created it; `null` once their account is deleted, and for outsiders of a private group.
    pub creator: Option<Person>,
    /// Its owner; `null` if it has none, and for outsiders of a private group.
    pub owner: Option<Person>,
    /// Number of members; `null` for outsiders of a private group.
    pub member_count: Option<i64>,
    /// Number of posts; `null` for outsiders of a private group.
    pub post_count: Option<i64>,
    /// Maximum number of members, if limited.
    pub max_members: Option<i64>,
    /// Who may post in it.
    pub posting: Posting,
    /// Posts of members need the approval of a moderator.
    pub approves_posts: bool,
    /// Members may invite people, not only moderators.
    pub members_invite: bool,
    /// Whether the caller is a member.
    pub is_member: bool,
    /// Whether the caller is a moderator or the owner.
    pub is_moderator: bool,
    /// The ids of its moderators and its owner.
    pub moderators: Vec<UserId>,
    /// The ids of its courses.
    pub courses: Vec<i64>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A group to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewGroup {
    /// Its name.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// Its description.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// Its category: one word.
    #[serde(default = "general")]
    #[garde(custom(text::line(1, 50)))]
    #[schema(example = "general")]
    pub category: String,
    /// Only members can read its content.
    #[serde(default)]
    #[garde(skip)]
    pub is_private: bool,
    /// It is private, but every signed-in user can see its name, description and pictures. Ignored for public groups.
    #[serde(default)]
    #[garde(skip)]
    pub is_listed: bool,
    /// It is the group of a company.
    #[serde(default)]
    #[garde(skip)]
    pub is_corporate_group: bool,
    /// Maximum number of members, including the owner.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub max_members: Option<i64>,
    /// Who may post in it.
    #[serde(default)]
    #[garde(skip)]
    pub posting: Posting,
    /// Posts of members need the approval of a moderator.
    #[serde(default)]
    #[garde(skip)]
    pub approves_posts: bool,
    /// Members may invite people, not only moderators.
    #[serde(default)]
    #[garde(skip)]
    pub members_invite: bool,
}

fn general() -> String {
    "general".to_owned()
}

/// A change to a group; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct GroupPatch {
    /// Its name.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// Its description.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// Its category: one word.
    #[garde(custom(text::maybe(text::line(1, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub category: Option<String>,
    /// Only members can read its content. Only the owner may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_private: Option<bool>,
    /// Every signed-in user can see its name, description and pictures. Only the owner may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_listed: Option<bool>,
    /// It is the group of a company. Only the owner may change this.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_corporate_group: Option<bool>,
    /// Maximum number of members; `null` removes the limit.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 1_000_000))))]
    #[schema(value_type = Option<i64>)]
    pub max_members: Option<Option<i64>>,
    /// Who may post in it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub posting: Option<Posting>,
    /// Posts of members need the approval of a moderator.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub approves_posts: Option<bool>,
    /// Members may invite people, not only moderators.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub members_invite: Option<bool>,
}

impl GroupPatch {
    /// Whether it changes a field that only the owner may change.
    pub(crate) fn needs_owner(&self) -> bool {
        self.is_private.is_some() || self.is_listed.is_some() || self.is_corporate_group.is_some()
    }
}

/// Filters of the list of groups.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GroupFilter {
    /// Only groups of this category.
    pub category: Option<String>,
    /// Only groups with all these words in name or description; the last word may be a prefix.
    pub search: Option<String>,
    /// Only groups that the caller is (`true`) or is not (`false`) a member of.
    pub joined: Option<bool>,
}

impl GroupFilter {
    /// Whether there is no filter.
    pub(crate) fn is_empty(&self) -> bool {
        self.category.is_none() && self.search.is_none() && self.joined.is_none()
    }
}

/// A category and its number of groups visible to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromQueryResult)]
pub struct CategoryCount {
    /// The category.
    pub category: String,
    /// Number of groups.
    pub group_count: i64,
}

/// What deleting a group deletes with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema, FromQueryResult)]
#[schema(as = GroupDeletion)]
pub struct Deletion {
    /// Memberships.
    pub members: i64,
    /// Memberships of moderators and the owner, included in `members`.
    pub moderators: i64,
    /// Requests to join.
    pub requests: i64,
    /// Invites.
    pub invites: i64,
    /// Bans.
    pub bans: i64,
    /// Posts.
    pub posts: i64,
    /// Comments on the posts.
    pub comments: i64,
    /// Reactions to the posts.
    pub reactions: i64,
    /// Attachments of the posts.
    pub attachments: i64,
    /// Uploaded pictures of the group.
    pub pictures: i64,
    /// Links to courses; the courses themselves are not deleted.
    pub courses: i64,
    /// Events.
    pub events: i64,
    /// Reports.
    pub reports: i64,
}

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, file::FileId, text};
use sea_orm::{DeriveActiveEnum, DerivePartialModel, EnumIter, FromQueryResult, PartialModelTrait, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::GroupId;
use crate::entity::{group, membership::Role};

/// A group as the caller sees it. Of a private group that only shows its card outsiders see what it is
/// called and for, and its pictures; not who or how many are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Group {
    /// The group's id.
    pub id: GroupId,
    /// What it is called. Several groups may have one name.
    pub name: String,
    /// What it is called in an address. No two groups have the same.
    pub slug: String,
    /// What it is for.
    pub description: String,
    /// One word that groups are sorted under.
    pub category: String,
    /// Only its members read what is in it.
    pub is_private: bool,
    /// It is private, but everybody who is signed in sees its card and can ask to join.
    pub is_listed: bool,
    /// It is a company's.
    pub is_corporate_group: bool,
    /// Absolute URL of its picture; there always is one.
    pub image_url: String,
    /// Its picture in three sizes, if somebody has uploaded one.
    pub image_urls: Option<PictureUrls>,
    /// Absolute URL of its banner, if it has one.
    pub banner_url: Option<String>,
    /// Its banner in three sizes, if it has one.
    pub banner_urls: Option<PictureUrls>,
    /// Whoever made it; `null` once their account is gone, and for outsiders of a private group.
    pub creator: Option<Person>,
    /// Whose it is now; `null` while nobody is in it, and for outsiders of a private group.
    pub owner: Option<Person>,
    /// How many are in it; `null` for outsiders of a private group.
    pub member_count: Option<i64>,
    /// How many posts are in it; `null` for outsiders of a private group.
    pub post_count: Option<i64>,
    /// How many can be in it, if that is limited.
    pub max_members: Option<i64>,
    /// Who posts in it.
    pub posting: Posting,
    /// Posts of members wait until a moderator lets them through.
    pub approves_posts: bool,
    /// Members invite people too, not moderators alone.
    pub members_invite: bool,
    /// Is the caller in it?
    pub is_member: bool,
    /// Does the caller look after it?
    pub is_moderator: bool,
    /// Who looks after it, the owner among them.
    pub moderators: Vec<UserId>,
    /// The courses that belong to it.
    pub courses: Vec<i64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A picture in three sizes, each an absolute URL that is good for half an hour at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PictureUrls {
    /// For lists.
    pub small: String,
    /// For cards.
    pub medium: String,
    /// For the head of a page.
    pub large: String,
}

/// Who posts in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Posting {
    /// Everybody who is in it.
    #[default]
    Members,
    /// Only those who look after it: what a company or an announcement list wants.
    Moderators,
}

/// The columns of [`Group`].
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "group::Entity")]
pub(crate) struct GroupRow {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) is_private: bool,
    pub(crate) is_listed: bool,
    pub(crate) is_corporate_group: bool,
    pub(crate) creator_id: Option<UserId>,
    pub(crate) max_members: Option<i64>,
    pub(crate) posting: Posting,
    pub(crate) approves_posts: bool,
    pub(crate) members_invite: bool,
    pub(crate) member_count: i64,
    pub(crate) post_count: i64,
    pub(crate) image_id: Option<FileId>,
    pub(crate) banner_id: Option<FileId>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl From<group::Model> for GroupRow {
    fn from(row: group::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            description: row.description,
            category: row.category,
            is_private: row.is_private,
            is_listed: row.is_listed,
            is_corporate_group: row.is_corporate_group,
            creator_id: row.creator_id,
            max_members: row.max_members,
            posting: row.posting,
            approves_posts: row.approves_posts,
            members_invite: row.members_invite,
            member_count: row.member_count,
            post_count: row.post_count,
            image_id: row.image_id,
            banner_id: row.banner_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A group and what the viewer is in it, which the query adds.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct SeenRow {
    #[sea_orm(nested)]
    pub(crate) row: GroupRow,
    pub(crate) own_role: Option<Role>,
}

impl PartialModelTrait for SeenRow {
    fn select_cols_nested<S: QuerySelect>(select: S, prefix: Option<&str>, alias: Option<&'static str>) -> S {
        GroupRow::select_cols_nested(select, prefix, alias)
    }
}

/// A group to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewGroup {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// One word that groups are sorted under.
    #[serde(default = "general")]
    #[garde(custom(text::line(1, 50)))]
    #[schema(example = "general")]
    pub category: String,
    /// Only its members read what is in it.
    #[serde(default)]
    #[garde(skip)]
    pub is_private: bool,
    /// It is private, but everybody who is signed in sees its card. Of a public group this says nothing.
    #[serde(default)]
    #[garde(skip)]
    pub is_listed: bool,
    /// It is a company's.
    #[serde(default)]
    #[garde(skip)]
    pub is_corporate_group: bool,
    /// How many can be in it, the owner among them.
    #[serde(default)]
    #[garde(inner(range(min = 1, max = 1_000_000)))]
    pub max_members: Option<i64>,
    /// Who posts in it.
    #[serde(default)]
    #[garde(skip)]
    pub posting: Posting,
    /// Posts of members wait until a moderator lets them through.
    #[serde(default)]
    #[garde(skip)]
    pub approves_posts: bool,
    /// Members invite people too.
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
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub name: Option<String>,
    /// What it is for.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// One word that groups are sorted under.
    #[garde(custom(text::maybe(text::line(1, 50))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub category: Option<String>,
    /// Only its members read what is in it. The owner decides.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_private: Option<bool>,
    /// Outsiders see its card. The owner decides.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_listed: Option<bool>,
    /// It is a company's. The owner decides.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_corporate_group: Option<bool>,
    /// How many can be in it; `null` for as many as come.
    #[serde(default, deserialize_with = "guildhall_kernel::present")]
    #[garde(inner(inner(range(min = 1, max = 1_000_000))))]
    #[schema(value_type = Option<i64>)]
    pub max_members: Option<Option<i64>>,
    /// Who posts in it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub posting: Option<Posting>,
    /// Posts of members wait until a moderator lets them through.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub approves_posts: Option<bool>,
    /// Members invite people too.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub members_invite: Option<bool>,
}

impl GroupPatch {
    /// Does it change what only the owner decides?
    pub(crate) fn is_owners(&self) -> bool {
        self.is_private.is_some() || self.is_listed.is_some() || self.is_corporate_group.is_some()
    }
}

/// Which groups to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GroupFilter {
    /// Only this category.
    pub category: Option<String>,
    /// Only groups with these words in name or description; the last one may be a beginning.
    pub search: Option<String>,
    /// Only groups that the caller is in (`true`) or is not in (`false`).
    pub joined: Option<bool>,
}

/// A category, and how many groups are sorted under it that the caller may know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromQueryResult)]
pub struct CategoryCount {
    /// The word.
    pub category: String,
    /// How many.
    pub group_count: i64,
}

/// What goes with a group when it is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema, FromQueryResult)]
#[schema(as = GroupDeletion)]
pub struct Deletion {
    /// People lose a group.
    pub members: i64,
    /// Among them those who look after it.
    pub moderators: i64,
    /// Requests to join.
    pub requests: i64,
    /// Invites.
    pub invites: i64,
    /// Bans.
    pub bans: i64,
    /// Posts.
    pub posts: i64,
    /// Comments on them.
    pub comments: i64,
    /// Reactions to them.
    pub reactions: i64,
    /// Files with posts.
    pub attachments: i64,
    /// Uploaded pictures of the group.
    pub pictures: i64,
    /// Links to courses; the courses stay.
    pub courses: i64,
    /// Events.
    pub events: i64,
    /// Reports.
    pub reports: i64,
}

/// Which picture of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// The square one.
    Image,
    /// The wide one.
    Banner,
}

use garde::Validate;
use guildhall_kernel::{Person, Timestamp, UserId, define_id, text};
use sea_orm::{
    DerivePartialModel, EntityTrait, FromQueryResult, PartialModelTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, ExprTrait},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::entity::{
    group,
    membership::{self, Role},
};

define_id!(
    /// A group.
    GroupId
);

/// A group as the caller sees it.
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
    /// Only its members know of it.
    pub is_private: bool,
    /// It is a company's.
    pub is_corporate_group: bool,
    /// Absolute URL of its picture; there always is one.
    pub image_url: String,
    /// Absolute URL of its banner, if it has one.
    pub banner_url: Option<String>,
    /// Whoever made it; `null` once their account is gone.
    pub creator: Option<Person>,
    /// How many are in it.
    pub member_count: i64,
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
    pub(crate) is_corporate_group: bool,
    pub(crate) creator_id: Option<UserId>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[sea_orm(from_expr = "member_count()")]
    pub(crate) member_count: i64,
}

/// A group and what the viewer is in it, which [`with_own_role`](crate::sql) adds.
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

fn member_count() -> Expr {
    let members = membership::Entity::find().select_only().expr(Expr::col(Asterisk).count()).filter(
        Expr::col((membership::Entity, membership::Column::GroupId)).equals((group::Entity, group::Column::Id)),
    );
    members.into_query().into()
}

/// A group to be made.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
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
    /// Only its members know of it.
    #[serde(default)]
    #[garde(skip)]
    pub is_private: bool,
    /// It is a company's.
    #[serde(default)]
    #[garde(skip)]
    pub is_corporate_group: bool,
}

fn general() -> String {
    "general".to_owned()
}

/// Which groups to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GroupFilter {
    /// Only this category.
    pub category: Option<String>,
    /// Only names that begin like this, in any case.
    pub search: Option<String>,
    /// Only groups that the caller is in (`true`) or is not in (`false`).
    pub joined: Option<bool>,
}

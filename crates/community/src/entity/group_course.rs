use sea_orm::entity::prelude::*;

use crate::id::{CourseId, GroupId};

/// A link between a group and a course.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_group_course")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: GroupId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub course_id: CourseId,
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}

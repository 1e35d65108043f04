use sea_orm::entity::prelude::*;

use crate::id::{CourseId, SectionId};

/// A section of a course.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_section")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SectionId,
    pub course_id: CourseId,
    pub title: String,
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}

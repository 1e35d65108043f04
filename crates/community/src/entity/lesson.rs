use guildhall_kernel::Timestamp;
use sea_orm::entity::prelude::*;

use crate::id::{CourseId, LessonId, SectionId};

/// A lesson of a course.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_lesson")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: LessonId,
    pub course_id: CourseId,
    pub section_id: SectionId,
    pub title: String,
    pub content: String,
    pub content_html: String,
    pub position: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

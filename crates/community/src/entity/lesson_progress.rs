use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::{CourseId, LessonId};

/// A lesson that a user has completed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_lesson_progress")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub lesson_id: LessonId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub course_id: CourseId,
    pub completed_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

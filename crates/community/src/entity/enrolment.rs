use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::CourseId;

/// A user's enrolment in a course.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_enrolment")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub course_id: CourseId,
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub completed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

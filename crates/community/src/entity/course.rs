use guildhall_kernel::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

use crate::id::CourseId;

/// A course.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "community_course")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: CourseId,
    pub title: String,
    pub description: String,
    pub description_html: String,
    pub author_id: Option<UserId>,
    pub is_public: bool,
    pub lesson_count: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

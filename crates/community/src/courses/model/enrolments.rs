use guildhall_kernel::{Person, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::id::CourseId;

/// The caller's enrolment in a course, with their progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enrolment {
    /// The course.
    pub course: CourseId,
    /// When they enrolled.
    pub created_at: Timestamp,
    /// When they completed the last lesson; `null` while a lesson is left.
    pub completed_at: Option<Timestamp>,
    /// Number of lessons completed.
    pub completed_lessons: i64,
    /// Number of lessons in the course.
    pub lesson_count: i64,
}

/// An enrolled user, with their progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Learner {
    /// The user.
    pub user: Option<Person>,
    /// When they enrolled.
    pub created_at: Timestamp,
    /// When they completed the last lesson; `null` while a lesson is left.
    pub completed_at: Option<Timestamp>,
    /// Number of lessons completed.
    pub completed_lessons: i64,
    /// Number of lessons in the course.
    pub lesson_count: i64,
}

//! The progress of learners.
//!
//! Completing a lesson takes a shared lock of the course and locks the enrolment. So counts and completion stay exact
//! under concurrency.

use std::collections::HashSet;

use guildhall_kernel::{Caller, Timestamp, UserId, db};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Set, TryInsertResult,
    sea_query::{Expr, ExprTrait},
};

use super::SqlCourses;
use crate::{
    core::scope::visible_courses,
    entity::{course, enrolment, lesson, lesson_progress},
    error::{Error, Result},
    id::{CourseId, LessonId},
};

/// Marks the course as not completed for all learners, after a lesson was added.
const CLEAR_COMPLETION: &str =
    "UPDATE community_enrolment SET completed_at = NULL WHERE course_id = $1 AND completed_at IS NOT NULL";

/// Marks the course as completed for learners who have completed all remaining lessons, after lessons were removed.
const SET_COMPLETION: &str = "UPDATE community_enrolment SET completed_at = $2 \
     WHERE course_id = $1 AND completed_at IS NULL AND \
     (SELECT COUNT(*) FROM community_lesson_progress p \
      WHERE p.user_id = community_enrolment.user_id AND p.course_id = community_enrolment.course_id) = \
     (SELECT c.lesson_count FROM community_course c WHERE c.id = $1)";

pub(super) async fn find_lesson(conn: &impl ConnectionTrait, id: LessonId) -> Result<lesson::Model> {
    lesson::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("lesson"))
}

/// The ids of the lessons of a course that a user has completed.
pub(super) async fn completed_lessons(
    conn: &impl ConnectionTrait,
    course: CourseId,
    user: UserId,
) -> Result<HashSet<LessonId>> {
    let ids = lesson_progress::Entity::find()
        .select_only()
        .column(lesson_progress::Column::LessonId)
        .filter(lesson_progress::COLUMN.course_id.eq(course))
        .filter(lesson_progress::COLUMN.user_id.eq(user))
        .into_tuple::<LessonId>()
        .all(conn)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Adds to the lesson count of a course (a negative number if lessons were removed), and updates which learners have
/// completed the course. The course has to be locked.
pub(super) async fn update_lesson_count(
    conn: &impl ConnectionTrait,
    course: &course::Model,
    delta: i64,
    now: Timestamp,
) -> Result<()> {
    if delta == 0 {
        return Ok(());
    }
    course::Entity::update_many()
        .col_expr(course::Column::LessonCount, Expr::col(course::Column::LessonCount).add(delta))
        .filter(course::COLUMN.id.eq(course.id))
        .exec(conn)
        .await?;
    // A course without lessons cannot be completed.
    if delta > 0 || course.lesson_count + delta == 0 {
        db::execute(conn, CLEAR_COMPLETION, [course.id.into()]).await?;
    } else {
        db::execute(conn, SET_COMPLETION, [course.id.into(), now.into()]).await?;
    }
    Ok(())
}

impl SqlCourses {
    /// Stores whether the caller has completed a lesson, and thereby the course.
    pub(super) async fn mark_lesson(&self, caller: &Caller, id: LessonId, is_completed: bool) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let course = find_lesson(conn, id).await?.course_id;
                let course = visible_courses(caller.into())
                    .filter(course::COLUMN.id.eq(course))
                    .lock_shared()
                    .one(conn)
                    .await?
                    .ok_or(Error::NotFound("lesson"))?;
                let enrolment = enrolment::Entity::find()
                    .filter(enrolment::COLUMN.course_id.eq(course.id))
                    .filter(enrolment::COLUMN.user_id.eq(caller.user))
                    .lock_exclusive()
                    .one(conn)
                    .await?
                    .ok_or(Error::NotEnrolled)?;
                // Read again under the lock: it could have been deleted meanwhile.
                find_lesson(conn, id).await?;
                let now = self.core.now();
                let changed = if is_completed {
                    let row = lesson_progress::ActiveModel {
                        lesson_id: Set(id),
                        user_id: Set(caller.user),
                        course_id: Set(course.id),
                        completed_at: Set(now),
                    };
                    let insert = lesson_progress::Entity::insert(row).on_conflict_do_nothing();
                    matches!(insert.exec_without_returning(conn).await?, TryInsertResult::Inserted(1))
                } else {
                    lesson_progress::Entity::delete_by_id((id, caller.user)).exec(conn).await?.rows_affected == 1
                };
                if !changed {
                    return Ok(());
                }
                let completed = lesson_progress::Entity::find()
                    .filter(lesson_progress::COLUMN.course_id.eq(course.id))
                    .filter(lesson_progress::COLUMN.user_id.eq(caller.user))
                    .count(conn)
                    .await?;
                let all_completed = i64::try_from(completed).is_ok_and(|completed| completed == course.lesson_count);
                if all_completed != enrolment.completed_at.is_some() {
                    let after = enrolment::Model { completed_at: all_completed.then_some(now), ..enrolment.clone() };
                    db::store_changes(conn, &enrolment, &after).await?;
                }
                Ok(())
            })
            .await
    }
}

//! Enrolments in courses.

use std::collections::HashMap;

use async_trait::async_trait;
use guildhall_kernel::{Caller, Ordering, Page, PageQuery, Timestamp, UserId};
use sea_orm::{
    ActiveValue::NotSet,
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, Set, TryInsertResult,
    sea_query::{Asterisk, Expr, ExprTrait, Query},
};

use super::{
    SqlCourses,
    access::{find_course, is_author},
};
use crate::{
    courses::{Enrolment, Enrolments, Learner},
    entity::{course, enrolment, lesson_progress},
    error::{Error, Result},
    id::CourseId,
};

/// A subquery for the number of lessons that the learner of the enrolment has completed.
fn completed_lessons() -> Expr {
    let column = |column| Expr::col((lesson_progress::Entity, column));
    let completed = Query::select()
        .expr(Expr::col(Asterisk).count())
        .from(lesson_progress::Entity)
        .and_where(column(lesson_progress::Column::UserId).equals((enrolment::Entity, enrolment::Column::UserId)))
        .and_where(column(lesson_progress::Column::CourseId).equals((enrolment::Entity, enrolment::Column::CourseId)))
        .take();
    Expr::from(completed)
}

/// A user's enrolments in these courses.
pub(super) async fn enrolments_of(
    conn: &impl ConnectionTrait,
    courses: &[CourseId],
    user: UserId,
) -> Result<HashMap<CourseId, EnrolmentRow>> {
    let rows = enrolment::Entity::find()
        .filter(enrolment::COLUMN.user_id.eq(user))
        .filter(enrolment::COLUMN.course_id.is_in(courses.iter().copied()))
        .into_partial_model::<EnrolmentRow>()
        .all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.course_id, row)).collect())
}

/// An enrolment with the learner's progress.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "enrolment::Entity")]
pub(super) struct EnrolmentRow {
    course_id: CourseId,
    user_id: UserId,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    #[sea_orm(from_expr = "completed_lessons()")]
    pub(super) completed_lessons: i64,
}

/// A user's enrolment in a course, if they are enrolled.
async fn find_enrolment(
    conn: &impl ConnectionTrait,
    course: &course::Model,
    user: UserId,
) -> Result<Option<Enrolment>> {
    let row = enrolments_of(conn, &[course.id], user).await?.remove(&course.id);
    Ok(row.map(|row| Enrolment {
        course: course.id,
        created_at: row.created_at,
        completed_at: row.completed_at,
        completed_lessons: row.completed_lessons,
        lesson_count: course.lesson_count,
    }))
}

#[async_trait]
impl Enrolments for SqlCourses {
    async fn enrol(&self, caller: &Caller, id: CourseId) -> Result<(Enrolment, bool)> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let course = find_course(conn, caller.into(), id).await?;
                let row = enrolment::ActiveModel {
                    id: NotSet,
                    course_id: Set(id),
                    user_id: Set(caller.user),
                    created_at: Set(self.core.now()),
                    completed_at: Set(None),
                };
                let inserted = enrolment::Entity::insert(row)
                    .on_conflict_do_nothing_on([enrolment::Column::CourseId, enrolment::Column::UserId])
                    .exec_without_returning(conn)
                    .await?;
                let enrolment = find_enrolment(conn, &course, caller.user).await?;
                Ok((enrolment.ok_or(Error::NotFound("enrolment"))?, matches!(inserted, TryInsertResult::Inserted(1))))
            })
            .await
    }

    async fn enrolment(&self, caller: &Caller, id: CourseId) -> Result<Enrolment> {
        let course = find_course(self.core.db.conn(), caller.into(), id).await?;
        find_enrolment(self.core.db.conn(), &course, caller.user).await?.ok_or(Error::NotFound("enrolment"))
    }

    async fn leave_course(&self, caller: &Caller, id: CourseId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                find_course(conn, caller.into(), id).await?;
                // The enrolment is deleted first, since completing a lesson locks it.
                enrolment::Entity::delete_many()
                    .filter(enrolment::COLUMN.course_id.eq(id))
                    .filter(enrolment::COLUMN.user_id.eq(caller.user))
                    .exec(conn)
                    .await?;
                lesson_progress::Entity::delete_many()
                    .filter(lesson_progress::COLUMN.course_id.eq(id))
                    .filter(lesson_progress::COLUMN.user_id.eq(caller.user))
                    .exec(conn)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn learners(&self, caller: &Caller, id: CourseId, page: PageQuery) -> Result<Page<Learner>> {
        let course = find_course(self.core.db.conn(), caller.into(), id).await?;
        if !is_author(caller, &course) {
            return Err(Error::NotAuthor);
        }
        let select = enrolment::Entity::find().filter(enrolment::COLUMN.course_id.eq(id));
        let ordering = Ordering { fields: &[("id", enrolment::Column::Id)], default: "-id", id: enrolment::Column::Id };
        let page = Page::<EnrolmentRow>::fetch(select, &ordering, &page, self.core.db.conn()).await?;
        let (rows, page) = page.split();
        let learners: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
        let people = self.core.people(learners).await?;
        let show = |row: EnrolmentRow| Learner {
            user: people.get(&row.user_id).cloned(),
            created_at: row.created_at,
            completed_at: row.completed_at,
            completed_lessons: row.completed_lessons,
            lesson_count: course.lesson_count,
        };
        Ok(page.with_results(|_| rows.into_iter().map(show).collect()))
    }
}

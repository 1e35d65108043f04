//! Sections and lessons of courses, and the progress of learners.
//!
//! Changing the content of a course locks the course. Completing a lesson takes a shared lock of the course and locks
//! the enrolment. So counts and completion stay exact under concurrency.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, IfMatch, Kind, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Unchanged},
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set, Statement, TryInsertResult,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlCommunity,
    courses::lock_own_course,
    scope::{find_course, is_author, visible_courses},
};
use crate::{
    CourseId, Error, Lesson, LessonId, LessonPatch, LessonSummary, Lessons, NewLesson, NewSection, Result, Section,
    SectionId, SectionPatch,
    entity::{course, enrolment, lesson, lesson_progress, section},
    markdown,
};

const MAX_SECTIONS: usize = 100;
const MAX_LESSONS: i64 = 1_000;

/// Marks the course as not completed for all learners, after a lesson was added.
const CLEAR_COMPLETION: &str =
    "UPDATE community_enrolment SET completed_at = NULL WHERE course_id = $1 AND completed_at IS NOT NULL";

/// Marks the course as completed for learners who have completed all remaining lessons, after lessons were removed.
const SET_COMPLETION: &str = "UPDATE community_enrolment SET completed_at = $2 \
     WHERE course_id = $1 AND completed_at IS NULL AND \
     (SELECT COUNT(*) FROM community_lesson_progress p \
      WHERE p.user_id = community_enrolment.user_id AND p.course_id = community_enrolment.course_id) = \
     (SELECT c.lesson_count FROM community_course c WHERE c.id = $1)";

/// A lesson in a course outline.
#[derive(Clone, Debug, DerivePartialModel)]
#[sea_orm(entity = "lesson::Entity")]
struct SummaryRow {
    id: LessonId,
    section_id: SectionId,
    title: String,
    position: i64,
}

/// The error for exceeding a limit of a course.
fn course_full(detail: &'static str) -> Error {
    kernel::Error::new(Kind::Invalid, "course_full", detail).into()
}

/// Replaces an error about a course that is not visible to the caller by one about its section or lesson.
fn instead_of_course(what: &'static str) -> impl FnOnce(Error) -> Error {
    move |error| match error {
        Error::CourseNotFound(_) => Error::NotFound(what),
        error => error,
    }
}

async fn find_section(conn: &impl ConnectionTrait, id: SectionId) -> Result<section::Model> {
    section::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("section"))
}

async fn find_lesson(conn: &impl ConnectionTrait, id: LessonId) -> Result<lesson::Model> {
    lesson::Entity::find_by_id(id).one(conn).await?.ok_or(Error::NotFound("lesson"))
}

/// A section that the caller may change; the course is locked.
async fn lock_own_section(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: SectionId,
) -> Result<(section::Model, course::Model)> {
    let course = find_section(conn, id).await?.course_id;
    let course = lock_own_course(conn, caller, course).await.map_err(instead_of_course("section"))?;
    // Read again under the lock: it could have been deleted meanwhile.
    Ok((find_section(conn, id).await?, course))
}

/// A lesson that the caller may change; the course is locked.
async fn lock_own_lesson(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: LessonId,
) -> Result<(lesson::Model, course::Model)> {
    let course = find_lesson(conn, id).await?.course_id;
    let course = lock_own_course(conn, caller, course).await.map_err(instead_of_course("lesson"))?;
    // Read again under the lock: it could have been deleted meanwhile.
    Ok((find_lesson(conn, id).await?, course))
}

/// The ids of the lessons of a course that a user has completed.
async fn completed_lessons(conn: &impl ConnectionTrait, course: CourseId, user: UserId) -> Result<HashSet<LessonId>> {
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

/// Summaries of these lessons by section, in order.
async fn lesson_summaries(
    conn: &impl ConnectionTrait,
    lessons: Select<lesson::Entity>,
    completed: &HashSet<LessonId>,
) -> Result<HashMap<SectionId, Vec<LessonSummary>>> {
    let rows = lessons
        .order_by_asc(lesson::Column::Position)
        .order_by_asc(lesson::Column::Id)
        .into_partial_model::<SummaryRow>()
        .all(conn)
        .await?;
    let mut by_section: HashMap<SectionId, Vec<LessonSummary>> = HashMap::new();
    for row in rows {
        by_section.entry(row.section_id).or_default().push(LessonSummary {
            id: row.id,
            section: row.section_id,
            title: row.title,
            position: row.position,
            is_completed: completed.contains(&row.id),
        });
    }
    Ok(by_section)
}

fn show_section(row: section::Model, lessons: Vec<LessonSummary>) -> Section {
    Section { id: row.id, course: row.course_id, title: row.title, position: row.position, lessons }
}

fn show_lesson(row: lesson::Model, is_completed: bool) -> Lesson {
    Lesson {
        id: row.id,
        course: row.course_id,
        section: row.section_id,
        title: row.title,
        content: row.content,
        content_html: row.content_html,
        position: row.position,
        is_completed,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Adds to the lesson count of a course (a negative number if lessons were removed), and updates which learners have
/// completed the course. The course has to be locked.
async fn update_lesson_count(
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
    let backend = conn.get_database_backend();
    // A course without lessons cannot be completed.
    let statement = if delta > 0 || course.lesson_count + delta == 0 {
        Statement::from_sql_and_values(backend, CLEAR_COMPLETION, [course.id.into()])
    } else {
        Statement::from_sql_and_values(backend, SET_COMPLETION, [course.id.into(), now.into()])
    };
    conn.execute_raw(statement).await?;
    Ok(())
}

impl SqlCommunity {
    /// Stores whether the caller has completed a lesson, and thereby the course.
    pub(super) async fn mark_lesson(&self, caller: &Caller, id: LessonId, is_completed: bool) -> Result<()> {
        self.db
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
                let now = self.host.clock.now();
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
                    let row = enrolment::ActiveModel {
                        id: Unchanged(enrolment.id),
                        completed_at: Set(all_completed.then_some(now)),
                        ..Default::default()
                    };
                    enrolment::Entity::update(row).exec_without_returning(conn).await?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl Lessons for SqlCommunity {
    async fn sections(&self, viewer: Option<Caller>, id: CourseId) -> Result<Vec<Section>> {
        let viewer = self.viewer(viewer)?;
        let conn = self.db.conn();
        find_course(conn, viewer, id).await?;
        let sections = section::Entity::find()
            .filter(section::COLUMN.course_id.eq(id))
            .order_by_asc(section::Column::Position)
            .order_by_asc(section::Column::Id)
            .all(conn)
            .await?;
        let completed = completed_lessons(conn, id, viewer.id()).await?;
        let lessons = lesson::Entity::find().filter(lesson::COLUMN.course_id.eq(id));
        let mut lessons = lesson_summaries(conn, lessons, &completed).await?;
        let show = |row: section::Model| {
            let lessons = lessons.remove(&row.id).unwrap_or_default();
            show_section(row, lessons)
        };
        Ok(sections.into_iter().map(show).collect())
    }

    async fn create_section(&self, caller: &Caller, course: CourseId, new: NewSection) -> Result<Section> {
        new.validate()?;
        let new = &new;
        let row = self
            .db
            .write(|tx| async move {
                let conn = &tx;
                lock_own_course(conn, caller, course).await?;
                let positions: Vec<i64> = section::Entity::find()
                    .select_only()
                    .column(section::Column::Position)
                    .filter(section::COLUMN.course_id.eq(course))
                    .into_tuple()
                    .all(conn)
                    .await?;
                if positions.len() >= MAX_SECTIONS {
                    return Err(course_full("A course can have at most 100 sections."));
                }
                let end = positions.iter().max().map_or(1, |last| last + 1);
                let row = section::ActiveModel {
                    id: NotSet,
                    course_id: Set(course),
                    title: Set(new.title.trim().to_owned()),
                    position: Set(new.position.unwrap_or(end)),
                };
                Ok(row.insert(conn).await?)
            })
            .await?;
        Ok(show_section(row, Vec::new()))
    }

    async fn change_section(&self, caller: &Caller, id: SectionId, patch: SectionPatch) -> Result<Section> {
        patch.validate()?;
        let patch = &patch;
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (section, course) = lock_own_section(conn, caller, id).await?;
                let row = section::ActiveModel {
                    id: Unchanged(id),
                    title: Set(patch.title.as_ref().map_or(section.title.as_str(), |title| title.trim()).to_owned()),
                    position: Set(patch.position.unwrap_or(section.position)),
                    ..Default::default()
                };
                let section = section::Entity::update(row).exec(conn).await?;
                let completed = completed_lessons(conn, course.id, caller.user).await?;
                let lessons = lesson::Entity::find().filter(lesson::COLUMN.section_id.eq(id));
                let lessons = lesson_summaries(conn, lessons, &completed).await?.remove(&id).unwrap_or_default();
                Ok(show_section(section, lessons))
            })
            .await
    }

    async fn delete_section(&self, caller: &Caller, id: SectionId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (_, course) = lock_own_section(conn, caller, id).await?;
                // Deleted explicitly to know their number; the foreign key would delete them as well.
                let in_section = lesson::COLUMN.section_id.eq(id);
                let deleted = lesson::Entity::delete_many().filter(in_section).exec(conn).await?.rows_affected;
                section::Entity::delete_by_id(id).exec(conn).await?;
                update_lesson_count(conn, &course, -i64::try_from(deleted).unwrap_or_default(), self.host.clock.now())
                    .await
            })
            .await
    }

    async fn create_lesson(&self, caller: &Caller, section: SectionId, new: NewLesson) -> Result<Lesson> {
        new.validate()?;
        let html = markdown::html_of("content", &new.content)?;
        let (new, html) = (&new, &html);
        let row = self
            .db
            .write(|tx| async move {
                let conn = &tx;
                let (_, course) = lock_own_section(conn, caller, section).await?;
                if course.lesson_count >= MAX_LESSONS {
                    return Err(course_full("A course can have at most 1,000 lessons."));
                }
                let last: Option<i64> = lesson::Entity::find()
                    .select_only()
                    .column(lesson::Column::Position)
                    .filter(lesson::COLUMN.section_id.eq(section))
                    .order_by_desc(lesson::Column::Position)
                    .limit(1)
                    .into_tuple()
                    .one(conn)
                    .await?;
                let now = self.host.clock.now();
                let row = lesson::ActiveModel {
                    id: NotSet,
                    course_id: Set(course.id),
                    section_id: Set(section),
                    title: Set(new.title.trim().to_owned()),
                    content: Set(new.content.clone()),
                    content_html: Set(html.clone()),
                    position: Set(new.position.unwrap_or_else(|| last.map_or(1, |last| last + 1))),
                    created_at: Set(now),
                    updated_at: Set(now),
                };
                let row = row.insert(conn).await?;
                update_lesson_count(conn, &course, 1, now).await?;
                Ok(row)
            })
            .await?;
        Ok(show_lesson(row, false))
    }

    async fn lesson(&self, caller: &Caller, id: LessonId) -> Result<Lesson> {
        let conn = self.db.conn();
        let row = find_lesson(conn, id).await?;
        let course = find_course(conn, caller.into(), row.course_id).await.map_err(instead_of_course("lesson"))?;
        let enrolment = enrolment::Entity::find()
            .filter(enrolment::COLUMN.course_id.eq(course.id))
            .filter(enrolment::COLUMN.user_id.eq(caller.user))
            .one(conn)
            .await?;
        if enrolment.is_none() && !is_author(caller, &course) {
            return Err(Error::NotEnrolled);
        }
        let completed = lesson_progress::Entity::find_by_id((id, caller.user)).one(conn).await?;
        Ok(show_lesson(row, completed.is_some()))
    }

    async fn change_lesson(&self, caller: &Caller, id: LessonId, patch: LessonPatch, known: IfMatch) -> Result<Lesson> {
        patch.validate()?;
        let html = patch.content.as_deref().map(|text| markdown::html_of("content", text)).transpose()?;
        let (patch, html, known) = (&patch, &html, &known);
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (lesson, course) = lock_own_lesson(conn, caller, id).await?;
                known.check(lesson.updated_at)?;
                if let Some(section) = patch.section {
                    let section = section::Entity::find_by_id(section).one(conn).await?;
                    if section.is_none_or(|section| section.course_id != course.id) {
                        return Err(Error::field("section", "Section not found in this course."));
                    }
                }
                let row = lesson::ActiveModel {
                    id: Unchanged(id),
                    section_id: patch.section.map_or(NotSet, Set),
                    title: patch.title.as_ref().map_or(NotSet, |title| Set(title.trim().to_owned())),
                    content: patch.content.clone().map_or(NotSet, Set),
                    content_html: html.clone().map_or(NotSet, Set),
                    position: patch.position.map_or(NotSet, Set),
                    updated_at: Set(self.host.clock.now()),
                    ..Default::default()
                };
                let row = lesson::Entity::update(row).exec(conn).await?;
                let completed = lesson_progress::Entity::find_by_id((id, caller.user)).one(conn).await?;
                Ok(show_lesson(row, completed.is_some()))
            })
            .await
    }

    async fn delete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.db
            .write(|tx| async move {
                let conn = &tx;
                let (_, course) = lock_own_lesson(conn, caller, id).await?;
                lesson::Entity::delete_by_id(id).exec(conn).await?;
                update_lesson_count(conn, &course, -1, self.host.clock.now()).await
            })
            .await
    }

    async fn complete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.mark_lesson(caller, id, true).await
    }

    async fn reopen_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.mark_lesson(caller, id, false).await
    }
}

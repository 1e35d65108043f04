//! Sections and lessons of courses. Changing the content of a course locks the course.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use garde::Validate;
use guildhall_kernel::{self as kernel, Caller, IfMatch, Kind, Timestamp, db};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};

use super::{
    SqlCourses,
    access::{find_course, is_author, lock_own_course},
    progress::{completed_lessons, find_lesson, update_lesson_count},
};
use crate::{
    courses::{Lesson, LessonPatch, LessonSummary, Lessons, NewLesson, NewSection, Section, SectionPatch},
    entity::{course, enrolment, lesson, lesson_progress, section},
    error::{Error, Result},
    id::{CourseId, LessonId, SectionId},
    markdown,
};

const MAX_SECTIONS: usize = 100;
const MAX_LESSONS: i64 = 1_000;

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

/// The lesson after a change.
fn apply_patch(lesson: &lesson::Model, patch: &LessonPatch, html: Option<&str>, now: Timestamp) -> lesson::Model {
    let mut after = lesson.clone();
    if let Some(section) = patch.section {
        after.section_id = section;
    }
    if let Some(title) = &patch.title {
        title.trim().clone_into(&mut after.title);
    }
    if let Some(content) = &patch.content {
        after.content.clone_from(content);
    }
    if let Some(html) = html {
        html.clone_into(&mut after.content_html);
    }
    if let Some(position) = patch.position {
        after.position = position;
    }
    after.updated_at = now;
    after
}

#[async_trait]
impl Lessons for SqlCourses {
    async fn sections(&self, viewer: Option<Caller>, id: CourseId) -> Result<Vec<Section>> {
        let viewer = self.core.viewer(viewer)?;
        let conn = self.core.db.conn();
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
            .core
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
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (section, course) = lock_own_section(conn, caller, id).await?;
                let mut after = section.clone();
                if let Some(title) = &patch.title {
                    title.trim().clone_into(&mut after.title);
                }
                if let Some(position) = patch.position {
                    after.position = position;
                }
                db::store_changes(conn, &section, &after).await?;
                let completed = completed_lessons(conn, course.id, caller.user).await?;
                let lessons = lesson::Entity::find().filter(lesson::COLUMN.section_id.eq(id));
                let lessons = lesson_summaries(conn, lessons, &completed).await?.remove(&id).unwrap_or_default();
                Ok(show_section(after, lessons))
            })
            .await
    }

    async fn delete_section(&self, caller: &Caller, id: SectionId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (_, course) = lock_own_section(conn, caller, id).await?;
                // Deleted explicitly to know their number; the foreign key would delete them as well.
                let in_section = lesson::COLUMN.section_id.eq(id);
                let deleted = lesson::Entity::delete_many().filter(in_section).exec(conn).await?.rows_affected;
                section::Entity::delete_by_id(id).exec(conn).await?;
                update_lesson_count(conn, &course, -i64::try_from(deleted).unwrap_or_default(), self.core.now()).await
            })
            .await
    }

    async fn create_lesson(&self, caller: &Caller, section: SectionId, new: NewLesson) -> Result<Lesson> {
        new.validate()?;
        let html = markdown::html_of("content", &new.content)?;
        let (new, html) = (&new, &html);
        let row = self
            .core
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
                let now = self.core.now();
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
        let conn = self.core.db.conn();
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
        self.core
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
                let after = apply_patch(&lesson, patch, html.as_deref(), self.core.now());
                db::store_changes(conn, &lesson, &after).await?;
                let completed = lesson_progress::Entity::find_by_id((id, caller.user)).one(conn).await?;
                Ok(show_lesson(after, completed.is_some()))
            })
            .await
    }

    async fn delete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()> {
        self.core
            .write(|tx| async move {
                let conn = &tx;
                let (_, course) = lock_own_lesson(conn, caller, id).await?;
                lesson::Entity::delete_by_id(id).exec(conn).await?;
                update_lesson_count(conn, &course, -1, self.core.now()).await
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

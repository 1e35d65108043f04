//! Courses: those of a group, one course, and enrolling.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_community::{Course, CourseId, Group, GroupId, LessonSummary, Section};
use guildhall_kernel::{Error, IfMatch, Kind, Path, Result};

use super::group::find;
use crate::{
    form::Submission,
    page::{ok, redirect, redirect_with},
    reader::{Frame, Place, Reader},
    web::App,
};

/// The share of the lessons that are done, in percent.
pub(crate) fn share(course: &Course) -> i64 {
    if course.lesson_count == 0 { 0 } else { course.completed_lessons * 100 / course.lesson_count }
}

#[derive(Template)]
#[template(path = "community/courses.html")]
struct CoursesPage {
    f: Frame,
    tab: &'static str,
    group: Group,
    is_owner: bool,
    courses: Vec<Course>,
    may_create: bool,
}

/// The courses of a group.
pub(crate) async fn courses(State(app): State<App>, Path(id): Path<GroupId>, reader: Reader) -> Result<Response> {
    let (group, is_owner) = find(&app, &reader, id).await?;
    let courses = app.community.courses.group_courses(Some(reader.caller), id).await.map_err(Error::from)?;
    let f = reader.frame(&app, Place::Groups).await?;
    let roles = reader.caller.roles;
    let may_create = group.is_moderator && (roles.teacher || roles.is_staff());
    Ok(ok(&CoursesPage { f, tab: "courses", group, is_owner, courses, may_create }))
}

/// Takes a course out of a group.
pub(crate) async fn unlink(
    State(app): State<App>,
    Path((id, course)): Path<(GroupId, CourseId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.courses.unlink_course(&reader.caller, id, course).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/groups/{id}/courses/"), "flash-removed"))
}

/// A course with its lessons.
pub(super) struct Outline {
    pub(super) course: Course,
    pub(super) sections: Vec<Section>,
    /// Whether the reader may change it.
    pub(super) is_author: bool,
}

impl Outline {
    pub(super) async fn load(app: &App, reader: &Reader, id: CourseId) -> Result<Self> {
        let course = app.community.courses.course(Some(reader.caller), id).await.map_err(Error::from)?;
        let sections = app.community.lessons.sections(Some(reader.caller), id).await.map_err(Error::from)?;
        let is_author = course.author.as_ref().is_some_and(|author| author.id == reader.id());
        Ok(Self { is_author: is_author || reader.caller.roles.is_staff(), course, sections })
    }

    /// Refuses to show a form to somebody who could not send it.
    pub(super) fn require_author(&self) -> Result<()> {
        if self.is_author {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, "not_author", "Only the author can do this."))
    }

    /// All lessons in order.
    pub(super) fn lessons(&self) -> impl Iterator<Item = &LessonSummary> {
        self.sections.iter().flat_map(|section| &section.lessons)
    }

    /// The first lesson that is not done.
    fn next(&self) -> Option<&LessonSummary> {
        self.lessons().find(|lesson| !lesson.is_completed)
    }

    fn is_next(&self, lesson: &LessonSummary) -> bool {
        self.course.is_enrolled && self.next().is_some_and(|next| next.id == lesson.id)
    }

    /// Whether the reader may open lessons.
    fn may_read(&self) -> bool {
        self.course.is_enrolled || self.is_author
    }

    fn done_in(section: &Section) -> usize {
        section.lessons.iter().filter(|lesson| lesson.is_completed).count()
    }

    /// The page that the course belongs to: of its first group.
    pub(super) fn back(&self) -> String {
        self.course.groups.first().map_or_else(|| "/groups/".to_owned(), |group| format!("/groups/{group}/courses/"))
    }
}

#[derive(Template)]
#[template(path = "community/course.html")]
struct CoursePage {
    f: Frame,
    outline: Outline,
}

pub(crate) async fn course(State(app): State<App>, Path(id): Path<CourseId>, reader: Reader) -> Result<Response> {
    let outline = Outline::load(&app, &reader, id).await?;
    let f = reader.frame(&app, Place::Groups).await?;
    Ok(ok(&CoursePage { f, outline }))
}

pub(crate) async fn enrol(
    State(app): State<App>,
    Path(id): Path<CourseId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.enrolments.enrol(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect(&format!("/courses/{id}/")))
}

/// Ends the reader's enrolment, which deletes their progress.
pub(crate) async fn leave(
    State(app): State<App>,
    Path(id): Path<CourseId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.enrolments.leave_course(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/courses/{id}/"), "flash-left"))
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<CourseId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let back = Outline::load(&app, &reader, id).await?.back();
    app.community.courses.delete_course(&reader.caller, id, IfMatch::default()).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &back, "flash-deleted"))
}

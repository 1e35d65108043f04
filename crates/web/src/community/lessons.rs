//! Lessons of courses: reading, completing and changing one.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{CourseId, Lesson, LessonId, LessonPatch, LessonSummary, NewLesson, SectionId};
use guildhall_kernel::{Error, IfMatch, Path, Result};

use super::courses::Outline;
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, ok, redirect, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/lesson.html")]
struct LessonPage {
    f: Frame,
    outline: Outline,
    lesson: Lesson,
}

impl LessonPage {
    fn at(&self) -> Option<usize> {
        self.outline.lessons().position(|lesson| lesson.id == self.lesson.id)
    }

    fn previous(&self) -> Option<&LessonSummary> {
        self.outline.lessons().nth(self.at()?.checked_sub(1)?)
    }

    fn next(&self) -> Option<&LessonSummary> {
        self.outline.lessons().nth(self.at()? + 1)
    }
}

async fn find(app: &App, reader: &Reader, id: LessonId) -> Result<(Lesson, Outline)> {
    let lesson = app.community.lessons.lesson(&reader.caller, id).await.map_err(Error::from)?;
    let outline = Outline::load(app, reader, lesson.course).await?;
    Ok((lesson, outline))
}

pub(crate) async fn lesson(State(app): State<App>, Path(id): Path<LessonId>, reader: Reader) -> Result<Response> {
    let (lesson, outline) = find(&app, &reader, id).await?;
    let f = reader.frame(&app, Place::Groups).await?;
    Ok(ok(&LessonPage { f, outline, lesson }))
}

/// Marks a lesson as done and leads to the next one, or marks it as not done.
pub(crate) async fn complete(
    State(app): State<App>,
    Path(id): Path<LessonId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let lessons = &app.community.lessons;
    if form.is_checked("reopen") {
        lessons.reopen_lesson(&reader.caller, id).await.map_err(Error::from)?;
        return Ok(redirect(&format!("/lessons/{id}/")));
    }
    lessons.complete_lesson(&reader.caller, id).await.map_err(Error::from)?;
    let (lesson, outline) = find(&app, &reader, id).await?;
    let next = outline.lessons().skip_while(|known| known.id != id).nth(1);
    Ok(redirect(&match next {
        Some(next) => format!("/lessons/{}/", next.id),
        None => format!("/courses/{}/", lesson.course),
    }))
}

#[derive(Template)]
#[template(path = "community/lesson_form.html")]
struct LessonForm {
    f: Frame,
    e: FormErrors,
    outline: Outline,
    title: String,
    content: String,
    /// The lesson that is changed.
    edited: Option<LessonId>,
}

async fn form_page(
    app: &App,
    reader: &Reader,
    (outline, edited): (Outline, Option<LessonId>),
    (e, title, content): (FormErrors, String, String),
) -> Result<Response> {
    outline.require_author()?;
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Groups).await?;
    Ok(show(status, &LessonForm { f, e, outline, title, content, edited }))
}

pub(crate) async fn new_lesson_form(
    State(app): State<App>,
    Path((course, _)): Path<(CourseId, SectionId)>,
    reader: Reader,
) -> Result<Response> {
    let outline = Outline::load(&app, &reader, course).await?;
    form_page(&app, &reader, (outline, None), Default::default()).await
}

pub(crate) async fn create_lesson(
    State(app): State<App>,
    Path((course, section)): Path<(CourseId, SectionId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (title, content) = (form.text("title").trim().to_owned(), form.text("content").to_owned());
    let new = NewLesson { title: title.clone(), content: content.clone(), position: None };
    match app.community.lessons.create_lesson(&reader.caller, section, new).await.map_err(Error::from) {
        Ok(_) => Ok(redirect_with(&app, &format!("/courses/{course}/edit/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            let outline = Outline::load(&app, &reader, course).await?;
            form_page(&app, &reader, (outline, None), (e, title, content)).await
        }
    }
}

pub(crate) async fn edit_form(State(app): State<App>, Path(id): Path<LessonId>, reader: Reader) -> Result<Response> {
    let (lesson, outline) = find(&app, &reader, id).await?;
    form_page(&app, &reader, (outline, Some(id)), (FormErrors::default(), lesson.title, lesson.content)).await
}

pub(crate) async fn change_lesson(
    State(app): State<App>,
    Path(id): Path<LessonId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (title, content) = (form.text("title").trim().to_owned(), form.text("content").to_owned());
    let patch = LessonPatch { title: Some(title.clone()), content: Some(content.clone()), ..LessonPatch::default() };
    match app.community.lessons.change_lesson(&reader.caller, id, patch, IfMatch::default()).await.map_err(Error::from)
    {
        Ok(_) => Ok(redirect_with(&app, &format!("/lessons/{id}/"), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            let (_, outline) = find(&app, &reader, id).await?;
            form_page(&app, &reader, (outline, Some(id)), (e, title, content)).await
        }
    }
}

pub(crate) async fn delete_lesson(
    State(app): State<App>,
    Path(id): Path<LessonId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let (lesson, _) = find(&app, &reader, id).await?;
    app.community.lessons.delete_lesson(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/courses/{}/edit/", lesson.course), "flash-deleted"))
}

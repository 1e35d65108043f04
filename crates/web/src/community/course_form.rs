//! Creating and changing courses and their sections.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{CourseId, CoursePatch, GroupId, NewCourse, NewSection, SectionId, SectionPatch};
use guildhall_kernel::{Error, FieldErrors, IfMatch, Kind, Path, Result};

use super::{courses::Outline, group::find};
use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

/// The fields of the form, as they were entered.
struct Fields {
    title: String,
    description: String,
    is_public: bool,
}

impl Fields {
    fn entered(form: &Submission) -> Self {
        Self {
            title: form.text("title").trim().to_owned(),
            description: form.text("description").to_owned(),
            is_public: form.is_checked("is_public"),
        }
    }
}

#[derive(Template)]
#[template(path = "community/course_form.html")]
struct CourseForm {
    f: Frame,
    e: FormErrors,
    fields: Fields,
    /// The course that is changed.
    edited: Option<Outline>,
    back: String,
}

async fn form_page(
    app: &App,
    reader: &Reader,
    (e, fields): (FormErrors, Fields),
    (edited, back): (Option<Outline>, String),
) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let f = reader.frame(app, Place::Groups).await?;
    Ok(show(status, &CourseForm { f, e, fields, edited, back }))
}

/// Refuses to show a form to somebody who could not send it.
async fn require_moderator(app: &App, reader: &Reader, id: GroupId) -> Result<()> {
    let (group, _) = find(app, reader, id).await?;
    if group.is_moderator {
        return Ok(());
    }
    Err(Error::new(Kind::Forbidden, "not_moderator", "Only moderators of the group can do this."))
}

pub(crate) async fn new_course_form(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
) -> Result<Response> {
    require_moderator(&app, &reader, id).await?;
    let fields = Fields { title: String::new(), description: String::new(), is_public: false };
    form_page(&app, &reader, (FormErrors::default(), fields), (None, format!("/groups/{id}/courses/"))).await
}

/// Creates a course in a group.
pub(crate) async fn create_course(
    State(app): State<App>,
    Path(id): Path<GroupId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let fields = Fields::entered(&form);
    let new =
        NewCourse { title: fields.title.clone(), description: fields.description.clone(), is_public: fields.is_public };
    match app.community.courses.create_group_course(&reader.caller, id, new).await.map_err(Error::from) {
        Ok(course) => Ok(redirect_with(&app, &format!("/courses/{}/edit/", course.id), "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            form_page(&app, &reader, (e, fields), (None, format!("/groups/{id}/courses/"))).await
        }
    }
}

async fn edit_page(
    app: &App,
    reader: &Reader,
    id: CourseId,
    refused: Option<(FormErrors, Fields)>,
) -> Result<Response> {
    let outline = Outline::load(app, reader, id).await?;
    outline.require_author()?;
    let course = &outline.course;
    let current =
        Fields { title: course.title.clone(), description: course.description.clone(), is_public: course.is_public };
    let shown = refused.unwrap_or_else(|| (FormErrors::default(), current));
    form_page(app, reader, shown, (Some(outline), format!("/courses/{id}/"))).await
}

pub(crate) async fn edit_form(State(app): State<App>, Path(id): Path<CourseId>, reader: Reader) -> Result<Response> {
    edit_page(&app, &reader, id, None).await
}

/// The response to a form of the page.
async fn answer<T>(
    app: &App,
    reader: &Reader,
    id: CourseId,
    outcome: Result<T>,
    fields: Option<Fields>,
) -> Result<Response> {
    let Err(error) = outcome else {
        return Ok(redirect_with(app, &format!("/courses/{id}/edit/"), "flash-saved"));
    };
    let e = form_errors(&reader.view, error)?;
    if let Some(fields) = fields {
        return edit_page(app, reader, id, Some((e, fields))).await;
    }
    // The form of a section has one field, and no place for what is wrong with it.
    let course = app.community.courses.course(Some(reader.caller), id).await.map_err(Error::from)?;
    let fields = Fields { title: course.title, description: course.description, is_public: course.is_public };
    let e = FormErrors::of(FieldErrors::new(), Some(e.text()));
    edit_page(app, reader, id, Some((e, fields))).await
}

pub(crate) async fn change_course(
    State(app): State<App>,
    Path(id): Path<CourseId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let fields = Fields::entered(&form);
    let patch = CoursePatch {
        title: Some(fields.title.clone()),
        description: Some(fields.description.clone()),
        is_public: Some(fields.is_public),
    };
    let changed = app.community.courses.change_course(&reader.caller, id, patch, IfMatch::default()).await;
    answer(&app, &reader, id, changed.map_err(Error::from), Some(fields)).await
}

pub(crate) async fn create_section(
    State(app): State<App>,
    Path(id): Path<CourseId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let new = NewSection { title: form.text("title").trim().to_owned(), position: None };
    let created = app.community.lessons.create_section(&reader.caller, id, new).await;
    answer(&app, &reader, id, created.map_err(Error::from), None).await
}

/// Renames a section, or deletes it with its lessons.
pub(crate) async fn change_section(
    State(app): State<App>,
    Path((id, section)): Path<(CourseId, SectionId)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let lessons = &app.community.lessons;
    let changed = if form.is_checked("delete") {
        lessons.delete_section(&reader.caller, section).await
    } else {
        let patch = SectionPatch { title: Some(form.text("title").trim().to_owned()), position: None };
        lessons.change_section(&reader.caller, section, patch).await.map(drop)
    };
    answer(&app, &reader, id, changed.map_err(Error::from), None).await
}

//! Sections and lessons of courses.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Path, Problem, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    courses::{Lesson, LessonPatch, Lessons, NewLesson, NewSection, Section, SectionPatch},
    id::{CourseId, LessonId, SectionId},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(sections, create_section))
        .routes(routes!(change_section, delete_section))
        .routes(routes!(create_lesson))
        .routes(routes!(lesson, change_lesson, delete_lesson))
        .routes(routes!(complete_lesson, reopen_lesson))
}

/// List the sections of a course with their lessons, in order.
#[utoipa::path(get, path = "/courses/{id}/sections/", tag = "courses", responses((status = 200, body = Vec<Section>)))]
async fn sections(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Option<Caller>,
    Path(id): Path<CourseId>,
) -> Result<Json<Vec<Section>>> {
    Ok(Json(lessons.sections(caller, id).await?))
}

/// Add a section to a course, at most 100. Only the author of the course and staff may.
#[utoipa::path(post, path = "/courses/{id}/sections/", tag = "courses",
    responses(
        (status = 201, body = Section),
        (status = 400, description = "`course_full`", body = Problem),
        (status = 403, description = "`not_author`", body = Problem),
    ),
)]
async fn create_section(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    Json(new): Json<NewSection>,
) -> Result<(StatusCode, Json<Section>)> {
    Ok((StatusCode::CREATED, Json(lessons.create_section(&caller, id, new).await?)))
}

/// Change a section. Only the author of the course and staff may.
#[utoipa::path(patch, path = "/sections/{id}/", tag = "courses",
    responses((status = 200, body = Section), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn change_section(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<SectionId>,
    Json(patch): Json<SectionPatch>,
) -> Result<Json<Section>> {
    Ok(Json(lessons.change_section(&caller, id, patch).await?))
}

/// Delete a section and its lessons. Only the author of the course and staff may.
#[utoipa::path(delete, path = "/sections/{id}/", tag = "courses",
    responses((status = 204), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn delete_section(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<SectionId>,
) -> Result<StatusCode> {
    lessons.delete_section(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a lesson to a section, at most 1,000 per course. Only the author of the course and staff may.
#[utoipa::path(post, path = "/sections/{id}/lessons/", tag = "courses",
    responses(
        (status = 201, body = Lesson),
        (status = 400, description = "`course_full`", body = Problem),
        (status = 403, description = "`not_author`", body = Problem),
    ),
)]
async fn create_lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<SectionId>,
    Json(new): Json<NewLesson>,
) -> Result<(StatusCode, Tagged<Lesson>)> {
    let lesson = lessons.create_lesson(&caller, id, new).await?;
    Ok((StatusCode::CREATED, Tagged(lesson.updated_at.into(), lesson)))
}

/// Get a lesson. Only enrolled learners, the author of the course and staff may.
#[utoipa::path(get, path = "/lessons/{id}/", tag = "courses",
    responses((status = 200, body = Lesson), (status = 403, description = "`not_enrolled`", body = Problem)),
)]
async fn lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<Tagged<Lesson>> {
    let lesson = lessons.lesson(&caller, id).await?;
    Ok(Tagged(lesson.updated_at.into(), lesson))
}

/// Change a lesson. Only the author of the course and staff may.
#[utoipa::path(patch, path = "/lessons/{id}/", tag = "courses",
    responses((status = 200, body = Lesson), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn change_lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<LessonId>,
    known: IfMatch,
    Json(patch): Json<LessonPatch>,
) -> Result<Tagged<Lesson>> {
    let lesson = lessons.change_lesson(&caller, id, patch, known).await?;
    Ok(Tagged(lesson.updated_at.into(), lesson))
}

/// Delete a lesson. Only the author of the course and staff may.
#[utoipa::path(delete, path = "/lessons/{id}/", tag = "courses",
    responses((status = 204), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn delete_lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    lessons.delete_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark a lesson as completed by the caller. Idempotent.
#[utoipa::path(put, path = "/lessons/{id}/completion/", tag = "courses",
    responses((status = 204), (status = 403, description = "`not_enrolled`", body = Problem)),
)]
async fn complete_lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    lessons.complete_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark a lesson as not completed by the caller. Idempotent.
#[utoipa::path(delete, path = "/lessons/{id}/completion/", tag = "courses",
    responses((status = 204), (status = 403, description = "`not_enrolled`", body = Problem)),
)]
async fn reopen_lesson(
    State(lessons): State<Arc<dyn Lessons>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    lessons.reopen_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use super::CommunityState;
use crate::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Courses, Enrolment, Enrolments, GroupId, Learner, Lesson,
    LessonId, LessonPatch, Lessons, NewCourse, NewLesson, NewSection, Section, SectionId, SectionPatch,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(courses, create_course))
        .routes(routes!(course, change_course, delete_course))
        .routes(routes!(sections, create_section))
        .routes(routes!(change_section, delete_section))
        .routes(routes!(create_lesson))
        .routes(routes!(lesson, change_lesson, delete_lesson))
        .routes(routes!(complete_lesson, reopen_lesson))
        .routes(routes!(enrolment, enrol, leave_course))
        .routes(routes!(learners))
        .routes(routes!(group_courses, link_courses))
}

/// List the courses visible to the caller.
///
/// Without a token, lists public courses if the settings allow anonymous reading. Sorts by `id`.
#[utoipa::path(get, path = "/courses/", tag = "courses", responses((status = 200, body = Page<Course>)))]
async fn courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Query(filter): Query<CourseFilter>,
    page: PageQuery,
) -> Result<Json<Page<Course>>> {
    Ok(Json(courses.courses(caller, filter, page).await?))
}

/// Create a course. Only teachers and staff may.
#[utoipa::path(post, path = "/courses/", tag = "courses",
    responses((status = 201, body = Course), (status = 403, description = "`not_teacher`", body = Problem)),
)]
async fn create_course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Json(new): Json<NewCourse>,
) -> Result<(StatusCode, Tagged<Course>)> {
    let course = courses.create_course(&caller, new).await?;
    Ok((StatusCode::CREATED, Tagged(course.updated_at.into(), course)))
}

/// Get a course.
///
/// Without a token, public courses can be read if the settings allow anonymous reading.
#[utoipa::path(get, path = "/courses/{id}/", tag = "courses", responses((status = 200, body = Course)))]
async fn course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Path(id): Path<CourseId>,
) -> Result<Tagged<Course>> {
    let course = courses.course(caller, id).await?;
    Ok(Tagged(course.updated_at.into(), course))
}

/// Change a course. Only its author and staff may.
#[utoipa::path(patch, path = "/courses/{id}/", tag = "courses",
    responses((status = 200, body = Course), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn change_course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    known: IfMatch,
    Json(patch): Json<CoursePatch>,
) -> Result<Tagged<Course>> {
    let course = courses.change_course(&caller, id, patch, known).await?;
    Ok(Tagged(course.updated_at.into(), course))
}

/// Delete a course and everything in it. Only its author and staff may.
#[utoipa::path(delete, path = "/courses/{id}/", tag = "courses",
    responses((status = 204), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn delete_course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    known: IfMatch,
) -> Result<StatusCode> {
    courses.delete_course(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
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

/// Get the caller's progress in a course that they are enrolled in.
#[utoipa::path(get, path = "/courses/{id}/enrolment/", tag = "courses", responses((status = 200, body = Enrolment)))]
async fn enrolment(
    State(enrolments): State<Arc<dyn Enrolments>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<Json<Enrolment>> {
    Ok(Json(enrolments.enrolment(&caller, id).await?))
}

/// Enrol in a course.
#[utoipa::path(post, path = "/courses/{id}/enrolment/", tag = "courses",
    responses(
        (status = 201, body = Enrolment),
        (status = 200, description = "The caller was already enrolled", body = Enrolment),
    ),
)]
async fn enrol(
    State(enrolments): State<Arc<dyn Enrolments>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<(StatusCode, Json<Enrolment>)> {
    let (enrolment, is_new) = enrolments.enrol(&caller, id).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(enrolment)))
}

/// Leave a course. The caller's progress is deleted.
#[utoipa::path(delete, path = "/courses/{id}/enrolment/", tag = "courses", responses((status = 204)))]
async fn leave_course(
    State(enrolments): State<Arc<dyn Enrolments>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<StatusCode> {
    enrolments.leave_course(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the learners of a course with their progress, newest first. Only its author and staff may. Sorts by `id`.
#[utoipa::path(get, path = "/courses/{id}/enrolments/", tag = "courses",
    responses((status = 200, body = Page<Learner>), (status = 403, description = "`not_author`", body = Problem)),
)]
async fn learners(
    State(enrolments): State<Arc<dyn Enrolments>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    page: PageQuery,
) -> Result<Json<Page<Learner>>> {
    Ok(Json(enrolments.learners(&caller, id, page).await?))
}

/// List the courses of a group that are visible to the caller, in order.
#[utoipa::path(get, path = "/groups/{id}/courses/", tag = "courses", responses((status = 200, body = Vec<Course>)))]
async fn group_courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
) -> Result<Json<Vec<Course>>> {
    Ok(Json(courses.group_courses(caller, id).await?))
}

/// Replace the courses of a group. Only moderators may.
///
/// A course that is not public can only be added by its author and by staff.
#[utoipa::path(put, path = "/groups/{id}/courses/", tag = "courses",
    responses(
        (status = 200, body = Vec<Course>),
        (status = 403, description = "`not_moderator`, `not_member`, `not_author`", body = Problem),
        (status = 404, description = "`group_not_found`, `course_not_found`", body = Problem),
    ),
)]
async fn link_courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(ids): Json<CourseIds>,
) -> Result<Json<Vec<Course>>> {
    Ok(Json(courses.link_courses(&caller, id, ids).await?))
}

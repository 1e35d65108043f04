use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Tagged};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::CommunityState;
use crate::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Courses, Enrolment, GroupId, Learner, Lesson, LessonId,
    LessonPatch, NewCourse, NewLesson, NewSection, Section, SectionId, SectionPatch,
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

/// The courses that the caller may know of; public ones without signing in, if the settings say so. Sorts by `id`.
#[utoipa::path(get, path = "/courses/", tag = "courses", params(CourseFilter, PageParams), responses(
    (status = 200, body = Page<Course>),
    (status = "4XX", body = Problem),
))]
async fn courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Query(filter): Query<CourseFilter>,
    page: PageQuery,
) -> Result<Json<Page<Course>>> {
    Ok(Json(courses.courses(caller, filter, page).await?))
}

/// Make a course; teachers and staff do.
#[utoipa::path(post, path = "/courses/", tag = "courses", responses(
    (status = 201, body = Course, headers(("ETag" = String, description = "The version"))),
    (status = 403, description = "`not_teacher`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn create_course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Json(new): Json<NewCourse>,
) -> Result<(StatusCode, Tagged<Course>)> {
    let course = courses.create_course(&caller, new).await?;
    Ok((StatusCode::CREATED, Tagged(course.updated_at.into(), course)))
}

/// A course; a public one without signing in, if the settings say so.
#[utoipa::path(get, path = "/courses/{id}/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 200, body = Course, headers(("ETag" = String, description = "The version"))),
    (status = "4XX", body = Problem),
))]
async fn course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Path(id): Path<CourseId>,
) -> Result<Tagged<Course>> {
    let course = courses.course(caller, id).await?;
    Ok(Tagged(course.updated_at.into(), course))
}

/// Change a course, for its author and for staff.
#[utoipa::path(patch, path = "/courses/{id}/", tag = "courses",
    params(
        ("id" = CourseId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Course, headers(("ETag" = String, description = "The version"))),
        (status = 403, description = "`not_author`", body = Problem),
        (status = "4XX", body = Problem),
    ),
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

/// Remove a course and everything in it, for its author and for staff.
#[utoipa::path(delete, path = "/courses/{id}/", tag = "courses",
    params(
        ("id" = CourseId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 204),
        (status = 403, description = "`not_author`", body = Problem),
        (status = "4XX", body = Problem),
    ),
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

/// The table of contents of a course: every section with its lessons, in their order.
#[utoipa::path(get, path = "/courses/{id}/sections/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 200, body = Vec<Section>),
    (status = "4XX", body = Problem),
))]
async fn sections(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Path(id): Path<CourseId>,
) -> Result<Json<Vec<Section>>> {
    Ok(Json(courses.sections(caller, id).await?))
}

/// Add a section to a course, for its author and for staff. A course has at most 100.
#[utoipa::path(post, path = "/courses/{id}/sections/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 201, body = Section),
    (status = 400, description = "`course_full`", body = Problem),
    (status = 403, description = "`not_author`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn create_section(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    Json(new): Json<NewSection>,
) -> Result<(StatusCode, Json<Section>)> {
    Ok((StatusCode::CREATED, Json(courses.create_section(&caller, id, new).await?)))
}

/// Change a section, for the author of the course and for staff.
#[utoipa::path(patch, path = "/sections/{id}/", tag = "courses", params(("id" = SectionId, Path)), responses(
    (status = 200, body = Section),
    (status = 403, description = "`not_author`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn change_section(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<SectionId>,
    Json(patch): Json<SectionPatch>,
) -> Result<Json<Section>> {
    Ok(Json(courses.change_section(&caller, id, patch).await?))
}

/// Remove a section and its lessons, for the author of the course and for staff.
#[utoipa::path(delete, path = "/sections/{id}/", tag = "courses", params(("id" = SectionId, Path)), responses(
    (status = 204),
    (status = 403, description = "`not_author`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn delete_section(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<SectionId>,
) -> Result<StatusCode> {
    courses.delete_section(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a lesson to a section, for the author of the course and for staff. A course has at most 1,000.
#[utoipa::path(post, path = "/sections/{id}/lessons/", tag = "courses", params(("id" = SectionId, Path)), responses(
    (status = 201, body = Lesson, headers(("ETag" = String, description = "The version"))),
    (status = 400, description = "`course_full`", body = Problem),
    (status = 403, description = "`not_author`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn create_lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<SectionId>,
    Json(new): Json<NewLesson>,
) -> Result<(StatusCode, Tagged<Lesson>)> {
    let lesson = courses.create_lesson(&caller, id, new).await?;
    Ok((StatusCode::CREATED, Tagged(lesson.updated_at.into(), lesson)))
}

/// A lesson, for those who take the course, for its author and for staff.
#[utoipa::path(get, path = "/lessons/{id}/", tag = "courses", params(("id" = LessonId, Path)), responses(
    (status = 200, body = Lesson, headers(("ETag" = String, description = "The version"))),
    (status = 403, description = "`not_enrolled`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<Tagged<Lesson>> {
    let lesson = courses.lesson(&caller, id).await?;
    Ok(Tagged(lesson.updated_at.into(), lesson))
}

/// Change a lesson, for the author of the course and for staff.
#[utoipa::path(patch, path = "/lessons/{id}/", tag = "courses",
    params(
        ("id" = LessonId, Path),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the version"),
    ),
    responses(
        (status = 200, body = Lesson, headers(("ETag" = String, description = "The version"))),
        (status = 403, description = "`not_author`", body = Problem),
        (status = "4XX", body = Problem),
    ),
)]
async fn change_lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<LessonId>,
    known: IfMatch,
    Json(patch): Json<LessonPatch>,
) -> Result<Tagged<Lesson>> {
    let lesson = courses.change_lesson(&caller, id, patch, known).await?;
    Ok(Tagged(lesson.updated_at.into(), lesson))
}

/// Remove a lesson, for the author of the course and for staff.
#[utoipa::path(delete, path = "/lessons/{id}/", tag = "courses", params(("id" = LessonId, Path)), responses(
    (status = 204),
    (status = 403, description = "`not_author`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn delete_lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    courses.delete_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Note that the caller has completed a lesson; again it is the same.
#[utoipa::path(put, path = "/lessons/{id}/completion/", tag = "courses", params(("id" = LessonId, Path)), responses(
    (status = 204),
    (status = 403, description = "`not_enrolled`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn complete_lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    courses.complete_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take back that the caller has completed a lesson; again it is the same.
#[utoipa::path(delete, path = "/lessons/{id}/completion/", tag = "courses", params(("id" = LessonId, Path)), responses(
    (status = 204),
    (status = 403, description = "`not_enrolled`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn reopen_lesson(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<LessonId>,
) -> Result<StatusCode> {
    courses.reopen_lesson(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far the caller has come in a course that they take.
#[utoipa::path(get, path = "/courses/{id}/enrolment/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 200, body = Enrolment),
    (status = "4XX", body = Problem),
))]
async fn enrolment(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<Json<Enrolment>> {
    Ok(Json(courses.enrolment(&caller, id).await?))
}

/// Take a course.
#[utoipa::path(post, path = "/courses/{id}/enrolment/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 201, body = Enrolment),
    (status = 200, description = "The caller takes it already", body = Enrolment),
    (status = "4XX", body = Problem),
))]
async fn enrol(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<(StatusCode, Json<Enrolment>)> {
    let (enrolment, is_new) = courses.enrol(&caller, id).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(enrolment)))
}

/// Take a course no longer; how far the caller had come is forgotten.
#[utoipa::path(delete, path = "/courses/{id}/enrolment/", tag = "courses", params(("id" = CourseId, Path)), responses(
    (status = 204),
    (status = "4XX", body = Problem),
))]
async fn leave_course(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
) -> Result<StatusCode> {
    courses.leave_course(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who takes a course and how far they have come, newest first, for its author and for staff. Sorts by `id`.
#[utoipa::path(get, path = "/courses/{id}/enrolments/", tag = "courses", params(("id" = CourseId, Path), PageParams),
    responses(
        (status = 200, body = Page<Learner>),
        (status = 403, description = "`not_author`", body = Problem),
        (status = "4XX", body = Problem),
    ),
)]
async fn learners(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<CourseId>,
    page: PageQuery,
) -> Result<Json<Page<Learner>>> {
    Ok(Json(courses.learners(&caller, id, page).await?))
}

/// The courses of a group that the caller may know of, in their order.
#[utoipa::path(get, path = "/groups/{id}/courses/", tag = "courses", params(("id" = GroupId, Path)), responses(
    (status = 200, body = Vec<Course>),
    (status = "4XX", body = Problem),
))]
async fn group_courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Option<Caller>,
    Path(id): Path<GroupId>,
) -> Result<Json<Vec<Course>>> {
    Ok(Json(courses.group_courses(caller, id).await?))
}

/// Have exactly these courses belong to a group; moderators decide. A course that is not public comes into a
/// group only by its author or by staff.
#[utoipa::path(put, path = "/groups/{id}/courses/", tag = "courses", params(("id" = GroupId, Path)), responses(
    (status = 200, body = Vec<Course>),
    (status = 403, description = "`not_moderator`, `not_member`, `not_author`", body = Problem),
    (status = 404, description = "`group_not_found`, `course_not_found`", body = Problem),
    (status = "4XX", body = Problem),
))]
async fn link_courses(
    State(courses): State<Arc<dyn Courses>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    Json(wanted): Json<CourseIds>,
) -> Result<Json<Vec<Course>>> {
    Ok(Json(courses.link_courses(&caller, id, wanted).await?))
}

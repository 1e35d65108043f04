//! Courses.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Result, Tagged, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    courses::{Course, CourseFilter, CourseIds, CoursePatch, Courses, NewCourse},
    id::{CourseId, GroupId},
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .routes(routes!(courses, create_course))
        .routes(routes!(course, change_course, delete_course))
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

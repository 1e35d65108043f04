//! Enrolments in courses.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{Caller, Json, Page, PageQuery, Path, Problem, Result, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    courses::{Enrolment, Enrolments, Learner},
    id::CourseId,
    state::CommunityState,
};

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(enrolment, enrol, leave_course)).routes(routes!(learners))
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

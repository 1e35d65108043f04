//! What a caller may do with a course.

use guildhall_kernel::Caller;
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect};

use crate::{
    core::scope::{Viewer, visible_courses},
    entity::course,
    error::{Error, Result},
    id::CourseId,
};

/// Whether the caller may change the course.
pub(super) fn is_author(caller: &Caller, course: &course::Model) -> bool {
    caller.roles.is_staff() || course.author_id == Some(caller.user)
}

/// A course, if it is visible to the viewer.
pub(super) async fn find_course(conn: &impl ConnectionTrait, viewer: Viewer, id: CourseId) -> Result<course::Model> {
    let found = visible_courses(viewer).filter(course::COLUMN.id.eq(id)).one(conn).await?;
    found.ok_or(Error::CourseNotFound(id))
}

/// A course that the caller may change, locked with its content until the transaction ends.
pub(super) async fn lock_own_course(
    conn: &impl ConnectionTrait,
    caller: &Caller,
    id: CourseId,
) -> Result<course::Model> {
    let found = visible_courses(caller.into()).filter(course::COLUMN.id.eq(id)).lock_exclusive().one(conn).await?;
    let course = found.ok_or(Error::CourseNotFound(id))?;
    if is_author(caller, &course) { Ok(course) } else { Err(Error::NotAuthor) }
}

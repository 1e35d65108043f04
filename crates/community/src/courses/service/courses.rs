//! Courses.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    courses::{Course, CourseFilter, CourseIds, CoursePatch, NewCourse},
    error::Result,
    id::{CourseId, GroupId},
};

/// Courses.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Courses: Send + Sync + 'static {
    /// The courses visible to the viewer.
    async fn courses(&self, viewer: Option<Caller>, filter: CourseFilter, page: PageQuery) -> Result<Page<Course>>;
    /// Creates an empty course. Only teachers and staff may.
    async fn create_course(&self, caller: &Caller, new: NewCourse) -> Result<Course>;
    /// A course, if it is visible to the viewer.
    async fn course(&self, viewer: Option<Caller>, id: CourseId) -> Result<Course>;
    /// Changes a course, if `known` matches its current version.
    async fn change_course(&self, caller: &Caller, id: CourseId, patch: CoursePatch, known: IfMatch) -> Result<Course>;
    /// Deletes a course and everything in it, if `known` matches its current version.
    async fn delete_course(&self, caller: &Caller, id: CourseId, known: IfMatch) -> Result<()>;
    /// Replaces the courses of a group, in this order. Only moderators may. A course that is not public can only be
    /// added by its author.
    async fn link_courses(&self, caller: &Caller, group: GroupId, courses: CourseIds) -> Result<Vec<Course>>;
    /// Creates a course as the last one of a group. Only moderators who are teachers or staff may.
    async fn create_group_course(&self, caller: &Caller, group: GroupId, new: NewCourse) -> Result<Course>;
    /// Adds a course to a group, as its last one. Only moderators may. A course that is not public can only be added by
    /// its author.
    async fn link_course(&self, caller: &Caller, group: GroupId, course: CourseId) -> Result<()>;
    /// Removes a course from a group. Only moderators may.
    async fn unlink_course(&self, caller: &Caller, group: GroupId, course: CourseId) -> Result<()>;
    /// The courses of a group that are visible to the viewer, in order.
    async fn group_courses(&self, viewer: Option<Caller>, group: GroupId) -> Result<Vec<Course>>;
}

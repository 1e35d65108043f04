//! Enrolments in courses.

use async_trait::async_trait;
use guildhall_kernel::{Caller, Page, PageQuery};

use crate::{
    courses::{Enrolment, Learner},
    error::Result,
    id::CourseId,
};

/// Enrolments in courses.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Enrolments: Send + Sync + 'static {
    /// Enrols the caller in a course. Returns `true` if they were not enrolled before.
    async fn enrol(&self, caller: &Caller, id: CourseId) -> Result<(Enrolment, bool)>;
    /// The caller's progress in a course that they are enrolled in.
    async fn enrolment(&self, caller: &Caller, id: CourseId) -> Result<Enrolment>;
    /// Ends the caller's enrolment and deletes their progress.
    async fn leave_course(&self, caller: &Caller, id: CourseId) -> Result<()>;
    /// The learners of a course, newest first, for its author.
    async fn learners(&self, caller: &Caller, id: CourseId, page: PageQuery) -> Result<Page<Learner>>;
}

//! Sections and lessons of courses.

use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch};

use crate::{
    courses::{Lesson, LessonPatch, NewLesson, NewSection, Section, SectionPatch},
    error::Result,
    id::{CourseId, LessonId, SectionId},
};

/// Sections and lessons of courses.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Lessons: Send + Sync + 'static {
    /// The sections of a course with their lessons, in order.
    async fn sections(&self, viewer: Option<Caller>, id: CourseId) -> Result<Vec<Section>>;
    /// Adds a section to a course.
    async fn create_section(&self, caller: &Caller, course: CourseId, new: NewSection) -> Result<Section>;
    /// Changes a section.
    async fn change_section(&self, caller: &Caller, id: SectionId, patch: SectionPatch) -> Result<Section>;
    /// Deletes a section and its lessons.
    async fn delete_section(&self, caller: &Caller, id: SectionId) -> Result<()>;
    /// Adds a lesson to a section. Learners who had completed the course no longer count as having completed it.
    async fn create_lesson(&self, caller: &Caller, section: SectionId, new: NewLesson) -> Result<Lesson>;
    /// A lesson, for enrolled learners and the author of the course.
    async fn lesson(&self, caller: &Caller, id: LessonId) -> Result<Lesson>;
    /// Changes a lesson, if `known` matches its current version.
    async fn change_lesson(&self, caller: &Caller, id: LessonId, patch: LessonPatch, known: IfMatch) -> Result<Lesson>;
    /// Deletes a lesson. The course is then complete for learners who have completed all remaining lessons.
    async fn delete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;
    /// Marks a lesson as completed by the caller. Idempotent.
    async fn complete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;
    /// Marks a lesson as not completed by the caller.
    async fn reopen_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;
}

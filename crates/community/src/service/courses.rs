use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery};

use crate::{
    Course, CourseFilter, CourseId, CourseIds, CoursePatch, Enrolment, GroupId, Learner, Lesson, LessonId, LessonPatch,
    NewCourse, NewLesson, NewSection, Result, Section, SectionId, SectionPatch,
};

/// Courses, their lessons, and the people who take them.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Courses: Send + Sync + 'static {
    /// The courses that the viewer may know of.
    async fn courses(&self, viewer: Option<Caller>, filter: CourseFilter, page: PageQuery) -> Result<Page<Course>>;
    /// Makes a course that has no lessons yet; teachers and staff do.
    async fn create_course(&self, caller: &Caller, new: NewCourse) -> Result<Course>;
    /// A course, if the viewer may know of it.
    async fn course(&self, viewer: Option<Caller>, id: CourseId) -> Result<Course>;
    /// Changes a course, if it is still a version that the caller knows.
    async fn change_course(&self, caller: &Caller, id: CourseId, patch: CoursePatch, known: IfMatch) -> Result<Course>;
    /// Removes a course and everything in it, if it is still a version that the caller knows.
    async fn delete_course(&self, caller: &Caller, id: CourseId, known: IfMatch) -> Result<()>;

    /// The table of contents: every section with its lessons, in their order.
    async fn sections(&self, viewer: Option<Caller>, id: CourseId) -> Result<Vec<Section>>;
    /// Adds a section to a course.
    async fn create_section(&self, caller: &Caller, course: CourseId, new: NewSection) -> Result<Section>;
    /// Changes a section.
    async fn change_section(&self, caller: &Caller, id: SectionId, patch: SectionPatch) -> Result<Section>;
    /// Removes a section and its lessons.
    async fn delete_section(&self, caller: &Caller, id: SectionId) -> Result<()>;

    /// Adds a lesson to a section; nobody is through with the course then.
    async fn create_lesson(&self, caller: &Caller, section: SectionId, new: NewLesson) -> Result<Lesson>;
    /// A lesson, for those who take the course, and for its author.
    async fn lesson(&self, caller: &Caller, id: LessonId) -> Result<Lesson>;
    /// Changes a lesson, if it is still a version that the caller knows.
    async fn change_lesson(&self, caller: &Caller, id: LessonId, patch: LessonPatch, known: IfMatch) -> Result<Lesson>;
    /// Removes a lesson; whoever has completed all others is through with the course then.
    async fn delete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;
    /// Notes that the caller has completed a lesson, once however often it is said.
    async fn complete_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;
    /// Takes that back.
    async fn reopen_lesson(&self, caller: &Caller, id: LessonId) -> Result<()>;

    /// Takes a course; tells whether the caller did not before.
    async fn enrol(&self, caller: &Caller, id: CourseId) -> Result<(Enrolment, bool)>;
    /// How far the caller has come in a course that they take.
    async fn enrolment(&self, caller: &Caller, id: CourseId) -> Result<Enrolment>;
    /// Takes a course no longer; how far the caller had come is forgotten.
    async fn leave_course(&self, caller: &Caller, id: CourseId) -> Result<()>;
    /// Who takes a course, newest first, for its author.
    async fn learners(&self, caller: &Caller, id: CourseId, page: PageQuery) -> Result<Page<Learner>>;

    /// Has exactly these courses belong to a group, in this order; moderators decide. A course that is not
    /// public comes into a group only by its author.
    async fn link_courses(&self, caller: &Caller, group: GroupId, courses: CourseIds) -> Result<Vec<Course>>;
    /// The courses of a group that the viewer may know of, in their order.
    async fn group_courses(&self, viewer: Option<Caller>, group: GroupId) -> Result<Vec<Course>>;
}

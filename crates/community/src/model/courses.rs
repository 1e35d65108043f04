use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{CourseId, GroupId, LessonId, MAX_TEXT_LENGTH, SectionId};

/// A course as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Course {
    /// The course's id.
    pub id: CourseId,
    /// Its title.
    pub title: String,
    /// Its description, as Markdown.
    pub description: String,
    /// The description as sanitized HTML.
    pub description_html: String,
    /// The author; `null` once their account is deleted.
    pub author: Option<Person>,
    /// Everybody can see it and enrol, not only members of its groups.
    pub is_public: bool,
    /// Number of lessons.
    pub lesson_count: i64,
    /// The groups it belongs to, as far as the caller may read them; at most 100.
    pub groups: Vec<GroupId>,
    /// Whether the caller is enrolled.
    pub is_enrolled: bool,
    /// Number of lessons that the caller has completed.
    pub completed_lessons: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A course to create.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewCourse {
    /// Its title.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Its description, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// Everybody can see it and enrol, not only members of its groups.
    #[serde(default = "yes")]
    #[garde(skip)]
    pub is_public: bool,
}

fn yes() -> bool {
    true
}

/// A change to a course; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CoursePatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Its description, as Markdown.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// Everybody can see it and enrol, not only members of its groups.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_public: Option<bool>,
}

/// Filters of the list of courses.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CourseFilter {
    /// Only courses of this group, if the caller may read it.
    pub group: Option<GroupId>,
    /// Only courses that the caller is (`true`) or is not (`false`) enrolled in.
    pub enrolled: Option<bool>,
}

/// All courses of a group, in order.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CourseIds {
    /// Their ids, at most 100. Of repeated ids the first counts.
    #[garde(length(max = 100))]
    pub course_ids: Vec<CourseId>,
}

/// A section of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Section {
    /// The section's id.
    pub id: SectionId,
    /// The course.
    pub course: CourseId,
    /// Its title.
    pub title: String,
    /// Sort key within the course; sections with equal positions are ordered by id.
    pub position: i64,
    /// Its lessons, in order.
    pub lessons: Vec<LessonSummary>,
}

/// A section to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewSection {
    /// Its title.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Sort key within the course; at the end if absent.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    pub position: Option<i64>,
}

/// A change to a section; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct SectionPatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Sort key within the course.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
}

/// A lesson in a course outline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LessonSummary {
    /// The lesson's id.
    pub id: LessonId,
    /// The section.
    pub section: SectionId,
    /// Its title.
    pub title: String,
    /// Sort key within the section; lessons with equal positions are ordered by id.
    pub position: i64,
    /// Whether the caller has completed it.
    pub is_completed: bool,
}

/// A lesson with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lesson {
    /// The lesson's id.
    pub id: LessonId,
    /// The course.
    pub course: CourseId,
    /// The section.
    pub section: SectionId,
    /// Its title.
    pub title: String,
    /// Its content, as Markdown.
    pub content: String,
    /// The content as sanitized HTML.
    pub content_html: String,
    /// Sort key within the section.
    pub position: i64,
    /// Whether the caller has completed it.
    pub is_completed: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A lesson to create.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewLesson {
    /// Its title.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Its content, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, MAX_TEXT_LENGTH)))]
    pub content: String,
    /// Sort key within the section; at the end if absent.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    pub position: Option<i64>,
}

/// A change to a lesson; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct LessonPatch {
    /// Its title.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Its content, as Markdown.
    #[garde(custom(text::maybe(text::block(0, MAX_TEXT_LENGTH))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub content: Option<String>,
    /// Moves it to another section of the same course.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub section: Option<SectionId>,
    /// Sort key within the section.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
}

/// The caller's enrolment in a course, with their progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enrolment {
    /// The course.
    pub course: CourseId,
    /// When they enrolled.
    pub created_at: Timestamp,
    /// When they completed the last lesson; `null` while a lesson is left.
    pub completed_at: Option<Timestamp>,
    /// Number of lessons completed.
    pub completed_lessons: i64,
    /// Number of lessons in the course.
    pub lesson_count: i64,
}

/// An enrolled user, with their progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Learner {
    /// The user.
    pub user: Option<Person>,
    /// When they enrolled.
    pub created_at: Timestamp,
    /// When they completed the last lesson; `null` while a lesson is left.
    pub completed_at: Option<Timestamp>,
    /// Number of lessons completed.
    pub completed_lessons: i64,
    /// Number of lessons in the course.
    pub lesson_count: i64,
}

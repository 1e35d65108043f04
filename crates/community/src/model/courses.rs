use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{CourseId, GroupId, LONGEST_TEXT, LessonId, SectionId};

/// A course as the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Course {
    /// The course's id.
    pub id: CourseId,
    /// What it is called.
    pub title: String,
    /// What it is about, as Markdown.
    pub description: String,
    /// The same as HTML that is safe to show.
    pub description_html: String,
    /// Who made it; `null` once they are gone.
    pub author: Option<Person>,
    /// Everybody may know of it and take it, not only the groups that it belongs to.
    pub is_public: bool,
    /// How many lessons it has.
    pub lesson_count: i64,
    /// The groups that it belongs to, of those that the caller may look into; at most 100.
    pub groups: Vec<GroupId>,
    /// Does the caller take it?
    pub is_enrolled: bool,
    /// How many of its lessons the caller has completed.
    pub completed_lessons: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A course to be made.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
pub struct NewCourse {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// What it is about, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, 10_000)))]
    pub description: String,
    /// Everybody may know of it and take it, not only the groups that it belongs to.
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
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// What it is about, as Markdown.
    #[garde(custom(text::maybe(text::block(0, 10_000))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub description: Option<String>,
    /// Everybody may know of it and take it.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub is_public: Option<bool>,
}

/// Which courses to list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CourseFilter {
    /// Only courses that belong to this group, if the caller may look into it.
    pub group: Option<GroupId>,
    /// Only courses that the caller takes (`true`) or does not take (`false`).
    pub enrolled: Option<bool>,
}

/// All the courses of a group, in their order.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct CourseIds {
    /// Their ids, at most 100; one that is named twice counts where it is named first.
    #[garde(length(max = 100))]
    pub course_ids: Vec<CourseId>,
}

/// A part of a course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Section {
    /// The section's id.
    pub id: SectionId,
    /// The course.
    pub course: CourseId,
    /// What it is called.
    pub title: String,
    /// Sections stand in the order of this number; equal ones in that of their ids.
    pub position: i64,
    /// Its lessons, in their order.
    pub lessons: Vec<LessonSummary>,
}

/// A section to be added.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewSection {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// Where it stands; at the end unless said otherwise.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    pub position: Option<i64>,
}

/// A change to a section; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct SectionPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// Where it stands.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
}

/// A lesson in the table of contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LessonSummary {
    /// The lesson's id.
    pub id: LessonId,
    /// The section that it is in.
    pub section: SectionId,
    /// What it is called.
    pub title: String,
    /// Lessons of a section stand in the order of this number; equal ones in that of their ids.
    pub position: i64,
    /// Has the caller completed it?
    pub is_completed: bool,
}

/// A lesson with what is to be learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lesson {
    /// The lesson's id.
    pub id: LessonId,
    /// The course.
    pub course: CourseId,
    /// The section that it is in.
    pub section: SectionId,
    /// What it is called.
    pub title: String,
    /// What is to be learned, as Markdown.
    pub content: String,
    /// The same as HTML that is safe to show.
    pub content_html: String,
    /// Where it stands in its section.
    pub position: i64,
    /// Has the caller completed it?
    pub is_completed: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A lesson to be added.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct NewLesson {
    /// What to call it.
    #[garde(custom(text::line(1, 200)))]
    pub title: String,
    /// What is to be learned, as Markdown.
    #[serde(default)]
    #[garde(custom(text::block(0, LONGEST_TEXT)))]
    pub content: String,
    /// Where it stands in its section; at the end unless said otherwise.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    pub position: Option<i64>,
}

/// A change to a lesson; absent fields stay as they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
pub struct LessonPatch {
    /// What to call it.
    #[garde(custom(text::maybe(text::line(1, 200))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub title: Option<String>,
    /// What is to be learned, as Markdown.
    #[garde(custom(text::maybe(text::block(0, LONGEST_TEXT))))]
    #[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]
    pub content: Option<String>,
    /// The section of the same course that it moves to.
    #[garde(skip)]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub section: Option<SectionId>,
    /// Where it stands in its section.
    #[garde(inner(range(min = 0, max = 1_000_000)))]
    #[serde(default, deserialize_with = "guildhall_kernel::not_null")]
    #[schema(nullable = false)]
    pub position: Option<i64>,
}

/// That the caller takes a course, and how far they have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Enrolment {
    /// The course.
    pub course: CourseId,
    /// Since when.
    pub created_at: Timestamp,
    /// When the last lesson was completed; `null` while one is left.
    pub completed_at: Option<Timestamp>,
    /// How many lessons are completed.
    pub completed_lessons: i64,
    /// How many lessons there are.
    pub lesson_count: i64,
}

/// Somebody who takes a course, and how far they have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Learner {
    /// Who.
    pub user: Option<Person>,
    /// Since when.
    pub created_at: Timestamp,
    /// When the last lesson was completed; `null` while one is left.
    pub completed_at: Option<Timestamp>,
    /// How many lessons are completed.
    pub completed_lessons: i64,
    /// How many lessons there are.
    pub lesson_count: i64,
}

use garde::Validate;
use guildhall_kernel::{Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    id::{CourseId, LessonId, SectionId},
    markdown::MAX_TEXT_LENGTH,
};

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

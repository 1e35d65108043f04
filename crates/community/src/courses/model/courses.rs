use garde::Validate;
use guildhall_kernel::{Person, Timestamp, text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::id::{CourseId, GroupId};

/// How many courses a group has at most.
pub(crate) const MAX_GROUP_COURSES: usize = 100;

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
    #[garde(length(max = MAX_GROUP_COURSES))]
    pub course_ids: Vec<CourseId>,
}

//! The services on a database.

mod access;
mod courses;
mod enrolments;
mod lessons;
mod progress;

use crate::core::Core;

/// The services of courses on a database.
#[derive(Clone)]
pub struct SqlCourses {
    pub(crate) core: Core,
}

//! The types.

mod courses;
mod enrolments;
mod lessons;

pub use courses::*;
pub use enrolments::*;
pub use lessons::*;

//! The verbs: what the community can do, for whoever asks.

mod courses;
mod events;
mod groups;
mod posts;

pub use courses::Courses;
pub use events::Events;
pub use groups::Groups;
pub use posts::Posts;

#[cfg(feature = "testing")]
pub use self::{courses::MockCourses, events::MockEvents, groups::MockGroups, posts::MockPosts};

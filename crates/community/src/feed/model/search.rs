use guildhall_kernel::Person;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{groups::Group, posts::Post};

/// Search results.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// Groups with all these words in name or description.
    pub groups: Vec<Group>,
    /// Posts with all these words, newest first.
    pub posts: Vec<Post>,
    /// Members of the caller's groups whose names begin with the text.
    pub members: Vec<Person>,
}

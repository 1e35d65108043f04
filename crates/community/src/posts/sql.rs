//! The services on a database.

pub(crate) mod access;
pub(crate) mod approval;
mod attachments;
mod comments;
mod content;
mod drafts;
mod link_previews;
mod polls;
mod posts;
mod reactions;
mod score;
pub(crate) mod show;

use crate::core::Core;

/// The services of posts on a database.
#[derive(Clone)]
pub struct SqlPosts {
    pub(crate) core: Core,
}

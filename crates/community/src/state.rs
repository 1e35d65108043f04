//! The state of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};

use crate::{
    courses::{Courses, Enrolments, Lessons},
    events::{Events, Rsvps},
    feed::{Bookmarks, Feed, Follows, Search},
    groups::{Groups, Invites, JoinRequests, Members, Pictures},
    moderation::{Moderation, Reports, ReviewQueue},
    posts::{Attachments, Comments, Drafts, Polls, Posts, Reactions},
    sql::SqlCommunity,
};

/// The state of the routes.
#[derive(Clone, FromRef)]
pub struct CommunityState {
    /// Groups.
    pub groups: Arc<dyn Groups>,
    /// Pictures of groups.
    pub pictures: Arc<dyn Pictures>,
    /// Members of groups.
    pub members: Arc<dyn Members>,
    /// Requests to join a group.
    pub requests: Arc<dyn JoinRequests>,
    /// Invites to groups.
    pub invites: Arc<dyn Invites>,
    /// Bans, and the moderation log.
    pub moderation: Arc<dyn Moderation>,
    /// Posts.
    pub posts: Arc<dyn Posts>,
    /// Attachments of posts.
    pub attachments: Arc<dyn Attachments>,
    /// The feed.
    pub feed: Arc<dyn Feed>,
    /// Bookmarks.
    pub bookmarks: Arc<dyn Bookmarks>,
    /// Reactions to posts.
    pub reactions: Arc<dyn Reactions>,
    /// Polls.
    pub polls: Arc<dyn Polls>,
    /// Follows between users.
    pub follows: Arc<dyn Follows>,
    /// Comments on posts.
    pub comments: Arc<dyn Comments>,
    /// Drafts of posts.
    pub drafts: Arc<dyn Drafts>,
    /// Reports of posts and comments.
    pub reports: Arc<dyn Reports>,
    /// The review queue of a group.
    pub reviews: Arc<dyn ReviewQueue>,
    /// The search.
    pub search: Arc<dyn Search>,
    /// Courses.
    pub courses: Arc<dyn Courses>,
    /// Sections and lessons of courses.
    pub lessons: Arc<dyn Lessons>,
    /// Enrolments in courses.
    pub enrolments: Arc<dyn Enrolments>,
    /// Events of groups.
    pub events: Arc<dyn Events>,
    /// RSVPs to events.
    pub rsvps: Arc<dyn Rsvps>,
    /// The file store, with its limit on upload size.
    pub files: Files,
    /// Authenticates the caller.
    pub auth: Auth,
    /// The prefix of the absolute URLs in lists.
    pub url: PublicUrl,
}

impl CommunityState {
    /// The state for services on a database. `url` is the public address of the host.
    pub fn new(community: &SqlCommunity, auth: Auth, url: PublicUrl) -> Self {
        let groups = Arc::new(community.groups.clone());
        let posts = Arc::new(community.posts.clone());
        let feed = Arc::new(community.feed.clone());
        let moderation = Arc::new(community.moderation.clone());
        let courses = Arc::new(community.courses.clone());
        let events = Arc::new(community.events.clone());
        Self {
            groups: groups.clone(),
            pictures: groups.clone(),
            members: groups.clone(),
            requests: groups.clone(),
            invites: groups,
            posts: posts.clone(),
            attachments: posts.clone(),
            reactions: posts.clone(),
            polls: posts.clone(),
            comments: posts.clone(),
            drafts: posts,
            feed: feed.clone(),
            bookmarks: feed.clone(),
            follows: feed.clone(),
            search: feed,
            moderation: moderation.clone(),
            reports: moderation.clone(),
            reviews: moderation,
            courses: courses.clone(),
            lessons: courses.clone(),
            enrolments: courses,
            events: events.clone(),
            rsvps: events,
            files: community.files().clone(),
            auth,
            url,
        }
    }
}

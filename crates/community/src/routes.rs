//! The routes of groups, posts, comments, courses and events.

mod courses;
mod events;
mod groups;
pub(crate) mod people;
mod posts;

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_files::Files;
use guildhall_kernel::{Auth, PublicUrl};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    Attachments, Bookmarks, Comments, Courses, Drafts, Enrolments, Events, Feed, Follows, Groups, Invites,
    JoinRequests, Lessons, Members, Moderation, Pictures, Polls, Posts, Reactions, Reports, ReviewQueue, Rsvps, Search,
    SqlCommunity,
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
        let files = community.files().clone();
        let community = Arc::new(community.clone());
        Self {
            groups: community.clone(),
            pictures: community.clone(),
            members: community.clone(),
            requests: community.clone(),
            invites: community.clone(),
            moderation: community.clone(),
            posts: community.clone(),
            attachments: community.clone(),
            feed: community.clone(),
            bookmarks: community.clone(),
            reactions: community.clone(),
            polls: community.clone(),
            follows: community.clone(),
            comments: community.clone(),
            drafts: community.clone(),
            reports: community.clone(),
            reviews: community.clone(),
            search: community.clone(),
            courses: community.clone(),
            lessons: community.clone(),
            enrolments: community.clone(),
            events: community.clone(),
            rsvps: community.clone(),
            files,
            auth,
            url,
        }
    }
}

/// The routes of this crate. Nest them under any path.
pub fn router(state: CommunityState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new()
        .merge(groups::routes())
        .merge(people::routes())
        .merge(posts::routes())
        .merge(courses::routes())
        .merge(events::routes())
        .merge(crate::compat::routes())
}

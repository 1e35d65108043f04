//! The routes: `/groups/…`, `/posts/…`, `/comments/…`, `/courses/…`, `/events/…` and what stands beside them.

mod courses;
mod earlier;
mod events;
mod groups;
mod people;
mod posts;

use std::sync::Arc;

use axum::extract::FromRef;
use guildhall_kernel::{Auth, PublicUrl, file::Files};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{Courses, Events, Groups, Posts, SqlCommunity};

/// What the routes need.
#[derive(Clone, FromRef)]
pub struct CommunityState {
    /// Groups and the people in them.
    pub groups: Arc<dyn Groups>,
    /// Posts, and what people make of them.
    pub posts: Arc<dyn Posts>,
    /// What is to be learned.
    pub courses: Arc<dyn Courses>,
    /// What people meet for.
    pub events: Arc<dyn Events>,
    /// Where files are kept: says how large one may be.
    pub files: Files,
    /// Who is asking.
    pub auth: Auth,
    /// What the absolute URLs of lists begin with.
    pub url: PublicUrl,
}

impl CommunityState {
    /// The services on a database, asked by whoever `auth` knows; `url` is what clients reach the host as.
    pub fn new(community: &SqlCommunity, auth: Auth, url: PublicUrl) -> Self {
        let all = Arc::new(community.clone());
        let files = community.files().clone();
        Self { groups: all.clone(), posts: all.clone(), courses: all.clone(), events: all, files, auth, url }
    }
}

/// The routes of this crate, to be nested wherever the host likes.
pub fn router(state: CommunityState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The description of [`router`].
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
        .merge(earlier::routes())
}

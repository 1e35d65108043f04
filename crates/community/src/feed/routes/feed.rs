//! The feed.

use std::sync::Arc;

use axum::extract::State;
use guildhall_kernel::{Caller, CursorPage, CursorQuery, Json, Page, PageQuery, Query, Result, routes};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    feed::{Feed, FeedFilter},
    posts::Post,
    state::CommunityState,
};

/// A feed, as a cursor page or as a numbered page.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum FeedPage {
    Page(Page<Post>),
    CursorPage(CursorPage<Post>),
}

/// Whether numbered pages are requested.
#[derive(Deserialize, utoipa::IntoParams)]
struct Pages {
    page: Option<String>,
    page_size: Option<String>,
    cursor: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<CommunityState> {
    OpenApiRouter::new().routes(routes!(feed))
}

/// List the posts of a feed, newest first; with `feed_type=trending` by score.
///
/// With `page` or `page_size` the response is a numbered page with a total count, otherwise a cursor page.
#[utoipa::path(get, path = "/posts/", tag = "community", responses((status = 200, body = FeedPage)))]
async fn feed(
    State(feed): State<Arc<dyn Feed>>,
    caller: Option<Caller>,
    Query(filter): Query<FeedFilter>,
    Query(pages): Query<Pages>,
    cursor: CursorQuery,
    page: PageQuery,
) -> Result<Json<FeedPage>> {
    let is_paged = pages.page.is_some() || pages.page_size.is_some() || pages.cursor.is_some();
    Ok(Json(if is_paged {
        FeedPage::Page(feed.feed_page(caller, filter, page).await?)
    } else {
        FeedPage::CursorPage(feed.feed(caller, filter, cursor).await?)
    }))
}

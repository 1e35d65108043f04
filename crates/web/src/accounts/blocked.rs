//! People whom the reader has blocked.

use askama::Template;
use axum::{extract::State, response::Response};
use guildhall_kernel::{CursorQuery, Error, Path, Query, Result, UserId};
use guildhall_messaging::Block;

use crate::{
    form::Submission,
    page::{back_with, ok},
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    web::App,
};

/// How many people are on a page.
const PEOPLE: u64 = 50;

#[derive(Template)]
#[template(path = "accounts/blocked.html")]
struct BlockedPage {
    f: Frame,
    tab: &'static str,
    blocks: Vec<Block>,
    older: Option<i64>,
}

pub(crate) async fn blocked(State(app): State<App>, reader: Reader, Query(before): Query<Before>) -> Result<Response> {
    let f = reader.frame(&app, Place::More).await?;
    let query = before.before.map_or(CursorQuery::newest(PEOPLE), |key| CursorQuery::before(key, PEOPLE));
    let page = app.messaging.blocks.blocks(&reader.caller, query).await.map_err(Error::from)?;
    let older = older(page.next.as_deref());
    Ok(ok(&BlockedPage { f, tab: "blocked", blocks: page.results, older }))
}

pub(crate) async fn block(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.messaging.blocks.block(&reader.caller, id).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), "/account/blocked/", "flash-blocked"))
}

pub(crate) async fn unblock(
    State(app): State<App>,
    Path(id): Path<UserId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.messaging.blocks.unblock(&reader.caller, id).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), "/account/blocked/", "flash-unblocked"))
}

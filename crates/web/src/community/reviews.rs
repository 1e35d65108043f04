//! Posts that wait for a moderator.

use axum::{extract::State, response::Response};
use guildhall_community::PostId;
use guildhall_kernel::{Error, Kind, Path, Result};

use crate::{form::Submission, page::back_with, reader::Reader, web::App};

/// Approves a post, or deletes it.
pub(crate) async fn decide(
    State(app): State<App>,
    Path((id, decision)): Path<(PostId, String)>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let (approve, flash) = match decision.as_str() {
        "approve" => (true, "flash-post-approved"),
        "refuse" => (false, "flash-post-refused"),
        _ => return Err(Error::new(Kind::NotFound, "not_found", "Not found.")),
    };
    let post = app.community.posts.post(Some(reader.caller), id).await.map_err(Error::from)?;
    app.community.reviews.decide_post(&reader.caller, id, approve).await.map_err(Error::from)?;
    let group = post.group.map_or_else(|| "/".to_owned(), |group| format!("/groups/{group}/requests/"));
    // The page of a deleted post is gone.
    let next = form.next().filter(|next| approve || !next.as_str().starts_with("/posts/"));
    Ok(back_with(&app, next, &group, flash))
}

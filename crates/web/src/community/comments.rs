//! Comments.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Comment, CommentId, CommentPatch, NewComment, PostId};
use guildhall_kernel::{Error, IfMatch, Path, Result};

use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect, redirect_with, show},
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/comment.html")]
struct CommentPage {
    f: Frame,
    e: FormErrors,
    comment: Comment,
    is_mine: bool,
    /// What was entered as an answer.
    reply: String,
}

fn path_of(comment: &Comment) -> String {
    format!("/posts/{}/#comment-{}", comment.post, comment.id)
}

async fn comment_page(
    app: &App,
    reader: &Reader,
    id: CommentId,
    refused: Option<(FormErrors, String)>,
) -> Result<Response> {
    let comment = app.community.comments.comment(Some(reader.caller), id).await.map_err(Error::from)?;
    let f = reader.frame(app, Place::Groups).await?;
    let is_mine = comment.author.as_ref().is_some_and(|author| author.id == reader.id());
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (e, reply) = refused.unwrap_or_default();
    Ok(show(status, &CommentPage { f, e, comment, is_mine, reply }))
}

/// A comment by itself, with a form to answer and, for its author, to change it.
pub(crate) async fn comment(State(app): State<App>, Path(id): Path<CommentId>, reader: Reader) -> Result<Response> {
    comment_page(&app, &reader, id, None).await
}

pub(crate) async fn create_comment(
    State(app): State<App>,
    Path(post): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let content = form.text("content").to_owned();
    let parent = form.number::<i64>("parent")?.map(CommentId);
    let new = NewComment { content: content.clone(), parent };
    match app.community.comments.create_comment(&reader.caller, post, new).await.map_err(Error::from) {
        Ok(comment) => Ok(redirect(&path_of(&comment))),
        Err(error) => match parent {
            Some(parent) => {
                let e = form_errors(&reader.view, error)?;
                comment_page(&app, &reader, parent, Some((e, content))).await
            }
            None => Err(error),
        },
    }
}

pub(crate) async fn change_comment(
    State(app): State<App>,
    Path(id): Path<CommentId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let patch = CommentPatch { content: form.text("content").to_owned() };
    match app.community.comments.change_comment(&reader.caller, id, patch, IfMatch::default()).await {
        Ok(comment) => Ok(redirect(&path_of(&comment))),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            comment_page(&app, &reader, id, Some((e, String::new()))).await
        }
    }
}

pub(crate) async fn like(
    State(app): State<App>,
    Path(id): Path<CommentId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let comment = app.community.comments.like_comment(&reader.caller, id, None).await.map_err(Error::from)?;
    Ok(redirect(&path_of(&comment)))
}

pub(crate) async fn delete_comment(
    State(app): State<App>,
    Path(id): Path<CommentId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let comment = app.community.comments.comment(Some(reader.caller), id).await.map_err(Error::from)?;
    app.community.comments.delete_comment(&reader.caller, id).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/posts/{}/#comments", comment.post), "flash-deleted"))
}

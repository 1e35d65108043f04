//! Comments.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{Comment, CommentId, CommentPatch, NewComment, PostId};
use guildhall_kernel::{Error, IfMatch, Path, Result};

use super::{posts::post_page, typed::Typed};
use crate::{
    form::Submission,
    page::{form_errors, redirect, redirect_with, show},
    paging::Before,
    reader::{Frame, Place, Reader},
    web::App,
};

#[derive(Template)]
#[template(path = "community/comment.html")]
struct CommentPage {
    f: Frame,
    comment: Comment,
    is_mine: bool,
    /// The answer that was typed, and why it was refused.
    reply: Typed,
    /// The comment as it was changed, and why that was refused.
    edit: Typed,
    /// What is wrong with the comment, and why a report of that was refused.
    report: Typed,
}

impl CommentPage {
    /// The text in the form that changes the comment.
    fn edited(&self) -> &str {
        if self.edit.errors.is_empty() { &self.comment.content } else { &self.edit.text }
    }
}

fn path_of(comment: &Comment) -> String {
    format!("/posts/{}/#comment-{}", comment.post, comment.id)
}

/// The three forms of the page.
#[derive(Default)]
struct Forms {
    reply: Typed,
    edit: Typed,
    report: Typed,
}

async fn comment_page(app: &App, reader: &Reader, id: CommentId, forms: Forms) -> Result<Response> {
    let Forms { reply, edit, report } = forms;
    let comment = app.community.comments.comment(Some(reader.caller), id).await.map_err(Error::from)?;
    let f = reader.frame(app, Place::Groups).await?;
    let is_mine = comment.author.as_ref().is_some_and(|author| author.id == reader.id());
    let is_accepted = [&reply, &edit, &report].iter().all(|typed| typed.errors.is_empty());
    let status = if is_accepted { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &CommentPage { f, comment, is_mine, reply, edit, report }))
}

/// The page of a comment whose report was refused.
pub(super) async fn comment_refused(
    app: &App,
    reader: &Reader,
    id: CommentId,
    error: Error,
    form: &Submission,
) -> Result<Response> {
    let report = Typed { errors: form_errors(&reader.view, error)?, text: form.text("reason").to_owned() };
    comment_page(app, reader, id, Forms { report, ..Forms::default() }).await
}

/// A comment by itself, with a form to answer and, for its author, to change it.
pub(crate) async fn comment(State(app): State<App>, Path(id): Path<CommentId>, reader: Reader) -> Result<Response> {
    comment_page(&app, &reader, id, Forms::default()).await
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
        Err(error) => {
            let typed = Typed { errors: form_errors(&reader.view, error)?, text: content };
            match parent {
                Some(parent) => comment_page(&app, &reader, parent, Forms { reply: typed, ..Forms::default() }).await,
                None => post_page(&app, &reader, post, &Before::default(), typed).await,
            }
        }
    }
}

pub(crate) async fn change_comment(
    State(app): State<App>,
    Path(id): Path<CommentId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let content = form.text("content").to_owned();
    let patch = CommentPatch { content: content.clone() };
    match app.community.comments.change_comment(&reader.caller, id, patch, IfMatch::default()).await {
        Ok(comment) => Ok(redirect(&path_of(&comment))),
        Err(error) => {
            let edit = Typed { errors: form_errors(&reader.view, error)?, text: content };
            comment_page(&app, &reader, id, Forms { edit, ..Forms::default() }).await
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

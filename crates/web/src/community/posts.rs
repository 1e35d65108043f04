//! The page of a post, and what one can do with it.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_community::{AttachmentId, Comment, CommentId, NewReport, Post, PostId, PostPatch, Vote};
use guildhall_kernel::{Error, IfMatch, Path, Query, Result};

use super::typed::Typed;
use crate::{
    card::Card,
    form::Submission,
    local_path::LocalPath,
    page::{back, back_with, ok, redirect_with, show},
    paging::{Before, older},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// How many comments are on a page.
const COMMENTS: u64 = 100;

/// A comment with the answers to it, on one level.
struct Thread {
    comment: Comment,
    replies: Vec<Comment>,
}

#[derive(Template)]
#[template(path = "community/post.html")]
struct PostPage {
    f: Frame,
    card: Card,
    threads: Vec<Thread>,
    older: Option<i64>,
    back: String,
    /// The comment that was typed, and why it was refused.
    typed: Typed,
}

impl PostPage {
    /// Whether the reader has written a comment.
    fn is_my_comment(&self, comment: &Comment) -> bool {
        comment.author.as_ref().is_some_and(|author| self.f.is_me(author.id))
    }

    /// Whether a comment was written by the author of the post.
    fn is_by_author(&self, comment: &Comment) -> bool {
        match (&comment.author, &self.card.post.author) {
            (Some(one), Some(other)) => one.id == other.id,
            _ => false,
        }
    }

    /// Whether a comment was changed after it was written.
    fn is_edited(comment: &Comment) -> bool {
        comment.updated_at > comment.created_at && !comment.is_deleted
    }
}

/// Comments as threads, oldest first. An answer to a comment on another page starts a thread.
fn threads(mut comments: Vec<Comment>) -> Vec<Thread> {
    comments.sort_by_key(|comment| comment.id);
    let mut threads: Vec<Thread> = Vec::new();
    let mut roots: Vec<(CommentId, usize)> = Vec::new();
    for comment in comments {
        let root = comment.parent.and_then(|parent| roots.iter().find(|(id, _)| *id == parent)).map(|(_, at)| *at);
        let at = root.unwrap_or(threads.len());
        roots.push((comment.id, at));
        match threads.get_mut(at) {
            Some(thread) => thread.replies.push(comment),
            None => threads.push(Thread { comment, replies: Vec::new() }),
        }
    }
    threads
}

pub(crate) async fn post(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    Query(before): Query<Before>,
) -> Result<Response> {
    post_page(&app, &reader, id, &before, Typed::default()).await
}

/// The page of a post, with a comment that was refused.
pub(super) async fn post_page(
    app: &App,
    reader: &Reader,
    id: PostId,
    before: &Before,
    typed: Typed,
) -> Result<Response> {
    let post = app.community.posts.post(Some(reader.caller), id).await.map_err(Error::from)?;
    let f = reader.frame(app, Place::Groups).await?;
    let comments = app
        .community
        .comments
        .comments(Some(reader.caller), id, None, before.query(COMMENTS))
        .await
        .map_err(Error::from)?;
    let older = older(comments.next.as_deref());
    let card = Card::one(app, reader, post).await?;
    let back = card.group.as_ref().map_or_else(|| "/".to_owned(), |group| format!("/groups/{}/", group.id));
    let status = if typed.errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(show(status, &PostPage { f, card, threads: threads(comments.results), older, back, typed }))
}

/// The reactions of a post, as a part of its page.
#[derive(Template)]
#[template(
    source = "{% import \"parts/posts.html\" as posts_ %}{% call posts_::reactions(f, card) %}{% endcall %}",
    ext = "html"
)]
struct ReactionsPart {
    f: View,
    card: Card,
}

/// The button that saves a post, as a part of its page.
#[derive(Template)]
#[template(
    source = "{% import \"parts/posts.html\" as posts_ %}{% call posts_::bookmark(f, card) %}{% endcall %}",
    ext = "html"
)]
struct BookmarkPart {
    f: View,
    card: Card,
}

pub(crate) async fn react(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let kind = form.text("reaction").to_owned();
    let post = app.community.reactions.toggle_reaction(&reader.caller, id, kind).await.map_err(Error::from)?;
    if !reader.view.is_partial() {
        return Ok(back(form.next(), &format!("/posts/{id}/")));
    }
    let f = reader.view.on(form.next().unwrap_or_else(LocalPath::home));
    Ok(ok(&ReactionsPart { f, card: plain_card(&reader, post) }))
}

/// A post without its group, for parts of pages that do not show it.
fn plain_card(reader: &Reader, post: Post) -> Card {
    let is_mine = post.author.as_ref().is_some_and(|author| author.id == reader.id());
    Card { post, group: None, is_mine }
}

pub(crate) async fn bookmark(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    app.community.bookmarks.toggle_bookmark(&reader.caller, id).await.map_err(Error::from)?;
    if !reader.view.is_partial() {
        return Ok(back(form.next(), &format!("/posts/{id}/")));
    }
    let post = app.community.posts.post(Some(reader.caller), id).await.map_err(Error::from)?;
    let f = reader.view.on(form.next().unwrap_or_else(LocalPath::home));
    Ok(ok(&BookmarkPart { f, card: plain_card(&reader, post) }))
}

pub(crate) async fn vote(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let options = form.all("option").filter_map(|option| option.parse().ok()).collect();
    app.community.polls.vote(&reader.caller, id, Vote { options }).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/posts/{id}/"), "flash-voted"))
}

/// Pins or locks a post, for moderators.
pub(crate) async fn change_flags(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let flag = |name: &str| form.find(name).map(|value| value == "1");
    let patch = PostPatch {
        is_pinned: flag("is_pinned"),
        is_locked: flag("is_locked"),
        is_featured: flag("is_featured"),
        ..PostPatch::default()
    };
    app.community.posts.change_post(&reader.caller, id, patch, IfMatch::default()).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/posts/{id}/"), "flash-saved"))
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    let post = app.community.posts.post(Some(reader.caller), id).await.map_err(Error::from)?;
    app.community.posts.delete_post(&reader.caller, id, IfMatch::default()).await.map_err(Error::from)?;
    let target = post.group.map_or_else(|| "/".to_owned(), |group| format!("/groups/{group}/"));
    Ok(redirect_with(&app, &target, "flash-deleted"))
}

/// Attaches a file to a post of the reader.
pub(crate) async fn attach(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let upload = form.into_upload("file")?;
    app.community.attachments.attach(&reader.caller, id, upload).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/posts/{id}/"), "flash-attached"))
}

/// Removes a file from a post of the reader.
pub(crate) async fn detach(
    State(app): State<App>,
    Path((id, attachment)): Path<(PostId, AttachmentId)>,
    reader: Reader,
    _: Submission,
) -> Result<Response> {
    app.community.attachments.detach(&reader.caller, id, attachment).await.map_err(Error::from)?;
    Ok(redirect_with(&app, &format!("/posts/{id}/"), "flash-removed"))
}

pub(crate) async fn report(
    State(app): State<App>,
    Path(id): Path<PostId>,
    reader: Reader,
    form: Submission,
) -> Result<Response> {
    let new = NewReport { reason: form.text("reason").to_owned() };
    app.community.reports.report_post(&reader.caller, id, new).await.map_err(Error::from)?;
    Ok(back_with(&app, form.next(), &format!("/posts/{id}/"), "flash-reported"))
}

#[cfg(test)]
mod tests {
    use guildhall_kernel::Timestamp;

    use super::*;

    fn comment(id: i64, parent: Option<i64>) -> Comment {
        Comment {
            id: CommentId(id),
            post: PostId(1),
            parent: parent.map(CommentId),
            depth: 0,
            author: None,
            content: String::new(),
            content_html: String::new(),
            is_deleted: false,
            reply_count: 0,
            like_count: 0,
            is_liked: false,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn answers_are_below_the_comment_that_began_the_thread() {
        let newest_first =
            vec![comment(5, Some(99)), comment(4, Some(3)), comment(3, Some(1)), comment(2, None), comment(1, None)];
        let threads = threads(newest_first);
        let ids: Vec<(i64, Vec<i64>)> = threads
            .iter()
            .map(|thread| (thread.comment.id.0, thread.replies.iter().map(|reply| reply.id.0).collect()))
            .collect();
        assert_eq!(ids, [(1, vec![3, 4]), (2, vec![]), (5, vec![])]);
    }
}

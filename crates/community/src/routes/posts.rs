use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_files::Form;
use guildhall_kernel::{
    Caller, CursorPage, CursorQuery, IfMatch, Json, Page, PageQuery, Path, Query, Result, Tagged, UserId, routes,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::CommunityState;
use crate::{
    Attachment, AttachmentId, Attachments, Bookmarks, Comment, CommentId, CommentPatch, Comments, Draft, DraftId,
    Drafts, Feed, FeedFilter, Follow, Follows, GroupId, NewComment, NewPost, NewReport, Poll, Polls, Post, PostId,
    PostPatch, Posts, Reactions, Report, ReportId, Reports, ReviewQueue, Search, SearchResults, Verdict, Vote,
};

/// A file to attach to a post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in OpenAPI")]
struct FileForm {
    /// The file.
    #[schema(format = Binary)]
    file: String,
}

/// Filters of the list of comments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CommentFilter {
    /// Only replies to this comment.
    parent: Option<CommentId>,
}

/// A search query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchFilter {
    /// The words to search for, at most 8.
    #[serde(default)]
    q: String,
    /// The maximum number of results of each kind; 20 by default, at most 100.
    limit: Option<u64>,
}

/// A decision about a report.
#[derive(Deserialize, ToSchema)]
struct Decision {
    /// The decision.
    verdict: Verdict,
}

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
    OpenApiRouter::new()
        .routes(routes!(feed, create_post))
        .routes(routes!(post, change_post, delete_post))
        .routes(routes!(attach))
        .routes(routes!(detach))
        .routes(routes!(vote))
        .routes(routes!(react, unreact))
        .routes(routes!(bookmark, remove_bookmark))
        .routes(routes!(bookmarks))
        .routes(routes!(comments, create_comment))
        .routes(routes!(comment, change_comment, delete_comment))
        .routes(routes!(like_comment, unlike_comment))
        .routes(routes!(drafts, save_draft))
        .routes(routes!(draft, change_draft, delete_draft))
        .routes(routes!(publish_draft))
        .routes(routes!(report_post))
        .routes(routes!(report_comment))
        .routes(routes!(group_reports))
        .routes(routes!(all_reports))
        .routes(routes!(decide_report))
        .routes(routes!(queue))
        .routes(routes!(approve_post))
        .routes(routes!(reject_post))
        .routes(routes!(follows))
        .routes(routes!(follow, unfollow))
        .routes(routes!(search))
}

/// Create a post, in a group that the caller is a member of or outside any group.
#[utoipa::path(post, path = "/posts/", tag = "community", responses((status = 201, body = Post)))]
async fn create_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let post = posts.create_post(&caller, body).await?;
    Ok((StatusCode::CREATED, Tagged(post.updated_at.into(), post)))
}

/// Get a post.
///
/// Without a token, posts that everybody may read are available if the settings allow anonymous reading.
#[utoipa::path(get, path = "/posts/{id}/", tag = "community", responses((status = 200, body = Post)))]
async fn post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
) -> Result<Tagged<Post>> {
    let post = posts.post(caller, id).await?;
    Ok(Tagged(post.updated_at.into(), post))
}

/// Change a post. Its author may change the content; moderators may pin, feature and lock it.
#[utoipa::path(patch, path = "/posts/{id}/", tag = "community", responses((status = 200, body = Post)))]
async fn change_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
    Json(body): Json<PostPatch>,
) -> Result<Tagged<Post>> {
    let post = posts.change_post(&caller, id, body, known).await?;
    Ok(Tagged(post.updated_at.into(), post))
}

/// Delete a post with its comments, reactions and attachments. Its author, moderators and staff may.
#[utoipa::path(delete, path = "/posts/{id}/", tag = "community", responses((status = 204)))]
async fn delete_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
) -> Result<StatusCode> {
    posts.delete_post(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Attach a file to a post, at most 10. Only its author may. Pictures are resized and stripped of metadata.
#[utoipa::path(post, path = "/posts/{id}/attachments/", tag = "community",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Attachment)),
)]
async fn attach(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Caller,
    Path(id): Path<PostId>,
    form: Form,
) -> Result<(StatusCode, Json<Attachment>)> {
    Ok((StatusCode::CREATED, Json(attachments.attach(&caller, id, form.file("file")?).await?)))
}

/// Remove an attachment from a post. Its author, moderators and staff may.
#[utoipa::path(delete, path = "/posts/{id}/attachments/{attachment_id}/", tag = "community",
    responses((status = 204)),
)]
async fn detach(
    State(attachments): State<Arc<dyn Attachments>>,
    caller: Caller,
    Path((id, attachment_id)): Path<(PostId, AttachmentId)>,
) -> Result<StatusCode> {
    attachments.detach(&caller, id, attachment_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Vote in a poll, replacing the caller's earlier votes.
#[utoipa::path(put, path = "/posts/{id}/vote/", tag = "community", responses((status = 200, body = Poll)))]
async fn vote(
    State(polls): State<Arc<dyn Polls>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<Vote>,
) -> Result<Json<Poll>> {
    Ok(Json(polls.vote(&caller, id, body).await?))
}

/// Set the caller's reaction to a post, replacing any earlier one.
///
/// A reaction is one emoji, or one of `like love celebrate support insightful funny`.
#[utoipa::path(put, path = "/posts/{id}/reactions/{emoji}/", tag = "community", responses((status = 204)))]
async fn react(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    reactions.react(&caller, id, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the caller's reaction of this kind.
#[utoipa::path(delete, path = "/posts/{id}/reactions/{emoji}/", tag = "community", responses((status = 204)))]
async fn unreact(
    State(reactions): State<Arc<dyn Reactions>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    reactions.unreact(&caller, id, Some(emoji)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bookmark a post.
#[utoipa::path(put, path = "/posts/{id}/bookmark/", tag = "community", responses((status = 204)))]
async fn bookmark(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    bookmarks.bookmark(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a bookmark.
#[utoipa::path(delete, path = "/posts/{id}/bookmark/", tag = "community", responses((status = 204)))]
async fn remove_bookmark(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    bookmarks.bookmark(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the caller's bookmarked posts that they may still read, most recently bookmarked first.
#[utoipa::path(get, path = "/bookmarks/", tag = "community", responses((status = 200, body = CursorPage<Post>)))]
async fn bookmarks(
    State(bookmarks): State<Arc<dyn Bookmarks>>,
    caller: Caller,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Post>>> {
    Ok(Json(bookmarks.bookmarks(&caller, cursor).await?))
}

/// List the comments on a post, or with `parent` the replies to one of them.
#[utoipa::path(get, path = "/posts/{id}/comments/", tag = "community",
    responses((status = 200, body = CursorPage<Comment>)),
)]
async fn comments(
    State(comments): State<Arc<dyn Comments>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
    Query(filter): Query<CommentFilter>,
    cursor: CursorQuery,
) -> Result<Json<CursorPage<Comment>>> {
    Ok(Json(comments.comments(caller, id, filter.parent, cursor).await?))
}

/// Comment on a post, or with `parent` reply to a comment.
#[utoipa::path(post, path = "/posts/{id}/comments/", tag = "community", responses((status = 201, body = Comment)))]
async fn create_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewComment>,
) -> Result<(StatusCode, Tagged<Comment>)> {
    let comment = comments.create_comment(&caller, id, body).await?;
    Ok((StatusCode::CREATED, Tagged(comment.updated_at.into(), comment)))
}

/// Get a comment.
#[utoipa::path(get, path = "/comments/{id}/", tag = "community", responses((status = 200, body = Comment)))]
async fn comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Option<Caller>,
    Path(id): Path<CommentId>,
) -> Result<Tagged<Comment>> {
    let comment = comments.comment(caller, id).await?;
    Ok(Tagged(comment.updated_at.into(), comment))
}

/// Change a comment. Only its author may.
#[utoipa::path(patch, path = "/comments/{id}/", tag = "community", responses((status = 200, body = Comment)))]
async fn change_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    known: IfMatch,
    Json(body): Json<CommentPatch>,
) -> Result<Tagged<Comment>> {
    let comment = comments.change_comment(&caller, id, body, known).await?;
    Ok(Tagged(comment.updated_at.into(), comment))
}

/// Delete a comment. Its author, moderators and staff may. One that has replies stays, without its content.
#[utoipa::path(delete, path = "/comments/{id}/", tag = "community", responses((status = 204)))]
async fn delete_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<StatusCode> {
    comments.delete_comment(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Like a comment.
#[utoipa::path(put, path = "/comments/{id}/like/", tag = "community", responses((status = 200, body = Comment)))]
async fn like_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(comments.like_comment(&caller, id, Some(true)).await?))
}

/// Remove a like from a comment.
#[utoipa::path(delete, path = "/comments/{id}/like/", tag = "community", responses((status = 200, body = Comment)))]
async fn unlike_comment(
    State(comments): State<Arc<dyn Comments>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(comments.like_comment(&caller, id, Some(false)).await?))
}

/// List the caller's drafts, newest first.
#[utoipa::path(get, path = "/drafts/", tag = "community", responses((status = 200, body = Page<Draft>)))]
async fn drafts(State(drafts): State<Arc<dyn Drafts>>, caller: Caller, page: PageQuery) -> Result<Json<Page<Draft>>> {
    Ok(Json(drafts.drafts(&caller, page).await?))
}

/// Save a draft.
#[utoipa::path(post, path = "/drafts/", tag = "community", responses((status = 201, body = Draft)))]
async fn save_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Json<Draft>)> {
    Ok((StatusCode::CREATED, Json(drafts.save_draft(&caller, body).await?)))
}

/// Get one of the caller's drafts.
#[utoipa::path(get, path = "/drafts/{id}/", tag = "community", responses((status = 200, body = Draft)))]
async fn draft(State(drafts): State<Arc<dyn Drafts>>, caller: Caller, Path(id): Path<DraftId>) -> Result<Json<Draft>> {
    Ok(Json(drafts.draft(&caller, id).await?))
}

/// Replace the content of a draft.
#[utoipa::path(put, path = "/drafts/{id}/", tag = "community", responses((status = 200, body = Draft)))]
async fn change_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
    Json(body): Json<NewPost>,
) -> Result<Json<Draft>> {
    Ok(Json(drafts.change_draft(&caller, id, body).await?))
}

/// Delete a draft.
#[utoipa::path(delete, path = "/drafts/{id}/", tag = "community", responses((status = 204)))]
async fn delete_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<StatusCode> {
    drafts.delete_draft(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Publish a draft as a post, and delete the draft.
#[utoipa::path(post, path = "/drafts/{id}/publish/", tag = "community", responses((status = 201, body = Post)))]
async fn publish_draft(
    State(drafts): State<Arc<dyn Drafts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let post = drafts.publish_draft(&caller, id).await?;
    Ok((StatusCode::CREATED, Tagged(post.updated_at.into(), post)))
}

/// Report a post to the moderators.
#[utoipa::path(post, path = "/posts/{id}/reports/", tag = "community", responses((status = 201, body = Report)))]
async fn report_post(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(reports.report_post(&caller, id, body).await?)))
}

/// Report a comment to the moderators.
#[utoipa::path(post, path = "/comments/{id}/reports/", tag = "community", responses((status = 201, body = Report)))]
async fn report_comment(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(reports.report_comment(&caller, id, body).await?)))
}

/// List the open reports in a group. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/reports/", tag = "community", responses((status = 200, body = Page<Report>)))]
async fn group_reports(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(reports.reports(&caller, Some(id), page).await?))
}

/// List all open reports. Only staff may.
#[utoipa::path(get, path = "/reports/", tag = "community", responses((status = 200, body = Page<Report>)))]
async fn all_reports(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(reports.reports(&caller, None, page).await?))
}

/// Decide a report, and all other open reports of the same post or comment. Only moderators may.
#[utoipa::path(post, path = "/reports/{id}/decision/", tag = "community", responses((status = 204)))]
async fn decide_report(
    State(reports): State<Arc<dyn Reports>>,
    caller: Caller,
    Path(id): Path<ReportId>,
    Json(body): Json<Decision>,
) -> Result<StatusCode> {
    reports.decide_report(&caller, id, body.verdict).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the posts of a group that await approval, oldest first. Only moderators may.
#[utoipa::path(get, path = "/groups/{id}/queue/", tag = "community", responses((status = 200, body = Page<Post>)))]
async fn queue(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Post>>> {
    Ok(Json(reviews.queue(&caller, id, page).await?))
}

/// Approve a post. Only moderators may.
#[utoipa::path(post, path = "/posts/{id}/approve/", tag = "community", responses((status = 204)))]
async fn approve_post(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    reviews.decide_post(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reject and delete a post that awaits approval. Only moderators may.
#[utoipa::path(post, path = "/posts/{id}/reject/", tag = "community", responses((status = 204)))]
async fn reject_post(
    State(reviews): State<Arc<dyn ReviewQueue>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    reviews.decide_post(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the users whom the caller follows, most recently followed first.
#[utoipa::path(get, path = "/follows/", tag = "community", responses((status = 200, body = Page<Follow>)))]
async fn follows(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Follow>>> {
    Ok(Json(follows.follows(&caller, page).await?))
}

/// Follow a user.
#[utoipa::path(put, path = "/follows/{user_id}/", tag = "community", responses((status = 204)))]
async fn follow(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    follows.follow(&caller, user_id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unfollow a user.
#[utoipa::path(delete, path = "/follows/{user_id}/", tag = "community", responses((status = 204)))]
async fn unfollow(
    State(follows): State<Arc<dyn Follows>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    follows.follow(&caller, user_id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Search groups, posts and people visible to the caller. The last word may be a prefix.
#[utoipa::path(get, path = "/search/", tag = "community", responses((status = 200, body = SearchResults)))]
async fn search(
    State(search): State<Arc<dyn Search>>,
    caller: Option<Caller>,
    Query(filter): Query<SearchFilter>,
) -> Result<Json<SearchResults>> {
    Ok(Json(search.search(caller, filter.q, filter.limit.unwrap_or(20)).await?))
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

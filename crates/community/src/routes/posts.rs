use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use guildhall_kernel::{
    Caller, IfMatch, Json, Page, PageParams, PageQuery, Path, Problem, Query, Result, Slice, SliceParams, SliceQuery,
    Tagged, UserId, file::Form,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::CommunityState;
use crate::{
    Attachment, AttachmentId, Comment, CommentId, CommentPatch, Draft, DraftId, FeedFilter, Follow, GroupId,
    NewComment, NewPost, NewReport, Poll, Post, PostId, PostPatch, Posts, Report, ReportId, SearchResults, Verdict,
    Vote,
};

/// A file to be put with a post.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only describes")]
struct FileForm {
    /// The file.
    #[schema(format = Binary)]
    file: String,
}

/// Which comments.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CommentFilter {
    /// Only the answers to this one.
    parent: Option<CommentId>,
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchFilter {
    /// The words, at most 8.
    #[serde(default)]
    q: String,
    /// How many of each sort: 20, at most 100.
    limit: Option<u64>,
}

/// What is decided about a report.
#[derive(Deserialize, ToSchema)]
struct Decision {
    /// What.
    verdict: Verdict,
}

/// A feed, by keyset or in pages that are counted.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum FeedAnswer {
    Page(Page<Post>),
    Slice(Slice<Post>),
}

/// Are pages asked for?
#[derive(Deserialize)]
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
        .routes(routes!(keep, let_go))
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

/// Post something, in a group that the caller is in or in none.
#[utoipa::path(post, path = "/posts/", tag = "community", responses((status = 201, body = Post), (status = "4XX", body = Problem)))]
async fn create_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let shown = posts.create_post(&caller, body).await?;
    Ok((StatusCode::CREATED, Tagged(shown.updated_at.into(), shown)))
}

/// A post; one that everybody may read without signing in, if the settings say so.
#[utoipa::path(get, path = "/posts/{id}/", tag = "community", params(("id" = PostId, Path)), responses((status = 200, body = Post), (status = "4XX", body = Problem)))]
async fn post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
) -> Result<Tagged<Post>> {
    let shown = posts.post(caller, id).await?;
    Ok(Tagged(shown.updated_at.into(), shown))
}

/// Change a post: what it says, for its author; whether it is pinned, featured or locked, for moderators.
#[utoipa::path(patch, path = "/posts/{id}/", tag = "community", params(("id" = PostId, Path), ("If-Match" = Option<String>, Header, description = "Only if this is still the version")), responses((status = 200, body = Post), (status = "4XX", body = Problem)))]
async fn change_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
    Json(body): Json<PostPatch>,
) -> Result<Tagged<Post>> {
    let shown = posts.change_post(&caller, id, body, known).await?;
    Ok(Tagged(shown.updated_at.into(), shown))
}

/// Remove a post with everything that hangs on it, for its author, for moderators and for staff.
#[utoipa::path(delete, path = "/posts/{id}/", tag = "community", params(("id" = PostId, Path), ("If-Match" = Option<String>, Header, description = "Only if this is still the version")), responses((status = 204), (status = "4XX", body = Problem)))]
async fn delete_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    known: IfMatch,
) -> Result<StatusCode> {
    posts.delete_post(&caller, id, known).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a file with a post, for its author; at most 10. Pictures are made smaller and freed of what they tell beside the picture.
#[utoipa::path(post, path = "/posts/{id}/attachments/", tag = "community", params(("id" = PostId, Path)),
    request_body(content = FileForm, content_type = "multipart/form-data"), responses((status = 201, body = Attachment), (status = "4XX", body = Problem)))]
async fn attach(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    form: Form,
) -> Result<(StatusCode, Json<Attachment>)> {
    Ok((StatusCode::CREATED, Json(posts.attach(&caller, id, form.file("file")?).await?)))
}

/// Take a file away from a post.
#[utoipa::path(delete, path = "/posts/{id}/attachments/{attachment_id}/", tag = "community", params(("id" = PostId, Path), ("attachment_id" = AttachmentId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn detach(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path((id, attachment_id)): Path<(PostId, AttachmentId)>,
) -> Result<StatusCode> {
    posts.detach(&caller, id, attachment_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Choose answers of a poll, in place of those chosen before.
#[utoipa::path(put, path = "/posts/{id}/vote/", tag = "community", params(("id" = PostId, Path)), responses((status = 200, body = Poll), (status = "4XX", body = Problem)))]
async fn vote(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<Vote>,
) -> Result<Json<Poll>> {
    Ok(Json(posts.vote(&caller, id, body).await?))
}

/// Say what the caller makes of a post, in place of what they said before: one emoji, or one of `like love celebrate support insightful funny`.
#[utoipa::path(put, path = "/posts/{id}/reactions/{emoji}/", tag = "community", params(("id" = PostId, Path), ("emoji" = String, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn react(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    posts.react(&caller, id, emoji).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take it back.
#[utoipa::path(delete, path = "/posts/{id}/reactions/{emoji}/", tag = "community", params(("id" = PostId, Path), ("emoji" = String, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn unreact(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path((id, emoji)): Path<(PostId, String)>,
) -> Result<StatusCode> {
    posts.unreact(&caller, id, Some(emoji)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keep a post to be found again.
#[utoipa::path(put, path = "/posts/{id}/bookmark/", tag = "community", params(("id" = PostId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn keep(State(posts): State<Arc<dyn Posts>>, caller: Caller, Path(id): Path<PostId>) -> Result<StatusCode> {
    posts.bookmark(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keep it no longer.
#[utoipa::path(delete, path = "/posts/{id}/bookmark/", tag = "community", params(("id" = PostId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn let_go(State(posts): State<Arc<dyn Posts>>, caller: Caller, Path(id): Path<PostId>) -> Result<StatusCode> {
    posts.bookmark(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The posts that the caller has kept and may still read, the last kept first.
#[utoipa::path(get, path = "/bookmarks/", tag = "community", params(SliceParams), responses((status = 200, body = Slice<Post>), (status = "4XX", body = Problem)))]
async fn bookmarks(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    slice: SliceQuery,
) -> Result<Json<Slice<Post>>> {
    Ok(Json(posts.bookmarks(&caller, slice).await?))
}

/// The comments on a post, or with `parent` the answers to one.
#[utoipa::path(get, path = "/posts/{id}/comments/", tag = "community", params(("id" = PostId, Path), CommentFilter, SliceParams), responses((status = 200, body = Slice<Comment>), (status = "4XX", body = Problem)))]
async fn comments(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Path(id): Path<PostId>,
    Query(filter): Query<CommentFilter>,
    slice: SliceQuery,
) -> Result<Json<Slice<Comment>>> {
    Ok(Json(posts.comments(caller, id, filter.parent, slice).await?))
}

/// Write a comment, or with `parent` an answer to one.
#[utoipa::path(post, path = "/posts/{id}/comments/", tag = "community", params(("id" = PostId, Path)), responses((status = 201, body = Comment), (status = "4XX", body = Problem)))]
async fn create_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewComment>,
) -> Result<(StatusCode, Tagged<Comment>)> {
    let shown = posts.create_comment(&caller, id, body).await?;
    Ok((StatusCode::CREATED, Tagged(shown.updated_at.into(), shown)))
}

/// A comment.
#[utoipa::path(get, path = "/comments/{id}/", tag = "community", params(("id" = CommentId, Path)), responses((status = 200, body = Comment), (status = "4XX", body = Problem)))]
async fn comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Path(id): Path<CommentId>,
) -> Result<Tagged<Comment>> {
    let shown = posts.comment(caller, id).await?;
    Ok(Tagged(shown.updated_at.into(), shown))
}

/// Change the caller's comment.
#[utoipa::path(patch, path = "/comments/{id}/", tag = "community", params(("id" = CommentId, Path), ("If-Match" = Option<String>, Header, description = "Only if this is still the version")), responses((status = 200, body = Comment), (status = "4XX", body = Problem)))]
async fn change_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    known: IfMatch,
    Json(body): Json<CommentPatch>,
) -> Result<Tagged<Comment>> {
    let shown = posts.change_comment(&caller, id, body, known).await?;
    Ok(Tagged(shown.updated_at.into(), shown))
}

/// Remove a comment, for its author, for moderators and for staff. One with answers stays as a place for them.
#[utoipa::path(delete, path = "/comments/{id}/", tag = "community", params(("id" = CommentId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn delete_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<StatusCode> {
    posts.delete_comment(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Like a comment.
#[utoipa::path(put, path = "/comments/{id}/like/", tag = "community", params(("id" = CommentId, Path)), responses((status = 200, body = Comment), (status = "4XX", body = Problem)))]
async fn like_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(posts.like_comment(&caller, id, Some(true)).await?))
}

/// Like it no longer.
#[utoipa::path(delete, path = "/comments/{id}/like/", tag = "community", params(("id" = CommentId, Path)), responses((status = 200, body = Comment), (status = "4XX", body = Problem)))]
async fn unlike_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
) -> Result<Json<Comment>> {
    Ok(Json(posts.like_comment(&caller, id, Some(false)).await?))
}

/// What the caller has not posted yet, the last first.
#[utoipa::path(get, path = "/drafts/", tag = "community", params(PageParams), responses((status = 200, body = Page<Draft>), (status = "4XX", body = Problem)))]
async fn drafts(State(posts): State<Arc<dyn Posts>>, caller: Caller, page: PageQuery) -> Result<Json<Page<Draft>>> {
    Ok(Json(posts.drafts(&caller, page).await?))
}

/// Keep a post that is not ready.
#[utoipa::path(post, path = "/drafts/", tag = "community", responses((status = 201, body = Draft), (status = "4XX", body = Problem)))]
async fn save_draft(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Json(body): Json<NewPost>,
) -> Result<(StatusCode, Json<Draft>)> {
    Ok((StatusCode::CREATED, Json(posts.save_draft(&caller, body).await?)))
}

/// One of the caller's drafts.
#[utoipa::path(get, path = "/drafts/{id}/", tag = "community", params(("id" = DraftId, Path)), responses((status = 200, body = Draft), (status = "4XX", body = Problem)))]
async fn draft(State(posts): State<Arc<dyn Posts>>, caller: Caller, Path(id): Path<DraftId>) -> Result<Json<Draft>> {
    Ok(Json(posts.draft(&caller, id).await?))
}

/// Put another text in its place.
#[utoipa::path(put, path = "/drafts/{id}/", tag = "community", params(("id" = DraftId, Path)), responses((status = 200, body = Draft), (status = "4XX", body = Problem)))]
async fn change_draft(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
    Json(body): Json<NewPost>,
) -> Result<Json<Draft>> {
    Ok(Json(posts.change_draft(&caller, id, body).await?))
}

/// Throw it away.
#[utoipa::path(delete, path = "/drafts/{id}/", tag = "community", params(("id" = DraftId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn delete_draft(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<StatusCode> {
    posts.delete_draft(&caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Post it; the draft is gone then.
#[utoipa::path(post, path = "/drafts/{id}/publish/", tag = "community", params(("id" = DraftId, Path)), responses((status = 201, body = Post), (status = "4XX", body = Problem)))]
async fn publish_draft(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<DraftId>,
) -> Result<(StatusCode, Tagged<Post>)> {
    let shown = posts.publish_draft(&caller, id).await?;
    Ok((StatusCode::CREATED, Tagged(shown.updated_at.into(), shown)))
}

/// Tell the moderators that something is wrong with a post.
#[utoipa::path(post, path = "/posts/{id}/reports/", tag = "community", params(("id" = PostId, Path)), responses((status = 201, body = Report), (status = "4XX", body = Problem)))]
async fn report_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(posts.report_post(&caller, id, body).await?)))
}

/// Tell the moderators that something is wrong with a comment.
#[utoipa::path(post, path = "/comments/{id}/reports/", tag = "community", params(("id" = CommentId, Path)), responses((status = 201, body = Report), (status = "4XX", body = Problem)))]
async fn report_comment(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<CommentId>,
    Json(body): Json<NewReport>,
) -> Result<(StatusCode, Json<Report>)> {
    Ok((StatusCode::CREATED, Json(posts.report_comment(&caller, id, body).await?)))
}

/// The reports in a group that nobody has decided about, for moderators.
#[utoipa::path(get, path = "/groups/{id}/reports/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<Report>), (status = "4XX", body = Problem)))]
async fn group_reports(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(posts.reports(&caller, Some(id), page).await?))
}

/// All reports that nobody has decided about, for staff.
#[utoipa::path(get, path = "/reports/", tag = "community", params(PageParams), responses((status = 200, body = Page<Report>), (status = "4XX", body = Problem)))]
async fn all_reports(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    page: PageQuery,
) -> Result<Json<Page<Report>>> {
    Ok(Json(posts.reports(&caller, None, page).await?))
}

/// Decide about a report, and about all others of the same thing; for moderators.
#[utoipa::path(post, path = "/reports/{id}/decision/", tag = "community", params(("id" = ReportId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn decide_report(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<ReportId>,
    Json(body): Json<Decision>,
) -> Result<StatusCode> {
    posts.decide_report(&caller, id, body.verdict).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The posts that wait to be let through, the longest waiting first; for moderators.
#[utoipa::path(get, path = "/groups/{id}/queue/", tag = "community", params(("id" = GroupId, Path), PageParams), responses((status = 200, body = Page<Post>), (status = "4XX", body = Problem)))]
async fn queue(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<GroupId>,
    page: PageQuery,
) -> Result<Json<Page<Post>>> {
    Ok(Json(posts.queue(&caller, id, page).await?))
}

/// Let a post through, for moderators.
#[utoipa::path(post, path = "/posts/{id}/approve/", tag = "community", params(("id" = PostId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn approve_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    posts.decide_post(&caller, id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Throw a waiting post away, for moderators.
#[utoipa::path(post, path = "/posts/{id}/reject/", tag = "community", params(("id" = PostId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn reject_post(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(id): Path<PostId>,
) -> Result<StatusCode> {
    posts.decide_post(&caller, id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom the caller follows, the last first.
#[utoipa::path(get, path = "/follows/", tag = "community", params(PageParams), responses((status = 200, body = Page<Follow>), (status = "4XX", body = Problem)))]
async fn follows(State(posts): State<Arc<dyn Posts>>, caller: Caller, page: PageQuery) -> Result<Json<Page<Follow>>> {
    Ok(Json(posts.follows(&caller, page).await?))
}

/// Follow somebody.
#[utoipa::path(put, path = "/follows/{user_id}/", tag = "community", params(("user_id" = UserId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn follow(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    posts.follow(&caller, user_id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Follow somebody no longer.
#[utoipa::path(delete, path = "/follows/{user_id}/", tag = "community", params(("user_id" = UserId, Path)), responses((status = 204), (status = "4XX", body = Problem)))]
async fn unfollow(
    State(posts): State<Arc<dyn Posts>>,
    caller: Caller,
    Path(user_id): Path<UserId>,
) -> Result<StatusCode> {
    posts.follow(&caller, user_id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Groups, posts and people with these words, as far as the caller may know of them. The last word may be a beginning.
#[utoipa::path(get, path = "/search/", tag = "community", params(SearchFilter), responses((status = 200, body = SearchResults), (status = "4XX", body = Problem)))]
async fn search(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Query(filter): Query<SearchFilter>,
) -> Result<Json<SearchResults>> {
    Ok(Json(posts.search(caller, filter.q, filter.limit.unwrap_or(20)).await?))
}

/// The feed, newest first (`trending`: hottest first). With `page` or `page_size` it comes in pages that are counted.
#[utoipa::path(get, path = "/posts/", tag = "community", params(FeedFilter, SliceParams, PageParams), responses(
    (status = 200, body = FeedAnswer),
    (status = "4XX", body = Problem),
))]
async fn feed(
    State(posts): State<Arc<dyn Posts>>,
    caller: Option<Caller>,
    Query(filter): Query<FeedFilter>,
    Query(pages): Query<Pages>,
    slice: SliceQuery,
    page: PageQuery,
) -> Result<Json<FeedAnswer>> {
    let is_paged = pages.page.is_some() || pages.page_size.is_some() || pages.cursor.is_some();
    Ok(Json(if is_paged {
        FeedAnswer::Page(posts.feed_page(caller, filter, page).await?)
    } else {
        FeedAnswer::Slice(posts.feed(caller, filter, slice).await?)
    }))
}

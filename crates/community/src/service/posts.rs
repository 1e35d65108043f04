use async_trait::async_trait;
use guildhall_kernel::{Caller, IfMatch, Page, PageQuery, Slice, SliceQuery, UserId, file::Upload};

use crate::{
    Attachment, AttachmentId, Comment, CommentId, CommentPatch, Draft, DraftId, FeedFilter, Follow, GroupId,
    NewComment, NewPost, NewReport, Poll, Post, PostId, PostPatch, Report, ReportId, Result, SearchResults, Verdict,
    Vote,
};

/// Posts, and what people make of them.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Posts: Send + Sync + 'static {
    /// Posts something, in a group that the caller is in or in none.
    async fn create_post(&self, caller: &Caller, new: NewPost) -> Result<Post>;
    /// A post, if the viewer may read it.
    async fn post(&self, viewer: Option<Caller>, id: PostId) -> Result<Post>;
    /// Changes a post, if it is still a version that the caller knows.
    async fn change_post(&self, caller: &Caller, id: PostId, patch: PostPatch, known: IfMatch) -> Result<Post>;
    /// Removes a post with everything that hangs on it.
    async fn delete_post(&self, caller: &Caller, id: PostId, known: IfMatch) -> Result<()>;
    /// A stretch of a feed.
    async fn feed(&self, viewer: Option<Caller>, filter: FeedFilter, slice: SliceQuery) -> Result<Slice<Post>>;
    /// The same in pages, for those who count them.
    async fn feed_page(&self, viewer: Option<Caller>, filter: FeedFilter, page: PageQuery) -> Result<Page<Post>>;

    /// Puts a file with the caller's post.
    async fn attach(&self, caller: &Caller, id: PostId, upload: Upload) -> Result<Attachment>;
    /// Takes a file away from the caller's post.
    async fn detach(&self, caller: &Caller, id: PostId, attachment: AttachmentId) -> Result<()>;
    /// Chooses answers of a poll, in place of those chosen before.
    async fn vote(&self, caller: &Caller, id: PostId, vote: Vote) -> Result<Poll>;

    /// Says what the caller makes of a post, in place of what they said before.
    async fn react(&self, caller: &Caller, id: PostId, kind: String) -> Result<()>;
    /// Takes it back; only this kind, where one is named.
    async fn unreact(&self, caller: &Caller, id: PostId, kind: Option<String>) -> Result<()>;
    /// Takes it back if it is what the caller said, and says it otherwise; gives the post.
    async fn toggle_reaction(&self, caller: &Caller, id: PostId, kind: String) -> Result<Post>;
    /// Keeps a post to be found again, or no longer.
    async fn bookmark(&self, caller: &Caller, id: PostId, keep: bool) -> Result<()>;
    /// Turns it round; tells whether the post is kept now.
    async fn toggle_bookmark(&self, caller: &Caller, id: PostId) -> Result<bool>;
    /// The posts that the caller has kept and may still read, the last kept first.
    async fn bookmarks(&self, caller: &Caller, slice: SliceQuery) -> Result<Slice<Post>>;

    /// Writes a comment.
    async fn create_comment(&self, caller: &Caller, post: PostId, new: NewComment) -> Result<Comment>;
    /// The comments on a post, or with a parent the answers to one.
    async fn comments(
        &self,
        viewer: Option<Caller>,
        post: PostId,
        parent: Option<CommentId>,
        slice: SliceQuery,
    ) -> Result<Slice<Comment>>;
    /// A comment, if the viewer may read its post.
    async fn comment(&self, viewer: Option<Caller>, id: CommentId) -> Result<Comment>;
    /// Changes the caller's comment.
    async fn change_comment(
        &self,
        caller: &Caller,
        id: CommentId,
        patch: CommentPatch,
        known: IfMatch,
    ) -> Result<Comment>;
    /// Removes a comment; one with answers stays as a place for them.
    async fn delete_comment(&self, caller: &Caller, id: CommentId) -> Result<()>;
    /// Likes a comment, or no longer; gives it.
    async fn like_comment(&self, caller: &Caller, id: CommentId, like: Option<bool>) -> Result<Comment>;

    /// Keeps a post that is not ready.
    async fn save_draft(&self, caller: &Caller, new: NewPost) -> Result<Draft>;
    /// What the caller has not posted yet, the last first.
    async fn drafts(&self, caller: &Caller, page: PageQuery) -> Result<Page<Draft>>;
    /// One of them.
    async fn draft(&self, caller: &Caller, id: DraftId) -> Result<Draft>;
    /// Puts another text in its place.
    async fn change_draft(&self, caller: &Caller, id: DraftId, new: NewPost) -> Result<Draft>;
    /// Throws it away.
    async fn delete_draft(&self, caller: &Caller, id: DraftId) -> Result<()>;
    /// Posts it; the draft is gone then.
    async fn publish_draft(&self, caller: &Caller, id: DraftId) -> Result<Post>;

    /// Tells the moderators that something is wrong with a post.
    async fn report_post(&self, caller: &Caller, id: PostId, new: NewReport) -> Result<Report>;
    /// Tells the moderators that something is wrong with a comment.
    async fn report_comment(&self, caller: &Caller, id: CommentId, new: NewReport) -> Result<Report>;
    /// The reports that nobody has decided about: of a group for its moderators, of all for staff.
    async fn reports(&self, caller: &Caller, group: Option<GroupId>, page: PageQuery) -> Result<Page<Report>>;
    /// Decides about a report, and about all others of the same thing.
    async fn decide_report(&self, caller: &Caller, id: ReportId, verdict: Verdict) -> Result<()>;
    /// The posts that wait to be let through, the longest waiting first.
    async fn queue(&self, caller: &Caller, group: GroupId, page: PageQuery) -> Result<Page<Post>>;
    /// Lets a post through, or throws it away.
    async fn decide_post(&self, caller: &Caller, id: PostId, approve: bool) -> Result<()>;

    /// Follows somebody, or no longer.
    async fn follow(&self, caller: &Caller, user: UserId, follow: bool) -> Result<()>;
    /// Whom the caller follows, the last first.
    async fn follows(&self, caller: &Caller, page: PageQuery) -> Result<Page<Follow>>;
    /// Groups, posts and people with these words, as far as the viewer may know of them.
    async fn search(&self, viewer: Option<Caller>, words: String, limit: u64) -> Result<SearchResults>;
}

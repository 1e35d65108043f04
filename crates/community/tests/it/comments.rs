use guildhall_community::{CommentPatch, Comments, NewComment, PostPatch, Posts};
use guildhall_kernel::{CursorQuery, IfMatch};

use crate::harness::{code, community, named, person, post, post_in};

#[tokio::test]
async fn comments_are_threaded() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let id = harness.posts.create_post(&person(1), post_in(hall, "x")).await.unwrap().id;
    let write = |user: i64, text: &str, parent| {
        let new = NewComment { content: text.to_owned(), parent };
        let harness = &harness;
        async move { harness.posts.create_comment(&person(user), id, new).await }
    };
    let first = write(2, "first @person-1 @person-9", None).await.unwrap();
    let reply = write(1, "reply", Some(first.id)).await.unwrap();
    assert_eq!((reply.parent, reply.depth), (Some(first.id), 1));
    assert_eq!(harness.db.count_rows("community_mention").await, 1, "only users who can read the post are mentioned");
    assert_eq!(code(write(3, "x", None).await), "post_not_found", "an outsider does not see it");
    let elsewhere = harness.posts.create_post(&person(1), post("y")).await.unwrap().id;
    let crossed = NewComment { content: "x".into(), parent: Some(first.id) };
    assert_eq!(code(harness.posts.create_comment(&person(1), elsewhere, crossed).await), "invalid");
    let mut parent = reply.id;
    for _ in 2..=8 {
        parent = write(1, "deeper", Some(parent)).await.unwrap().id;
    }
    assert_eq!(code(write(1, "too deep", Some(parent)).await), "invalid");
    assert_eq!(harness.posts.post(Some(person(1)), id).await.unwrap().comment_count, 9);
    let replies = harness.posts.comments(Some(person(1)), id, Some(first.id), CursorQuery::newest(10)).await.unwrap();
    assert_eq!(replies.results.iter().map(|comment| comment.id).collect::<Vec<_>>(), [reply.id]);

    let liked = harness.posts.like_comment(&person(1), first.id, None).await.unwrap();
    assert_eq!((liked.like_count, liked.is_liked), (1, true));
    assert_eq!(harness.posts.like_comment(&person(1), first.id, Some(true)).await.unwrap().like_count, 1);
    assert_eq!(harness.posts.like_comment(&person(1), first.id, None).await.unwrap().like_count, 0);

    let patch = CommentPatch { content: "changed".into() };
    let other = harness.posts.change_comment(&person(1), first.id, patch.clone(), IfMatch::default()).await;
    assert_eq!(code(other), "not_author");
    let changed = harness.posts.change_comment(&person(2), first.id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(changed.content_html.trim(), "<p>changed</p>");

    harness.posts.delete_comment(&person(2), first.id).await.unwrap();
    let deleted = harness.posts.comment(Some(person(1)), first.id).await.unwrap();
    assert_eq!((deleted.is_deleted, deleted.author, deleted.content.as_str()), (true, None, ""));
    assert_eq!(code(harness.posts.delete_comment(&person(2), first.id).await), "comment_not_found");
    harness.posts.delete_comment(&person(1), parent).await.unwrap();
    assert_eq!(harness.posts.post(Some(person(1)), id).await.unwrap().comment_count, 7);
    harness.assert_counters().await;

    let lock = PostPatch { is_locked: Some(true), ..PostPatch::default() };
    assert_eq!(
        code(harness.posts.change_post(&person(2), id, lock.clone(), IfMatch::default()).await),
        "not_moderator"
    );
    harness.posts.change_post(&person(1), id, lock, IfMatch::default()).await.unwrap();
    assert_eq!(code(write(2, "late", None).await), "post_locked");
    assert_eq!(code(write(1, "by a moderator", None).await), "ok");
}

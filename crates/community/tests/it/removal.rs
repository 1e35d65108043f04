use guildhall_community::{
    Comments, Follows, NewComment, NewPoll, NewPost, Polls, PostId, Posts, Reactions, Removal, Visibility, Vote,
};
use guildhall_kernel::{Clock, UserId, UserRemoval};
use sea_orm::ConnectionTrait;

use crate::harness::{community, named, person, post_in};

#[tokio::test]
async fn removing_a_user_keeps_counters_correct() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3] {
        harness.add_member(hall, user).await;
    }
    let poll = NewPoll { options: vec!["a".into(), "b".into()], is_multiple: false, hours: None };
    let poll_post = NewPost { poll: Some(poll), ..post_in(hall, "which?") };
    let poll_post: PostId = harness.posts.create_post(&person(3), poll_post).await.unwrap().id;
    for user in [2, 3] {
        harness.posts.vote(&person(user), poll_post, Vote { options: vec![0] }).await.unwrap();
        harness.posts.react(&person(user), poll_post, "like".into()).await.unwrap();
    }
    let comment = NewComment { content: "hm".into(), parent: None };
    let comment = harness.posts.create_comment(&person(2), poll_post, comment).await.unwrap().id;
    harness.posts.like_comment(&person(2), comment, Some(true)).await.unwrap();
    let secret = NewPost { visibility: Some(Visibility::Private), ..post_in(hall, "to myself") };
    harness.posts.create_post(&person(2), secret).await.unwrap();
    harness.feed.follow(&person(2), UserId(3), true).await.unwrap();
    harness.feed.follow(&person(3), UserId(2), true).await.unwrap();

    let removal = Removal::new(Clock::system());
    let (name, data) = removal.export(&harness.db.snapshot().await.unwrap(), UserId(2)).await.unwrap();
    assert_eq!(name, "community");
    assert_eq!(data["posts"].as_array().unwrap().len(), 1);
    let removal = &removal;
    harness
        .db
        .write(|tx| async move {
            removal.release(&tx, UserId(2), None).await.unwrap();
            tx.execute_unprepared("DELETE FROM people WHERE id = 2").await.map(|_| ())
        })
        .await
        .unwrap();
    let post = harness.posts.post(Some(person(3)), poll_post).await.unwrap();
    assert_eq!(post.reactions["like"], 1);
    assert_eq!(post.poll.unwrap().options[0].votes, 1);
    assert_eq!(harness.db.count_rows("community_post").await, 1, "private posts are deleted with their author");
    assert_eq!(harness.db.count_rows("community_follow").await, 0);
    let comment = harness.posts.comment(Some(person(3)), comment).await.unwrap();
    assert_eq!((comment.author, comment.like_count, comment.content.as_str()), (None, 0, "hm"));
    harness.assert_counters().await;
}

use std::time::Duration;

use guildhall_community::{Groups, NewGroup, NewPost, PostPatch, Posting, Posts, ReviewQueue, Visibility};
use guildhall_kernel::IfMatch;

use crate::{
    fixtures::page,
    harness::{code, community, named, person, post_in},
};

#[tokio::test]
async fn posts_await_approval_if_the_group_requires_it() {
    let harness = community().await;
    let hall = harness.group_of(1, NewGroup { approves_posts: true, ..named("hall") }).await;
    harness.add_member(hall, 2).await;
    harness.add_member(hall, 3).await;
    let new = NewPost { visibility: Some(Visibility::Public), ..post_in(hall, "waiting") };
    let waiting = harness.posts.create_post(&person(2), new).await.unwrap();
    assert!(!waiting.is_approved);
    assert_eq!(code(harness.posts.post(Some(person(3)), waiting.id).await), "post_not_found");
    assert_eq!(code(harness.posts.post(Some(person(9)), waiting.id).await), "post_not_found");
    assert_eq!(code(harness.posts.post(Some(person(2)), waiting.id).await), "ok");
    assert_eq!(harness.moderation.queue(&person(1), hall, page()).await.unwrap().count, 1);
    assert_eq!(code(harness.moderation.queue(&person(2), hall, page()).await), "not_moderator");
    assert_eq!(code(harness.moderation.decide_post(&person(2), waiting.id, true).await), "not_moderator");
    harness.clock.advance(Duration::from_secs(1));
    harness.moderation.decide_post(&person(1), waiting.id, true).await.unwrap();
    let approved = harness.posts.post(Some(person(2)), waiting.id).await.unwrap();
    assert!(approved.updated_at > waiting.updated_at, "it is another version");
    assert_eq!(code(harness.moderation.decide_post(&person(1), waiting.id, true).await), "already_decided");
    assert_eq!(code(harness.posts.post(Some(person(9)), waiting.id).await), "ok");
    let patch = PostPatch { content: Some("something else".into()), ..PostPatch::default() };
    assert!(!harness.posts.change_post(&person(2), waiting.id, patch, IfMatch::default()).await.unwrap().is_approved);
    assert_eq!(harness.groups.group(Some(person(1)), hall).await.unwrap().post_count, Some(0));
    harness.moderation.decide_post(&person(1), waiting.id, false).await.unwrap();
    assert_eq!(harness.db.count_rows("community_post").await, 0);
    assert!(harness.posts.create_post(&person(1), post_in(hall, "x")).await.unwrap().is_approved);
    let closed = harness.group_of(1, NewGroup { posting: Posting::Moderators, ..named("news") }).await;
    harness.add_member(closed, 2).await;
    assert_eq!(code(harness.posts.create_post(&person(2), post_in(closed, "x")).await), "posting_closed");
    assert_eq!(code(harness.posts.create_post(&person(1), post_in(closed, "x")).await), "ok");
    harness.assert_counters().await;
}

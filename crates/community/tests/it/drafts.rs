use guildhall_community::{Drafts, NewPost, Search};

use crate::{
    fixtures::page,
    harness::{code, community, named, person, post_in},
};

#[tokio::test]
async fn drafts_are_visible_to_their_author_only() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let draft =
        harness.posts.save_draft(&person(1), NewPost { tags: vec!["a".into()], ..post_in(hall, "") }).await.unwrap();
    assert_eq!(code(harness.posts.draft(&person(2), draft.id).await), "not_found");
    assert_eq!(code(harness.posts.save_draft(&person(2), post_in(hall, "x")).await), "not_member");
    assert_eq!(code(harness.posts.publish_draft(&person(1), draft.id).await), "invalid", "empty content");
    harness.posts.change_draft(&person(1), draft.id, post_in(hall, "ready")).await.unwrap();
    assert!(harness.feed.search(Some(person(1)), "ready".into(), 10).await.unwrap().posts.is_empty());
    assert_eq!(harness.posts.drafts(&person(1), page()).await.unwrap().count, 1);
    let posted = harness.posts.publish_draft(&person(1), draft.id).await.unwrap();
    assert_eq!((posted.content.as_str(), posted.group), ("ready", Some(hall)));
    assert_eq!(code(harness.posts.publish_draft(&person(1), draft.id).await), "not_found");
    assert_eq!(harness.db.count_rows("community_draft").await, 0);
    harness.assert_counters().await;
}

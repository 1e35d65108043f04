use guildhall_community::{Bookmarks, GroupPatch, Groups, Members, NewPost, Posts, Visibility};
use guildhall_kernel::{CursorQuery, IfMatch, UserId};

use crate::harness::{code, community, named, person, post_in, private};

#[tokio::test]
async fn bookmarks_do_not_show_posts_that_are_no_longer_readable() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    harness.add_member(den, 2).await;
    let secret = harness.posts.create_post(&person(1), post_in(den, "secret")).await.unwrap().id;
    harness.feed.bookmark(&person(2), secret, true).await.unwrap();
    harness.groups.remove_member(&person(1), den, UserId(2)).await.unwrap();
    assert!(harness.feed.bookmarks(&person(2), CursorQuery::newest(10)).await.unwrap().results.is_empty());
    harness.feed.bookmark(&person(2), secret, false).await.unwrap();
    assert_eq!(harness.db.count_rows("community_bookmark").await, 0);
    let hall = harness.group_of(1, named("hall")).await;
    let open = NewPost { visibility: Some(Visibility::Public), ..post_in(hall, "open") };
    let open = harness.posts.create_post(&person(1), open).await.unwrap().id;
    assert_eq!(code(harness.posts.post(Some(person(2)), open).await), "ok");
    let hide = GroupPatch { is_private: Some(true), ..GroupPatch::default() };
    harness.groups.change_group(&person(1), hall, hide, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.posts.post(Some(person(2)), open).await), "post_not_found");
}

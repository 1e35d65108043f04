use guildhall_community::{Feed, FeedFilter, FeedType, Follows, GroupId, NewPost, PostId, Posts, Reactions};
use guildhall_kernel::{CursorQuery, UserId};

use crate::{
    fixtures::{groups_with_posts, page},
    harness::{Harness, code, community, named, person, post, post_in, private},
};

fn feed_of(feed_type: FeedType) -> FeedFilter {
    FeedFilter { feed_type: Some(feed_type), ..FeedFilter::default() }
}

pub(crate) async fn read(harness: &Harness, user: i64, filter: FeedFilter) -> Vec<PostId> {
    let cursor_page = harness.feed.feed(Some(person(user)), filter.clone(), CursorQuery::newest(100)).await.unwrap();
    let ids: Vec<PostId> = cursor_page.results.iter().map(|post| post.id).collect();
    let mut numbered: Vec<PostId> = harness
        .feed
        .feed_page(Some(person(user)), filter.clone(), page())
        .await
        .unwrap()
        .results
        .iter()
        .map(|post| post.id)
        .collect();
    if filter.feed_type != Some(FeedType::Trending) {
        numbered.sort_by_key(|id| std::cmp::Reverse(*id));
        assert_eq!(numbered, ids, "numbered pages and cursor pages contain the same posts");
    }
    ids
}

#[tokio::test]
async fn each_feed_contains_the_right_posts() {
    let harness = community().await;
    let posts = groups_with_posts(&harness).await;
    let id = |group, label| posts[&(group, label)];
    harness.feed.follow(&person(3), UserId(1), true).await.unwrap();
    assert_eq!(read(&harness, 3, feed_of(FeedType::Global)).await, [id("none", "public"), id("hall", "public")]);
    assert_eq!(read(&harness, 2, feed_of(FeedType::Global)).await, [id("none", "public"), id("hall", "public")]);
    assert!(read(&harness, 3, feed_of(FeedType::JoinedGroups)).await.is_empty());
    let joined = read(&harness, 2, feed_of(FeedType::JoinedGroups)).await;
    assert_eq!(joined.len(), 9);
    assert!(!joined.contains(&id("none", "public")) && !joined.contains(&id("den", "private")));
    let filter = FeedFilter { joined_groups: Some(true), ..FeedFilter::default() };
    assert_eq!(read(&harness, 2, filter).await, joined);
    assert_eq!(read(&harness, 3, feed_of(FeedType::Following)).await, [id("none", "public"), id("hall", "public")]);
    assert!(read(&harness, 2, feed_of(FeedType::Following)).await.is_empty());
    harness.posts.react(&person(2), id("hall", "public"), "love".into()).await.unwrap();
    assert_eq!(read(&harness, 3, feed_of(FeedType::Trending)).await, [id("hall", "public"), id("none", "public")]);
    let by_one = FeedFilter { author: Some(UserId(1)), ..FeedFilter::default() };
    assert_eq!(read(&harness, 3, by_one).await, [id("none", "public"), id("hall", "public")]);
    assert_eq!(code(harness.feed.follow(&person(3), UserId(999), true).await), "not_found");
    assert_eq!(code(harness.feed.follow(&person(3), UserId(3), true).await), "invalid");
    harness.feed.follow(&person(3), UserId(1), true).await.unwrap();
    assert_eq!(harness.feed.follows(&person(3), page()).await.unwrap().count, 1);
    assert!(harness.feed.is_following(&person(3), UserId(1)).await.unwrap());
    assert!(!harness.feed.is_following(&person(1), UserId(3)).await.unwrap(), "only in one direction");
    harness.feed.follow(&person(3), UserId(1), false).await.unwrap();
    assert!(read(&harness, 3, feed_of(FeedType::Following)).await.is_empty());
}

#[tokio::test]
async fn the_feed_of_a_group_requires_access_to_the_group() {
    let harness = community().await;
    let posts = groups_with_posts(&harness).await;
    let group_of = |post: PostId| {
        let harness = &harness;
        async move { harness.posts.post(Some(person(1)), post).await.unwrap().group.unwrap() }
    };
    let (hall, den, club) = (
        group_of(posts[&("hall", "public")]).await,
        group_of(posts[&("den", "public")]).await,
        group_of(posts[&("club", "public")]).await,
    );
    let of_group = |group: GroupId| FeedFilter { group: Some(group), ..FeedFilter::default() };
    let outcome = async |user: i64, group: GroupId| {
        code(harness.feed.feed(Some(person(user)), of_group(group), CursorQuery::newest(10)).await)
    };
    assert_eq!(outcome(3, den).await, "group_not_found");
    assert_eq!(outcome(3, GroupId(999)).await, "group_not_found");
    assert_eq!(outcome(3, club).await, "not_member");
    assert_eq!(read(&harness, 3, of_group(hall)).await, [posts[&("hall", "public")]]);
    assert_eq!(read(&harness, 2, of_group(den)).await.len(), 3);
}

#[tokio::test]
async fn cursor_pages_show_each_post_once_during_concurrent_writes() {
    let harness = community().await;
    let groups = [
        harness.group_of(1, named("a")).await,
        harness.group_of(1, private("b")).await,
        harness.group_of(2, named("c")).await,
    ];
    harness.add_member(groups[2], 1).await;
    let mut written = Vec::new();
    for n in 0..30 {
        let new = match n % 4 {
            3 => post("none"),
            index => post_in(groups[index], "in"),
        };
        let author = if n % 4 == 2 { 2 } else { 1 };
        let created = harness.posts.create_post(&person(author), new).await.unwrap();
        written.insert(0, (created.id, created.group.is_some()));
    }
    let newest = written[0].0;
    for filter in [FeedFilter::default(), feed_of(FeedType::JoinedGroups)] {
        let mut seen = Vec::new();
        let mut cursor_page = harness.feed.feed(Some(person(1)), filter.clone(), CursorQuery::newest(7)).await.unwrap();
        loop {
            seen.extend(cursor_page.results.iter().map(|post| post.id));
            harness.posts.create_post(&person(2), post_in(groups[2], "meanwhile")).await.unwrap();
            let Some(last) = cursor_page.results.last().filter(|_| cursor_page.next.is_some()) else { break };
            let cursor = CursorQuery::before(last.id.0, 7);
            cursor_page = harness.feed.feed(Some(person(1)), filter.clone(), cursor).await.unwrap();
        }
        seen.retain(|id| *id <= newest);
        let expected = written.iter().filter(|(_, in_group)| *in_group || filter.feed_type.is_none());
        assert_eq!(seen, expected.map(|(id, _)| *id).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_length_of_the_feed() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let mut statements = Vec::new();
    for n in 0..30 {
        let new = if n % 2 == 0 { post("x") } else { NewPost { tags: vec!["t".into()], ..post_in(hall, "x") } };
        harness.posts.create_post(&person(1), new).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.feed.feed(Some(person(1)), FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
            statements.push(harness.db.statements() - before);
        }
    }
    // The posts, and for those with extras: tags, attachments, previews, mentions and polls.
    assert_eq!(statements, [6, 6]);
    let plain = FeedFilter { author: Some(UserId(1)), group: None, category: None, ..FeedFilter::default() };
    harness.db.sql("UPDATE community_post SET has_extras = false").await.unwrap();
    let before = harness.db.statements();
    harness.feed.feed(Some(person(1)), plain, CursorQuery::newest(100)).await.unwrap();
    assert_eq!(harness.db.statements() - before, 1);
}

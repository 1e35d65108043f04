//! Checks the query plans of every list on both databases.

use guildhall_community::{
    Bookmarks, Comments, CourseFilter, Courses, Drafts, EventFilter, Events, Feed, FeedFilter, FeedType, Follows,
    GroupFilter, Groups, Invites, JoinRequests, MemberFilter, Members, MembershipFilter, Moderation, PostCategory,
    Posts, Reactions, Reports, ReviewQueue, Role, Rsvps, Search,
};
use guildhall_kernel::{CursorQuery, PageQuery, UserId, testing::assert_plans};

use crate::{
    fixtures::full_group,
    harness::{Harness, community, person, public, staff},
};

/// Runs a call and checks the plans of its queries. The call has to succeed.
macro_rules! check_plans {
    ($harness:expr, $what:expr, $run:expr) => {
        assert_plans(&$harness.db, "community_", &format!("{:?}", $what), async { $run.await.unwrap() }).await
    };
}

fn page() -> PageQuery {
    PageQuery::new(1, 20)
}

async fn feeds(harness: &Harness, group: guildhall_community::GroupId) {
    let feed = |feed_type| FeedFilter { feed_type: Some(feed_type), ..FeedFilter::default() };
    let filters = [
        FeedFilter::default(),
        feed(FeedType::Global),
        feed(FeedType::Trending),
        feed(FeedType::JoinedGroups),
        feed(FeedType::Following),
        FeedFilter { category: Some(PostCategory::Event), ..FeedFilter::default() },
        FeedFilter { tag: Some("t".into()), ..FeedFilter::default() },
        FeedFilter { author: Some(UserId(2)), ..FeedFilter::default() },
        FeedFilter { group: Some(group), ..FeedFilter::default() },
        FeedFilter { group: Some(group), pinned: Some(true), ..FeedFilter::default() },
        FeedFilter { mentioned: Some(true), ..FeedFilter::default() },
    ];
    for filter in filters {
        for cursor in [CursorQuery::newest(20), CursorQuery::before(1000, 20)] {
            check_plans!(harness, filter, harness.feed.feed(Some(person(3)), filter.clone(), cursor));
        }
        check_plans!(harness, filter, harness.feed.feed_page(Some(person(3)), filter.clone(), page()));
    }
}

#[tokio::test]
async fn no_list_scans_or_sorts_a_whole_table() {
    let harness = community().await;
    let group = full_group(&harness).await;
    let (owner, member) = (person(1), person(3));
    feeds(&harness, group).await;
    for ordering in ["name", "-created_at"] {
        for search in [None, Some("den".to_owned())] {
            let filter = GroupFilter { search, ..GroupFilter::default() };
            check_plans!(harness, ordering, harness.groups.groups(Some(member), filter, page().ordered(ordering)));
        }
    }
    for joined in [true, false] {
        let filter = GroupFilter { joined: Some(joined), ..GroupFilter::default() };
        check_plans!(harness, "joined", harness.groups.groups(Some(member), filter, page()));
    }
    let food = GroupFilter { category: Some("food".into()), ..GroupFilter::default() };
    check_plans!(harness, "category", harness.groups.groups(Some(member), food, page()));
    check_plans!(harness, "group", harness.groups.group(Some(member), group));
    for filter in [
        MemberFilter::default(),
        MemberFilter { search: Some("per".into()), role: None },
        MemberFilter { search: None, role: Some(Role::Moderator) },
    ] {
        check_plans!(harness, filter, harness.groups.members(&member, group, filter.clone(), page()));
    }
    for filter in [MembershipFilter::default(), MembershipFilter { group: Some(group), user: None }] {
        check_plans!(harness, filter, harness.groups.memberships(&member, filter.clone(), page()));
    }
    check_plans!(harness, "requests", harness.groups.requests(&owner, group, page()));
    check_plans!(harness, "invites", harness.groups.invites(&owner, group, page()));
    check_plans!(harness, "invitations", harness.groups.invitations(&person(31)));
    check_plans!(harness, "bans", harness.moderation.bans(&owner, group, page()));
    check_plans!(harness, "log", harness.moderation.log(&owner, group, CursorQuery::newest(20)));
    check_plans!(harness, "preview", harness.groups.preview_deletion(&owner, group));
    check_plans!(harness, "queue", harness.moderation.queue(&owner, group, page()));
    check_plans!(harness, "reports", harness.moderation.reports(&owner, Some(group), page()));
    check_plans!(harness, "all reports", harness.moderation.reports(&staff(60), None, page()));
    check_plans!(harness, "bookmarks", harness.feed.bookmarks(&member, CursorQuery::newest(20)));
    check_plans!(harness, "drafts", harness.posts.drafts(&member, page()));
    check_plans!(harness, "follows", harness.feed.follows(&member, page()));
    for words in ["hello", "hel", "per"] {
        check_plans!(harness, words, harness.feed.search(Some(member), words.into(), 20));
    }
    let feed = harness.feed.feed(Some(member), FeedFilter::default(), CursorQuery::newest(1)).await.unwrap();
    let post = feed.results[0].id;
    check_plans!(harness, "post", harness.posts.post(Some(member), post));
    let comments =
        check_plans!(harness, "comments", harness.posts.comments(Some(member), post, None, CursorQuery::newest(20)));
    let parent = comments.results.iter().find_map(|comment| comment.parent);
    check_plans!(harness, "replies", harness.posts.comments(Some(member), post, parent, CursorQuery::newest(20)));
    check_plans!(harness, "comment", harness.posts.comment(Some(member), comments.results[0].id));
    check_plans!(harness, "previews", harness.fetch_previews());
    check_plans!(harness, "events", harness.events.my_events(&member, page()));
    let events = check_plans!(
        harness,
        "events",
        harness.events.group_events(Some(member), group, EventFilter::default(), page())
    );
    check_plans!(
        harness,
        "attendees",
        harness.events.attendees(&member, events.results[0].id, serde_json::from_str("{}").unwrap(), page())
    );
    // Filtering by enrolment scans the courses from the newest on; their number is limited by what teachers write.
    let enrolled: CourseFilter = serde_json::from_str(r#"{"enrolled": true}"#).unwrap();
    check_plans!(harness, enrolled, harness.courses.courses(Some(member), enrolled.clone(), page()));
    check_plans!(harness, "courses", harness.courses.group_courses(Some(member), group));
}

#[tokio::test]
async fn frequent_operations_use_indexes() {
    let harness = community().await;
    let group = full_group(&harness).await;
    let member = person(3);
    let new = crate::harness::post_in(group, "hello @person-4");
    let post = check_plans!(harness, "create post", harness.posts.create_post(&member, new)).id;
    check_plans!(harness, "react", harness.posts.react(&member, post, "like".into()));
    check_plans!(harness, "unreact", harness.posts.unreact(&member, post, None));
    check_plans!(harness, "bookmark", harness.feed.bookmark(&member, post, true));
    let new = guildhall_community::NewComment { content: "x".into(), parent: None };
    let comment = check_plans!(harness, "comment", harness.posts.create_comment(&member, post, new)).id;
    check_plans!(harness, "like", harness.posts.like_comment(&member, comment, None));
    check_plans!(harness, "join", harness.groups.join(&person(40), group, None, String::new()));
    check_plans!(harness, "leave", harness.groups.leave(&member, group));
    check_plans!(
        harness,
        "delete",
        harness.groups.delete_group(&person(1), group, guildhall_kernel::IfMatch::default())
    );
}

#[tokio::test]
async fn anonymous_reads_use_indexes() {
    let harness = public().await;
    harness.posts.create_post(&person(1), crate::harness::post("hello")).await.unwrap();
    for feed_type in [None, Some(FeedType::Trending)] {
        let filter = FeedFilter { feed_type, ..FeedFilter::default() };
        check_plans!(harness, feed_type, harness.feed.feed(None, filter, CursorQuery::newest(20)));
    }
    check_plans!(harness, "groups", harness.groups.groups(None, GroupFilter::default(), page()));
    check_plans!(harness, "search", harness.feed.search(None, "hello".into(), 20));
}

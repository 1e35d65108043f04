//! How the databases run every query of every list.

use guildhall_community::{
    CourseFilter, Courses, EventFilter, Events, FeedFilter, FeedType, GroupFilter, Groups, MemberFilter,
    MembershipFilter, PostCategory, Posts, Role,
};
use guildhall_kernel::{PageQuery, SliceQuery, UserId, testing::assert_plans};

use crate::{
    harness::{Harness, community, person, public, staff},
    posts::full_group,
};

/// Runs something and looks at the plans of what it asks; it must not fail.
macro_rules! look {
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
        for slice in [SliceQuery::newest(20), SliceQuery::before(1000, 20)] {
            look!(harness, filter, harness.feed(Some(person(3)), filter.clone(), slice));
        }
        look!(harness, filter, harness.feed_page(Some(person(3)), filter.clone(), page()));
    }
}

#[tokio::test]
async fn no_list_reads_or_sorts_a_whole_table() {
    let harness = community().await;
    let group = full_group(&harness).await;
    let (owner, member) = (person(1), person(3));
    feeds(&harness, group).await;
    for ordering in ["name", "-created_at"] {
        for search in [None, Some("den".to_owned())] {
            let filter = GroupFilter { search, ..GroupFilter::default() };
            look!(harness, ordering, harness.groups(Some(member), filter, page().ordered(ordering)));
        }
    }
    for joined in [true, false] {
        let filter = GroupFilter { joined: Some(joined), ..GroupFilter::default() };
        look!(harness, "joined", harness.groups(Some(member), filter, page()));
    }
    let food = GroupFilter { category: Some("food".into()), ..GroupFilter::default() };
    look!(harness, "category", harness.groups(Some(member), food, page()));
    look!(harness, "group", harness.group(Some(member), group));
    for filter in [
        MemberFilter::default(),
        MemberFilter { search: Some("per".into()), role: None },
        MemberFilter { search: None, role: Some(Role::Moderator) },
    ] {
        look!(harness, filter, harness.members(&member, group, filter.clone(), page()));
    }
    for filter in [MembershipFilter::default(), MembershipFilter { group: Some(group), user: None }] {
        look!(harness, filter, harness.memberships(&member, filter.clone(), page()));
    }
    look!(harness, "requests", harness.requests(&owner, group, page()));
    look!(harness, "invites", harness.invites(&owner, group, page()));
    look!(harness, "invitations", harness.invitations(&person(31)));
    look!(harness, "bans", harness.bans(&owner, group, page()));
    look!(harness, "log", harness.log(&owner, group, SliceQuery::newest(20)));
    look!(harness, "preview", harness.preview_deletion(&owner, group));
    look!(harness, "queue", harness.queue(&owner, group, page()));
    look!(harness, "reports", harness.reports(&owner, Some(group), page()));
    look!(harness, "all reports", harness.reports(&staff(60), None, page()));
    look!(harness, "bookmarks", harness.bookmarks(&member, SliceQuery::newest(20)));
    look!(harness, "drafts", harness.drafts(&member, page()));
    look!(harness, "follows", harness.follows(&member, page()));
    for words in ["hello", "hel", "per"] {
        look!(harness, words, harness.search(Some(member), words.into(), 20));
    }
    let feed = harness.feed(Some(member), FeedFilter::default(), SliceQuery::newest(1)).await.unwrap();
    let post = feed.results[0].id;
    look!(harness, "post", harness.post(Some(member), post));
    let comments = look!(harness, "comments", harness.comments(Some(member), post, None, SliceQuery::newest(20)));
    let parent = comments.results.iter().find_map(|comment| comment.parent);
    look!(harness, "answers", harness.comments(Some(member), post, parent, SliceQuery::newest(20)));
    look!(harness, "comment", harness.comment(Some(member), comments.results[0].id));
    look!(harness, "previews", harness.fetch_previews());
    look!(harness, "events", harness.my_events(&member, page()));
    let events = look!(harness, "events", harness.group_events(Some(member), group, EventFilter::default(), page()));
    look!(
        harness,
        "attendees",
        harness.attendees(&member, events.results[0].id, serde_json::from_str("{}").unwrap(), page())
    );
    // All courses are walked from the newest on: there are as many as teachers write.
    let taken: CourseFilter = serde_json::from_str(r#"{"enrolled": true}"#).unwrap();
    look!(harness, taken, harness.courses(Some(member), taken.clone(), page()));
    look!(harness, "courses", harness.group_courses(Some(member), group));
}

#[tokio::test]
async fn what_happens_all_the_time_finds_its_rows_by_an_index() {
    let harness = community().await;
    let group = full_group(&harness).await;
    let member = person(3);
    let new = crate::harness::post_in(group, "hello @person-4");
    let post = look!(harness, "create post", harness.create_post(&member, new)).id;
    look!(harness, "react", harness.react(&member, post, "like".into()));
    look!(harness, "unreact", harness.unreact(&member, post, None));
    look!(harness, "bookmark", harness.bookmark(&member, post, true));
    let new = guildhall_community::NewComment { content: "x".into(), parent: None };
    let comment = look!(harness, "comment", harness.create_comment(&member, post, new)).id;
    look!(harness, "like", harness.like_comment(&member, comment, None));
    look!(harness, "join", harness.join(&person(40), group, None, String::new()));
    look!(harness, "leave", harness.leave(&member, group));
    look!(harness, "delete", harness.delete_group(&person(1), group, guildhall_kernel::IfMatch::default()));
}

#[tokio::test]
async fn whoever_reads_without_signing_in_reads_by_an_index() {
    let harness = public().await;
    harness.create_post(&person(1), crate::harness::post("hello")).await.unwrap();
    for feed_type in [None, Some(FeedType::Trending)] {
        let filter = FeedFilter { feed_type, ..FeedFilter::default() };
        look!(harness, feed_type, harness.feed(None, filter, SliceQuery::newest(20)));
    }
    look!(harness, "groups", harness.groups(None, GroupFilter::default(), page()));
    look!(harness, "search", harness.search(None, "hello".into(), 20));
}

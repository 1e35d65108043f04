use std::{collections::BTreeMap, time::Duration};

use axum::body::Bytes;
use guildhall_community::{
    Attachments, Bookmarks, CommentPatch, Comments, Drafts, Feed, FeedFilter, FeedType, Follows, GroupId, GroupPatch,
    Groups, Invites, Members, Moderation, NewComment, NewEvent, NewGroup, NewInvite, NewPoll, NewPost, NewReport,
    PictureKind, Pictures, Polls, PostCategory, PostId, PostPatch, Posting, Posts, Reactions, Reports, ReviewQueue,
    Rsvps, Search, Verdict, Visibility, Vote,
};
use guildhall_files::Upload;
use guildhall_kernel::{CursorQuery, IfMatch, PageQuery, UserId};

use crate::harness::{
    Harness, code, community, community_with, listed, named, person, post, post_in, private, public, staff,
    with_connections,
};

fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

fn feed_of(feed_type: FeedType) -> FeedFilter {
    FeedFilter { feed_type: Some(feed_type), ..FeedFilter::default() }
}

async fn read(harness: &Harness, user: i64, filter: FeedFilter) -> Vec<PostId> {
    let cursor_page = harness.feed(Some(person(user)), filter.clone(), CursorQuery::newest(100)).await.unwrap();
    let ids: Vec<PostId> = cursor_page.results.iter().map(|post| post.id).collect();
    let mut numbered: Vec<PostId> = harness
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

fn upload(name: &str, content_type: &str, bytes: impl Into<Bytes>) -> Upload {
    Upload { name: name.into(), content_type: content_type.into(), bytes: bytes.into(), fields: BTreeMap::new() }
}

/// A picture in a single colour.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::new_rgb8(64, 32);
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

#[tokio::test]
async fn a_post_is_stored_and_rendered() {
    let harness = community().await;
    let new = NewPost {
        title: " On *stars* ".into(),
        tags: vec!["#Sky".into(), "night".into(), "sky".into()],
        category: PostCategory::Question,
        ..post("Look at **them**, @person-2 and @nobody: <script>alert(1)</script>")
    };
    let created = harness.create_post(&person(1), new).await.unwrap();
    assert_eq!((created.title.as_str(), created.visibility, created.group), ("On *stars*", Visibility::Public, None));
    assert!(created.content_html.contains("<strong>them</strong>") && !created.content_html.contains("<script"));
    assert_eq!(created.tags, ["sky", "night"]);
    assert_eq!(created.mentions.iter().map(|person| person.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(created.author.as_ref().unwrap().id, UserId(1));
    assert_eq!(harness.post(Some(person(2)), created.id).await.unwrap(), created);
    assert_eq!(read(&harness, 3, FeedFilter { tag: Some("Sky".into()), ..FeedFilter::default() }).await, [created.id]);
    assert_eq!(read(&harness, 2, FeedFilter { mentioned: Some(true), ..FeedFilter::default() }).await, [created.id]);
    assert!(read(&harness, 3, FeedFilter { mentioned: Some(true), ..FeedFilter::default() }).await.is_empty());
}

#[tokio::test]
async fn only_members_can_post_and_posting_does_not_join() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let den = harness.group_of(1, private("den")).await;
    let club = harness.group_of(1, listed("club")).await;
    assert_eq!(code(harness.create_post(&person(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(code(harness.create_post(&person(2), post_in(den, "hi")).await), "group_not_found");
    assert_eq!(code(harness.create_post(&person(2), post_in(club, "hi")).await), "not_member");
    assert_eq!(code(harness.create_post(&staff(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(harness.count_rows("community_membership").await, 3);
    assert_eq!(harness.count_rows("community_post").await, 0);
    let created = harness.create_post(&person(1), post_in(hall, "hi")).await.unwrap();
    assert_eq!(created.visibility, Visibility::GroupOnly);
    assert_eq!(harness.group(Some(person(1)), hall).await.unwrap().post_count, Some(1));
    let without_group = NewPost { visibility: Some(Visibility::GroupOnly), ..post("x") };
    assert_eq!(code(harness.create_post(&person(1), without_group).await), "invalid");
}

#[tokio::test]
async fn invalid_posts_are_not_stored() {
    let harness = community().await;
    let poll = |options: &[&str]| {
        Some(NewPoll {
            options: options.iter().map(|text| (*text).to_owned()).collect(),
            is_multiple: false,
            hours: None,
        })
    };
    for new in [
        post(""),
        post(" \n "),
        post(&"x".repeat(50_001)),
        NewPost { title: "x".repeat(301), ..post("x") },
        NewPost { title: "a\nb".into(), ..post("x") },
        NewPost { tags: vec!["two words".into()], ..post("x") },
        NewPost { tags: vec!["x".repeat(51)], ..post("x") },
        NewPost { tags: (0..11).map(|n| format!("t{n}")).collect(), ..post("x") },
        NewPost { poll: poll(&["only one"]), ..post("x") },
        NewPost { poll: poll(&["a", ""]), ..post("x") },
    ] {
        assert_eq!(code(harness.create_post(&person(1), new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.count_rows("community_post").await, 0);
}

/// Groups of each kind with posts of each visibility by their owner, user 1. User 2 is a member of all groups, user 3
/// of none, and user 4 has left a post in each and is no longer a member.
async fn groups_with_posts(harness: &Harness) -> BTreeMap<(&'static str, &'static str), PostId> {
    let mut posts = BTreeMap::new();
    for (name, new) in [("hall", named("hall")), ("den", private("den")), ("club", listed("club"))] {
        let group = harness.group_of(1, new).await;
        harness.add_member(group, 2).await;
        harness.add_member(group, 4).await;
        for (label, visibility) in
            [("group_only", Visibility::GroupOnly), ("public", Visibility::Public), ("private", Visibility::Private)]
        {
            let new = NewPost { visibility: Some(visibility), ..post_in(group, label) };
            posts.insert((name, label), harness.create_post(&person(1), new).await.unwrap().id);
        }
        posts.insert((name, "left"), harness.create_post(&person(4), post_in(group, "left")).await.unwrap().id);
        harness.leave(&person(4), group).await.unwrap();
    }
    for (label, visibility) in [("public", Visibility::Public), ("private", Visibility::Private)] {
        let new = NewPost { visibility: Some(visibility), ..post(label) };
        posts.insert(("none", label), harness.create_post(&person(1), new).await.unwrap().id);
    }
    posts
}

#[tokio::test]
async fn all_reads_of_a_post_agree_on_visibility() {
    let harness = public().await;
    let posts = groups_with_posts(&harness).await;
    let may_read = |user: i64, (group, label): (&str, &str)| {
        let is_author = user == 1;
        let as_member = user == 2 && label != "private";
        let is_public = label == "public" && (group == "none" || group == "hall");
        // A former member can read their own posts in a public group only.
        let as_former_member = user == 4 && group == "hall" && label == "left";
        is_author || as_member || is_public || as_former_member
    };
    for user in [1, 2, 3, 4, 0] {
        let caller = (user != 0).then(|| person(user));
        let mut expected: Vec<PostId> =
            posts.iter().filter(|(key, _)| may_read(user, **key)).map(|(_, id)| *id).collect();
        expected.sort_by_key(|id| std::cmp::Reverse(*id));
        let feed = harness.feed(caller, FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
        assert_eq!(feed.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        let pages = harness.feed_page(caller, FeedFilter::default(), page()).await.unwrap();
        assert_eq!(pages.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        assert_eq!(usize::try_from(pages.count).unwrap(), expected.len());
        for (key, id) in &posts {
            let readable = may_read(user, *key);
            let outcome = code(harness.post(caller, *id).await);
            assert_eq!(outcome, if readable { "ok" } else { "post_not_found" }, "{user} {key:?}");
            let comments = code(harness.comments(caller, *id, None, CursorQuery::newest(10)).await);
            assert_eq!(comments, outcome, "{user} {key:?}");
            let found = harness.search(caller, key.1.into(), 100).await.unwrap();
            assert_eq!(found.posts.iter().any(|post| post.id == *id), readable, "{user} {key:?}");
            let Some(caller) = caller else { continue };
            let bookmarked = code(harness.bookmark(&caller, *id, true).await);
            assert_eq!(bookmarked, outcome, "{user} {key:?}");
            let reported = harness.report_post(&caller, *id, NewReport { reason: "x".into() }).await;
            assert_eq!(code(reported), outcome, "{user} {key:?}");
            if !readable {
                let codes = [
                    code(harness.react(&caller, *id, "like".into()).await),
                    code(harness.create_comment(&caller, *id, NewComment { content: "x".into(), parent: None }).await),
                    code(harness.change_post(&caller, *id, PostPatch::default(), IfMatch::default()).await),
                    code(harness.delete_post(&caller, *id, IfMatch::default()).await),
                    code(harness.attach(&caller, *id, upload("x", "text/plain", "x")).await),
                    code(harness.vote(&caller, *id, Vote { options: vec![] }).await),
                ];
                assert!(codes.iter().all(|code| code == "post_not_found"), "{user} {key:?} {codes:?}");
            }
        }
        if let Some(caller) = caller {
            let bookmarks = harness.bookmarks(&caller, CursorQuery::newest(100)).await.unwrap();
            assert_eq!(bookmarks.results.len(), expected.len(), "{user}");
        }
    }
    let staff_sees = harness.feed(Some(staff(9)), FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
    let private = posts.keys().filter(|(_, label)| *label == "private").count();
    assert_eq!(staff_sees.results.len(), posts.len() - private, "private posts are visible to their author only");
}

#[tokio::test]
async fn bookmarks_do_not_show_posts_that_are_no_longer_readable() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    harness.add_member(den, 2).await;
    let secret = harness.create_post(&person(1), post_in(den, "secret")).await.unwrap().id;
    harness.bookmark(&person(2), secret, true).await.unwrap();
    harness.remove_member(&person(1), den, UserId(2)).await.unwrap();
    assert!(harness.bookmarks(&person(2), CursorQuery::newest(10)).await.unwrap().results.is_empty());
    harness.bookmark(&person(2), secret, false).await.unwrap();
    assert_eq!(harness.count_rows("community_bookmark").await, 0);
    let hall = harness.group_of(1, named("hall")).await;
    let open = NewPost { visibility: Some(Visibility::Public), ..post_in(hall, "open") };
    let open = harness.create_post(&person(1), open).await.unwrap().id;
    assert_eq!(code(harness.post(Some(person(2)), open).await), "ok");
    let hide = GroupPatch { is_private: Some(true), ..GroupPatch::default() };
    harness.change_group(&person(1), hall, hide, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.post(Some(person(2)), open).await), "post_not_found");
}

#[tokio::test]
async fn each_feed_contains_the_right_posts() {
    let harness = community().await;
    let posts = groups_with_posts(&harness).await;
    let id = |group, label| posts[&(group, label)];
    harness.follow(&person(3), UserId(1), true).await.unwrap();
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
    harness.react(&person(2), id("hall", "public"), "love".into()).await.unwrap();
    assert_eq!(read(&harness, 3, feed_of(FeedType::Trending)).await, [id("hall", "public"), id("none", "public")]);
    let by_one = FeedFilter { author: Some(UserId(1)), ..FeedFilter::default() };
    assert_eq!(read(&harness, 3, by_one).await, [id("none", "public"), id("hall", "public")]);
    assert_eq!(code(harness.follow(&person(3), UserId(999), true).await), "not_found");
    assert_eq!(code(harness.follow(&person(3), UserId(3), true).await), "invalid");
    harness.follow(&person(3), UserId(1), true).await.unwrap();
    assert_eq!(harness.follows(&person(3), page()).await.unwrap().count, 1);
    harness.follow(&person(3), UserId(1), false).await.unwrap();
    assert!(read(&harness, 3, feed_of(FeedType::Following)).await.is_empty());
}

#[tokio::test]
async fn the_feed_of_a_group_requires_access_to_the_group() {
    let harness = community().await;
    let posts = groups_with_posts(&harness).await;
    let group_of = |post: PostId| {
        let harness = &harness;
        async move { harness.post(Some(person(1)), post).await.unwrap().group.unwrap() }
    };
    let (hall, den, club) = (
        group_of(posts[&("hall", "public")]).await,
        group_of(posts[&("den", "public")]).await,
        group_of(posts[&("club", "public")]).await,
    );
    let of_group = |group: GroupId| FeedFilter { group: Some(group), ..FeedFilter::default() };
    let outcome = async |user: i64, group: GroupId| {
        code(harness.feed(Some(person(user)), of_group(group), CursorQuery::newest(10)).await)
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
        let created = harness.create_post(&person(author), new).await.unwrap();
        written.insert(0, (created.id, created.group.is_some()));
    }
    let newest = written[0].0;
    for filter in [FeedFilter::default(), feed_of(FeedType::JoinedGroups)] {
        let mut seen = Vec::new();
        let mut cursor_page = harness.feed(Some(person(1)), filter.clone(), CursorQuery::newest(7)).await.unwrap();
        loop {
            seen.extend(cursor_page.results.iter().map(|post| post.id));
            harness.create_post(&person(2), post_in(groups[2], "meanwhile")).await.unwrap();
            let Some(last) = cursor_page.results.last().filter(|_| cursor_page.next.is_some()) else { break };
            let cursor = CursorQuery::before(last.id.0, 7);
            cursor_page = harness.feed(Some(person(1)), filter.clone(), cursor).await.unwrap();
        }
        seen.retain(|id| *id <= newest);
        let expected = written.iter().filter(|(_, in_group)| *in_group || filter.feed_type.is_none());
        assert_eq!(seen, expected.map(|(id, _)| *id).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_user_has_one_reaction_per_post() {
    let harness = community().await;
    let id = harness.create_post(&person(1), post("x")).await.unwrap().id;
    harness.react(&person(1), id, "like".into()).await.unwrap();
    harness.react(&person(2), id, "like".into()).await.unwrap();
    harness.react(&person(2), id, "love".into()).await.unwrap();
    harness.react(&person(2), id, "love".into()).await.unwrap();
    let shown = harness.post(Some(person(2)), id).await.unwrap();
    assert_eq!(shown.reactions, BTreeMap::from([("like".into(), 1), ("love".into(), 1)]));
    assert_eq!(shown.my_reaction.as_deref(), Some("love"));
    harness.unreact(&person(2), id, Some("like".into())).await.unwrap();
    assert_eq!(harness.count_rows("community_reaction").await, 2, "the reaction is of another kind");
    let shown = harness.toggle_reaction(&person(2), id, "love".into()).await.unwrap();
    assert_eq!((shown.reactions.len(), shown.my_reaction), (1, None));
    let shown = harness.toggle_reaction(&person(2), id, "🎉".into()).await.unwrap();
    assert_eq!(shown.my_reaction.as_deref(), Some("🎉"));
    assert_eq!(code(harness.react(&person(2), id, "meh".into()).await), "invalid");
    harness.assert_counters().await;
}

#[tokio::test]
async fn concurrent_reactions_are_counted() {
    let harness = with_connections(8).await;
    let id = harness.create_post(&person(1), post("x")).await.unwrap().id;
    let callers: Vec<_> = (1..=40).map(person).collect();
    let kinds = ["like", "love", "🎉"];
    let reactions = callers.iter().enumerate().map(|(n, caller)| harness.react(caller, id, kinds[n % 3].into()));
    futures_util::future::join_all(reactions).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let shown = harness.post(Some(person(1)), id).await.unwrap();
    assert_eq!(shown.reactions.values().sum::<i64>(), 40);
    harness.assert_counters().await;
}

#[tokio::test]
async fn comments_are_threaded() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let id = harness.create_post(&person(1), post_in(hall, "x")).await.unwrap().id;
    let write = |user: i64, text: &str, parent| {
        let new = NewComment { content: text.to_owned(), parent };
        let harness = &harness;
        async move { harness.create_comment(&person(user), id, new).await }
    };
    let first = write(2, "first @person-1 @person-9", None).await.unwrap();
    let reply = write(1, "reply", Some(first.id)).await.unwrap();
    assert_eq!((reply.parent, reply.depth), (Some(first.id), 1));
    assert_eq!(harness.count_rows("community_mention").await, 1, "only users who can read the post are mentioned");
    assert_eq!(code(write(3, "x", None).await), "post_not_found", "an outsider does not see it");
    let elsewhere = harness.create_post(&person(1), post("y")).await.unwrap().id;
    let crossed = NewComment { content: "x".into(), parent: Some(first.id) };
    assert_eq!(code(harness.create_comment(&person(1), elsewhere, crossed).await), "invalid");
    let mut parent = reply.id;
    for _ in 2..=8 {
        parent = write(1, "deeper", Some(parent)).await.unwrap().id;
    }
    assert_eq!(code(write(1, "too deep", Some(parent)).await), "invalid");
    assert_eq!(harness.post(Some(person(1)), id).await.unwrap().comment_count, 9);
    let replies = harness.comments(Some(person(1)), id, Some(first.id), CursorQuery::newest(10)).await.unwrap();
    assert_eq!(replies.results.iter().map(|comment| comment.id).collect::<Vec<_>>(), [reply.id]);

    let liked = harness.like_comment(&person(1), first.id, None).await.unwrap();
    assert_eq!((liked.like_count, liked.is_liked), (1, true));
    assert_eq!(harness.like_comment(&person(1), first.id, Some(true)).await.unwrap().like_count, 1);
    assert_eq!(harness.like_comment(&person(1), first.id, None).await.unwrap().like_count, 0);

    let patch = CommentPatch { content: "changed".into() };
    let other = harness.change_comment(&person(1), first.id, patch.clone(), IfMatch::default()).await;
    assert_eq!(code(other), "not_author");
    let changed = harness.change_comment(&person(2), first.id, patch, IfMatch::default()).await.unwrap();
    assert_eq!(changed.content_html.trim(), "<p>changed</p>");

    harness.delete_comment(&person(2), first.id).await.unwrap();
    let deleted = harness.comment(Some(person(1)), first.id).await.unwrap();
    assert_eq!((deleted.is_deleted, deleted.author, deleted.content.as_str()), (true, None, ""));
    assert_eq!(code(harness.delete_comment(&person(2), first.id).await), "comment_not_found");
    harness.delete_comment(&person(1), parent).await.unwrap();
    assert_eq!(harness.post(Some(person(1)), id).await.unwrap().comment_count, 7);
    harness.assert_counters().await;

    let lock = PostPatch { is_locked: Some(true), ..PostPatch::default() };
    assert_eq!(code(harness.change_post(&person(2), id, lock.clone(), IfMatch::default()).await), "not_moderator");
    harness.change_post(&person(1), id, lock, IfMatch::default()).await.unwrap();
    assert_eq!(code(write(2, "late", None).await), "post_locked");
    assert_eq!(code(write(1, "by a moderator", None).await), "ok");
}

#[tokio::test]
async fn polls_count_each_user_once() {
    let harness = community().await;
    let ask = |is_multiple, hours| NewPost {
        poll: Some(NewPoll { options: vec!["a".into(), "b".into(), "c".into()], is_multiple, hours }),
        ..post("which?")
    };
    let one = harness.create_post(&person(1), ask(false, Some(1))).await.unwrap();
    assert_eq!(one.poll.as_ref().unwrap().options.len(), 3);
    let vote = |user: i64, id: PostId, options: &[i64]| {
        let vote = Vote { options: options.to_vec() };
        let harness = &harness;
        async move { harness.vote(&person(user), id, vote).await }
    };
    vote(2, one.id, &[0]).await.unwrap();
    let poll = vote(2, one.id, &[1]).await.unwrap();
    assert_eq!(poll.options.iter().map(|option| option.votes).collect::<Vec<_>>(), [0, 1, 0]);
    assert_eq!(poll.my_votes, [1]);
    assert_eq!(code(vote(2, one.id, &[0, 1]).await), "invalid");
    assert_eq!(code(vote(2, one.id, &[7]).await), "invalid");
    assert_eq!(vote(2, one.id, &[]).await.unwrap().my_votes, Vec::<i64>::new());
    let many = harness.create_post(&person(1), ask(true, None)).await.unwrap();
    vote(2, many.id, &[0, 2]).await.unwrap();
    let poll = vote(3, many.id, &[2]).await.unwrap();
    assert_eq!(poll.options.iter().map(|option| option.votes).collect::<Vec<_>>(), [1, 0, 2]);
    harness.advance_clock(Duration::from_secs(7200));
    assert_eq!(code(vote(2, one.id, &[0]).await), "poll_closed");
    let plain = harness.create_post(&person(1), post("x")).await.unwrap();
    assert_eq!(code(vote(2, plain.id, &[0]).await), "not_found");
    harness.assert_counters().await;
}

#[tokio::test]
async fn drafts_are_visible_to_their_author_only() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let draft = harness.save_draft(&person(1), NewPost { tags: vec!["a".into()], ..post_in(hall, "") }).await.unwrap();
    assert_eq!(code(harness.draft(&person(2), draft.id).await), "not_found");
    assert_eq!(code(harness.save_draft(&person(2), post_in(hall, "x")).await), "not_member");
    assert_eq!(code(harness.publish_draft(&person(1), draft.id).await), "invalid", "empty content");
    harness.change_draft(&person(1), draft.id, post_in(hall, "ready")).await.unwrap();
    assert!(harness.search(Some(person(1)), "ready".into(), 10).await.unwrap().posts.is_empty());
    assert_eq!(harness.drafts(&person(1), page()).await.unwrap().count, 1);
    let posted = harness.publish_draft(&person(1), draft.id).await.unwrap();
    assert_eq!((posted.content.as_str(), posted.group), ("ready", Some(hall)));
    assert_eq!(code(harness.publish_draft(&person(1), draft.id).await), "not_found");
    assert_eq!(harness.count_rows("community_draft").await, 0);
    harness.assert_counters().await;
}

#[tokio::test]
async fn posts_await_approval_if_the_group_requires_it() {
    let harness = community().await;
    let hall = harness.group_of(1, NewGroup { approves_posts: true, ..named("hall") }).await;
    harness.add_member(hall, 2).await;
    harness.add_member(hall, 3).await;
    let new = NewPost { visibility: Some(Visibility::Public), ..post_in(hall, "waiting") };
    let waiting = harness.create_post(&person(2), new).await.unwrap();
    assert!(!waiting.is_approved);
    assert_eq!(code(harness.post(Some(person(3)), waiting.id).await), "post_not_found");
    assert_eq!(code(harness.post(Some(person(9)), waiting.id).await), "post_not_found");
    assert_eq!(code(harness.post(Some(person(2)), waiting.id).await), "ok");
    assert_eq!(harness.queue(&person(1), hall, page()).await.unwrap().count, 1);
    assert_eq!(code(harness.queue(&person(2), hall, page()).await), "not_moderator");
    assert_eq!(code(harness.decide_post(&person(2), waiting.id, true).await), "not_moderator");
    harness.decide_post(&person(1), waiting.id, true).await.unwrap();
    assert_eq!(code(harness.decide_post(&person(1), waiting.id, true).await), "already_decided");
    assert_eq!(code(harness.post(Some(person(9)), waiting.id).await), "ok");
    let patch = PostPatch { content: Some("something else".into()), ..PostPatch::default() };
    assert!(!harness.change_post(&person(2), waiting.id, patch, IfMatch::default()).await.unwrap().is_approved);
    assert_eq!(harness.group(Some(person(1)), hall).await.unwrap().post_count, Some(0));
    harness.decide_post(&person(1), waiting.id, false).await.unwrap();
    assert_eq!(harness.count_rows("community_post").await, 0);
    assert!(harness.create_post(&person(1), post_in(hall, "x")).await.unwrap().is_approved);
    let closed = harness.group_of(1, NewGroup { posting: Posting::Moderators, ..named("news") }).await;
    harness.add_member(closed, 2).await;
    assert_eq!(code(harness.create_post(&person(2), post_in(closed, "x")).await), "posting_closed");
    assert_eq!(code(harness.create_post(&person(1), post_in(closed, "x")).await), "ok");
    harness.assert_counters().await;
}

#[tokio::test]
async fn reports_are_visible_to_moderators_and_decided_once() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3, 4] {
        harness.add_member(hall, user).await;
    }
    let id = harness.create_post(&person(2), post_in(hall, "bad")).await.unwrap().id;
    let comment = NewComment { content: "worse".into(), parent: None };
    let comment = harness.create_comment(&person(2), id, comment).await.unwrap().id;
    let report = || NewReport { reason: "rude".into() };
    let first = harness.report_post(&person(3), id, report()).await.unwrap();
    assert_eq!(harness.report_post(&person(3), id, report()).await.unwrap().id, first.id, "reporting is idempotent");
    harness.report_post(&person(4), id, report()).await.unwrap();
    let about_comment = harness.report_comment(&person(3), comment, report()).await.unwrap();
    assert_eq!(harness.reports(&person(1), Some(hall), page()).await.unwrap().count, 3);
    assert_eq!(code(harness.reports(&person(3), Some(hall), page()).await), "not_moderator");
    assert_eq!(code(harness.reports(&person(1), None, page()).await), "not_staff");
    assert_eq!(harness.reports(&staff(9), None, page()).await.unwrap().count, 3);
    assert_eq!(code(harness.decide_report(&person(9), first.id, Verdict::Dismiss).await), "not_found");
    assert_eq!(code(harness.decide_report(&person(3), first.id, Verdict::Dismiss).await), "not_found");
    harness.decide_report(&person(1), about_comment.id, Verdict::Remove).await.unwrap();
    assert_eq!(harness.count_rows("community_comment").await, 0);
    harness.decide_report(&person(1), first.id, Verdict::Dismiss).await.unwrap();
    assert_eq!(code(harness.decide_report(&person(1), first.id, Verdict::Remove).await), "already_decided");
    assert_eq!(harness.reports(&person(1), Some(hall), page()).await.unwrap().count, 0);
    let again = harness.report_post(&person(3), id, report()).await.unwrap();
    harness.decide_report(&person(1), again.id, Verdict::Remove).await.unwrap();
    assert_eq!((harness.count_rows("community_post").await, harness.count_rows("community_report").await), (0, 0));
    let log = harness.log(&person(1), hall, CursorQuery::newest(10)).await.unwrap();
    let actions: Vec<&str> = log.results.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["removed_post", "dismissed_report", "removed_comment"]);
    harness.assert_counters().await;
}

#[tokio::test]
async fn authors_edit_posts_and_moderators_pin_them() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let created =
        harness.create_post(&person(2), NewPost { tags: vec!["a".into()], ..post_in(hall, "x") }).await.unwrap();
    let with_content = |content: &str| PostPatch { content: Some(content.into()), ..PostPatch::default() };
    let pin = PostPatch { is_pinned: Some(true), ..PostPatch::default() };
    assert_eq!(
        code(harness.change_post(&person(1), created.id, with_content("y"), IfMatch::default()).await),
        "not_author"
    );
    assert_eq!(
        code(harness.change_post(&person(2), created.id, pin.clone(), IfMatch::default()).await),
        "not_moderator"
    );
    let known = IfMatch::only(created.updated_at.into());
    let patch = PostPatch { tags: Some(vec!["b".into()]), ..with_content("see @person-1") };
    let changed = harness.change_post(&person(2), created.id, patch, known.clone()).await.unwrap();
    assert_eq!((changed.tags.as_slice(), changed.mentions.len()), (&["b".to_owned()][..], 1));
    assert_eq!(code(harness.change_post(&person(2), created.id, with_content("z"), known).await), "stale");
    let expanding = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    assert_eq!(
        code(harness.change_post(&person(2), created.id, with_content(&expanding), IfMatch::default()).await),
        "invalid"
    );
    assert!(harness.change_post(&person(1), created.id, pin, IfMatch::default()).await.unwrap().is_pinned);
    let search = |words: &str| harness.search(Some(person(2)), words.to_owned(), 10);
    assert_eq!(search("person").await.unwrap().posts.len(), 1);
    assert!(search("nothing").await.unwrap().posts.is_empty());
    assert_eq!(code(harness.delete_post(&person(9), created.id, IfMatch::default()).await), "post_not_found");
    harness.delete_post(&person(1), created.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.log(&person(1), hall, CursorQuery::newest(1)).await.unwrap().results[0].action, "removed_post");
    assert!(search("person").await.unwrap().posts.is_empty(), "deleting a post removes it from the index");
    harness.assert_counters().await;
}

#[tokio::test]
async fn making_a_post_private_removes_mentions_of_others() {
    let harness = community().await;
    let closing = PostPatch { visibility: Some(Visibility::Private), ..PostPatch::default() };
    for patch in [closing.clone(), PostPatch { content: Some("changed".into()), ..closing }] {
        let open = harness.create_post(&person(1), post("see @person-2")).await.unwrap();
        let comment = NewComment { content: "and @person-3".to_owned(), parent: None };
        harness.create_comment(&person(1), open.id, comment).await.unwrap();
        assert_eq!(harness.count_rows("community_mention").await, 2);
        harness.change_post(&person(1), open.id, patch, IfMatch::default()).await.unwrap();
        assert_eq!(harness.count_rows("community_mention").await, 0);
    }
}

#[tokio::test]
async fn fault_r28_words_are_found_in_text_without_spaces() {
    let harness = community().await;
    for (text, words) in
        [("東京大学で勉強する", ["大学", "勉強"]), ("我家在上海东边", ["上海", "东边"]), ("ภาษาไทยใต้", ["ไทย", "ใต้"])]
    {
        let id = harness.create_post(&person(1), post(text)).await.unwrap().id;
        for words in words {
            let found = harness.search(Some(person(2)), words.into(), 10).await.unwrap();
            assert_eq!(found.posts.iter().map(|post| post.id).collect::<Vec<_>>(), [id], "{words}");
        }
    }
    assert!(harness.search(Some(person(2)), "学大".into(), 10).await.unwrap().posts.is_empty());
}

#[tokio::test]
async fn search_ignores_case_and_accents_and_query_operators() {
    let harness = community().await;
    let cafe = harness.create_post(&person(1), post("Ein Café-Gespräch über Rust")).await.unwrap().id;
    harness.create_post(&person(1), post("something else")).await.unwrap();
    harness.group_of(1, NewGroup { description: "Wir lesen Bücher".into(), ..named("Lesekreis") }).await;
    harness.group_of(1, private("Geheime Leser")).await;
    for words in ["cafe", "CAFÉ", "gesprach rust", "Gesp", "rust café"] {
        let found = harness.search(Some(person(2)), words.into(), 10).await.unwrap();
        assert_eq!(found.posts.iter().map(|post| post.id).collect::<Vec<_>>(), [cafe], "{words}");
    }
    let groups = harness.search(Some(person(2)), "bucher lese".into(), 10).await.unwrap().groups;
    assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["Lesekreis"]);
    for words in ["", "\"", "*", "x", "ab🅐cd", "NEAR(", "a OR b", "'; DROP TABLE people", "caf* -else", "😀", "%", "\\"]
    {
        assert!(harness.search(Some(person(2)), words.into(), 10).await.unwrap().posts.is_empty(), "{words}");
    }
    harness.group_of(3, named("shared")).await;
    let shared = harness.group_of(1, named("both")).await;
    harness.add_member(shared, 20).await;
    harness.add_member(shared, 2).await;
    let people = harness.search(Some(person(2)), "person-2".into(), 10).await.unwrap().members;
    assert_eq!(people.iter().map(|person| person.id.0).collect::<Vec<_>>(), [2, 20]);
    assert!(harness.search(Some(person(3)), "person-2".into(), 10).await.unwrap().members.is_empty());
}

#[tokio::test]
async fn attachments_are_deleted_with_their_post() {
    let harness = community().await;
    let id = harness.create_post(&person(1), post("x")).await.unwrap().id;
    let text = harness.attach(&person(1), id, upload("notes.html", "text/html", "<script>")).await.unwrap();
    assert_eq!((text.name.as_str(), text.content_type.as_str(), text.size), ("notes.html", "text/html", 8));
    assert!(text.url.starts_with("https://example.org/api/files/") && text.preview_url.is_none());
    let picture = harness.attach(&person(1), id, upload("a.png", "image/png", png())).await.unwrap();
    assert!(picture.preview_url.is_some());
    assert_eq!(code(harness.attach(&person(1), id, upload("a.png", "image/png", "no picture")).await), "invalid");
    assert_eq!(code(harness.attach(&person(2), id, upload("a", "text/plain", "x")).await), "not_author");
    assert_eq!(harness.post(Some(person(2)), id).await.unwrap().attachments.len(), 2);
    assert_eq!(harness.stored_files(), 3);
    harness.detach(&person(1), id, text.id).await.unwrap();
    assert_eq!(code(harness.detach(&person(1), id, text.id).await), "not_found");
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.count_rows("files_file").await), (2, 1));
    harness.delete_post(&person(1), id, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.count_rows("files_file").await), (0, 0));
    assert_eq!(harness.count_rows("files_garbage").await, 0);
    let many = harness.create_post(&person(1), post("x")).await.unwrap().id;
    for n in 0..10 {
        harness.attach(&person(1), many, upload(&format!("{n}"), "text/plain", "x")).await.unwrap();
    }
    assert_eq!(code(harness.attach(&person(1), many, upload("11", "text/plain", "x")).await), "invalid");
}

#[tokio::test]
async fn group_pictures_are_replaced_and_removed() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let upload_picture = |user: i64, bytes: Vec<u8>| {
        let harness = &harness;
        async move { harness.set_picture(&person(user), hall, PictureKind::Image, bytes.into()).await }
    };
    assert_eq!(code(upload_picture(2, png()).await), "not_moderator");
    assert_eq!(code(upload_picture(9, png()).await), "not_member");
    assert_eq!(code(upload_picture(1, b"no picture".to_vec()).await), "invalid");
    assert_eq!(harness.stored_files(), 0);
    let shown = upload_picture(1, png()).await.unwrap();
    assert!(shown.image_url.contains("/api/files/") && shown.image_urls.is_some());
    assert_eq!(harness.stored_files(), 3);
    upload_picture(1, png()).await.unwrap();
    harness.set_picture(&person(1), hall, PictureKind::Banner, png().into()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!(
        (harness.stored_files(), harness.count_rows("files_file").await),
        (6, 2),
        "the previous picture is deleted"
    );
    harness.remove_picture(&person(1), hall, PictureKind::Image).await.unwrap();
    let shown = harness.group(Some(person(2)), hall).await.unwrap();
    assert!(shown.image_url.contains("/pictures/") && shown.image_urls.is_none() && shown.banner_url.is_some());
    harness.delete_group(&person(1), hall, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.count_rows("files_file").await), (0, 0));
}

#[tokio::test]
async fn linked_pages_get_previews() {
    use guildhall_kernel::http::{FetchError, FetchedPage, PageFetcher};

    struct Pages;

    #[async_trait::async_trait]
    impl PageFetcher for Pages {
        async fn fetch_page(&self, url: &str) -> Result<FetchedPage, FetchError> {
            match url {
                "https://example.com/a" => {
                    let html = "<title>About <b>a</title><meta property=\"og:description\" content=\"All of it\">";
                    Ok(FetchedPage { url: url.to_owned(), html: html.to_owned() })
                }
                "https://example.com/later" => Err(FetchError::Transient("busy".into())),
                _ => Err(FetchError::Permanent("private".into())),
            }
        }
    }

    let settings = guildhall_community::Settings::default();
    let harness = community_with(1, settings, Some(std::sync::Arc::new(Pages))).await;
    let text = "https://example.com/a and http://169.254.169.254/ and https://example.com/later";
    let id = harness.create_post(&person(1), post(text)).await.unwrap().id;
    assert_eq!(harness.fetch_previews().await.unwrap(), 3);
    let shown = harness.post(Some(person(2)), id).await.unwrap().link_previews;
    assert_eq!(
        (shown.len(), shown[0].url.as_str(), shown[0].description.as_str()),
        (1, "https://example.com/a", "All of it")
    );
    assert_eq!(harness.fetch_previews().await.unwrap(), 0, "not retried immediately");
    harness.advance_clock(Duration::from_secs(3600));
    assert_eq!(harness.fetch_previews().await.unwrap(), 1);
}

/// A group with content of every kind.
pub(crate) async fn full_group(harness: &Harness) -> GroupId {
    use guildhall_community::Events;

    let den = harness.group_of(1, listed("den")).await;
    for user in 2..=6 {
        harness.add_member(den, user).await;
    }
    harness.add_moderator(&person(1), den, UserId(2)).await.unwrap();
    harness.set_picture(&person(1), den, PictureKind::Image, png().into()).await.unwrap();
    harness.set_picture(&person(1), den, PictureKind::Banner, png().into()).await.unwrap();
    harness.join(&person(30), den, None, "please".into()).await.unwrap();
    harness.invite(&person(1), den, NewInvite::default()).await.unwrap();
    let invite = NewInvite { user_id: Some(Some(UserId(31))), ..NewInvite::default() };
    harness.invite(&person(1), den, invite).await.unwrap();
    let ban = guildhall_community::NewBan { user_id: UserId(32), reason: String::new(), days: None };
    harness.ban(&person(1), den, ban).await.unwrap();
    let poll = NewPoll { options: vec!["a".into(), "b".into()], is_multiple: true, hours: None };
    let new =
        NewPost { poll: Some(poll), tags: vec!["t".into()], ..post_in(den, "hello @person-3 https://example.com/") };
    let id = harness.create_post(&person(2), new).await.unwrap().id;
    harness.attach(&person(2), id, upload("a.png", "image/png", png())).await.unwrap();
    harness.vote(&person(3), id, Vote { options: vec![0, 1] }).await.unwrap();
    harness.react(&person(3), id, "like".into()).await.unwrap();
    harness.bookmark(&person(3), id, true).await.unwrap();
    let first = NewComment { content: "@person-4".into(), parent: None };
    let first = harness.create_comment(&person(3), id, first).await.unwrap().id;
    harness.create_comment(&person(4), id, NewComment { content: "x".into(), parent: Some(first) }).await.unwrap();
    harness.like_comment(&person(4), first, Some(true)).await.unwrap();
    harness.report_post(&person(5), id, NewReport { reason: "x".into() }).await.unwrap();
    harness.report_comment(&person(5), first, NewReport { reason: "x".into() }).await.unwrap();
    harness.save_draft(&person(3), post_in(den, "later")).await.unwrap();
    harness.sql("INSERT INTO community_course (id, title, description, description_html, is_public, lesson_count, created_at, updated_at) VALUES (1, 'c', '', '', true, 0, 0, 0) ON CONFLICT DO NOTHING").await.unwrap();
    harness
        .sql(&format!("INSERT INTO community_group_course (group_id, course_id, position) VALUES ({den}, 1, 0)"))
        .await
        .unwrap();
    let new: NewEvent = serde_json::from_value(serde_json::json!({
        "title": "meeting", "starts_at": "2100-01-01T10:00:00Z", "ends_at": "2100-01-01T11:00:00Z",
    }))
    .unwrap();
    let event = harness.create_event(&person(1), den, new).await.unwrap().id;
    let coming = serde_json::from_value(serde_json::json!({"status": "going"})).unwrap();
    harness.answer_event(&person(3), event, coming).await.unwrap();
    den
}

/// The number of rows in each table of this crate.
async fn count_all_rows(harness: &Harness) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for model in guildhall_community::admin() {
        rows.insert(model.table.clone(), harness.count_rows(&model.table).await);
    }
    rows
}

#[tokio::test]
async fn a_group_is_deleted_completely_during_concurrent_writes() {
    let harness = with_connections(8).await;
    let den = full_group(&harness).await;
    let preview = harness.preview_deletion(&person(1), den).await.unwrap();
    assert_eq!((preview.members, preview.moderators, preview.requests, preview.invites), (6, 2, 1, 2));
    assert_eq!((preview.bans, preview.posts, preview.comments, preview.reactions), (1, 1, 2, 1));
    assert_eq!((preview.attachments, preview.pictures, preview.courses, preview.events), (1, 2, 1, 1));
    assert_eq!(preview.reports, 2);
    assert_eq!(code(harness.preview_deletion(&person(2), den).await), "not_group_owner");
    for user in 7..=29 {
        harness.add_member(den, user).await;
    }
    let post =
        harness.feed(Some(person(1)), FeedFilter::default(), CursorQuery::newest(1)).await.unwrap().results[0].id;
    let callers: Vec<_> = (0..50).map(|n| person(2 + n % 28)).collect();
    let writes = callers.iter().enumerate().map(|(n, caller)| {
        let harness = &harness;
        async move {
            let outcome = match n % 5 {
                0 => code(harness.create_post(caller, post_in(den, "more")).await),
                1 => code(harness.create_comment(caller, post, NewComment { content: "x".into(), parent: None }).await),
                2 => code(harness.react(caller, post, "love".into()).await),
                3 => code(harness.join(&person(33 + i64::try_from(n).unwrap() % 20), den, None, String::new()).await),
                _ => code(harness.attach(caller, post, upload("x", "text/plain", "x")).await),
            };
            let expected =
                ["ok", "group_not_found", "post_not_found", "not_member", "not_author", "not_found", "conflict"];
            assert!(expected.contains(&outcome.as_str()), "{n}: {outcome}");
        }
    });
    let owner = person(1);
    let deletion = async { harness.delete_group(&owner, den, IfMatch::default()).await.unwrap() };
    tokio::join!(futures_util::future::join_all(writes), deletion);
    let mut remaining = count_all_rows(&harness).await;
    assert_eq!(remaining.remove("community_course"), Some(1), "courses are not deleted");
    assert!(remaining.values().all(|rows| *rows == 0), "{remaining:?}");
    harness.advance_clock(Duration::from_secs(7200));
    harness.files.collect().await.unwrap();
    assert_eq!((harness.count_rows("files_file").await, harness.stored_files()), (0, 0));
    assert_eq!(harness.count_rows("files_garbage").await, 0);
}

#[tokio::test]
async fn the_number_of_queries_does_not_depend_on_the_length_of_the_feed() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let mut statements = Vec::new();
    for n in 0..30 {
        let new = if n % 2 == 0 { post("x") } else { NewPost { tags: vec!["t".into()], ..post_in(hall, "x") } };
        harness.create_post(&person(1), new).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.feed(Some(person(1)), FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
            statements.push(harness.db.statements() - before);
        }
    }
    // The posts, and for those with extras: tags, attachments, previews, mentions and polls.
    assert_eq!(statements, [6, 6]);
    let plain = FeedFilter { author: Some(UserId(1)), group: None, category: None, ..FeedFilter::default() };
    harness.sql("UPDATE community_post SET has_extras = false").await.unwrap();
    let before = harness.db.statements();
    harness.feed(Some(person(1)), plain, CursorQuery::newest(100)).await.unwrap();
    assert_eq!(harness.db.statements() - before, 1);
}

use std::{collections::BTreeMap, time::Duration};

use axum::body::Bytes;
use guildhall_community::{
    CommentPatch, FeedFilter, FeedType, GroupId, GroupPatch, Groups, NewComment, NewEvent, NewGroup, NewInvite,
    NewPoll, NewPost, NewReport, PictureKind, PostCategory, PostId, PostPatch, Posting, Posts, Verdict, Visibility,
    Vote,
};
use guildhall_kernel::{IfMatch, PageQuery, SliceQuery, UserId, file::Upload};

use crate::harness::{
    Harness, code, community, listed, named, person, post, post_in, private, public, staff, with, with_connections,
};

fn page() -> PageQuery {
    PageQuery::new(1, 100)
}

fn feed_of(feed_type: FeedType) -> FeedFilter {
    FeedFilter { feed_type: Some(feed_type), ..FeedFilter::default() }
}

async fn read(harness: &Harness, user: i64, filter: FeedFilter) -> Vec<PostId> {
    let slice = harness.feed(Some(person(user)), filter.clone(), SliceQuery::newest(100)).await.unwrap();
    let ids: Vec<PostId> = slice.results.iter().map(|post| post.id).collect();
    let mut paged: Vec<PostId> = harness
        .feed_page(Some(person(user)), filter.clone(), page())
        .await
        .unwrap()
        .results
        .iter()
        .map(|post| post.id)
        .collect();
    if filter.feed_type != Some(FeedType::Trending) {
        paged.sort_by_key(|id| std::cmp::Reverse(*id));
        assert_eq!(paged, ids, "pages and stretches show the same");
    }
    ids
}

fn upload(name: &str, content_type: &str, bytes: impl Into<Bytes>) -> Upload {
    Upload { name: name.into(), content_type: content_type.into(), bytes: bytes.into(), fields: BTreeMap::new() }
}

/// A picture of one colour.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::DynamicImage::new_rgb8(64, 32);
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

#[tokio::test]
async fn a_post_is_shown_as_it_was_written() {
    let harness = community().await;
    let new = NewPost {
        title: " On *stars* ".into(),
        tags: vec!["#Sky".into(), "night".into(), "sky".into()],
        category: PostCategory::Question,
        ..post("Look at **them**, @person-2 and @nobody: <script>alert(1)</script>")
    };
    let made = harness.create_post(&person(1), new).await.unwrap();
    assert_eq!((made.title.as_str(), made.visibility, made.group), ("On *stars*", Visibility::Public, None));
    assert!(made.content_html.contains("<strong>them</strong>") && !made.content_html.contains("<script"));
    assert_eq!(made.tags, ["sky", "night"]);
    assert_eq!(made.mentions.iter().map(|person| person.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(made.author.as_ref().unwrap().id, UserId(1));
    assert_eq!(harness.post(Some(person(2)), made.id).await.unwrap(), made);
    assert_eq!(read(&harness, 3, FeedFilter { tag: Some("Sky".into()), ..FeedFilter::default() }).await, [made.id]);
    assert_eq!(read(&harness, 2, FeedFilter { mentioned: Some(true), ..FeedFilter::default() }).await, [made.id]);
    assert!(read(&harness, 3, FeedFilter { mentioned: Some(true), ..FeedFilter::default() }).await.is_empty());
}

#[tokio::test]
async fn posting_into_a_group_is_for_its_members_and_joins_nobody() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let den = harness.group_of(1, private("den")).await;
    let club = harness.group_of(1, listed("club")).await;
    assert_eq!(code(harness.create_post(&person(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(code(harness.create_post(&person(2), post_in(den, "hi")).await), "group_not_found");
    assert_eq!(code(harness.create_post(&person(2), post_in(club, "hi")).await), "not_member");
    assert_eq!(code(harness.create_post(&staff(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(harness.rows("community_membership").await, 3);
    assert_eq!(harness.rows("community_post").await, 0);
    let made = harness.create_post(&person(1), post_in(hall, "hi")).await.unwrap();
    assert_eq!(made.visibility, Visibility::GroupOnly);
    assert_eq!(harness.group(Some(person(1)), hall).await.unwrap().post_count, Some(1));
    let nowhere = NewPost { visibility: Some(Visibility::GroupOnly), ..post("x") };
    assert_eq!(code(harness.create_post(&person(1), nowhere).await), "invalid");
}

#[tokio::test]
async fn bad_posts_are_refused_whole() {
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
    assert_eq!(harness.rows("community_post").await, 0);
}

/// Groups of each kind with a post of each visibility, by their owner (1); 2 is in all of them, 3 in none, and
/// 4 was and has left something behind.
async fn everything(harness: &Harness) -> BTreeMap<(&'static str, &'static str), PostId> {
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
async fn every_way_to_a_post_asks_the_same_question() {
    let harness = public().await;
    let posts = everything(&harness).await;
    let may_read = |user: i64, (group, label): (&str, &str)| {
        let own = user == 1;
        let as_member = user == 2 && label != "private";
        let open = label == "public" && (group == "none" || group == "hall");
        // What one has left behind, where one may still look.
        let left = user == 4 && group == "hall" && label == "left";
        own || as_member || open || left
    };
    for user in [1, 2, 3, 4, 0] {
        let caller = (user != 0).then(|| person(user));
        let mut expected: Vec<PostId> =
            posts.iter().filter(|(key, _)| may_read(user, **key)).map(|(_, id)| *id).collect();
        expected.sort_by_key(|id| std::cmp::Reverse(*id));
        let feed = harness.feed(caller, FeedFilter::default(), SliceQuery::newest(100)).await.unwrap();
        assert_eq!(feed.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        let pages = harness.feed_page(caller, FeedFilter::default(), page()).await.unwrap();
        assert_eq!(pages.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        assert_eq!(usize::try_from(pages.count).unwrap(), expected.len());
        for (key, id) in &posts {
            let readable = may_read(user, *key);
            let outcome = code(harness.post(caller, *id).await);
            assert_eq!(outcome, if readable { "ok" } else { "post_not_found" }, "{user} {key:?}");
            let comments = code(harness.comments(caller, *id, None, SliceQuery::newest(10)).await);
            assert_eq!(comments, outcome, "{user} {key:?}");
            let found = harness.search(caller, key.1.into(), 100).await.unwrap();
            assert_eq!(found.posts.iter().any(|post| post.id == *id), readable, "{user} {key:?}");
            let Some(caller) = caller else { continue };
            let marked = code(harness.bookmark(&caller, *id, true).await);
            assert_eq!(marked, outcome, "{user} {key:?}");
            let reported = harness.report_post(&caller, *id, NewReport { reason: "x".into() }).await;
            assert_eq!(code(reported), outcome, "{user} {key:?}");
            if !readable {
                let refused = [
                    code(harness.react(&caller, *id, "like".into()).await),
                    code(harness.create_comment(&caller, *id, NewComment { content: "x".into(), parent: None }).await),
                    code(harness.change_post(&caller, *id, PostPatch::default(), IfMatch::default()).await),
                    code(harness.delete_post(&caller, *id, IfMatch::default()).await),
                    code(harness.attach(&caller, *id, upload("x", "text/plain", "x")).await),
                    code(harness.vote(&caller, *id, Vote { options: vec![] }).await),
                ];
                assert!(refused.iter().all(|code| code == "post_not_found"), "{user} {key:?} {refused:?}");
            }
        }
        if let Some(caller) = caller {
            let kept = harness.bookmarks(&caller, SliceQuery::newest(100)).await.unwrap();
            assert_eq!(kept.results.len(), expected.len(), "{user}");
        }
    }
    let staff_sees = harness.feed(Some(staff(9)), FeedFilter::default(), SliceQuery::newest(100)).await.unwrap();
    let private = posts.keys().filter(|(_, label)| *label == "private").count();
    assert_eq!(staff_sees.results.len(), posts.len() - private, "what is private is its author's alone");
}

#[tokio::test]
async fn a_bookmark_does_not_outlive_the_right_to_read() {
    let harness = community().await;
    let den = harness.group_of(1, private("den")).await;
    harness.add_member(den, 2).await;
    let secret = harness.create_post(&person(1), post_in(den, "secret")).await.unwrap().id;
    harness.bookmark(&person(2), secret, true).await.unwrap();
    harness.remove_member(&person(1), den, UserId(2)).await.unwrap();
    assert!(harness.bookmarks(&person(2), SliceQuery::newest(10)).await.unwrap().results.is_empty());
    harness.bookmark(&person(2), secret, false).await.unwrap();
    assert_eq!(harness.rows("community_bookmark").await, 0);
    let hall = harness.group_of(1, named("hall")).await;
    let open = NewPost { visibility: Some(Visibility::Public), ..post_in(hall, "open") };
    let open = harness.create_post(&person(1), open).await.unwrap().id;
    assert_eq!(code(harness.post(Some(person(2)), open).await), "ok");
    let hide = GroupPatch { is_private: Some(true), ..GroupPatch::default() };
    harness.change_group(&person(1), hall, hide, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.post(Some(person(2)), open).await), "post_not_found");
}

#[tokio::test]
async fn feeds_hold_what_their_names_say() {
    let harness = community().await;
    let posts = everything(&harness).await;
    let id = |group, label| posts[&(group, label)];
    harness.follow(&person(3), UserId(1), true).await.unwrap();
    assert_eq!(read(&harness, 3, feed_of(FeedType::Global)).await, [id("none", "public"), id("hall", "public")]);
    assert_eq!(read(&harness, 2, feed_of(FeedType::Global)).await, [id("none", "public"), id("hall", "public")]);
    assert!(read(&harness, 3, feed_of(FeedType::JoinedGroups)).await.is_empty());
    let joined = read(&harness, 2, feed_of(FeedType::JoinedGroups)).await;
    assert_eq!(joined.len(), 9);
    assert!(!joined.contains(&id("none", "public")) && !joined.contains(&id("den", "private")));
    let asked = FeedFilter { joined_groups: Some(true), ..FeedFilter::default() };
    assert_eq!(read(&harness, 2, asked).await, joined);
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
async fn the_feed_of_a_group_is_for_those_who_may_read_it() {
    let harness = community().await;
    let posts = everything(&harness).await;
    let group_of = |post: PostId| {
        let harness = &harness;
        async move { harness.post(Some(person(1)), post).await.unwrap().group.unwrap() }
    };
    let (hall, den, club) = (
        group_of(posts[&("hall", "public")]).await,
        group_of(posts[&("den", "public")]).await,
        group_of(posts[&("club", "public")]).await,
    );
    let of = |group: GroupId| FeedFilter { group: Some(group), ..FeedFilter::default() };
    let outcome = async |user: i64, group: GroupId| {
        code(harness.feed(Some(person(user)), of(group), SliceQuery::newest(10)).await)
    };
    assert_eq!(outcome(3, den).await, "group_not_found");
    assert_eq!(outcome(3, GroupId(999)).await, "group_not_found");
    assert_eq!(outcome(3, club).await, "not_member");
    assert_eq!(read(&harness, 3, of(hall)).await, [posts[&("hall", "public")]]);
    assert_eq!(read(&harness, 2, of(den)).await.len(), 3);
}

#[tokio::test]
async fn reading_on_shows_each_post_once_while_others_are_written() {
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
            at => post_in(groups[at], "in"),
        };
        let author = if n % 4 == 2 { 2 } else { 1 };
        let made = harness.create_post(&person(author), new).await.unwrap();
        written.insert(0, (made.id, made.group.is_some()));
    }
    let newest = written[0].0;
    for filter in [FeedFilter::default(), feed_of(FeedType::JoinedGroups)] {
        let mut seen = Vec::new();
        let mut slice = harness.feed(Some(person(1)), filter.clone(), SliceQuery::newest(7)).await.unwrap();
        loop {
            seen.extend(slice.results.iter().map(|post| post.id));
            harness.create_post(&person(2), post_in(groups[2], "meanwhile")).await.unwrap();
            let Some(last) = slice.results.last().filter(|_| slice.next.is_some()) else { break };
            let on = SliceQuery::before(last.id.0, 7);
            slice = harness.feed(Some(person(1)), filter.clone(), on).await.unwrap();
        }
        seen.retain(|id| *id <= newest);
        let wanted = written.iter().filter(|(_, in_group)| *in_group || filter.feed_type.is_none());
        assert_eq!(seen, wanted.map(|(id, _)| *id).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn one_person_makes_one_thing_of_a_post() {
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
    assert_eq!(harness.rows("community_reaction").await, 2, "it was something else");
    let shown = harness.toggle_reaction(&person(2), id, "love".into()).await.unwrap();
    assert_eq!((shown.reactions.len(), shown.my_reaction), (1, None));
    let shown = harness.toggle_reaction(&person(2), id, "🎉".into()).await.unwrap();
    assert_eq!(shown.my_reaction.as_deref(), Some("🎉"));
    assert_eq!(code(harness.react(&person(2), id, "meh".into()).await), "invalid");
    harness.assert_counted().await;
}

#[tokio::test]
async fn forty_reactions_at_once_are_forty() {
    let harness = with_connections(8).await;
    let id = harness.create_post(&person(1), post("x")).await.unwrap().id;
    let callers: Vec<_> = (1..=40).map(person).collect();
    let kinds = ["like", "love", "🎉"];
    let reactions = callers.iter().enumerate().map(|(n, caller)| harness.react(caller, id, kinds[n % 3].into()));
    futures_util::future::join_all(reactions).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let shown = harness.post(Some(person(1)), id).await.unwrap();
    assert_eq!(shown.reactions.values().sum::<i64>(), 40);
    harness.assert_counted().await;
}

#[tokio::test]
async fn comments_stand_in_threads() {
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
    let answer = write(1, "answer", Some(first.id)).await.unwrap();
    assert_eq!((answer.parent, answer.depth), (Some(first.id), 1));
    assert_eq!(harness.rows("community_mention").await, 1, "only who can read it is named");
    assert_eq!(code(write(3, "x", None).await), "post_not_found", "an outsider does not see it");
    let elsewhere = harness.create_post(&person(1), post("y")).await.unwrap().id;
    let crossed = NewComment { content: "x".into(), parent: Some(first.id) };
    assert_eq!(code(harness.create_comment(&person(1), elsewhere, crossed).await), "invalid");
    let mut parent = answer.id;
    for _ in 2..=8 {
        parent = write(1, "deeper", Some(parent)).await.unwrap().id;
    }
    assert_eq!(code(write(1, "too deep", Some(parent)).await), "invalid");
    assert_eq!(harness.post(Some(person(1)), id).await.unwrap().comment_count, 9);
    let answers = harness.comments(Some(person(1)), id, Some(first.id), SliceQuery::newest(10)).await.unwrap();
    assert_eq!(answers.results.iter().map(|comment| comment.id).collect::<Vec<_>>(), [answer.id]);

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
    let gone = harness.comment(Some(person(1)), first.id).await.unwrap();
    assert_eq!((gone.is_deleted, gone.author, gone.content.as_str()), (true, None, ""));
    assert_eq!(code(harness.delete_comment(&person(2), first.id).await), "comment_not_found");
    harness.delete_comment(&person(1), parent).await.unwrap();
    assert_eq!(harness.post(Some(person(1)), id).await.unwrap().comment_count, 7);
    harness.assert_counted().await;

    let lock = PostPatch { is_locked: Some(true), ..PostPatch::default() };
    assert_eq!(code(harness.change_post(&person(2), id, lock.clone(), IfMatch::default()).await), "not_moderator");
    harness.change_post(&person(1), id, lock, IfMatch::default()).await.unwrap();
    assert_eq!(code(write(2, "late", None).await), "post_locked");
    assert_eq!(code(write(1, "a last word", None).await), "ok");
}

#[tokio::test]
async fn polls_count_each_person_once() {
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
    harness.pass(Duration::from_secs(7200));
    assert_eq!(code(vote(2, one.id, &[0]).await), "poll_closed");
    let plain = harness.create_post(&person(1), post("x")).await.unwrap();
    assert_eq!(code(vote(2, plain.id, &[0]).await), "not_found");
    harness.assert_counted().await;
}

#[tokio::test]
async fn drafts_are_their_authors_alone_until_they_are_posted() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let draft = harness.save_draft(&person(1), NewPost { tags: vec!["a".into()], ..post_in(hall, "") }).await.unwrap();
    assert_eq!(code(harness.draft(&person(2), draft.id).await), "not_found");
    assert_eq!(code(harness.save_draft(&person(2), post_in(hall, "x")).await), "not_member");
    assert_eq!(code(harness.publish_draft(&person(1), draft.id).await), "invalid", "nothing in it yet");
    harness.change_draft(&person(1), draft.id, post_in(hall, "ready")).await.unwrap();
    assert!(harness.search(Some(person(1)), "ready".into(), 10).await.unwrap().posts.is_empty());
    assert_eq!(harness.drafts(&person(1), page()).await.unwrap().count, 1);
    let posted = harness.publish_draft(&person(1), draft.id).await.unwrap();
    assert_eq!((posted.content.as_str(), posted.group), ("ready", Some(hall)));
    assert_eq!(code(harness.publish_draft(&person(1), draft.id).await), "not_found");
    assert_eq!(harness.rows("community_draft").await, 0);
    harness.assert_counted().await;
}

#[tokio::test]
async fn posts_wait_where_moderators_let_them_through() {
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
    assert_eq!(harness.rows("community_post").await, 0);
    assert!(harness.create_post(&person(1), post_in(hall, "x")).await.unwrap().is_approved);
    let closed = harness.group_of(1, NewGroup { posting: Posting::Moderators, ..named("news") }).await;
    harness.add_member(closed, 2).await;
    assert_eq!(code(harness.create_post(&person(2), post_in(closed, "x")).await), "posting_closed");
    assert_eq!(code(harness.create_post(&person(1), post_in(closed, "x")).await), "ok");
    harness.assert_counted().await;
}

#[tokio::test]
async fn reports_reach_the_moderators_and_are_decided_once() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    for user in [2, 3, 4] {
        harness.add_member(hall, user).await;
    }
    let id = harness.create_post(&person(2), post_in(hall, "bad")).await.unwrap().id;
    let comment = NewComment { content: "worse".into(), parent: None };
    let comment = harness.create_comment(&person(2), id, comment).await.unwrap().id;
    let because = || NewReport { reason: "rude".into() };
    let first = harness.report_post(&person(3), id, because()).await.unwrap();
    assert_eq!(harness.report_post(&person(3), id, because()).await.unwrap().id, first.id, "said once");
    harness.report_post(&person(4), id, because()).await.unwrap();
    let about_comment = harness.report_comment(&person(3), comment, because()).await.unwrap();
    assert_eq!(harness.reports(&person(1), Some(hall), page()).await.unwrap().count, 3);
    assert_eq!(code(harness.reports(&person(3), Some(hall), page()).await), "not_moderator");
    assert_eq!(code(harness.reports(&person(1), None, page()).await), "not_staff");
    assert_eq!(harness.reports(&staff(9), None, page()).await.unwrap().count, 3);
    assert_eq!(code(harness.decide_report(&person(9), first.id, Verdict::Dismiss).await), "not_found");
    assert_eq!(code(harness.decide_report(&person(3), first.id, Verdict::Dismiss).await), "not_found");
    harness.decide_report(&person(1), about_comment.id, Verdict::Remove).await.unwrap();
    assert_eq!(harness.rows("community_comment").await, 0);
    harness.decide_report(&person(1), first.id, Verdict::Dismiss).await.unwrap();
    assert_eq!(code(harness.decide_report(&person(1), first.id, Verdict::Remove).await), "already_decided");
    assert_eq!(harness.reports(&person(1), Some(hall), page()).await.unwrap().count, 0);
    let again = harness.report_post(&person(3), id, because()).await.unwrap();
    harness.decide_report(&person(1), again.id, Verdict::Remove).await.unwrap();
    assert_eq!((harness.rows("community_post").await, harness.rows("community_report").await), (0, 0));
    let log = harness.log(&person(1), hall, SliceQuery::newest(10)).await.unwrap();
    let actions: Vec<&str> = log.results.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["removed_post", "dismissed_report", "removed_comment"]);
    harness.assert_counted().await;
}

#[tokio::test]
async fn a_post_is_changed_by_its_author_and_ordered_by_moderators() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let made = harness.create_post(&person(2), NewPost { tags: vec!["a".into()], ..post_in(hall, "x") }).await.unwrap();
    let says = |content: &str| PostPatch { content: Some(content.into()), ..PostPatch::default() };
    let pin = PostPatch { is_pinned: Some(true), ..PostPatch::default() };
    assert_eq!(code(harness.change_post(&person(1), made.id, says("y"), IfMatch::default()).await), "not_author");
    assert_eq!(code(harness.change_post(&person(2), made.id, pin.clone(), IfMatch::default()).await), "not_moderator");
    let known = IfMatch::only(made.updated_at.into());
    let patch = PostPatch { tags: Some(vec!["b".into()]), ..says("see @person-1") };
    let changed = harness.change_post(&person(2), made.id, patch, known.clone()).await.unwrap();
    assert_eq!((changed.tags.as_slice(), changed.mentions.len()), (&["b".to_owned()][..], 1));
    assert_eq!(code(harness.change_post(&person(2), made.id, says("z"), known).await), "stale");
    let much_of_little = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    assert_eq!(
        code(harness.change_post(&person(2), made.id, says(&much_of_little), IfMatch::default()).await),
        "invalid"
    );
    assert!(harness.change_post(&person(1), made.id, pin, IfMatch::default()).await.unwrap().is_pinned);
    let found = |words: &str| harness.search(Some(person(2)), words.to_owned(), 10);
    assert_eq!(found("person").await.unwrap().posts.len(), 1);
    assert!(found("nothing").await.unwrap().posts.is_empty());
    assert_eq!(code(harness.delete_post(&person(9), made.id, IfMatch::default()).await), "post_not_found");
    harness.delete_post(&person(1), made.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.log(&person(1), hall, SliceQuery::newest(1)).await.unwrap().results[0].action, "removed_post");
    assert!(found("person").await.unwrap().posts.is_empty(), "it left the index with the post");
    harness.assert_counted().await;
}

#[tokio::test]
async fn a_post_that_is_closed_names_nobody_who_cannot_read_it() {
    let harness = community().await;
    let closing = PostPatch { visibility: Some(Visibility::Private), ..PostPatch::default() };
    for patch in [closing.clone(), PostPatch { content: Some("changed".into()), ..closing }] {
        let open = harness.create_post(&person(1), post("see @person-2")).await.unwrap();
        let comment = NewComment { content: "and @person-3".to_owned(), parent: None };
        harness.create_comment(&person(1), open.id, comment).await.unwrap();
        assert_eq!(harness.rows("community_mention").await, 2);
        harness.change_post(&person(1), open.id, patch, IfMatch::default()).await.unwrap();
        assert_eq!(harness.rows("community_mention").await, 0);
    }
}

#[tokio::test]
async fn fault_r28_words_are_found_within_writing_without_spaces() {
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
async fn words_are_found_in_any_spelling_and_nothing_typed_is_a_query() {
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
async fn files_come_with_a_post_and_go_with_it() {
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
    assert_eq!((harness.stored_files(), harness.rows("kernel_file").await), (2, 1));
    harness.delete_post(&person(1), id, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.rows("kernel_file").await), (0, 0));
    assert_eq!(harness.rows("kernel_file_garbage").await, 0);
    let many = harness.create_post(&person(1), post("x")).await.unwrap().id;
    for n in 0..10 {
        harness.attach(&person(1), many, upload(&format!("{n}"), "text/plain", "x")).await.unwrap();
    }
    assert_eq!(code(harness.attach(&person(1), many, upload("11", "text/plain", "x")).await), "invalid");
}

#[tokio::test]
async fn a_group_has_a_picture_of_its_own_until_it_is_taken_down() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let put = |user: i64, bytes: Vec<u8>| {
        let harness = &harness;
        async move { harness.set_picture(&person(user), hall, PictureKind::Image, bytes.into()).await }
    };
    assert_eq!(code(put(2, png()).await), "not_moderator");
    assert_eq!(code(put(9, png()).await), "not_member");
    assert_eq!(code(put(1, b"no picture".to_vec()).await), "invalid");
    assert_eq!(harness.stored_files(), 0);
    let shown = put(1, png()).await.unwrap();
    assert!(shown.image_url.contains("/api/files/") && shown.image_urls.is_some());
    assert_eq!(harness.stored_files(), 3);
    put(1, png()).await.unwrap();
    harness.set_picture(&person(1), hall, PictureKind::Banner, png().into()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.rows("kernel_file").await), (6, 2), "the one before is gone");
    harness.remove_picture(&person(1), hall, PictureKind::Image).await.unwrap();
    let shown = harness.group(Some(person(2)), hall).await.unwrap();
    assert!(shown.image_url.contains("/pictures/") && shown.image_urls.is_none() && shown.banner_url.is_some());
    harness.delete_group(&person(1), hall, IfMatch::default()).await.unwrap();
    harness.files.collect().await.unwrap();
    assert_eq!((harness.stored_files(), harness.rows("kernel_file").await), (0, 0));
}

#[tokio::test]
async fn a_page_that_is_linked_shows_what_it_is_about() {
    use guildhall_kernel::web::{Page, Unreached, Web};

    struct Pages;

    #[async_trait::async_trait]
    impl Web for Pages {
        async fn page(&self, url: &str) -> Result<Page, Unreached> {
            match url {
                "https://example.com/a" => {
                    let html = "<title>About <b>a</title><meta property=\"og:description\" content=\"All of it\">";
                    Ok(Page { url: url.to_owned(), html: html.to_owned() })
                }
                "https://example.com/later" => Err(Unreached::ForNow("busy".into())),
                _ => Err(Unreached::ForGood("private".into())),
            }
        }
    }

    let settings = guildhall_community::Settings::default();
    let harness = with(1, settings, Some(std::sync::Arc::new(Pages))).await;
    let text = "https://example.com/a and http://169.254.169.254/ and https://example.com/later";
    let id = harness.create_post(&person(1), post(text)).await.unwrap().id;
    assert_eq!(harness.fetch_previews().await.unwrap(), 3);
    let shown = harness.post(Some(person(2)), id).await.unwrap().link_previews;
    assert_eq!(
        (shown.len(), shown[0].url.as_str(), shown[0].description.as_str()),
        (1, "https://example.com/a", "All of it")
    );
    assert_eq!(harness.fetch_previews().await.unwrap(), 0, "not at once again");
    harness.pass(Duration::from_secs(3600));
    assert_eq!(harness.fetch_previews().await.unwrap(), 1);
}

/// A group with something of every kind in it.
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

/// How many rows each table of the community has.
async fn census(harness: &Harness) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for model in guildhall_community::admin() {
        rows.insert(model.table.clone(), harness.rows(&model.table).await);
    }
    rows
}

#[tokio::test]
async fn a_group_goes_whole_while_fifty_others_write_to_it() {
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
    let post = harness.feed(Some(person(1)), FeedFilter::default(), SliceQuery::newest(1)).await.unwrap().results[0].id;
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
            let known =
                ["ok", "group_not_found", "post_not_found", "not_member", "not_author", "not_found", "conflict"];
            assert!(known.contains(&outcome.as_str()), "{n}: {outcome}");
        }
    });
    let owner = person(1);
    let deletion = async { harness.delete_group(&owner, den, IfMatch::default()).await.unwrap() };
    tokio::join!(futures_util::future::join_all(writes), deletion);
    let mut left = census(&harness).await;
    assert_eq!(left.remove("community_course"), Some(1), "courses stay");
    assert!(left.values().all(|rows| *rows == 0), "{left:?}");
    harness.pass(Duration::from_secs(7200));
    harness.files.collect().await.unwrap();
    assert_eq!((harness.rows("kernel_file").await, harness.stored_files()), (0, 0));
    assert_eq!(harness.rows("kernel_file_garbage").await, 0);
}

#[tokio::test]
async fn a_feed_costs_the_same_statements_whatever_its_length() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    let mut costs = Vec::new();
    for n in 0..30 {
        let new = if n % 2 == 0 { post("x") } else { NewPost { tags: vec!["t".into()], ..post_in(hall, "x") } };
        harness.create_post(&person(1), new).await.unwrap();
        if n == 1 || n == 29 {
            let before = harness.db.statements();
            harness.feed(Some(person(1)), FeedFilter::default(), SliceQuery::newest(100)).await.unwrap();
            costs.push(harness.db.statements() - before);
        }
    }
    // The posts; and of those that have more than text: tags, files, previews, mentions, polls.
    assert_eq!(costs, [6, 6]);
    let plain = FeedFilter { author: Some(UserId(1)), group: None, category: None, ..FeedFilter::default() };
    harness.sql("UPDATE community_post SET has_extras = false").await.unwrap();
    let before = harness.db.statements();
    harness.feed(Some(person(1)), plain, SliceQuery::newest(100)).await.unwrap();
    assert_eq!(harness.db.statements() - before, 1);
}

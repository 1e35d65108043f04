use guildhall_community::{
    Attachments, Bookmarks, Comments, Feed, FeedFilter, Groups, Moderation, NewComment, NewPoll, NewPost, NewReport,
    Polls, PostCategory, PostId, PostPatch, Posts, Reactions, Reports, Search, Visibility, Vote,
};
use guildhall_kernel::{CursorQuery, IfMatch, UserId};

use crate::{
    feed::read,
    fixtures::{groups_with_posts, page, upload},
    harness::{code, community, listed, named, person, post, post_in, private, public, staff},
};

#[tokio::test]
async fn a_post_is_stored_and_rendered() {
    let harness = community().await;
    let new = NewPost {
        title: " On *stars* ".into(),
        tags: vec!["#Sky".into(), "night".into(), "sky".into()],
        category: PostCategory::Question,
        ..post("Look at **them**, @person-2 and @nobody: <script>alert(1)</script>")
    };
    let created = harness.posts.create_post(&person(1), new).await.unwrap();
    assert_eq!((created.title.as_str(), created.visibility, created.group), ("On *stars*", Visibility::Public, None));
    assert!(created.content_html.contains("<strong>them</strong>") && !created.content_html.contains("<script"));
    assert_eq!(created.tags, ["sky", "night"]);
    assert_eq!(created.mentions.iter().map(|person| person.id.0).collect::<Vec<_>>(), [2]);
    assert_eq!(created.author.as_ref().unwrap().id, UserId(1));
    assert_eq!(harness.posts.post(Some(person(2)), created.id).await.unwrap(), created);
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
    assert_eq!(code(harness.posts.create_post(&person(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(code(harness.posts.create_post(&person(2), post_in(den, "hi")).await), "group_not_found");
    assert_eq!(code(harness.posts.create_post(&person(2), post_in(club, "hi")).await), "not_member");
    assert_eq!(code(harness.posts.create_post(&staff(2), post_in(hall, "hi")).await), "not_member");
    assert_eq!(harness.db.count_rows("community_membership").await, 3);
    assert_eq!(harness.db.count_rows("community_post").await, 0);
    let created = harness.posts.create_post(&person(1), post_in(hall, "hi")).await.unwrap();
    assert_eq!(created.visibility, Visibility::GroupOnly);
    assert_eq!(harness.groups.group(Some(person(1)), hall).await.unwrap().post_count, Some(1));
    let without_group = NewPost { visibility: Some(Visibility::GroupOnly), ..post("x") };
    assert_eq!(code(harness.posts.create_post(&person(1), without_group).await), "invalid");
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
        assert_eq!(code(harness.posts.create_post(&person(1), new.clone()).await), "invalid", "{new:?}");
    }
    assert_eq!(harness.db.count_rows("community_post").await, 0);
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
        let feed = harness.feed.feed(caller, FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
        assert_eq!(feed.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        let pages = harness.feed.feed_page(caller, FeedFilter::default(), page()).await.unwrap();
        assert_eq!(pages.results.iter().map(|post| post.id).collect::<Vec<_>>(), expected, "{user}");
        assert_eq!(usize::try_from(pages.count).unwrap(), expected.len());
        for (key, id) in &posts {
            let readable = may_read(user, *key);
            let outcome = code(harness.posts.post(caller, *id).await);
            assert_eq!(outcome, if readable { "ok" } else { "post_not_found" }, "{user} {key:?}");
            let comments = code(harness.posts.comments(caller, *id, None, CursorQuery::newest(10)).await);
            assert_eq!(comments, outcome, "{user} {key:?}");
            let found = harness.feed.search(caller, key.1.into(), 100).await.unwrap();
            assert_eq!(found.posts.iter().any(|post| post.id == *id), readable, "{user} {key:?}");
            let Some(caller) = caller else { continue };
            let bookmarked = code(harness.feed.bookmark(&caller, *id, true).await);
            assert_eq!(bookmarked, outcome, "{user} {key:?}");
            let reported = harness.moderation.report_post(&caller, *id, NewReport { reason: "x".into() }).await;
            assert_eq!(code(reported), outcome, "{user} {key:?}");
            if !readable {
                let codes = [
                    code(harness.posts.react(&caller, *id, "like".into()).await),
                    code(
                        harness
                            .posts
                            .create_comment(&caller, *id, NewComment { content: "x".into(), parent: None })
                            .await,
                    ),
                    code(harness.posts.change_post(&caller, *id, PostPatch::default(), IfMatch::default()).await),
                    code(harness.posts.delete_post(&caller, *id, IfMatch::default()).await),
                    code(harness.posts.attach(&caller, *id, upload("x", "text/plain", "x")).await),
                    code(harness.posts.vote(&caller, *id, Vote { options: vec![] }).await),
                ];
                assert!(codes.iter().all(|code| code == "post_not_found"), "{user} {key:?} {codes:?}");
            }
        }
        if let Some(caller) = caller {
            let bookmarks = harness.feed.bookmarks(&caller, CursorQuery::newest(100)).await.unwrap();
            assert_eq!(bookmarks.results.len(), expected.len(), "{user}");
        }
    }
    let staff_sees = harness.feed.feed(Some(staff(9)), FeedFilter::default(), CursorQuery::newest(100)).await.unwrap();
    let private = posts.keys().filter(|(_, label)| *label == "private").count();
    assert_eq!(staff_sees.results.len(), posts.len() - private, "private posts are visible to their author only");
}

#[tokio::test]
async fn authors_edit_posts_and_moderators_pin_them() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.add_member(hall, 2).await;
    let created =
        harness.posts.create_post(&person(2), NewPost { tags: vec!["a".into()], ..post_in(hall, "x") }).await.unwrap();
    let with_content = |content: &str| PostPatch { content: Some(content.into()), ..PostPatch::default() };
    let pin = PostPatch { is_pinned: Some(true), ..PostPatch::default() };
    assert_eq!(
        code(harness.posts.change_post(&person(1), created.id, with_content("y"), IfMatch::default()).await),
        "not_author"
    );
    assert_eq!(
        code(harness.posts.change_post(&person(2), created.id, pin.clone(), IfMatch::default()).await),
        "not_moderator"
    );
    let known = IfMatch::only(created.updated_at.into());
    let patch = PostPatch { tags: Some(vec!["b".into()]), ..with_content("see @person-1") };
    let changed = harness.posts.change_post(&person(2), created.id, patch, known.clone()).await.unwrap();
    assert_eq!((changed.tags.as_slice(), changed.mentions.len()), (&["b".to_owned()][..], 1));
    assert_eq!(code(harness.posts.change_post(&person(2), created.id, with_content("z"), known).await), "stale");
    let expanding = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    assert_eq!(
        code(harness.posts.change_post(&person(2), created.id, with_content(&expanding), IfMatch::default()).await),
        "invalid"
    );
    assert!(harness.posts.change_post(&person(1), created.id, pin, IfMatch::default()).await.unwrap().is_pinned);
    let search = |words: &str| harness.feed.search(Some(person(2)), words.to_owned(), 10);
    assert_eq!(search("person").await.unwrap().posts.len(), 1);
    assert!(search("nothing").await.unwrap().posts.is_empty());
    assert_eq!(code(harness.posts.delete_post(&person(9), created.id, IfMatch::default()).await), "post_not_found");
    harness.posts.delete_post(&person(1), created.id, IfMatch::default()).await.unwrap();
    assert_eq!(
        harness.moderation.log(&person(1), hall, CursorQuery::newest(1)).await.unwrap().results[0].action,
        "removed_post"
    );
    assert!(search("person").await.unwrap().posts.is_empty(), "deleting a post removes it from the index");
    harness.assert_counters().await;
}

#[tokio::test]
async fn making_a_post_private_removes_mentions_of_others() {
    let harness = community().await;
    let closing = PostPatch { visibility: Some(Visibility::Private), ..PostPatch::default() };
    for patch in [closing.clone(), PostPatch { content: Some("changed".into()), ..closing }] {
        let open = harness.posts.create_post(&person(1), post("see @person-2")).await.unwrap();
        let comment = NewComment { content: "and @person-3".to_owned(), parent: None };
        harness.posts.create_comment(&person(1), open.id, comment).await.unwrap();
        assert_eq!(harness.db.count_rows("community_mention").await, 2);
        harness.posts.change_post(&person(1), open.id, patch, IfMatch::default()).await.unwrap();
        assert_eq!(harness.db.count_rows("community_mention").await, 0);
    }
}

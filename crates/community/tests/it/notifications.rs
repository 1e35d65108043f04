use std::collections::HashSet;

use guildhall_community::{CommentId, Comments, GroupId, Invites, NewComment, PostId, Posts};
use guildhall_kernel::{UserId, testing::assert_plans};

use crate::{
    fixtures::{for_person, groups_with_posts},
    harness::{Harness, community, listed, named, person, post, post_in, private},
};

async fn comment(harness: &Harness, user: i64, post: PostId, content: &str, parent: Option<CommentId>) -> CommentId {
    let new = NewComment { content: content.to_owned(), parent };
    harness.posts.create_comment(&person(user), post, new).await.unwrap().id
}

#[tokio::test]
async fn the_readable_posts_are_those_that_a_user_can_open() {
    let harness = community().await;
    let posts: Vec<PostId> = groups_with_posts(&harness).await.into_values().collect();
    let mut counts = Vec::new();
    for user in 1..=4 {
        let mut opened = HashSet::new();
        for post in &posts {
            if harness.posts.post(Some(person(user)), *post).await.is_ok() {
                opened.insert(*post);
            }
        }
        let readable = harness.readable_posts(UserId(user), &posts).await.unwrap();
        assert_eq!(readable, opened, "user {user}");
        counts.push(readable.len());
    }
    assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > 0, "{counts:?}");
    assert!(harness.readable_posts(UserId(1), &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_group_is_visible_to_those_who_find_it_and_to_those_with_a_valid_invite() {
    let harness = community().await;
    let mut groups = Vec::new();
    for new in [named("hall"), private("den"), listed("club")] {
        groups.push(harness.group_of(1, new).await);
    }
    let [hall, den, club] = *groups else { unreachable!() };
    harness.add_member(den, 2).await;
    let visible = async |user| harness.visible_groups(UserId(user), &groups).await.unwrap();
    assert_eq!(visible(2).await, HashSet::from([hall, den, club]));
    assert_eq!(visible(3).await, HashSet::from([hall, club]));
    let invite = harness.groups.invite(&person(1), den, for_person(3)).await.unwrap().id;
    assert_eq!(visible(3).await, HashSet::from([hall, den, club]));
    assert_eq!(visible(4).await, HashSet::from([hall, club]));
    harness.groups.revoke_invite(&person(1), den, invite).await.unwrap();
    assert_eq!(visible(3).await, HashSet::from([hall, club]));
    harness.groups.invite(&person(1), den, for_person(3)).await.unwrap();
    harness.clock.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    assert_eq!(visible(3).await, HashSet::from([hall, club]), "it has expired");
}

#[tokio::test]
async fn a_group_is_moderated_by_its_owner_and_its_moderators() {
    let harness = community().await;
    let (one, other) = (harness.group_of(1, named("one")).await, harness.group_of(2, named("other")).await);
    harness.add_member(one, 3).await;
    harness.add_moderator_to(one, 4).await;
    assert_eq!(harness.moderators_of(harness.db.conn(), one).await.unwrap(), [UserId(1), UserId(4)]);
    for (user, expected) in [(1, vec![one]), (2, vec![other]), (3, vec![]), (4, vec![one])] {
        let moderated = harness.moderated_groups(UserId(user), &[one, other]).await.unwrap();
        assert_eq!(moderated, expected.into_iter().collect(), "user {user}");
    }
    assert_eq!(harness.group_name(harness.db.conn(), other).await.unwrap().as_deref(), Some("other"));
    assert_eq!(harness.group_name(harness.db.conn(), GroupId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn posts_and_comments_are_described_by_their_authors_and_title() {
    let harness = community().await;
    let conn = harness.db.conn();
    let new = guildhall_community::NewPost { title: "Hello".into(), ..post("hi @person-5") };
    let id = harness.posts.create_post(&person(1), new).await.unwrap().id;
    let summary = harness.post_summary(conn, id).await.unwrap().unwrap();
    assert_eq!((summary.title.as_str(), summary.author, summary.is_approved), ("Hello", Some(UserId(1)), true));
    let first = comment(&harness, 2, id, "x", None).await;
    let reply = comment(&harness, 3, id, "y @person-6", Some(first)).await;
    let summary = harness.comment_summary(conn, reply).await.unwrap().unwrap();
    let authors = (summary.author, summary.parent_author, summary.post_author);
    assert_eq!(authors, (Some(UserId(3)), Some(UserId(2)), Some(UserId(1))));
    assert_eq!(summary.post_title, "Hello");
    assert_eq!(harness.comment_summary(conn, first).await.unwrap().unwrap().parent_author, None);
    assert_eq!(harness.mentioned_in_post(conn, id).await.unwrap(), [UserId(5)], "comments are left out");
    harness.posts.delete_comment(&person(2), first).await.unwrap();
    assert_eq!(harness.comment_summary(conn, first).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_asked_for_each_notification_uses_indexes() {
    let harness = community().await;
    let group = harness.group_of(1, named("hall")).await;
    let post = harness.posts.create_post(&person(1), post_in(group, "hi")).await.unwrap().id;
    let comment = comment(&harness, 1, post, "x", None).await;
    let (db, conn, user) = (&harness.db, harness.db.conn(), UserId(2));
    macro_rules! check_plans {
        ($what:literal, $run:expr) => {
            assert_plans(db, "community_", $what, async { $run.await.unwrap() }).await
        };
    }
    check_plans!("post", harness.post_summary(conn, post));
    check_plans!("comment", harness.comment_summary(conn, comment));
    check_plans!("mentioned", harness.mentioned_in_post(conn, post));
    check_plans!("name", harness.group_name(conn, group));
    check_plans!("moderators", harness.moderators_of(conn, group));
    check_plans!("posts", harness.readable_posts(user, &[post]));
    check_plans!("groups", harness.visible_groups(user, &[group]));
    check_plans!("moderated", harness.moderated_groups(user, &[group]));
}

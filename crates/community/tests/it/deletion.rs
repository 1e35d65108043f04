use std::{collections::BTreeMap, time::Duration};

use guildhall_community::{Attachments, Comments, Feed, FeedFilter, Groups, Members, NewComment, Posts, Reactions};
use guildhall_kernel::{CursorQuery, IfMatch};

use crate::{
    fixtures::{full_group, upload},
    harness::{Harness, code, person, post_in, with_connections},
};

/// The number of rows in each table of this crate.
async fn count_all_rows(harness: &Harness) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for model in guildhall_community::admin() {
        rows.insert(model.table.clone(), harness.db.count_rows(&model.table).await);
    }
    rows
}

#[tokio::test]
async fn a_group_is_deleted_completely_during_concurrent_writes() {
    let harness = with_connections(8).await;
    let den = full_group(&harness).await;
    let preview = harness.groups.preview_deletion(&person(1), den).await.unwrap();
    assert_eq!((preview.members, preview.moderators, preview.requests, preview.invites), (6, 2, 1, 2));
    assert_eq!((preview.bans, preview.posts, preview.comments, preview.reactions), (1, 1, 2, 1));
    assert_eq!((preview.attachments, preview.pictures, preview.courses, preview.events), (1, 2, 1, 1));
    assert_eq!(preview.reports, 2);
    assert_eq!(code(harness.groups.preview_deletion(&person(2), den).await), "not_group_owner");
    for user in 7..=29 {
        harness.add_member(den, user).await;
    }
    let post =
        harness.feed.feed(Some(person(1)), FeedFilter::default(), CursorQuery::newest(1)).await.unwrap().results[0].id;
    let callers: Vec<_> = (0..50).map(|n| person(2 + n % 28)).collect();
    let writes = callers.iter().enumerate().map(|(n, caller)| {
        let harness = &harness;
        async move {
            let outcome = match n % 5 {
                0 => code(harness.posts.create_post(caller, post_in(den, "more")).await),
                1 => code(
                    harness.posts.create_comment(caller, post, NewComment { content: "x".into(), parent: None }).await,
                ),
                2 => code(harness.posts.react(caller, post, "love".into()).await),
                3 => code(
                    harness.groups.join(&person(33 + i64::try_from(n).unwrap() % 20), den, None, String::new()).await,
                ),
                _ => code(harness.posts.attach(caller, post, upload("x", "text/plain", "x")).await),
            };
            let expected =
                ["ok", "group_not_found", "post_not_found", "not_member", "not_author", "not_found", "conflict"];
            assert!(expected.contains(&outcome.as_str()), "{n}: {outcome}");
        }
    });
    let owner = person(1);
    let deletion = async { harness.groups.delete_group(&owner, den, IfMatch::default()).await.unwrap() };
    tokio::join!(futures_util::future::join_all(writes), deletion);
    let mut remaining = count_all_rows(&harness).await;
    assert_eq!(remaining.remove("community_course"), Some(1), "courses are not deleted");
    assert!(remaining.values().all(|rows| *rows == 0), "{remaining:?}");
    harness.clock.advance(Duration::from_secs(7200));
    harness.files.collect().await.unwrap();
    assert_eq!((harness.db.count_rows("files_file").await, harness.stored_files()), (0, 0));
    assert_eq!(harness.db.count_rows("files_garbage").await, 0);
}

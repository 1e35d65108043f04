use std::collections::BTreeMap;

use guildhall_community::{Posts, Reactions};

use crate::harness::{code, community, person, post, with_connections};

#[tokio::test]
async fn a_user_has_one_reaction_per_post() {
    let harness = community().await;
    let id = harness.posts.create_post(&person(1), post("x")).await.unwrap().id;
    harness.posts.react(&person(1), id, "like".into()).await.unwrap();
    harness.posts.react(&person(2), id, "like".into()).await.unwrap();
    harness.posts.react(&person(2), id, "love".into()).await.unwrap();
    harness.posts.react(&person(2), id, "love".into()).await.unwrap();
    let shown = harness.posts.post(Some(person(2)), id).await.unwrap();
    assert_eq!(shown.reactions, BTreeMap::from([("like".into(), 1), ("love".into(), 1)]));
    assert_eq!(shown.my_reaction.as_deref(), Some("love"));
    harness.posts.unreact(&person(2), id, Some("like".into())).await.unwrap();
    assert_eq!(harness.db.count_rows("community_reaction").await, 2, "the reaction is of another kind");
    let shown = harness.posts.toggle_reaction(&person(2), id, "love".into()).await.unwrap();
    assert_eq!((shown.reactions.len(), shown.my_reaction), (1, None));
    let shown = harness.posts.toggle_reaction(&person(2), id, "🎉".into()).await.unwrap();
    assert_eq!(shown.my_reaction.as_deref(), Some("🎉"));
    assert_eq!(code(harness.posts.react(&person(2), id, "meh".into()).await), "invalid");
    harness.assert_counters().await;
}

#[tokio::test]
async fn concurrent_reactions_are_counted() {
    let harness = with_connections(8).await;
    let id = harness.posts.create_post(&person(1), post("x")).await.unwrap().id;
    let callers: Vec<_> = (1..=40).map(person).collect();
    let kinds = ["like", "love", "🎉"];
    let reactions = callers.iter().enumerate().map(|(n, caller)| harness.posts.react(caller, id, kinds[n % 3].into()));
    futures_util::future::join_all(reactions).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    let shown = harness.posts.post(Some(person(1)), id).await.unwrap();
    assert_eq!(shown.reactions.values().sum::<i64>(), 40);
    harness.assert_counters().await;
}

use guildhall_kernel::UserId;
use guildhall_messaging::{Blocks, ChosenPreferences, People, PreferencesPatch};

use crate::harness::{Harness, messaging, person};

async fn search(harness: &Harness, prefix: &str, limit: u64) -> Vec<i64> {
    let found = harness.search_users(&person(10), prefix.into(), limit).await.unwrap();
    found.into_iter().map(|person| person.id.0).collect()
}

#[tokio::test]
async fn p39_the_search_finds_neither_the_caller_nor_blocked_nor_hidden_nor_inactive_people() {
    let harness = messaging().await;
    assert_eq!(search(&harness, "person-1", 5).await, [1, 100, 101, 102, 103]);
    harness.block(&person(10), UserId(100)).await.unwrap();
    harness.block(&person(101), UserId(10)).await.unwrap();
    let hide = PreferencesPatch { is_discoverable: Some(false), ..PreferencesPatch::default() };
    harness.change_preferences(&person(102), hide).await.unwrap();
    assert_eq!(search(&harness, " PERSON-1", 3).await, [1, 103, 104]);
    assert!(search(&harness, "person-10", 50).await.iter().all(|id| *id >= 103));
    assert!(search(&harness, "person-99", 5).await.is_empty());
    assert!(search(&harness, "", 5).await.is_empty());
    assert!(search(&harness, "person-1@example.org", 5).await.is_empty());
}

#[tokio::test]
async fn the_search_goes_on_if_the_first_people_cannot_be_shown() {
    let harness = messaging().await;
    // The first hundred names in their order, and one more.
    let mut names: Vec<(String, i64)> =
        (1..=130).filter(|id| *id != 99).map(|id| (format!("person-{id}"), id)).collect();
    names.sort();
    let hide = PreferencesPatch { is_discoverable: Some(false), ..PreferencesPatch::default() };
    for (_, id) in names.iter().take(101).filter(|(_, id)| *id != 10) {
        harness.change_preferences(&person(*id), hide).await.unwrap();
    }
    assert_eq!(search(&harness, "person", 2).await, [names[101].1, names[102].1]);
}

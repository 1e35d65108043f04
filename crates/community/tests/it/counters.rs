use guildhall_community::Groups;

use crate::harness::{community, named, person};

#[tokio::test]
async fn a_wrong_counter_is_found_and_repaired() {
    let harness = community().await;
    let hall = harness.group_of(1, named("hall")).await;
    harness.db.sql("UPDATE community_group SET member_count = 7, post_count = 3").await.unwrap();
    let findings = harness.examine(false).await.unwrap();
    assert!(
        findings[0].is_error() && findings[0].message.contains("community_group.member_count in 1 rows"),
        "{findings:?}"
    );
    assert!(!harness.examine(true).await.unwrap()[0].is_error());
    harness.assert_counters().await;
    assert_eq!(harness.groups.group(Some(person(1)), hall).await.unwrap().member_count, Some(1));
}

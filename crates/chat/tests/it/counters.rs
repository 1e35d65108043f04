use guildhall_kernel::doctor::Finding;

use crate::harness::chat;

#[tokio::test]
async fn a_wrong_number_of_participants_is_found_and_repaired() {
    let harness = chat().await;
    let room = harness.room_of(1, &[2, 3]).await;
    let is_wrong = async |fix| harness.examine(fix).await.unwrap().iter().any(Finding::is_error);
    assert!(!is_wrong(false).await);
    harness.db.sql("UPDATE chat_room SET participant_count = 1, max_participants = 2").await.unwrap();
    assert!(is_wrong(false).await);
    assert!(!is_wrong(true).await);
    let card = harness.card(1, room).await;
    assert_eq!((card.participant_count, card.max_participants), (3, 3));
}

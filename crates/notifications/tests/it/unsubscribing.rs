use guildhall_notifications::{Error, Preferences, Unsubscribing};

use crate::harness::{Harness, mention, notifications, on_database, person};

/// The token of the link in an email to person 1.
async fn token(harness: &Harness) -> String {
    harness.happens(&mention(2, 7)).await;
    let email = harness.emails_after(3).await.remove(0);
    let path = email["unsubscribe_url"].as_str().unwrap().strip_prefix("https://example.org/unsubscribe/").unwrap();
    path.strip_suffix('/').unwrap().to_owned()
}

async fn sends_emails(harness: &Harness) -> bool {
    harness.service.notification_preferences(&person(1)).await.unwrap().sends_emails
}

#[tokio::test]
async fn unsubscribing_stops_all_emails_and_may_be_repeated() {
    let harness = notifications().await;
    let token = token(&harness).await;
    harness.happens(&mention(2, 8)).await;
    for _ in 0..2 {
        harness.service.unsubscribe(&token).await.unwrap();
        assert!(!sends_emails(&harness).await);
    }
    harness.happens(&mention(2, 9)).await;
    assert_eq!(harness.emails_after(60).await.len(), 1, "only the one with the link");
}

#[tokio::test]
async fn an_invalid_token_unsubscribes_nobody() {
    let harness = notifications().await;
    let token = token(&harness).await;
    for invalid in ["x".to_owned(), "A".repeat(54), token.replacen('A', "B", 1)] {
        assert!(!harness.service.is_unsubscribe_token(&invalid), "{invalid}");
        let refused = harness.service.unsubscribe(&invalid).await;
        assert!(matches!(refused, Err(Error::NotFound("link"))), "{refused:?}");
    }
    assert!(sends_emails(&harness).await);
}

#[tokio::test]
async fn the_link_of_a_deleted_account_is_not_valid() {
    let harness = notifications().await;
    let token = token(&harness).await;
    harness.db.sql("DELETE FROM people WHERE id = 1").await.unwrap();
    let refused = harness.service.unsubscribe(&token).await;
    assert!(matches!(refused, Err(Error::NotFound("link"))), "{refused:?}");
}

#[tokio::test]
async fn a_link_keeps_working_after_a_restart() {
    let harness = notifications().await;
    let token = token(&harness).await;
    assert!(harness.service.is_unsubscribe_token(&token));
    let restarted = on_database(harness.db, None).await;
    assert!(restarted.service.is_unsubscribe_token(&token));
}

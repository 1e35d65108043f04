use guildhall_kernel::IfMatch;
use guildhall_notifications::{
    Digest, NotificationKind, Notifications, Preferences, PreferencesPatch, ReadAll, Unsubscribing,
};
use serde_json::{Value, json};

use crate::harness::{Happened, Harness, happened, mention, notifications, person};

async fn prefer(harness: &Harness, patch: Value) {
    let patch: PreferencesPatch = serde_json::from_value(patch).unwrap();
    harness.service.change_notification_preferences(&person(1), patch, IfMatch::default()).await.unwrap();
}

fn text(email: &Value) -> &str {
    email["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_notification_is_sent_by_email_after_a_while() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    assert_eq!(harness.emails_after(1).await, [] as [Value; 0]);
    let emails = harness.emails_after(2).await;
    assert_eq!(emails.len(), 1);
    let email = &emails[0];
    assert_eq!(
        (&email["to"], &email["subject"]),
        (&json!("person-1@example.org"), &json!("person-2 mentioned you in a post"))
    );
    assert!(text(email).contains("Hello person-1,"), "{email}");
    assert!(text(email).contains("https://example.org/app/posts/7/"), "{email}");
    assert_eq!(harness.emails_after(60).await.len(), 1, "once");
}

#[tokio::test]
async fn an_email_has_the_url_that_unsubscribes() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    let email = harness.emails_after(3).await.remove(0);
    let url = email["unsubscribe_url"].as_str().unwrap();
    let token = url.strip_prefix("https://example.org/unsubscribe/").unwrap().trim_end_matches('/');
    assert!(harness.service.is_unsubscribe_token(token));
    assert!(text(&email).contains(url) && email["html"].as_str().unwrap().contains(url), "{email}");
    // What the mailer reads.
    let mail: guildhall_kernel::mail::Mail = serde_json::from_value(email.clone()).unwrap();
    assert_eq!((mail.to.as_str(), mail.unsubscribe_url.as_deref()), ("person-1@example.org", Some(url)));
}

#[tokio::test]
async fn several_notifications_are_one_email() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    harness.happens(&mention(3, 7)).await;
    harness.happens(&mention(4, 8)).await;
    let emails = harness.emails_after(3).await;
    assert_eq!(emails.len(), 1);
    assert_eq!(emails[0]["subject"], "You have 2 new notifications");
    assert!(text(&emails[0]).contains("person-3 and 1 other mentioned you in a post"), "{}", emails[0]);
    assert!(text(&emails[0]).contains("person-4 mentioned you in a post"), "{}", emails[0]);
}

#[tokio::test]
async fn what_was_read_meanwhile_is_not_sent() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    harness.service.read_all_notifications(&person(1), ReadAll::default()).await.unwrap();
    assert_eq!(harness.emails_after(60).await, [] as [Value; 0]);
    assert_eq!(harness.db.count_rows("notifications_due").await, 0);
}

#[tokio::test]
async fn what_the_recipient_may_no_longer_see_is_not_sent() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    harness.posts.hide(1, 7);
    assert_eq!(harness.emails_after(60).await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_unread_notification_is_sent_once() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    harness.emails_after(3).await;
    harness.happens(&mention(3, 7)).await;
    assert_eq!(harness.emails_after(60).await.len(), 1);
}

#[tokio::test]
async fn frequent_kinds_are_not_sent_by_email_by_default() {
    let harness = notifications().await;
    harness.comment(2, 7).await;
    harness.happens(&happened(NotificationKind::Reaction, 1, Some(2), 7)).await;
    assert_eq!(harness.emails_after(60).await, [] as [Value; 0]);
    prefer(&harness, json!({"kinds": {"comment": {"email": true}}})).await;
    harness.comment(2, 8).await;
    assert_eq!(harness.emails_after(60).await.len(), 1);
}

#[tokio::test]
async fn emails_work_without_the_page() {
    let harness = notifications().await;
    prefer(&harness, json!({"kinds": {"mention": {"page": false}}})).await;
    harness.happens(&mention(2, 7)).await;
    harness.happens(&mention(3, 7)).await;
    assert_eq!(harness.unread(1).await, 0);
    let emails = harness.emails_after(3).await;
    assert_eq!(emails[0]["subject"], "You have 2 new notifications");
}

#[tokio::test]
async fn who_turns_emails_off_gets_none() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    prefer(&harness, json!({"sends_emails": false})).await;
    harness.happens(&mention(2, 8)).await;
    assert_eq!(harness.emails_after(60).await, [] as [Value; 0]);
}

#[tokio::test]
async fn emails_wait_for_the_end_of_the_quiet_hours() {
    let harness = notifications().await;
    // All of the day except its first hour.
    prefer(&harness, json!({"quiet_hours": {"from": "01:00", "until": "00:00"}})).await;
    harness.happens(&mention(2, 7)).await;
    let due = harness.db.query_i64("SELECT due_at FROM notifications_due").await;
    let minute_of_day = due / 1_000_000 / 60 % (24 * 60);
    assert!(minute_of_day < 60, "{minute_of_day}");
}

#[tokio::test]
async fn a_digest_collects_what_has_happened() {
    let harness = notifications().await;
    prefer(&harness, json!({"digest": "daily", "time_zone": "Asia/Tokyo"})).await;
    let due = || harness.db.query_i64("SELECT MAX(due_at) FROM notifications_due");
    harness.happens(&mention(2, 7)).await;
    assert_eq!(due().await / 1_000_000 % (24 * 3600), 23 * 3600, "eight in the morning in Tokyo");
    harness.happens(&mention(2, 8)).await;
    let emails = harness.emails_after(24 * 60).await;
    assert_eq!(emails[0]["subject"], "Your daily digest: 2 notifications");
    assert_eq!(harness.service.notification_preferences(&person(1)).await.unwrap().digest, Digest::Daily);
}

#[tokio::test]
async fn a_recipient_without_an_address_gets_no_email() {
    let harness = notifications().await;
    harness.db.sql("INSERT INTO people (id, name) VALUES (99, 'without address')").await.unwrap();
    harness.happens(&Happened { recipients: vec![99], ..mention(2, 7) }).await;
    assert_eq!(harness.emails_after(3).await, [] as [Value; 0]);
    assert_eq!(harness.unread(99).await, 1);
}

#[tokio::test]
async fn an_address_gets_a_limited_number_of_emails_a_day_and_the_rest_later() {
    let harness = notifications().await;
    for post in 1..=22 {
        harness.happens(&mention(2, post)).await;
        harness.emails_after(3).await;
    }
    assert_eq!(harness.outgoing("mail").await.len(), 20);
    let emails = harness.emails_after(24 * 60).await;
    assert_eq!((emails.len(), &emails[20]["subject"]), (21, &json!("You have 2 new notifications")));
}

#[tokio::test]
async fn a_failure_of_one_recipient_does_not_hold_up_the_others() {
    let harness = notifications().await;
    harness.happens(&mention(2, 7)).await;
    let welcome = happened(NotificationKind::System, 3, None, 0);
    harness.happens(&welcome).await;
    harness.posts.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    let emails = harness.emails_after(3).await;
    assert_eq!((emails.len(), &emails[0]["to"]), (1, &json!("person-3@example.org")));
    harness.posts.is_down.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(harness.emails_after(120).await.len(), 2);
}

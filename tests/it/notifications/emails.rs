//! Emails about notifications.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture;

const PREFERENCES: &str = "/api/notifications/preferences/";

#[tokio::test]
async fn the_link_in_an_email_unsubscribes_with_one_click() {
    let fixture = fixture().await;
    let (server, anna) = (&fixture.server, &fixture.anna);
    // Only verified addresses get emails.
    server.sql("UPDATE users SET email_verified_at = 1").await;
    fixture.post("/messaging/api/send/", &fixture.ben, json!({"receiver_id": anna.id, "content": "hi"})).await;
    fixture.deliver().await;
    server.sql("UPDATE notifications_due SET due_at = 0").await;
    server.services().notifications.due_messages().send().await.unwrap();
    let emails = "SELECT payload FROM kernel_outbox WHERE payload LIKE '%unsubscribe_url%'";
    let email: String = server.query_one(emails).await.try_get_by_index(0).unwrap();
    let email: Value = serde_json::from_str(&email).unwrap();
    let url = email["unsubscribe_url"].as_str().unwrap();
    let path = &url[url.find("/unsubscribe/").unwrap()..];
    let sends_emails = async || server.get(PREFERENCES, &anna.token).await.json()["sends_emails"].clone();

    let page = server.get(path, "").await;
    assert_eq!((page.status.as_u16(), sends_emails().await), (200, json!(true)), "{}", page.text);
    let click = server.request(Method::POST, path).header("origin", "https://mail.example");
    let click = click.header("content-type", "application/x-www-form-urlencoded").body("List-Unsubscribe=One-Click");
    let page = server.send(click).await;
    assert_eq!((page.status.as_u16(), sends_emails().await), (200, json!(false)), "{}", page.text);
}

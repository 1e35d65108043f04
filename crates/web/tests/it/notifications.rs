//! Notifications and their settings.

use crate::harness::site;

#[tokio::test]
async fn notifications_are_listed_counted_and_read() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    site.notify().await;
    let page = browser.get("/notifications/").await;
    assert_eq!(page.find(".note-unread").len(), 1);
    assert!(
        page.text_of(".note").contains("Welcome <b>here</b>") && !page.text.contains("Welcome <b>"),
        "{}",
        page.text
    );
    assert_eq!(page.text_of("[data-count=notifications] .n"), "1");
    assert_eq!(browser.get("/notifications/?show=unread").await.find(".note").len(), 1);
    let counts = browser.get("/notifications/counts/").await;
    assert_eq!(counts.text, r#"{"messages":0,"notifications":1}"#);
    let action = page.find(".note form[action$='/read/']")[0].value().attr("action").unwrap().to_owned();
    assert_eq!(browser.submit(&page, &action, &[]).await.location(), "/notifications/");
    let page = browser.get("/notifications/?show=unread").await;
    assert!(page.find(".note").is_empty() && page.text.contains("You are up to date."));
}

#[tokio::test]
async fn the_addresses_in_notifications_lead_to_pages() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    for (address, page) in [
        ("/community/posts/7/", "/posts/7/"),
        ("/community/groups/7/", "/groups/7/"),
        ("/community/groups/7/requests/", "/groups/7/requests/"),
        ("/chat/7/", "/rooms/7/"),
    ] {
        assert_eq!(browser.get(address).await.location(), page);
    }
    assert_eq!(browser.get("/community/comments/7/").await.status, 404);
}

#[tokio::test]
async fn all_notifications_are_marked_as_read_at_once() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    site.notify().await;
    browser.fill("/notifications/", "/notifications/read-all/", &[]).await;
    assert!(browser.get("/notifications/").await.find(".note-unread").is_empty());
}

#[tokio::test]
async fn the_channels_of_each_kind_are_chosen() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let path = "/notifications/settings/";
    let page = browser.get(path).await;
    assert_eq!(page.find("input[name='mention.email'][checked]").len(), 1);
    let fields = [
        ("mention.page", "1"),
        ("digest", "weekly"),
        ("quiet_from", "22:00"),
        ("quiet_until", "07:00"),
        ("time_zone", "Europe/Vienna"),
    ];
    assert_eq!(browser.submit(&page, path, &fields).await.status, 303);
    let page = browser.get(path).await;
    assert!(page.find("input[name='mention.email'][checked]").is_empty());
    assert_eq!(page.find("input[name='mention.page'][checked]").len(), 1);
    assert_eq!(page.find("#digest option[selected]")[0].value().attr("value"), Some("weekly"));
    assert_eq!(page.find("#quiet_from")[0].value().attr("value"), Some("22:00"));
    let wrong =
        browser.submit(&page, path, &[("quiet_from", "22:00"), ("quiet_until", "22:00"), ("time_zone", "Mars")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.find("#time_zone-error").len()), (422, 1), "{}", wrong.text);
    assert_eq!(wrong.find("#time_zone")[0].value().attr("value"), Some("Mars"));
}

#[tokio::test]
async fn the_link_to_unsubscribe_needs_no_session_and_no_token() {
    let site = site().await;
    let page = site.visitor().get("/unsubscribe/bad/").await;
    assert!(page.status == 404 && page.text.contains("This link is not valid."), "{}", page.text);
    assert_eq!(site.visitor().post_raw("/unsubscribe/bad/", &[("List-Unsubscribe", "One-Click")]).await.status, 404);
}

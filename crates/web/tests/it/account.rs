//! The pages of the own account.

use guildhall_accounts::{Accounts, Sessions};
use guildhall_kernel::{CursorQuery, Roles};

use crate::{
    browser::Page,
    harness::{PASSWORD, URL, site},
};

/// A PNG file of one grey pixel.
const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\
    \x9bU\x00\x00\x00\x0aIDATx\x9cc\xa8\x07\x00\x00\x81\x00\x80\xd3\x94SJ\x00\x00\x00\x00IEND\xaeB`\x82";

#[tokio::test]
async fn names_are_changed_and_shown_everywhere() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("display_name", ""), ("first_name", "Anna"), ("last_name", "<Okafor>")];
    assert_eq!(browser.fill("/account/", "/account/", &fields).await.status, 303);
    let page = browser.get("/account/").await;
    assert_eq!(page.find("#display_name")[0].value().attr("value"), Some(""), "the full name was not chosen");
    assert_eq!(page.text_of(".sidebar-foot .word"), "Anna <Okafor>");
    let long = "x".repeat(151);
    let page = browser.fill("/account/", "/account/", &[("display_name", &long)]).await;
    assert_eq!(
        (page.status.as_u16(), page.text_of("#display_name-error")),
        (422, "At most 150 characters.".to_owned())
    );
}

#[tokio::test]
async fn a_picture_is_set_shown_everywhere_and_removed_by_its_owner_or_staff() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (_, berta) = site.signed_in("berta").await;
    let action = "/account/picture/";
    let refused = browser.upload(action, &[], &[("image", "a.png", "no picture")]).await;
    assert_eq!((refused.status.as_u16(), refused.find("#image-error").len()), (422, 1), "{}", refused.text);
    assert_eq!(browser.upload(action, &[], &[]).await.status, 422, "no file was chosen");
    assert_eq!(browser.upload_bytes(action, &[], &[("image", "a.png", PNG)]).await.location(), "/account/");
    let faces = |page: &Page| -> Vec<String> {
        page.find("main .avatar img").iter().map(|face| face.value().attr("src").unwrap().to_owned()).collect()
    };
    let own = faces(&browser.get("/account/").await);
    assert!(own[0].starts_with(&format!("{URL}/api/files/")), "{own:?}");
    let person = faces(&berta.get(&format!("/people/{}/", anna.user)).await);
    assert!(person.contains(&own[0]), "others see it: {person:?}");
    assert_eq!(browser.upload(action, &[("remove", "1")], &[]).await.location(), "/account/");
    assert!(faces(&browser.get("/account/").await).is_empty());

    browser.upload_bytes(action, &[], &[("image", "a.png", PNG)]).await;
    site.user_with("boss", Roles { superuser: true, ..Roles::default() }).await;
    let staff = site.visitor();
    staff.sign_in("boss").await;
    let path = format!("/admin/people/{}/picture/remove/", anna.user);
    let row = format!("/admin/users/{}/", anna.user);
    assert_eq!(staff.fill(&row, &path, &[]).await.location(), row);
    assert_eq!(staff.get(&row).await.find(&format!("form[action='{path}']")).len(), 0, "it has no picture any more");
}

#[tokio::test]
async fn a_changed_password_keeps_this_browser_and_ends_the_others() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let other = site.visitor();
    other.sign_in("anna").await;
    let wrong = [("current_password", "no"), ("new_password", "another horse é")];
    let page = browser.fill("/account/security/", "/account/password/", &wrong).await;
    assert_eq!(
        (page.status.as_u16(), page.text_of("#current_password-error")),
        (422, "This is not your password.".to_owned())
    );
    let right = [("current_password", PASSWORD), ("new_password", "another horse é")];
    let page = browser.fill("/account/security/", "/account/password/", &right).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(other.get("/").await.location(), "/login/");
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let other = site.visitor();
    other.sign_in("anna").await;
    let page = browser.get("/account/security/").await;
    let action = page.find("form[action$='/end/']")[0].value().attr("action").unwrap().to_owned();
    browser.submit(&page, &action, &[]).await;
    assert_eq!(other.get("/").await.location(), "/login/");
    let third = site.visitor();
    third.sign_in("anna").await;
    browser.fill("/account/security/", "/account/sessions/end-others/", &[]).await;
    assert_eq!(site.accounts.sessions(&anna, CursorQuery::newest(10)).await.unwrap().results.len(), 1);
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("name", "Calendar"), ("read_only", "1"), ("password", PASSWORD), ("expires_in_days", "30")];
    let page = browser.fill("/account/tokens/", "/account/tokens/", &fields).await;
    let token = page.find("input[readonly]")[0].value().attr("value").unwrap().to_owned();
    let page = browser.get("/account/tokens/").await;
    assert!(page.text.contains("Calendar") && !page.text.contains(&token));
    let action = page.find("form[action$='/revoke/']")[0].value().attr("action").unwrap().to_owned();
    browser.submit(&page, &action, &[]).await;
    assert!(browser.get("/account/tokens/").await.text.contains("No tokens yet."));
    let page = browser
        .fill("/account/tokens/", "/account/tokens/", &[("expires_in_days", "soon"), ("password", PASSWORD)])
        .await;
    assert_eq!((page.status.as_u16(), page.text_of("#expires_in_days-error")), (422, "Write a number.".to_owned()));
}

#[tokio::test]
async fn the_address_is_changed_after_it_was_confirmed() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("email", "new@example.org"), ("password", PASSWORD)];
    let page = browser.fill("/account/security/", "/account/email/", &fields).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert!(site.emails().await.iter().any(|text| text.contains("/email/verify/?token=")));
    assert!(browser.get("/account/security/").await.text.contains("anna@example.org"));
}

#[tokio::test]
async fn the_data_is_exported_as_a_file() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let file = browser.fill("/account/data/", "/account/data/export/", &[]).await;
    assert_eq!(file.headers["content-disposition"], "attachment; filename=\"account.json\"");
    assert!(file.text.contains("anna@example.org"));
}

#[tokio::test]
async fn an_account_is_deleted_with_its_password() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let page = browser.fill("/account/data/", "/account/data/erase/", &[("password", "no")]).await;
    assert_eq!((page.status.as_u16(), page.text_of("#password-error")), (422, "This is not your password.".to_owned()));
    let page = browser.submit(&page, "/account/data/erase/", &[("password", PASSWORD)]).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/login/"), "{}", page.text);
    assert!(site.accounts.me(&anna).await.is_err() && browser.cookie("session").is_none());
}

#[tokio::test]
async fn theme_language_and_zone_are_kept_by_the_browser() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let fields = [("theme", "dark"), ("language", "de"), ("zone", "Europe/Vienna")];
    let page = browser.fill("/menu/", "/appearance/", &fields).await;
    assert_eq!(page.location(), "/menu/");
    let page = browser.get("/menu/").await;
    assert_eq!(page.find("html")[0].value().attr("data-theme"), Some("dark"));
    assert_eq!(page.find("html")[0].value().attr("lang"), Some("de"));
    assert_eq!(page.find("#zone")[0].value().attr("value"), Some("Europe/Vienna"));
    assert_eq!(page.text_of("h1"), "Mehr");
    assert_eq!(page.find("body[data-keys=off]").len(), 1, "the box was not checked");
    browser.submit(&page, "/appearance/", &[("keys", "on")]).await;
    assert!(browser.get("/menu/").await.find("body[data-keys]").is_empty());
    browser.submit(&page, "/appearance/", &[("theme", "purple"), ("language", "x;y"), ("zone", "Mars")]).await;
    let page = browser.get("/menu/").await;
    assert_eq!(page.find("html")[0].value().attr("data-theme"), Some("dark"), "an unknown theme changes nothing");
}

#[tokio::test]
async fn pages_are_in_the_language_that_the_browser_prefers() {
    let browser = site().await.visitor();
    let request = axum::http::Request::get("/login/").header("accept-language", "de-AT,de;q=0.9,en;q=0.5");
    let page = browser.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!((page.find("html")[0].value().attr("lang"), page.text_of("h1")), (Some("de"), "Anmelden".to_owned()));
}

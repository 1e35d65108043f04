//! Signing in, creating an account, forgotten passwords, links in emails.

use guildhall_accounts::{Accounts, SecondFactors, TotpCode};
use guildhall_kernel::Timestamp;
use totp_rs::{Builder, Secret};

use crate::{
    browser::Browser,
    harness::{PASSWORD, Site, site},
};

#[tokio::test]
async fn pages_lead_to_signing_in_and_back() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    let page = browser.get("/groups/?q=a%26b").await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/login/?next=/groups/%3Fq%3Da%2526b"));
    let form = browser.follow(&page).await;
    let page = browser.submit(&form, "/login/", &[("username", "anna"), ("password", PASSWORD)]).await;
    assert_eq!(page.location(), "/groups/?q=a%26b");
    assert_eq!(browser.get("/login/").await.location(), "/", "whoever is signed in goes on");
}

#[tokio::test]
async fn signing_in_does_not_lead_to_another_site() {
    let site = site().await;
    site.user("anna").await;
    for next in ["//evil.example/", "https://evil.example/", "/\\evil.example"] {
        let browser = site.visitor();
        let form = browser.get("/login/").await;
        let fields = [("username", "anna"), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.submit(&form, "/login/", &fields).await.location(), "/");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    let mut texts = Vec::new();
    for name in ["anna", "nobody"] {
        let page = browser.fill("/login/", "/login/", &[("username", name), ("password", "wrong password")]).await;
        assert_eq!(page.status, 422);
        assert_eq!(page.find("input[name=username]")[0].value().attr("value"), Some(name));
        assert_eq!(page.find("input[name=password]")[0].value().attr("value"), None);
        assert!(!page.text.contains("wrong password"), "the password is not sent back");
        texts.push(page.text_of("[role=alert]"));
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[0].starts_with("This name and password"), "{}", texts[0]);
}

#[tokio::test]
async fn too_many_failures_say_how_long_to_wait() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    for _ in 0..6 {
        browser.fill("/login/", "/login/", &[("username", "anna"), ("password", "wrong")]).await;
    }
    let page = browser.fill("/login/", "/login/", &[("username", "anna"), ("password", PASSWORD)]).await;
    assert_eq!(page.status, 429);
    assert!(page.text_of("[role=alert]").contains("Try again in"), "{}", page.text_of("[role=alert]"));
}

#[tokio::test]
async fn an_account_is_created_and_signed_in() {
    let site = site().await;
    let browser = site.visitor();
    let fields = [("username", "anna"), ("email", "anna@example.org"), ("password", PASSWORD)];
    let page = browser.fill("/register/?next=/groups/", "/register/", &fields).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/groups/"), "{}", page.text);
    let home = browser.get("/").await;
    assert!(home.text.contains("Confirm your address"), "{}", home.text);
}

#[tokio::test]
async fn what_is_wrong_with_a_registration_is_shown_at_the_field() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    let fields = [("username", "be n"), ("email", "nowhere"), ("password", "short"), ("first_name", "<b>")];
    let page = browser.fill("/register/", "/register/", &fields).await;
    assert_eq!(page.status, 422);
    for field in ["username", "email", "password"] {
        assert_eq!(page.find(&format!("#{field}-error")).len(), 1, "{field}: {}", page.text);
        assert_eq!(page.find(&format!("#{field}[aria-invalid=true]")).len(), 1, "{field}");
    }
    assert_eq!(page.find("#first_name")[0].value().attr("value"), Some("<b>"));
    assert!(page.text_of("title").starts_with("Error:"));
    let fields = [("username", "Anna"), ("email", "other@example.org"), ("password", PASSWORD)];
    let page = browser.fill("/register/", "/register/", &fields).await;
    assert_eq!(page.text_of("#username-error"), "Somebody has this name already.");
}

fn token_in(email: &str) -> String {
    let rest = email.split("?token=").nth(1).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_with_a_link() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    let known = browser.fill("/password/forgot/", "/password/forgot/", &[("email", "anna@example.org")]).await;
    let unknown = browser.fill("/password/forgot/", "/password/forgot/", &[("email", "no@example.org")]).await;
    assert_eq!(known.text_of("main"), unknown.text_of("main"));
    let token = token_in(&site.emails().await[0]);
    let path = format!("/password/reset/?token={token}");
    let page = browser.get(&path).await;
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    let csrf = page.find("input[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    let send = async |password: &str| {
        let fields = [("csrf_token", csrf.as_str()), ("token", &token), ("new_password", password)];
        browser.post_raw("/password/reset/", &fields).await
    };
    let weak = send("password").await;
    assert_eq!((weak.status.as_u16(), weak.find("#new_password-error").len()), (422, 1), "{}", weak.text);
    assert_eq!(send("another horse é").await.text_of("h1"), "Your password was changed");
    assert_eq!(send("another horse é").await.text_of("h1"), "This link no longer works");
    let page = browser.fill("/login/", "/login/", &[("username", "anna"), ("password", "another horse é")]).await;
    assert_eq!(page.status, 303);
}

#[tokio::test]
async fn opening_the_link_in_an_email_changes_nothing_until_its_button_is_pressed() {
    let site = site().await;
    let browser = site.visitor();
    let fields = [("username", "anna"), ("email", "anna@example.org"), ("password", PASSWORD)];
    browser.fill("/register/", "/register/", &fields).await;
    let token = token_in(&site.emails().await[0]);
    let page = browser.get(&format!("/email/verify/?token={token}")).await;
    assert!(browser.get("/").await.text.contains("Confirm your address"));
    let csrf = page.find("input[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    let done = browser.post_raw("/email/verify/", &[("csrf_token", &csrf), ("token", &token)]).await;
    assert_eq!(done.text_of("h1"), "Your address is confirmed");
    assert!(!browser.get("/").await.text.contains("Confirm your address"));
}

/// The code of a second factor, some seconds from now.
fn totp_code(secret: &str, seconds: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(u64::try_from(Timestamp::now().unix_seconds()).unwrap() + seconds).to_string()
}

/// Sets up a second factor on its page; returns the secret and the recovery codes.
async fn set_up(browser: &Browser) -> (String, Vec<String>) {
    let fields = [("factor_password", PASSWORD)];
    let page = browser.fill("/account/security/", "/account/second-factor/start/", &fields).await;
    assert_eq!((page.status.as_u16(), page.find("svg.qr").len()), (200, 1), "{}", page.text);
    let secret = page.text_of("code.req");
    let wrong = browser.submit(&page, "/account/second-factor/", &[("code", "000000")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.text_of("code.req")), (422, secret.clone()));
    let page = browser.submit(&wrong, "/account/second-factor/", &[("code", &totp_code(&secret, 0))]).await;
    let codes = page.find("ol li").iter().map(|code| code.text().collect()).collect();
    (secret, codes)
}

async fn first_step(site: &Site) -> (Browser, crate::browser::Page) {
    let browser = site.visitor();
    let page = browser.fill("/login/?next=/groups/", "/login/", &[("username", "anna"), ("password", PASSWORD)]).await;
    assert_eq!((page.status.as_u16(), page.text_of("h1")), (200, "Second factor".to_owned()));
    (browser, page)
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_asked_for() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let (secret, codes) = set_up(&browser).await;
    assert_eq!(codes.len(), 10);
    assert!(site.accounts.second_factor_status(&anna).await.unwrap().since.is_some());
    assert!(browser.get("/account/security/").await.text.contains("10 recovery codes are left"));
    site.advance(30);
    let (browser, page) = first_step(&site).await;
    let wrong = browser.submit(&page, "/login/code/", &[("code", "000000")]).await;
    assert_eq!((wrong.status.as_u16(), wrong.find("#code-error").len()), (422, 1), "{}", wrong.text);
    let page = browser.submit(&wrong, "/login/code/", &[("code", &totp_code(&secret, 30))]).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/groups/"));
    let (browser, page) = first_step(&site).await;
    let page = browser.submit(&page, "/login/code/", &[("code", &codes[0])]).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let fields = [("factor_password", PASSWORD)];
    let page = browser.fill("/account/security/", "/account/second-factor/remove/", &fields).await;
    assert_eq!(page.status, 303, "{}", page.text);
    let error = site.accounts.confirm_totp(&anna, TotpCode { code: "1".into() }).await;
    assert!(error.is_err() && site.accounts.me(&anna).await.is_ok());
}

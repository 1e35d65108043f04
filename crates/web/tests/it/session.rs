//! The sessions of browsers, and the protection of their forms.

use axum::{
    body::Body,
    http::{Method, Request},
};
use guildhall_accounts::{Sessions, SignOutEverywhere};
use guildhall_kernel::CursorQuery;
use guildhall_messaging::Reading;

use crate::harness::{URL, site};

#[tokio::test]
async fn a_session_is_a_cookie_that_scripts_cannot_read() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    let page = browser.fill("/login/", "/login/", &[("username", "anna"), ("password", "correct horse é")]).await;
    let cookies: Vec<&str> = page.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let cookie = cookies.iter().find(|cookie| cookie.starts_with("__Host-session=")).unwrap();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=1000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_form_without_its_token_is_refused() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let page = browser.post_raw("/groups/new/", &[("name", "den")]).await;
    assert_eq!(page.status, 403);
    assert!(page.text_of("h1").contains("Not allowed"), "{}", page.text);
    let page = browser.post_raw("/groups/new/", &[("name", "den"), ("csrf_token", "forged")]).await;
    assert_eq!(page.status, 403);
    assert_eq!(browser.get("/groups/").await.find(".group-rows li").len(), 0);
}

#[tokio::test]
async fn a_script_gets_the_reason_of_every_error() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let ben = site.user("ben").await;
    let path = format!("/messaging/conversation/{}/", ben.user);
    let csrf = browser.csrf().await;
    let send = async |path: &str, csrf: &str, length: usize, name: &str, value: &str| {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let body = Body::from(format!("csrf_token={csrf}&content={}", "x".repeat(length)));
        let page = browser.send(request.header(name, value).body(body).unwrap()).await;
        let body: serde_json::Value = serde_json::from_str(&page.text).unwrap();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(page.headers["hx-reswap"], "none");
        (page.status.as_u16(), text("code"), text("reason"))
    };
    for (name, value) in [("accept", "application/json"), ("hx-request", "true")] {
        let refused = send(&path, "forged", 1, name, value).await;
        assert_eq!((refused.0, refused.1.as_str()), (403, "csrf_failed"));
        assert!(refused.2.starts_with("This form is out of date"), "{refused:?}");
        let large = send(&path, &csrf, 3_000_000, name, value).await;
        assert_eq!((large.0, large.2.as_str()), (413, "This is too large. Make it smaller, or share a link."));
        let (status, _, reason) = send("/messaging/conversation/999/", &csrf, 1, name, value).await;
        assert_eq!(status, 404);
        assert!(reason.starts_with("This page does not exist"), "{reason}");
    }
    assert_eq!(site.messaging.unread_count(&ben).await.unwrap(), 0, "nothing came from {}", anna.user);
}

#[tokio::test]
async fn the_token_of_another_session_is_refused() {
    let site = site().await;
    let (_, anna) = site.signed_in("anna").await;
    let (_, ben) = site.signed_in("ben").await;
    let stolen = ben.csrf().await;
    let page = anna.post_raw("/groups/new/", &[("name", "den"), ("csrf_token", &stolen)]).await;
    assert_eq!(page.status, 403);
}

#[tokio::test]
async fn a_request_that_another_site_causes_is_refused() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let csrf = browser.csrf().await;
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = Request::post("/groups/new/").header("content-type", "application/x-www-form-urlencoded");
        let body = Body::from(format!("csrf_token={csrf}&name=den"));
        let page = browser.send(request.header(header, value).body(body).unwrap()).await;
        assert_eq!(page.status, 403, "{header}");
    }
}

#[tokio::test]
async fn the_form_for_signing_in_needs_its_token_too() {
    let site = site().await;
    site.user("anna").await;
    let browser = site.visitor();
    browser.get("/login/").await;
    let page = browser.post_raw("/login/", &[("username", "anna"), ("password", "correct horse é")]).await;
    assert_eq!(page.status, 403);
    assert!(browser.cookie("session").is_none());
}

#[tokio::test]
async fn tokens_are_refreshed_when_they_expire() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let (before, csrf) = (browser.cookie("session").unwrap(), browser.csrf().await);
    site.advance(290);
    assert_eq!(browser.get("/").await.status, 200);
    assert_ne!(browser.cookie("session").unwrap(), before);
    assert_eq!(browser.csrf().await, csrf, "open forms stay valid");
}

#[tokio::test]
async fn two_requests_at_once_refresh_a_session_without_ending_it() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    site.advance(290);
    let (one, other) = tokio::join!(browser.get("/menu/"), browser.get("/groups/"));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));
    assert_eq!(browser.get("/").await.status, 200);
}

#[tokio::test]
async fn a_stolen_cookie_that_is_used_again_ends_the_session() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let stolen = browser.cookie("session").unwrap();
    site.advance(290);
    browser.get("/").await;
    site.advance(290);
    browser.get("/").await;
    let thief = site.visitor();
    thief.set_cookie("session", &stolen);
    assert_eq!(thief.get("/").await.location(), "/login/");
    assert_eq!(browser.get("/").await.location(), "/login/", "the owner is signed out as well");
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_is_over_at_once() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let which = SignOutEverywhere::default();
    site.accounts.sign_out_everywhere(&anna, which).await.unwrap();
    let page = browser.get("/groups/").await;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/login/?next=/groups/"));
    assert!(browser.cookie("session").is_none(), "the cookie is removed");
}

#[tokio::test]
async fn a_form_or_a_script_of_an_ended_session_leads_back_to_its_page() {
    let site = site().await;
    let browser = site.visitor();
    let send = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        browser.send(request.body(Body::empty()).unwrap()).await
    };
    let page = format!("{URL}/groups/?q=a#top");
    let form = send(Method::POST, "/groups/new/", &[("referer", &page)]).await;
    assert_eq!(form.location(), "/login/?next=/groups/%3Fq%3Da&typed=1");
    assert_eq!(send(Method::POST, "/groups/new/", &[]).await.location(), "/login/?next=/&typed=1");
    let partial = [
        ("hx-request", "true"),
        ("hx-request-type", "partial"),
        ("hx-target", "div#results"),
        ("hx-current-url", &page),
    ];
    let script = send(Method::GET, "/groups/", &partial).await;
    assert_eq!(script.status, 401);
    assert_eq!(script.headers["hx-redirect"], "/login/?next=/groups/%3Fq%3Da");
    let foreign = send(Method::POST, "/groups/new/", &[("referer", "https://evil.example//other.example/")]).await;
    assert_eq!(foreign.location(), "/login/?next=/&typed=1");
}

#[tokio::test]
async fn the_address_of_a_form_leads_to_the_page_above_it() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    assert_eq!(browser.get("/account/picture/").await.location(), "/account/");
    assert_eq!(browser.get("/posts/7/comments/").await.location(), "/posts/7/");
    assert_eq!(browser.get("/logout/").await.location(), "/");
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let site = site().await;
    let (anna, browser) = site.signed_in("anna").await;
    let cookie = browser.cookie("session").unwrap();
    let page = browser.fill("/menu/", "/logout/", &[]).await;
    assert_eq!(page.location(), "/login/");
    assert!(site.accounts.sessions(&anna, CursorQuery::newest(10)).await.unwrap().results.is_empty());
    browser.set_cookie("session", &cookie);
    assert_eq!(browser.get("/").await.location(), "/login/");
}

#[tokio::test]
async fn scripts_use_the_api_with_the_session_and_the_token() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let me = browser.script(Method::GET, "/api/auth/me/", "", None).await;
    assert!(me.status == 200 && me.text.contains("\"anna\""), "{}", me.text);
    let patch = r#"{"first_name": "Anna"}"#;
    let refused = browser.script(Method::PATCH, "/api/auth/me/", patch, None).await;
    assert!(refused.status == 403 && refused.text.contains("csrf_failed"), "{}", refused.text);
    let csrf = browser.csrf().await;
    assert_eq!(browser.script(Method::PATCH, "/api/auth/me/", patch, Some(&csrf)).await.status, 200);
    let anonymous = site.visitor().script(Method::GET, "/api/auth/me/", "", None).await;
    assert_eq!(anonymous.status, 401);
}

#[tokio::test]
async fn programs_with_a_token_need_no_cookie_and_get_none() {
    let site = site().await;
    site.user("anna").await;
    let issued = site.accounts.create_token_for("anna", guildhall_accounts::NewUserToken::default()).await.unwrap();
    let request = Request::patch("/api/auth/me/").header("authorization", format!("Token {}", issued.token));
    let request = request.header("content-type", "application/json").body(Body::from("{}")).unwrap();
    let answer = site.visitor().send(request).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn files_that_caches_keep_carry_no_session() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let page = browser.get("/").await;
    let style = page.find("link[rel=stylesheet]")[0].value().attr("href").unwrap().to_owned();
    site.advance(290);
    let file = browser.get(&style).await;
    assert!(file.status == 200 && !file.headers.contains_key("set-cookie"), "{:?}", file.headers);
    let page = browser.get("/").await;
    assert!(page.headers.contains_key("set-cookie"), "the tokens were due");
    assert_eq!(page.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_proxy_may_ask_for_a_password_of_its_own() {
    let site = site().await;
    let (_, browser) = site.signed_in("anna").await;
    let request = Request::get("/account/").header("authorization", "Basic YTpi").header("accept", "text/html");
    assert_eq!(browser.send(request.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn forms_with_files_are_for_users() {
    let site = site().await;
    let browser = site.visitor();
    let page = browser.get("/login/").await;
    let csrf = page.find("[name=csrf_token]")[0].value().attr("value").unwrap().to_owned();
    let part =
        |name: &str, value: &str| format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let body = format!("{}{}--x--\r\n", part("csrf_token", &csrf), part("username", "anna"));
    let request = Request::post("/login/").header("content-type", "multipart/form-data; boundary=x");
    assert_eq!(browser.send(request.body(Body::from(body)).unwrap()).await.status, 415);
}

//! Tests of the pages with mocked services.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::{body::Body, http::Request};
use guildhall_accounts::{Error, MockSecurity, MockTokens};
use guildhall_community::MockInvites;
use guildhall_kernel::testing::{Answer, TestClient};
use guildhall_web::{Web, router};

fn client(set_up: impl FnOnce(&mut MockSecurity)) -> TestClient {
    let mut security = MockSecurity::new();
    set_up(&mut security);
    client_with(security, MockTokens::new(), MockInvites::new())
}

fn client_with(security: MockSecurity, tokens: MockTokens, invites: MockInvites) -> TestClient {
    TestClient::new(router(Web {
        security: Arc::new(security),
        tokens: Arc::new(tokens),
        invites: Arc::new(invites),
        name: "Tom & Co".into(),
    }))
}

async fn send(client: &TestClient, path: &str, form: &'static str) -> Answer {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    client.send_raw(request.body(Body::from(form)).unwrap()).await
}

#[tokio::test]
async fn opening_a_link_changes_nothing() {
    let client = client(|_| ());
    for path in ["/email/verify/?token=abc%22%3E", "/password/reset/?token=abc%22%3E", "/email/verify/"] {
        let page = client.get(path).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<form method=\"post\">") && page.text.contains("Tom &#38; Co"), "{}", page.text);
        assert!(!page.text.contains("abc\">"), "the token is escaped");
        assert_eq!(page.headers["cache-control"], "no-store");
        assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    assert!(client.get("/pages/style.css").await.text.contains("prefers-color-scheme: dark"));
}

#[tokio::test]
async fn submitting_the_form_confirms_the_address() {
    let client = client(|security| {
        security.expect_confirm_email().returning(|token| match token {
            "good" => Ok(()),
            "late" => Err(Error::EmailTaken),
            _ => Err(Error::InvalidOneTimeToken),
        });
    });
    let page = send(&client, "/email/verify/", "token=good").await;
    assert_eq!((page.status.as_u16(), page.text.contains("Your address is confirmed")), (200, true));
    let page = send(&client, "/email/verify/", "token=used").await;
    assert_eq!((page.status.as_u16(), page.text.contains("no longer works")), (400, true));
    let page = send(&client, "/email/verify/", "token=late").await;
    assert_eq!((page.status.as_u16(), page.text.contains("is already in use")), (409, true));
}

#[tokio::test]
async fn sets_a_new_password_and_shows_errors_at_the_field() {
    let client = client(|security| {
        security.expect_reset_password().returning(|reset| match reset.new_password.as_str() {
            "weak" => Err(guildhall_kernel::Error::field("new_password", "This password is too common.").into()),
            "correct horse é" if reset.token == "good" => Ok(()),
            _ => Err(Error::InvalidOneTimeToken),
        });
    });
    let page = send(&client, "/password/reset/", "token=good&new_password=weak").await;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("<li>This password is too common.</li>") && page.text.contains("value=\"good\""));
    assert!(!page.text.contains("weak"), "the password is not sent back");
    let page = send(&client, "/password/reset/", "token=good&new_password=correct+horse+%C3%A9").await;
    assert_eq!((page.status.as_u16(), page.text.contains("Your password was changed")), (200, true));
    let page = send(&client, "/password/reset/", "token=used&new_password=x").await;
    assert_eq!((page.status.as_u16(), page.text.contains("no longer works")), (400, true));
}

#[tokio::test]
async fn an_invitation_asks_to_sign_in_and_shows_errors() {
    let mut tokens = MockTokens::new();
    tokens.expect_sign_in().returning(|_| Err(Error::InvalidCredentials));
    let client = client_with(MockSecurity::new(), tokens, MockInvites::new());
    let page = client.get("/invites/abc/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("name=\"username\"") && !page.text.contains("abc"), "{}", page.text);
    let refused = send(&client, "/invites/abc/", "username=%22%3Eanna&password=wrong").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("role=\"alert\"") && !refused.text.contains("\">anna"), "{}", refused.text);
}

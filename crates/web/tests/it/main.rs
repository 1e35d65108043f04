//! Tests of the pages with mocked services.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use axum::{body::Body, http::Request};
use guildhall_accounts::{Error, MockEmailAddresses, MockPasswords, MockTokens};
use guildhall_community::MockInvites;
use guildhall_kernel::testing::{Answer, TestClient};
use guildhall_notifications::MockUnsubscribing;
use guildhall_web::{Web, router};

/// The services that these tests set expectations on.
#[derive(Default)]
struct Mocks {
    email_addresses: MockEmailAddresses,
    passwords: MockPasswords,
    tokens: MockTokens,
    unsubscribing: MockUnsubscribing,
}

fn client(expect: impl FnOnce(&mut Mocks)) -> TestClient {
    let mut mocks = Mocks::default();
    expect(&mut mocks);
    TestClient::new(router(Web {
        email_addresses: Arc::new(mocks.email_addresses),
        passwords: Arc::new(mocks.passwords),
        tokens: Arc::new(mocks.tokens),
        invites: Arc::new(MockInvites::new()),
        unsubscribing: Arc::new(mocks.unsubscribing),
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
        assert_eq!(page.headers["referrer-policy"], "no-referrer");
        assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    }
    assert!(client.get("/pages/style.css").await.text.contains("prefers-color-scheme: dark"));
}

#[tokio::test]
async fn submitting_the_form_confirms_the_address() {
    let client = client(|mocks| {
        mocks.email_addresses.expect_confirm_email().returning(|token| match token {
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
    let client = client(|mocks| {
        mocks.passwords.expect_reset_password().returning(|reset| match reset.new_password.as_str() {
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
    let client = client(|mocks| {
        mocks.tokens.expect_sign_in().returning(|_| Err(Error::InvalidCredentials));
    });
    let page = client.get("/invites/abc/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("name=\"username\"") && !page.text.contains("abc"), "{}", page.text);
    let refused = send(&client, "/invites/abc/", "username=%22%3Eanna&password=wrong").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("role=\"alert\"") && !refused.text.contains("\">anna"), "{}", refused.text);
}

#[tokio::test]
async fn the_link_to_unsubscribe_only_asks() {
    let client = client(|mocks| {
        mocks.unsubscribing.expect_is_unsubscribe_token().returning(|token| token == "good");
    });
    let page = client.get("/unsubscribe/good/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<form method=\"post\">") && page.text.contains("List-Unsubscribe"), "{}", page.text);
    assert_eq!(page.headers["cache-control"], "no-store");
    let page = client.get("/unsubscribe/bad/").await;
    assert_eq!((page.status.as_u16(), page.text.contains("This link is not valid.")), (404, true));
}

#[tokio::test]
async fn one_click_unsubscribes_whatever_the_mail_server_sends() {
    let client = client(|mocks| {
        mocks.unsubscribing.expect_unsubscribe().returning(|token| match token {
            "good" => Ok(()),
            _ => Err(guildhall_notifications::Error::NotFound("link")),
        });
    });
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        ("multipart/form-data; boundary=x", multipart),
        ("text/plain", ""),
    ] {
        let request = Request::post("/unsubscribe/good/").header("content-type", content_type);
        let page =
            client.send_raw(request.header("origin", "https://mail.example").body(Body::from(body)).unwrap()).await;
        assert_eq!(page.status, 200, "{content_type}");
        assert!(page.text.contains("You have unsubscribed"), "{}", page.text);
    }
    let page = send(&client, "/unsubscribe/bad/", "List-Unsubscribe=One-Click").await;
    assert_eq!((page.status.as_u16(), page.text.contains("This link is not valid.")), (404, true));
}

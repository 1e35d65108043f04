use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, http::Request};
use guildhall_accounts::{
    AccountsState, Error, IssuedToken, MockAccounts, MockEmailAddresses, MockFirstStart, MockPasswords, MockRemovals,
    MockSecondFactors, MockSessions, MockStaff, MockTokens, MockUserTokens, SignedIn, TokenPair, UserTokenId, router,
};
use guildhall_kernel::{
    CursorPage, Kind, Roles, Timestamp, UserId,
    testing::{TestClient, signed_in_as},
};
use serde_json::json;

use crate::harness::accounts;

/// The services that these tests set expectations on.
#[derive(Default)]
struct Mocks {
    accounts: MockAccounts,
    tokens: MockTokens,
    user_tokens: MockUserTokens,
    staff: MockStaff,
}

async fn client(expect: impl FnOnce(&mut Mocks)) -> TestClient {
    let mut mocks = Mocks::default();
    expect(&mut mocks);
    let state = AccountsState {
        accounts: Arc::new(mocks.accounts),
        removals: Arc::new(MockRemovals::new()),
        tokens: Arc::new(mocks.tokens),
        sessions: Arc::new(MockSessions::new()),
        user_tokens: Arc::new(mocks.user_tokens),
        passwords: Arc::new(MockPasswords::new()),
        email_addresses: Arc::new(MockEmailAddresses::new()),
        first_start: Arc::new(MockFirstStart::new()),
        second_factors: Arc::new(MockSecondFactors::new()),
        staff: Arc::new(mocks.staff),
        files: accounts().await.files,
        auth: signed_in_as(Roles::default()),
        url: "https://example.org".parse().unwrap(),
    };
    TestClient::new(Router::new().nest("/api", router(state).into()))
}

fn account() -> guildhall_accounts::Account {
    guildhall_accounts::Account {
        user: guildhall_accounts::User {
            id: UserId(7),
            username: "anna".into(),
            display_name: "Anna".into(),
            first_name: "Anna".into(),
            last_name: String::new(),
            avatar_url: None,
            roles: Roles { teacher: true, ..Roles::default() },
            date_joined: Timestamp::EPOCH,
        },
        details: guildhall_accounts::AccountDetails {
            email: "anna@example.org".into(),
            email_verified: false,
            is_active: true,
            last_login: None,
        },
        updated_at: Timestamp::EPOCH,
    }
}

fn pair() -> TokenPair {
    TokenPair { access: "a".into(), refresh: "r".into(), token_type: "Bearer", expires_in: 300 }
}

fn me() -> serde_json::Value {
    json!({
        "id": 7, "username": "anna", "display_name": "Anna", "first_name": "Anna", "last_name": "",
        "avatar_url": null, "roles": ["teacher"], "date_joined": "1970-01-01T00:00:00.000000Z",
        "email": "anna@example.org", "email_verified": false, "is_active": true, "last_login": null,
    })
}

#[tokio::test]
async fn signing_in_returns_the_tokens_and_the_user() {
    let client = client(|mocks| {
        mocks
            .tokens
            .expect_sign_in()
            .withf(|sign_in| sign_in.username == "anna")
            .returning(|_| Ok(SignedIn { tokens: pair(), user: account() }));
    })
    .await;
    let response = client.post("/api/auth/login/", json!({"username": "anna", "password": "x", "extra": 1})).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.json(),
        json!({"access": "a", "refresh": "r", "token_type": "Bearer", "expires_in": 300, "user": me()})
    );
    assert_eq!(response.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn an_error_is_a_problem_with_its_code() {
    let client = client(|mocks| {
        mocks.tokens.expect_sign_in().returning(|_| Err(Error::InvalidCredentials));
    })
    .await;
    let response = client.post("/api/auth/login/", json!({"username": "anna", "password": "x"})).await;
    assert_eq!((response.status.as_u16(), response.code().as_str()), (401, "invalid_credentials"));
    assert!(response.headers.contains_key("www-authenticate"));
    assert_eq!(response.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn an_invalid_body_does_not_reach_the_service() {
    let client = client(|_| ()).await;
    let missing = client.post("/api/auth/login/", json!({"username": "anna"})).await;
    assert_eq!(
        (missing.status.as_u16(), missing.json()["errors"]["password"][0].as_str()),
        (400, Some("This field is required."))
    );
    let number = client.post("/api/auth/login/", json!({"username": 7, "password": "x"})).await;
    assert_eq!(number.status, 400);
    assert!(number.json()["errors"]["username"].is_array());
    let raw = async |content_type: &str, body: &'static str| {
        let request = Request::post("/api/auth/login/").header("content-type", content_type).body(Body::from(body));
        let response = client.send_raw(request.unwrap()).await;
        (response.status.as_u16(), response.code())
    };
    assert_eq!(raw("application/json", "{").await, (400, "parse_error".into()));
    assert_eq!(raw("application/x-www-form-urlencoded", "username=a").await, (415, "unsupported_media_type".into()));
    let nul = r#"{"username": "a\u0000", "password": "x"}"#;
    assert_eq!(raw("application/json", nul).await, (400, "nul_character".into()));
}

#[tokio::test]
async fn refreshing_and_signing_out_have_an_alias_each() {
    let client = client(|mocks| {
        mocks.tokens.expect_refresh().times(2).withf(|token| token == "r").returning(|_| Ok(pair()));
        mocks.tokens.expect_sign_out().times(2).withf(|token| token == "r").returning(|_| Ok(()));
    })
    .await;
    for path in ["/api/auth/refresh/", "/api/auth/token/refresh/"] {
        let response = client.post(path, json!({"refresh": "r"})).await;
        assert_eq!((response.status.as_u16(), &response.json()["access"]), (200, &json!("a")));
    }
    for path in ["/api/auth/logout/", "/api/auth/token/blacklist/"] {
        let response = client.post(path, json!({"refresh": "r"})).await;
        assert_eq!((response.status.as_u16(), response.text.as_str()), (204, ""));
    }
}

#[tokio::test]
async fn verifying_returns_an_empty_object() {
    let client = client(|mocks| {
        mocks
            .tokens
            .expect_verify()
            .returning(|token| if token == "valid" { Ok(()) } else { Err(Error::TokenExpired) });
    })
    .await;
    let valid = client.post("/api/auth/verify/", json!({"token": "valid"})).await;
    assert_eq!((valid.status.as_u16(), valid.json()), (200, json!({})));
    let expired = client.post("/api/auth/verify/", json!({"token": "expired"})).await;
    assert_eq!((expired.status.as_u16(), expired.code().as_str()), (401, "token_expired"));
}

#[tokio::test]
async fn registering_returns_201_with_the_account() {
    let client = client(|mocks| {
        mocks.accounts.expect_register().times(1).returning(|_| Ok(account()));
        mocks.accounts.expect_register().returning(|_| Err(Error::UsernameTaken));
    })
    .await;
    let body = json!({"username": "anna", "email": "a@example.org", "password": "x", "is_superuser": true, "id": 1});
    let response = client.post("/api/auth/register/", body.clone()).await;
    assert_eq!((response.status.as_u16(), response.json()), (201, me()));
    let duplicate = client.post("/api/auth/register/", body).await;
    assert_eq!((duplicate.status.as_u16(), duplicate.code().as_str()), (409, "username_taken"));
}

#[tokio::test]
async fn the_signed_in_user_has_an_etag() {
    let client = client(|mocks| {
        mocks.accounts.expect_me().withf(|caller| caller.user == UserId(7)).returning(|_| Ok(account()));
        mocks.accounts.expect_change_me().returning(|_, _, if_match| {
            if_match.check(Timestamp::EPOCH)?;
            Ok(account())
        });
    })
    .await;
    let response = client.with("Bearer 7").get("/api/auth/me/").await;
    assert_eq!(
        (response.status.as_u16(), response.json(), &response.headers["etag"]),
        (200, me(), &"\"0\"".parse().unwrap())
    );
    let stale = Request::patch("/api/auth/me/")
        .header("authorization", "Bearer 7")
        .header("if-match", "\"1\"")
        .header("content-type", "application/json")
        .body(Body::from("{}"));
    let response = client.send_raw(stale.unwrap()).await;
    assert_eq!((response.status.as_u16(), response.code().as_str()), (412, "stale"));
}

#[tokio::test]
async fn routes_require_credentials() {
    let client = client(|_| ()).await;
    for path in ["/api/auth/me/", "/api/auth/tokens/", "/api/users/", "/api/users/7/"] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (Kind::Unauthenticated.status(), "not_authenticated"),
            "{path}"
        );
        let response = client.with("Bearer").get(path).await;
        assert_eq!(response.code(), "bad_authorization_header", "{path}");
        let response = client.with("Basic abc").get(path).await;
        assert_eq!(response.code(), "not_authenticated", "{path}");
    }
    assert_eq!(client.post("/api/auth/logout-all/", json!(null)).await.status, 401);
    assert_eq!(client.delete("/api/users/7/").await.status, 401);
}

#[tokio::test]
async fn user_tokens_are_issued_listed_and_revoked() {
    let client = client(|mocks| {
        mocks
            .user_tokens
            .expect_exchange_for_user_token()
            .returning(|_| Ok(IssuedToken { token: "ght_x".into(), expires_at: Timestamp::EPOCH }));
        mocks
            .user_tokens
            .expect_user_tokens()
            .returning(|_, _| Ok(CursorPage { next: None, previous: None, results: Vec::new() }));
        mocks
            .user_tokens
            .expect_revoke_user_token()
            .returning(|_, id| if id.0 == 3 { Ok(()) } else { Err(Error::UserTokenNotFound(id)) });
    })
    .await;
    let response = client.post("/api/auth/token/", json!({"username": "anna", "password": "x"})).await;
    assert_eq!(response.json(), json!({"token": "ght_x", "expires_at": "1970-01-01T00:00:00.000000Z"}));
    let client = client.with("Token 7");
    let response = client.get("/api/auth/tokens/").await;
    assert_eq!(response.json(), json!({"next": null, "previous": null, "results": []}));
    assert_eq!(client.delete("/api/auth/tokens/3/").await.status, 204);
    for id in [UserTokenId(4).to_string(), "x".into(), "99999999999999999999".into(), "%00".into()] {
        assert_eq!(client.delete(&format!("/api/auth/tokens/{id}/")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn a_throttled_email_is_429_with_the_time_to_wait() {
    let client = client(|mocks| {
        mocks.staff.expect_send_reset().returning(|_, _| Err(Error::Throttled(Duration::from_secs(90))));
    })
    .await;
    let response = client.with("Bearer 7").post("/api/admin/users/8/send-reset/", json!(null)).await;
    assert_eq!((response.status.as_u16(), response.code().as_str()), (429, "throttled"));
    assert_eq!(response.headers["retry-after"], "90");
}

#[tokio::test]
async fn a_picture_is_uploaded_as_a_form() {
    let client = client(|mocks| {
        mocks
            .accounts
            .expect_set_picture()
            .withf(|_, content| content.as_ref() == b"bytes")
            .returning(|_, _| Ok(account()));
        mocks.accounts.expect_remove_picture().returning(|_| Ok(()));
        mocks.staff.expect_remove_picture_of().withf(|_, id| *id == UserId(8)).returning(|_, _| Ok(()));
    })
    .await;
    let send = |content_type: &'static str, body: &'static str| {
        let request = Request::put("/api/auth/me/picture/")
            .header("authorization", "Bearer 7")
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap();
        let client = client.clone();
        async move { client.send_raw(request).await }
    };
    let form = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\nbytes\r\n--b--\r\n";
    let response = send("multipart/form-data; boundary=b", form).await;
    assert_eq!((response.status.as_u16(), response.json()), (200, me()));
    assert_eq!(send("application/json", "{}").await.code(), "unsupported_media_type");
    assert_eq!(send("multipart/form-data; boundary=b", "--b--\r\n").await.status, 400);
    for path in ["/api/auth/me/picture/", "/api/admin/users/8/picture/"] {
        let request = Request::delete(path).header("authorization", "Bearer 7").body(Body::empty()).unwrap();
        assert_eq!(client.send_raw(request).await.status, 204, "{path}");
    }
}

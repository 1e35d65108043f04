//! Passwords, and the emails about them.

use guildhall_accounts::{PasswordChange, Passwords, ResetRequest, Tokens, UserTokens};

use crate::harness::{
    NEW_PASSWORD, PASSWORD, accounts, code, credentials, fields, origin, request_reset, reset, token_in,
};

fn change(current: &str, new: &str) -> PasswordChange {
    PasswordChange { current_password: current.into(), new_password: new.into() }
}

#[tokio::test]
async fn changing_the_password_ends_other_sessions_and_revokes_links() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let other = harness.sign_in_as("anna").await.tokens;
    let here = harness.session_of("anna").await;
    request_reset(&harness, "anna@example.org").await;
    let link = token_in(&harness.emails().await[0]);

    assert_eq!(fields(harness.change_password(&here, change("wrong", NEW_PASSWORD)).await), ["current_password"]);
    assert_eq!(fields(harness.change_password(&here, change(PASSWORD, "password")).await), ["new_password"]);
    assert!(harness.authenticate_bearer(&other.access).await.is_ok(), "nothing has changed yet");
    let fresh =
        origin("203.0.113.9").scope(harness.change_password(&here, change(PASSWORD, NEW_PASSWORD))).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&other.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&other.refresh).await), "token_not_valid");
    assert!(harness.authenticate_bearer(&fresh.access).await.is_ok() && harness.refresh(&fresh.refresh).await.is_ok());
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    assert!(harness.try_sign_in("anna", NEW_PASSWORD).await.is_ok());
    assert_eq!(fields(harness.reset_password(reset(&link, "third horse é")).await), ["token"]);
    let emails = harness.emails().await;
    assert_eq!(emails[0].subject, "Your password was changed");
    assert!(emails[0].text.contains("203.0.113.9 (curl)"));
}

#[tokio::test]
async fn a_password_is_reset_with_a_link_that_works_once() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let session = harness.sign_in_as("anna").await.tokens;
    let program = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    request_reset(&harness, "ANNA@example.org").await;
    let emails = harness.emails().await;
    assert_eq!((emails.len(), emails[0].to.as_str()), (1, "anna@example.org"));
    assert!(emails[0].text.contains("https://guild.example.org/password/reset/?token="));
    let token = token_in(&emails[0]);
    let payloads = harness.db.query_texts("SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await;
    assert!(payloads.is_empty(), "the content of sent emails is deleted");

    assert_eq!(fields(harness.reset_password(reset(&token, "anna1234")).await), ["new_password"]);
    harness.reset_password(reset(&token, NEW_PASSWORD)).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&session.access).await), "token_not_valid");
    assert_eq!(code(harness.authenticate_token(&program).await), "token_not_valid", "user tokens are revoked too");
    assert!(harness.try_sign_in("anna", NEW_PASSWORD).await.is_ok());
    assert_eq!(fields(harness.reset_password(reset(&token, PASSWORD)).await), ["token"]);
    assert_eq!(fields(harness.reset_password(reset("nonsense", PASSWORD)).await), ["token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_uses_of_a_link_one_succeeds() {
    let harness = crate::harness::with_connections(6).await;
    harness.register_verified("anna").await;
    request_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.emails().await[0]);
    let tasks = (0..10).map(|n| {
        let (accounts, token) = (harness.accounts.clone(), token.clone());
        tokio::spawn(async move { accounts.reset_password(reset(&token, &format!("horse number {n}"))).await.is_ok() })
    });
    let mut used = 0;
    for task in tasks.collect::<Vec<_>>() {
        used += u8::from(task.await.unwrap());
    }
    assert_eq!(used, 1);
}

#[tokio::test]
async fn a_link_expires_and_is_invalidated_by_deactivation() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    request_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.emails().await[0]);
    harness.advance(3601);
    assert_eq!(fields(harness.reset_password(reset(&token, NEW_PASSWORD)).await), ["token"], "an hour has passed");
    request_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.emails().await[0]);
    harness.set_active("anna", false).await.unwrap();
    harness.set_active("anna", true).await.unwrap();
    assert_eq!(fields(harness.reset_password(reset(&token, NEW_PASSWORD)).await), ["token"], "deactivated since");
}

#[tokio::test]
async fn a_reset_request_does_not_disclose_which_email_addresses_exist() {
    let harness = accounts().await;
    harness.register_user("unverified").await;
    harness.emails().await;
    let started = std::time::Instant::now();
    request_reset(&harness, "unverified@example.org").await;
    request_reset(&harness, "nobody@example.org").await;
    assert!(started.elapsed().as_millis() >= 500, "each takes as long as one that sends an email");
    assert!(harness.emails().await.is_empty(), "emails are sent to verified addresses only");
    let malformed = harness.request_reset(ResetRequest { email: "nowhere".into() }).await;
    assert_eq!(fields(malformed), ["email"]);
}

#[tokio::test]
async fn a_deactivated_user_gets_no_reset_link() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    harness.set_active("anna", false).await.unwrap();
    harness.emails().await;
    request_reset(&harness, "anna@example.org").await;
    assert!(harness.emails().await.is_empty());
}

use guildhall_accounts::{Sessions, SignOutEverywhere, Tokens, UserTokens};
use guildhall_kernel::CursorQuery;

use crate::harness::{PASSWORD, accounts, caller, code, credentials, origin};

#[tokio::test]
async fn a_session_is_listed_with_its_device_and_ended_only_by_its_owner() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    harness.register_user("berta").await;
    let here = harness.session_of("anna").await;
    let there = origin("203.0.113.9").scope(harness.sign_in_as("anna")).await.tokens;
    let berta = harness.session_of("berta").await;
    let list = harness.sessions(&here, CursorQuery::newest(50)).await.unwrap().results;
    assert_eq!(list.len(), 2);
    assert_eq!(list.iter().map(|session| session.current).collect::<Vec<_>>(), [false, true], "newest first");
    assert_eq!((list[0].ip.as_deref(), list[0].device_label.as_str()), (Some("203.0.113.9"), "curl"));
    assert_eq!(code(harness.end_session(&berta, list[0].id).await), "session_not_found");
    assert!(harness.authenticate_bearer(&there.access).await.is_ok());
    harness.end_session(&here, list[0].id).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&there.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&there.refresh).await), "token_not_valid");
    assert_eq!(code(harness.end_session(&here, list[0].id).await), "session_not_found");
    assert_eq!(harness.sessions(&here, CursorQuery::newest(50)).await.unwrap().results.len(), 1);
}

#[tokio::test]
async fn signing_out_others_keeps_the_current_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let (here, other) = (harness.session_of("anna").await, harness.sign_in_as("anna").await.tokens);
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out_everywhere(&here, SignOutEverywhere { others: true, include_tokens: false }).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&other.access).await), "token_not_valid");
    assert_eq!(harness.sessions(&here, CursorQuery::newest(50)).await.unwrap().results.len(), 1);
    assert!(harness.authenticate_token(&token).await.is_ok());
    harness.sign_out_everywhere(&here, SignOutEverywhere { others: false, include_tokens: true }).await.unwrap();
    assert!(harness.sessions(&here, CursorQuery::newest(50)).await.unwrap().results.is_empty());
    assert_eq!(code(harness.authenticate_token(&token).await), "token_not_valid");
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions_and_keeps_user_tokens() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let (one, two) = (harness.sign_in_as("anna").await.tokens, harness.sign_in_as("anna").await.tokens);
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out_everywhere(&anna, SignOutEverywhere::default()).await.unwrap();
    for tokens in [one, two] {
        assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
        assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    }
    assert!(harness.authenticate_token(&token).await.is_ok());
}

use guildhall_accounts::{NewUserToken, PasswordProof, Passwords, Scope, UserTokens};
use guildhall_kernel::{Caller, CursorQuery};

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, with_connections};

#[tokio::test]
async fn a_username_and_password_are_exchanged_for_a_token_valid_for_a_year() {
    let harness = accounts().await;
    let anna = caller(&harness.register_user("anna").await);
    let issued = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    assert!(issued.token.starts_with("ght_"));
    let authenticated = harness.authenticate_token(&issued.token).await.unwrap();
    assert_eq!((Caller { token: None, ..authenticated }, authenticated.token.is_some()), (anna, true));
    harness.advance(364 * 24 * 3600);
    assert!(harness.authenticate_token(&issued.token).await.is_ok());
    harness.advance(24 * 3600);
    assert_eq!(code(harness.authenticate_token(&issued.token).await), "token_expired");
    let wrong = harness.exchange_for_user_token(credentials("anna", "wrong")).await;
    assert_eq!(code(wrong), "invalid_credentials");
}

#[tokio::test]
async fn the_list_identifies_tokens_without_disclosing_them() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let new = NewUserToken { name: " laptop ".into(), expires_in_days: Some(7), ..NewUserToken::default() };
    let issued = harness.create_user_token(&anna, new).await.unwrap();
    let list = harness.user_tokens(&anna, CursorQuery::newest(50)).await.unwrap().results;
    assert_eq!(list, std::slice::from_ref(&issued.shown));
    assert_eq!((list[0].name.as_str(), list[0].last_used_at), ("laptop", None));
    assert!(issued.token.starts_with(&list[0].prefix));
    assert!(!serde_json::to_string(&list).unwrap().contains(&issued.token));

    harness.authenticate_token(&issued.token).await.unwrap();
    let first_use = harness.user_tokens(&anna, CursorQuery::newest(50)).await.unwrap().results[0].last_used_at;
    assert!(first_use.is_some());
    harness.authenticate_token(&issued.token).await.unwrap();
    let second_use = harness.user_tokens(&anna, CursorQuery::newest(50)).await.unwrap().results[0].last_used_at;
    assert_eq!(second_use, first_use, "recorded once a minute");
}

#[tokio::test]
async fn a_token_is_revoked_only_by_its_owner() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let berta = caller(&harness.register_user("berta").await);
    let issued = harness.create_user_token(&anna, NewUserToken::default()).await.unwrap();
    assert_eq!(code(harness.revoke_user_token(&berta, issued.shown.id).await), "token_not_found");
    assert!(harness.authenticate_token(&issued.token).await.is_ok());
    harness.revoke_user_token(&anna, issued.shown.id).await.unwrap();
    assert_eq!(code(harness.authenticate_token(&issued.token).await), "token_not_valid");
    assert_eq!(code(harness.revoke_user_token(&anna, issued.shown.id).await), "token_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn above_twenty_tokens_the_oldest_is_deleted() {
    let harness = with_connections(4).await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let first = harness.create_user_token(&anna, NewUserToken::default()).await.unwrap().token;
    let tasks = (0..24).map(|_| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { accounts.create_user_token(&anna, NewUserToken::default()).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(harness.db.count_rows("accounts_user_token").await, 20);
    assert_eq!(code(harness.authenticate_token(&first).await), "token_not_valid");
}

#[tokio::test]
async fn a_lifetime_beyond_the_setting_is_rejected() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    for days in [0, 366, u32::MAX] {
        let new = NewUserToken { expires_in_days: Some(days), ..NewUserToken::default() };
        assert_eq!(fields(harness.create_user_token(&anna, new).await), ["expires_in_days"]);
    }
}

#[tokio::test]
async fn a_malformed_token_is_rejected() {
    let harness = accounts().await;
    for token in ["", "ght_", "x", "ght_\u{e9}\u{e9}\u{e9}", &"x".repeat(100_000), "ght_'; DROP TABLE users; --"] {
        assert_eq!(code(harness.authenticate_token(token).await), "token_not_valid");
    }
}

#[tokio::test]
async fn a_token_without_the_write_scope_is_read_only() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let new = |scopes| NewUserToken { scopes: Some(scopes), ..NewUserToken::default() };
    let issued = harness.create_user_token(&anna, new(vec![Scope::Read])).await.unwrap();
    assert_eq!(issued.shown.scopes, [Scope::Read]);
    assert!(issued.token.ends_with(&issued.shown.last4) && issued.shown.last4.len() == 4);
    assert!(harness.authenticate_token(&issued.token).await.unwrap().read_only);
    let issued = harness.create_user_token(&anna, new(vec![Scope::Write])).await.unwrap();
    assert_eq!(issued.shown.scopes, [Scope::Read, Scope::Write]);
    assert!(!harness.authenticate_token(&issued.token).await.unwrap().read_only);
    assert_eq!(fields(harness.create_user_token(&anna, new(Vec::new())).await), ["scopes"]);
}

#[tokio::test]
async fn creating_a_token_requires_a_recent_password_check() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    harness.advance(16 * 60);
    assert_eq!(code(harness.create_user_token(&anna, NewUserToken::default()).await), "step_up_required");
    let with_password = |password: &str| NewUserToken { password: Some(password.into()), ..NewUserToken::default() };
    assert_eq!(fields(harness.create_user_token(&anna, with_password("wrong")).await), ["password"]);
    let token = harness.create_user_token(&anna, with_password(PASSWORD)).await.unwrap().token;
    let program = harness.authenticate_token(&token).await.unwrap();
    assert_eq!(code(harness.create_user_token(&program, NewUserToken::default()).await), "step_up_required");
    let proof = PasswordProof { password: PASSWORD.into() };
    harness.step_up(&anna, proof).await.unwrap();
    assert!(harness.create_user_token(&anna, NewUserToken::default()).await.is_ok());
}

use guildhall_accounts::{NewUserToken, PasswordProof, Scope, Security, Tokens};
use guildhall_kernel::SliceQuery;

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, with_connections};

#[tokio::test]
async fn a_name_and_a_password_make_a_token_for_a_year() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    let issued = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    assert!(issued.token.starts_with("ght_"));
    assert_eq!(harness.shows_user_token(&issued.token).await.unwrap(), anna);
    harness.wait(364 * 24 * 3600);
    assert!(harness.shows_user_token(&issued.token).await.is_ok());
    harness.wait(24 * 3600);
    assert_eq!(code(harness.shows_user_token(&issued.token).await), "token_expired");
    let wrong = harness.exchange_for_user_token(credentials("anna", "wrong")).await;
    assert_eq!(code(wrong), "invalid_credentials");
}

#[tokio::test]
async fn the_list_tells_tokens_apart_without_giving_one_away() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let new = NewUserToken { name: " laptop ".into(), expires_in_days: Some(7), ..NewUserToken::default() };
    let issued = harness.create_user_token(&anna, new).await.unwrap();
    let list = harness.user_tokens(&anna, SliceQuery::newest(50)).await.unwrap().results;
    assert_eq!(list, std::slice::from_ref(&issued.shown));
    assert_eq!((list[0].name.as_str(), list[0].last_used_at), ("laptop", None));
    assert!(issued.token.starts_with(&list[0].prefix));
    assert!(!serde_json::to_string(&list).unwrap().contains(&issued.token));

    harness.shows_user_token(&issued.token).await.unwrap();
    let used = harness.user_tokens(&anna, SliceQuery::newest(50)).await.unwrap().results[0].last_used_at;
    assert!(used.is_some());
    harness.shows_user_token(&issued.token).await.unwrap();
    let again = harness.user_tokens(&anna, SliceQuery::newest(50)).await.unwrap().results[0].last_used_at;
    assert_eq!(again, used, "noted once a minute");
}

#[tokio::test]
async fn a_token_is_taken_back_by_its_owner_alone() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let berta = caller(&harness.registered("berta").await);
    let issued = harness.create_user_token(&anna, NewUserToken::default()).await.unwrap();
    assert_eq!(code(harness.revoke_user_token(&berta, issued.shown.id).await), "token_not_found");
    assert!(harness.shows_user_token(&issued.token).await.is_ok());
    harness.revoke_user_token(&anna, issued.shown.id).await.unwrap();
    assert_eq!(code(harness.shows_user_token(&issued.token).await), "token_not_valid");
    assert_eq!(code(harness.revoke_user_token(&anna, issued.shown.id).await), "token_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_more_than_twenty_the_oldest_goes() {
    let harness = with_connections(4).await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let first = harness.create_user_token(&anna, NewUserToken::default()).await.unwrap().token;
    let tasks = (0..24).map(|_| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { accounts.create_user_token(&anna, NewUserToken::default()).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(harness.rows("accounts_user_token").await, 20);
    assert_eq!(code(harness.shows_user_token(&first).await), "token_not_valid");
}

#[tokio::test]
async fn a_life_beyond_the_setting_is_refused() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    for days in [0, 366, u32::MAX] {
        let new = NewUserToken { expires_in_days: Some(days), ..NewUserToken::default() };
        assert_eq!(fields(harness.create_user_token(&anna, new).await), ["expires_in_days"]);
    }
}

#[tokio::test]
async fn a_token_that_is_none_is_refused() {
    let harness = accounts().await;
    for token in ["", "ght_", "x", "ght_\u{e9}\u{e9}\u{e9}", &"x".repeat(100_000), "ght_'; DROP TABLE users; --"] {
        assert_eq!(code(harness.shows_user_token(token).await), "token_not_valid");
    }
}

#[tokio::test]
async fn a_token_for_reading_says_so() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let new = |scopes| NewUserToken { scopes: Some(scopes), ..NewUserToken::default() };
    let issued = harness.create_user_token(&anna, new(vec![Scope::Read])).await.unwrap();
    assert_eq!(issued.shown.scopes, [Scope::Read]);
    assert!(issued.token.ends_with(&issued.shown.last4) && issued.shown.last4.len() == 4);
    assert!(harness.shows_user_token(&issued.token).await.unwrap().read_only);
    let issued = harness.create_user_token(&anna, new(vec![Scope::Write])).await.unwrap();
    assert_eq!(issued.shown.scopes, [Scope::Read, Scope::Write]);
    assert!(!harness.shows_user_token(&issued.token).await.unwrap().read_only);
    assert_eq!(fields(harness.create_user_token(&anna, new(Vec::new())).await), ["scopes"]);
}

#[tokio::test]
async fn a_token_is_made_only_by_whoever_has_shown_the_password_lately() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    harness.wait(16 * 60);
    assert_eq!(code(harness.create_user_token(&anna, NewUserToken::default()).await), "step_up_required");
    let with = |password: &str| NewUserToken { password: Some(password.into()), ..NewUserToken::default() };
    assert_eq!(fields(harness.create_user_token(&anna, with("wrong")).await), ["password"]);
    let token = harness.create_user_token(&anna, with(PASSWORD)).await.unwrap().token;
    let program = harness.shows_user_token(&token).await.unwrap();
    assert_eq!(code(harness.create_user_token(&program, NewUserToken::default()).await), "step_up_required");
    let proof = PasswordProof { password: PASSWORD.into() };
    harness.step_up(&anna, proof).await.unwrap();
    assert!(harness.create_user_token(&anna, NewUserToken::default()).await.is_ok());
}

//! The audit log of accounts.

use guildhall_accounts::{
    AccountChange, AccountPatch, Accounts, EmailAddresses, EmailChange, NewAccount, NewUserToken, PasswordChange,
    PasswordProof, Passwords, Removals, SecondFactors, Sessions, SignOutEverywhere, Staff, Tokens, TotpCode,
    UserTokens, WeakPassword,
};
use guildhall_kernel::{CursorQuery, IfMatch, Roles};

use crate::harness::{
    NEW_PASSWORD, PASSWORD, accounts, caller, code, credentials, new_user, origin, request_reset, reset, token_in,
};

#[tokio::test]
async fn the_audit_log_contains_no_secrets() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let signed_in = origin("203.0.113.9").scope(harness.sign_in_as("anna")).await;
    origin("203.0.113.9").scope(harness.try_sign_in("anna", "a wrong password")).await.err().unwrap();
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out(&signed_in.tokens.refresh).await.unwrap();
    assert_eq!(
        harness.audit_log().await,
        [
            "accounts.register done",
            "accounts.verify_email done",
            "accounts.sign_in done",
            "accounts.sign_in refused",
            "accounts.create_user_token done",
            "accounts.sign_out done",
        ]
    );
    let columns = "ip || ' ' || user_agent || ' ' || request_id || ' ' || actor_label || ' ' || subject_label";
    let sign_in = format!("SELECT {columns} FROM kernel_audit_event WHERE action = 'accounts.sign_in' ORDER BY id");
    let origins = harness.db.query_texts(&sign_in).await;
    assert!(origins[0].starts_with("203.0.113.9 curl/8 r-1 anna #"), "{}", origins[0]);
    let rows =
        harness.db.query_texts("SELECT CAST(detail AS text) || action || actor_label FROM kernel_audit_event").await;
    for secret in [PASSWORD, "a wrong password", &token, &signed_in.tokens.access] {
        assert!(rows.iter().all(|row| !row.contains(secret)));
    }
    let result = harness.db.sql("UPDATE kernel_audit_event SET action = 'nothing'").await;
    assert!(result.is_err(), "the log is append-only");
}

#[tokio::test]
async fn every_operation_is_recorded_in_the_audit_log() {
    let harness = accounts().await;
    let boss = Roles { superuser: true, ..Roles::default() };
    let boss = caller(&harness.create_user(new_user("boss"), boss, WeakPassword::Reject).await.unwrap());
    harness.register_verified("anna").await;
    let anna = harness.session_of("anna").await;
    let proof = || PasswordProof { password: PASSWORD.into() };
    harness.change_me(&anna, AccountPatch::default(), IfMatch::default()).await.unwrap();
    harness.step_up(&anna, proof()).await.unwrap();
    let token = harness.create_user_token(&anna, NewUserToken::default()).await.unwrap().shown.id;
    harness.revoke_user_token(&anna, token).await.unwrap();
    harness.set_up_totp(&anna).await.unwrap();
    assert!(harness.confirm_totp(&anna, TotpCode { code: "1".into() }).await.is_err());
    harness.db.sql("UPDATE accounts_totp SET confirmed_at = 1").await.unwrap();
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "mfa_required");
    harness.remove_totp(&anna, proof()).await.unwrap();
    let new_email = EmailChange { email: "new@example.org".into(), password: PASSWORD.into() };
    harness.emails().await;
    harness.change_email(&anna, new_email).await.unwrap();
    harness.confirm_email(&token_in(&harness.emails().await[0])).await.unwrap();
    let change = PasswordChange { current_password: PASSWORD.into(), new_password: NEW_PASSWORD.into() };
    harness.change_password(&anna, change).await.unwrap();
    request_reset(&harness, "new@example.org").await;
    let emails = harness.emails().await;
    harness.reset_password(reset(&token_in(emails.last().unwrap()), PASSWORD)).await.unwrap();
    let anna = harness.session_of("anna").await;
    let session = harness.sessions(&anna, CursorQuery::newest(1)).await.unwrap().results[0].id;
    harness.end_session(&anna, session).await.unwrap();
    harness.sign_out_everywhere(&anna, SignOutEverywhere::default()).await.unwrap();
    let new = NewAccount {
        username: "berta".into(),
        email: "berta@example.org".into(),
        first_name: String::new(),
        last_name: String::new(),
        roles: Vec::new(),
    };
    let berta = harness.create_account(&boss, new).await.unwrap().user.id;
    let deactivate = AccountChange { is_active: Some(false), roles: None };
    harness.change_account(&boss, berta, deactivate, IfMatch::default()).await.unwrap();
    harness.erase_user(&boss, berta).await.unwrap();
    harness.delete_user(&boss, anna.user, None).await.unwrap();
    harness.rotate_keys(false).await.unwrap();

    let log = harness.audit_log().await;
    for event in [
        "create_user done",
        "register done",
        "verify_email done",
        "sign_in done",
        "change_me done",
        "step_up done",
        "create_user_token done",
        "revoke_user_token done",
        "add_second_factor refused",
        "show_password done",
        "remove_second_factor done",
        "request_email_change done",
        "change_email done",
        "change_password done",
        "request_reset done",
        "reset_password done",
        "end_sessions done",
        "change_account done",
        "erase_user done",
        "delete_user done",
        "rotate_keys done",
    ] {
        assert!(log.contains(&format!("accounts.{event}")), "{event}: {log:?}");
    }
}

//! Passwords, email addresses, and the emails about them.

use guildhall_accounts::{
    Accounts, EmailChange, PasswordChange, PasswordReset, ResetRequest, Security, Tokens, WeakPassword,
};
use guildhall_kernel::Roles;

use crate::harness::{Harness, PASSWORD, accounts, caller, code, credentials, fields, new_user, origin, token_in};

const NEW_PASSWORD: &str = "another horse é";

fn change(current: &str, new: &str) -> PasswordChange {
    PasswordChange { current_password: current.into(), new_password: new.into() }
}

async fn request_reset(harness: &Harness, email: &str) {
    harness.request_reset(ResetRequest { email: email.into() }).await.unwrap();
}

fn reset(token: &str, password: &str) -> PasswordReset {
    PasswordReset { token: token.into(), new_password: password.into() }
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
    let payloads = harness.texts("SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await;
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
async fn a_mailbox_cannot_be_flooded() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let mut emails = 0;
    for _ in 0..20 {
        request_reset(&harness, "anna@example.org").await;
        emails += harness.emails().await.len();
        harness.advance(50);
    }
    assert_eq!(emails, 3, "the pauses are 1, 5 and 15 minutes");
    harness.advance(24 * 3600);
    for n in 0..5 {
        let name = format!("squatter{n}");
        let squatter = guildhall_accounts::NewUser { email: "victim@example.org".into(), ..new_user(&name) };
        harness.register(squatter).await.unwrap();
    }
    assert_eq!(harness.emails().await.len(), 1, "the limit is shared by all accounts");
    harness.advance(24 * 3600);
    for n in 0..5 {
        let new = guildhall_accounts::NewUser { email: "other@example.org".into(), ..new_user(&format!("p{n}")) };
        let user = caller(&harness.register(new).await.unwrap());
        let proof = guildhall_accounts::PasswordProof { password: PASSWORD.into() };
        harness.delete_me(&user, proof).await.unwrap();
    }
    assert_eq!(harness.emails().await.len(), 1, "the limit remains when accounts are deleted");
    let berta = caller(&harness.register_user("berta").await);
    harness.emails().await;
    harness.resend_verification(&berta).await.unwrap();
    assert!(harness.emails().await.is_empty(), "one was sent less than a minute ago");
    harness.advance(61);
    harness.resend_verification(&berta).await.unwrap();
    assert_eq!(harness.emails().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrently_requested_emails_one_is_sent() {
    let harness = crate::harness::with_connections(6).await;
    let tasks = (0..10).map(|n| {
        let accounts = harness.accounts.clone();
        let squatter = guildhall_accounts::NewUser { email: "victim@example.org".into(), ..new_user(&format!("s{n}")) };
        tokio::spawn(async move { accounts.register(squatter).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(harness.emails().await.len(), 1);
}

#[tokio::test]
async fn an_email_address_is_verified_with_the_link() {
    let harness = accounts().await;
    let anna = harness.register_user("anna").await;
    let emails = harness.emails().await;
    assert_eq!((emails.len(), emails[0].to.as_str()), (1, "anna@example.org"));
    let token = token_in(&emails[0]);
    harness.confirm_email(&token).await.unwrap();
    assert!(harness.me(&caller(&anna)).await.unwrap().details.email_verified);
    assert_eq!(fields(harness.confirm_email(&token).await), ["token"], "the link works once");
    assert!(harness.try_sign_in("anna@example.org", PASSWORD).await.is_ok());
    harness.resend_verification(&caller(&anna)).await.unwrap();
    assert!(harness.emails().await.is_empty());
}

#[tokio::test]
async fn a_verified_email_address_cannot_be_claimed_by_another_account() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    harness.advance(61);
    let squatter = guildhall_accounts::NewUser { email: "Anna@Example.org".into(), ..new_user("squatter") };
    let account = harness.register(squatter).await.unwrap();
    assert!(!account.details.email_verified);
    let emails = harness.emails().await;
    assert_eq!(emails.len(), 1);
    assert_eq!(
        (emails[0].to.as_str(), emails[0].subject.as_str()),
        ("anna@example.org", "You already have an account")
    );
    assert!(!emails[0].text.contains("token="), "the owner gets no link for the other account");
    assert_eq!(harness.try_sign_in("anna@example.org", PASSWORD).await.unwrap().user.user.username, "anna");
}

#[tokio::test]
async fn the_first_account_to_confirm_an_email_address_gets_it() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let first = token_in(&harness.emails().await[0]);
    harness.advance(61);
    let second = guildhall_accounts::NewUser { email: "anna@example.org".into(), ..new_user("berta") };
    harness.register(second).await.unwrap();
    let second = token_in(&harness.emails().await[0]);
    harness.confirm_email(&second).await.unwrap();
    assert_eq!(code(harness.confirm_email(&first).await), "email_taken");
    assert_eq!(harness.try_sign_in("anna@example.org", PASSWORD).await.unwrap().user.user.username, "berta");
}

#[tokio::test]
async fn the_old_email_address_stays_until_the_new_one_is_confirmed() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let anna = harness.session_of("anna").await;
    request_reset(&harness, "anna@example.org").await;
    let old_link = token_in(&harness.emails().await[0]);
    let change = |password: &str| EmailChange { email: "new@example.org".into(), password: password.into() };
    assert_eq!(fields(harness.change_email(&anna, change("wrong")).await), ["password"]);
    harness.change_email(&anna, change(PASSWORD)).await.unwrap();
    let emails = harness.emails().await;
    let to: Vec<_> = emails.iter().map(|email| email.to.as_str()).collect();
    assert_eq!(to, ["new@example.org", "anna@example.org"]);
    assert_eq!(emails[1].subject, "Email address change requested");
    let me = harness.me(&anna).await.unwrap().details;
    assert_eq!((me.email.as_str(), me.email_verified), ("anna@example.org", true));

    harness.confirm_email(&token_in(&emails[0])).await.unwrap();
    let me = harness.me(&anna).await.unwrap().details;
    assert_eq!((me.email.as_str(), me.email_verified), ("new@example.org", true));
    let notice = &harness.emails().await[0];
    assert_eq!((notice.to.as_str(), notice.subject.as_str()), ("anna@example.org", "Your email address was changed"));
    assert_eq!(
        fields(harness.reset_password(reset(&old_link, NEW_PASSWORD)).await),
        ["token"],
        "sent to the old address"
    );
    assert_eq!(code(harness.try_sign_in("anna@example.org", PASSWORD).await), "invalid_credentials");
    assert!(harness.try_sign_in("new@example.org", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn changing_to_a_taken_email_address_sends_no_link() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    harness.register_user("berta").await;
    harness.emails().await;
    let berta = harness.session_of("berta").await;
    let change = EmailChange { email: "anna@example.org".into(), password: PASSWORD.into() };
    harness.change_email(&berta, change).await.unwrap();
    let emails = harness.emails().await;
    assert_eq!((emails.len(), emails[0].subject.as_str()), (1, "You already have an account"));
}

#[tokio::test]
async fn django_hashes_are_accepted_and_upgraded() {
    let harness = accounts().await;
    for (name, hash) in [
        ("pbkdf2", "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M="),
        (
            "scrypt",
            "scrypt$16384$9nqhIP7kjjCSy7tIOUBiXG$8$5$IJJUD2bDYU4nFuhttq9YJx1dWZ4eDFud8Nvt+yFhDvEEniO9l7IY2WuGDe/EhyCnyktJloE8hWFb8wzyIA4R0w==",
        ),
        ("bcrypt", "bcrypt_sha256$$2b$12$2SePwGRFD25r0wu.KK7LLuk3dr.YLrTZ.Uid9LwSWWbxH9DjsYXdu"),
    ] {
        harness.register_user(name).await;
        harness.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'")).await;
        let stored =
            async || harness.texts(&format!("SELECT password_hash FROM users WHERE username = '{name}'")).await;
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        assert_eq!(stored().await, [hash], "a wrong password changes nothing");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
        assert!(stored().await[0].starts_with("$argon2id$"), "{name}");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
    }
    harness.register_user("unusable").await;
    for hash in ["'!0Qe5SZujIvJYpFUUMBKvEpTTOQId3Jz5E7pb5poo'", "''", "NULL", "'md5$a$b'"] {
        harness.sql(&format!("UPDATE users SET password_hash = {hash} WHERE username = 'unusable'")).await;
        assert_eq!(code(harness.try_sign_in("unusable", "").await), "invalid");
        assert_eq!(code(harness.try_sign_in("unusable", "x").await), "invalid_credentials");
        harness.sql("DELETE FROM accounts_throttle").await;
    }
}

/// The shortest duration of a rejected sign-in, in milliseconds.
async fn shortest_rejection(harness: &Harness, name: &str) -> u128 {
    let mut times = Vec::new();
    for _ in 0..3 {
        let started = std::time::Instant::now();
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        times.push(started.elapsed().as_millis());
        harness.sql("DELETE FROM accounts_throttle").await;
    }
    times.into_iter().min().unwrap()
}

#[tokio::test]
async fn every_rejection_takes_as_long_as_the_most_expensive_hash() {
    let harness = accounts().await;
    for name in ["normal", "legacy", "inactive"] {
        harness.register_user(name).await;
    }
    let staff = Roles { superuser: true, ..Roles::default() };
    let staff = harness.create_user(new_user("staff"), staff, WeakPassword::Reject).await.unwrap();
    let erased = harness.register_user("erased").await.user.id;
    harness.erase_user(&caller(&staff), erased).await.unwrap();
    harness.set_active("inactive", false).await.unwrap();
    let hash = "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
    harness.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = 'legacy'")).await;
    let rejection_time = harness.calibrate().await.unwrap().as_millis();
    assert!(rejection_time > 50, "calibrated with the most expensive hash");
    for name in ["normal", "legacy", "inactive", "nobody", &format!("erased-{erased}")] {
        assert!(shortest_rejection(&harness, name).await >= rejection_time, "{name}");
    }
}

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
    let origins = harness.texts(&sign_in).await;
    assert!(origins[0].starts_with("203.0.113.9 curl/8 r-1 anna #"), "{}", origins[0]);
    let rows = harness.texts("SELECT CAST(detail AS text) || action || actor_label FROM kernel_audit_event").await;
    for secret in [PASSWORD, "a wrong password", &token, &signed_in.tokens.access] {
        assert!(rows.iter().all(|row| !row.contains(secret)));
    }
    let update = "UPDATE kernel_audit_event SET action = 'nothing'";
    let result =
        harness.db.write(|tx| async move { sea_orm::ConnectionTrait::execute_unprepared(tx.conn(), update).await });
    assert!(result.await.is_err(), "the log is append-only");
}

#[tokio::test]
async fn every_operation_is_recorded_in_the_audit_log() {
    use guildhall_accounts::{
        AccountChange, AccountPatch, NewAccount, NewUserToken, PasswordProof, SignOutEverywhere, Staff, TotpCode,
    };
    use guildhall_kernel::{CursorQuery, IfMatch};

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
    harness.sql("UPDATE accounts_totp SET confirmed_at = 1").await;
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "mfa_required");
    harness.remove_totp(&anna, proof()).await.unwrap();
    let new_email = EmailChange { email: "new@example.org".into(), password: PASSWORD.into() };
    harness.emails().await;
    harness.change_email(&anna, new_email).await.unwrap();
    harness.confirm_email(&token_in(&harness.emails().await[0])).await.unwrap();
    harness.change_password(&anna, change(PASSWORD, NEW_PASSWORD)).await.unwrap();
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

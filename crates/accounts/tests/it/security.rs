//! Passwords, addresses, and the letters about them.

use guildhall_accounts::{
    Accounts, EmailChange, PasswordChange, PasswordReset, ResetRequest, Security, Tokens, WeakPassword,
};
use guildhall_kernel::Roles;

use crate::harness::{Harness, PASSWORD, accounts, caller, code, credentials, fields, from, somebody, token_in};

const OTHER: &str = "another horse é";

fn change(current: &str, new: &str) -> PasswordChange {
    PasswordChange { current_password: current.into(), new_password: new.into() }
}

async fn ask_for_reset(harness: &Harness, email: &str) {
    harness.request_reset(ResetRequest { email: email.into() }).await.unwrap();
}

fn reset(token: &str, password: &str) -> PasswordReset {
    PasswordReset { token: token.into(), new_password: password.into() }
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_link() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let other = harness.signs_in("anna").await.tokens;
    let here = harness.session_of("anna").await;
    ask_for_reset(&harness, "anna@example.org").await;
    let link = token_in(&harness.letters().await[0]);

    assert_eq!(fields(harness.change_password(&here, change("wrong", OTHER)).await), ["current_password"]);
    assert_eq!(fields(harness.change_password(&here, change(PASSWORD, "password")).await), ["new_password"]);
    assert!(harness.shows(&other.access).await.is_ok(), "nothing has happened so far");
    let fresh = from("203.0.113.9").scope(harness.change_password(&here, change(PASSWORD, OTHER))).await.unwrap();
    assert_eq!(code(harness.shows(&other.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&other.refresh).await), "token_not_valid");
    assert!(harness.shows(&fresh.access).await.is_ok() && harness.refresh(&fresh.refresh).await.is_ok());
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    assert!(harness.try_sign_in("anna", OTHER).await.is_ok());
    assert_eq!(fields(harness.reset_password(reset(&link, "third horse é")).await), ["token"]);
    let letters = harness.letters().await;
    assert_eq!(letters[0].subject, "Your password was changed");
    assert!(letters[0].text.contains("203.0.113.9, on curl"));
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_that_works_once() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let session = harness.signs_in("anna").await.tokens;
    let program = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    ask_for_reset(&harness, "ANNA@example.org").await;
    let letters = harness.letters().await;
    assert_eq!((letters.len(), letters[0].to.as_str()), (1, "anna@example.org"));
    assert!(letters[0].text.contains("https://guild.example.org/password/reset/?token="));
    let token = token_in(&letters[0]);
    let kept = harness.texts("SELECT payload FROM kernel_outbox WHERE payload IS NOT NULL").await;
    assert!(kept.is_empty(), "what was sent is forgotten");

    assert_eq!(fields(harness.reset_password(reset(&token, "anna1234")).await), ["new_password"]);
    harness.reset_password(reset(&token, OTHER)).await.unwrap();
    assert_eq!(code(harness.shows(&session.access).await), "token_not_valid");
    assert_eq!(code(harness.shows_user_token(&program).await), "token_not_valid", "nor what a program had");
    assert!(harness.try_sign_in("anna", OTHER).await.is_ok());
    assert_eq!(fields(harness.reset_password(reset(&token, PASSWORD)).await), ["token"]);
    assert_eq!(fields(harness.reset_password(reset("nonsense", PASSWORD)).await), ["token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_use_a_link_at_once_one_does() {
    let harness = crate::harness::with_connections(6).await;
    harness.verified("anna").await;
    ask_for_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.letters().await[0]);
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
async fn a_link_expires_and_dies_with_what_it_was_made_for() {
    let harness = accounts().await;
    harness.verified("anna").await;
    ask_for_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.letters().await[0]);
    harness.wait(3601);
    assert_eq!(fields(harness.reset_password(reset(&token, OTHER)).await), ["token"], "an hour has passed");
    ask_for_reset(&harness, "anna@example.org").await;
    let token = token_in(&harness.letters().await[0]);
    harness.set_active("anna", false).await.unwrap();
    harness.set_active("anna", true).await.unwrap();
    assert_eq!(fields(harness.reset_password(reset(&token, OTHER)).await), ["token"], "deactivated since");
}

#[tokio::test]
async fn nobody_learns_which_addresses_are_known() {
    let harness = accounts().await;
    harness.registered("unverified").await;
    harness.letters().await;
    let begun = std::time::Instant::now();
    ask_for_reset(&harness, "unverified@example.org").await;
    ask_for_reset(&harness, "nobody@example.org").await;
    assert!(begun.elapsed().as_millis() >= 500, "each takes as long as one with a letter");
    assert!(harness.letters().await.is_empty(), "letters go to verified addresses only");
    let malformed = harness.request_reset(ResetRequest { email: "nowhere".into() }).await;
    assert_eq!(fields(malformed), ["email"]);
}

#[tokio::test]
async fn a_mailbox_cannot_be_filled() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let mut letters = 0;
    for _ in 0..20 {
        ask_for_reset(&harness, "anna@example.org").await;
        letters += harness.letters().await.len();
        harness.wait(50);
    }
    assert_eq!(letters, 3, "after a minute, then after five, then after fifteen");
    harness.wait(24 * 3600);
    for n in 0..5 {
        let name = format!("squatter{n}");
        let squatter = guildhall_accounts::NewUser { email: "victim@example.org".into(), ..somebody(&name) };
        harness.register(squatter).await.unwrap();
    }
    assert_eq!(harness.letters().await.len(), 1, "whichever accounts it is for");
    harness.wait(24 * 3600);
    for n in 0..5 {
        let passing = guildhall_accounts::NewUser { email: "other@example.org".into(), ..somebody(&format!("p{n}")) };
        let passing = caller(&harness.register(passing).await.unwrap());
        let proof = guildhall_accounts::PasswordProof { password: PASSWORD.into() };
        harness.delete_me(&passing, proof).await.unwrap();
    }
    assert_eq!(harness.letters().await.len(), 1, "and whether or not they are still there");
    let anna = caller(&harness.registered("berta").await);
    harness.letters().await;
    harness.resend_verification(&anna).await.unwrap();
    assert!(harness.letters().await.is_empty(), "one was sent this minute");
    harness.wait(61);
    harness.resend_verification(&anna).await.unwrap();
    assert_eq!(harness.letters().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_letters_that_are_asked_for_at_once_one_is_sent() {
    let harness = crate::harness::with_connections(6).await;
    let tasks = (0..10).map(|n| {
        let accounts = harness.accounts.clone();
        let squatter = guildhall_accounts::NewUser { email: "victim@example.org".into(), ..somebody(&format!("s{n}")) };
        tokio::spawn(async move { accounts.register(squatter).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(harness.letters().await.len(), 1);
}

#[tokio::test]
async fn an_address_is_verified_by_the_letter_to_it() {
    let harness = accounts().await;
    let anna = harness.registered("anna").await;
    let letters = harness.letters().await;
    assert_eq!((letters.len(), letters[0].to.as_str()), (1, "anna@example.org"));
    let token = token_in(&letters[0]);
    harness.confirm_email(&token).await.unwrap();
    assert!(harness.me(&caller(&anna)).await.unwrap().details.email_verified);
    assert_eq!(fields(harness.confirm_email(&token).await), ["token"], "once");
    assert!(harness.try_sign_in("anna@example.org", PASSWORD).await.is_ok());
    harness.resend_verification(&caller(&anna)).await.unwrap();
    assert!(harness.letters().await.is_empty());
}

#[tokio::test]
async fn an_address_that_somebody_has_verified_is_not_given_away() {
    let harness = accounts().await;
    harness.verified("anna").await;
    harness.wait(61);
    let squatter = guildhall_accounts::NewUser { email: "Anna@Example.org".into(), ..somebody("squatter") };
    let account = harness.register(squatter).await.unwrap();
    assert!(!account.details.email_verified);
    let letters = harness.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].to.as_str(), letters[0].subject.as_str()),
        ("anna@example.org", "You have an account already")
    );
    assert!(!letters[0].text.contains("token="), "the owner gets no link to somebody else's account");
    assert_eq!(harness.try_sign_in("anna@example.org", PASSWORD).await.unwrap().user.user.username, "anna");
}

#[tokio::test]
async fn of_two_who_wait_for_one_address_the_first_to_confirm_has_it() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let first = token_in(&harness.letters().await[0]);
    harness.wait(61);
    let second = guildhall_accounts::NewUser { email: "anna@example.org".into(), ..somebody("berta") };
    harness.register(second).await.unwrap();
    let second = token_in(&harness.letters().await[0]);
    harness.confirm_email(&second).await.unwrap();
    assert_eq!(code(harness.confirm_email(&first).await), "email_taken");
    assert_eq!(harness.try_sign_in("anna@example.org", PASSWORD).await.unwrap().user.user.username, "berta");
}

#[tokio::test]
async fn the_old_address_stays_until_the_new_one_is_confirmed() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let anna = harness.session_of("anna").await;
    ask_for_reset(&harness, "anna@example.org").await;
    let old_link = token_in(&harness.letters().await[0]);
    let wish = |password: &str| EmailChange { email: "new@example.org".into(), password: password.into() };
    assert_eq!(fields(harness.change_email(&anna, wish("wrong")).await), ["password"]);
    harness.change_email(&anna, wish(PASSWORD)).await.unwrap();
    let letters = harness.letters().await;
    let to: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["new@example.org", "anna@example.org"]);
    assert_eq!(letters[1].subject, "Another address was asked for");
    let me = harness.me(&anna).await.unwrap().details;
    assert_eq!((me.email.as_str(), me.email_verified), ("anna@example.org", true));

    harness.confirm_email(&token_in(&letters[0])).await.unwrap();
    let me = harness.me(&anna).await.unwrap().details;
    assert_eq!((me.email.as_str(), me.email_verified), ("new@example.org", true));
    let notice = &harness.letters().await[0];
    assert_eq!((notice.to.as_str(), notice.subject.as_str()), ("anna@example.org", "Your address was changed"));
    assert_eq!(fields(harness.reset_password(reset(&old_link, OTHER)).await), ["token"], "sent to the old address");
    assert_eq!(code(harness.try_sign_in("anna@example.org", PASSWORD).await), "invalid_credentials");
    assert!(harness.try_sign_in("new@example.org", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_new_address_that_is_known_gets_no_link() {
    let harness = accounts().await;
    harness.verified("anna").await;
    harness.registered("berta").await;
    harness.letters().await;
    let berta = harness.session_of("berta").await;
    let wish = EmailChange { email: "anna@example.org".into(), password: PASSWORD.into() };
    harness.change_email(&berta, wish).await.unwrap();
    let letters = harness.letters().await;
    assert_eq!((letters.len(), letters[0].subject.as_str()), (1, "You have an account already"));
}

#[tokio::test]
async fn djangos_hashes_are_taken_and_made_into_ours() {
    let harness = accounts().await;
    for (name, hash) in [
        ("pbkdf2", "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M="),
        (
            "scrypt",
            "scrypt$16384$9nqhIP7kjjCSy7tIOUBiXG$8$5$IJJUD2bDYU4nFuhttq9YJx1dWZ4eDFud8Nvt+yFhDvEEniO9l7IY2WuGDe/EhyCnyktJloE8hWFb8wzyIA4R0w==",
        ),
        ("bcrypt", "bcrypt_sha256$$2b$12$2SePwGRFD25r0wu.KK7LLuk3dr.YLrTZ.Uid9LwSWWbxH9DjsYXdu"),
    ] {
        harness.registered(name).await;
        harness.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = '{name}'")).await;
        let kept = async || harness.texts(&format!("SELECT password_hash FROM users WHERE username = '{name}'")).await;
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        assert_eq!(kept().await, [hash], "a wrong password changes nothing");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
        assert!(kept().await[0].starts_with("$argon2id$"), "{name}");
        assert!(harness.try_sign_in(name, "correct horse é").await.is_ok(), "{name}");
    }
    harness.registered("unusable").await;
    for hash in ["'!0Qe5SZujIvJYpFUUMBKvEpTTOQId3Jz5E7pb5poo'", "''", "NULL", "'md5$a$b'"] {
        harness.sql(&format!("UPDATE users SET password_hash = {hash} WHERE username = 'unusable'")).await;
        assert_eq!(code(harness.try_sign_in("unusable", "").await), "invalid");
        assert_eq!(code(harness.try_sign_in("unusable", "x").await), "invalid_credentials");
        harness.sql("DELETE FROM accounts_throttle").await;
    }
}

/// How long refusals take, at the least and at the most, in milliseconds.
async fn refusals_of(harness: &Harness, name: &str) -> u128 {
    let mut times = Vec::new();
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        assert_eq!(code(harness.try_sign_in(name, "wrong").await), "invalid_credentials");
        times.push(begun.elapsed().as_millis());
        harness.sql("DELETE FROM accounts_throttle").await;
    }
    times.into_iter().min().unwrap()
}

#[tokio::test]
async fn a_refusal_takes_no_less_for_nobody_than_for_the_dearest_hash() {
    let harness = accounts().await;
    for name in ["normal", "legacy", "inactive"] {
        harness.registered(name).await;
    }
    let staff = Roles { superuser: true, ..Roles::default() };
    let staff = harness.create_user(somebody("staff"), staff, WeakPassword::Refuse).await.unwrap();
    let erased = harness.registered("erased").await.user.id;
    harness.erase_user(&caller(&staff), erased).await.unwrap();
    harness.set_active("inactive", false).await.unwrap();
    let hash = "pbkdf2_sha256$1000000$xYk4ZS051A2mNOqTXWx8an$KZFnM8SRKMVgF09fCFE2/EzbESYvzASxTbsfRYUvJ8M=";
    harness.sql(&format!("UPDATE users SET password_hash = '{hash}' WHERE username = 'legacy'")).await;
    let hold = harness.calibrate().await.unwrap().as_millis();
    assert!(hold > 50, "calibrated by the dearest hash that there is");
    for name in ["normal", "legacy", "inactive", "nobody", &format!("erased-{erased}")] {
        assert!(refusals_of(&harness, name).await >= hold, "{name}");
    }
}

#[tokio::test]
async fn every_event_is_in_the_log_without_a_secret() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let signed_in = from("203.0.113.9").scope(harness.signs_in("anna")).await;
    from("203.0.113.9").scope(harness.try_sign_in("anna", "a wrong password")).await.err().unwrap();
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out(&signed_in.tokens.refresh).await.unwrap();
    assert_eq!(
        harness.log().await,
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
    let told = harness.texts(&sign_in).await;
    assert!(told[0].starts_with("203.0.113.9 curl/8 r-1 anna #"), "{}", told[0]);
    let everything =
        harness.texts("SELECT CAST(detail AS text) || action || actor_label FROM kernel_audit_event").await;
    for secret in [PASSWORD, "a wrong password", &token, &signed_in.tokens.access] {
        assert!(everything.iter().all(|row| !row.contains(secret)));
    }
    let change = "UPDATE kernel_audit_event SET action = 'nothing'";
    let changed =
        harness.db.write(|tx| async move { sea_orm::ConnectionTrait::execute_unprepared(tx.conn(), change).await });
    assert!(changed.await.is_err(), "the log is append-only");
}

#[tokio::test]
async fn every_act_leaves_its_event() {
    use guildhall_accounts::{
        AccountChange, AccountPatch, NewAccount, NewUserToken, PasswordProof, SignOutEverywhere, Staff, TotpCode,
    };
    use guildhall_kernel::{IfMatch, SliceQuery};

    let harness = accounts().await;
    let boss = Roles { superuser: true, ..Roles::default() };
    let boss = caller(&harness.create_user(somebody("boss"), boss, WeakPassword::Refuse).await.unwrap());
    harness.verified("anna").await;
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
    let wish = EmailChange { email: "new@example.org".into(), password: PASSWORD.into() };
    harness.letters().await;
    harness.change_email(&anna, wish).await.unwrap();
    harness.confirm_email(&token_in(&harness.letters().await[0])).await.unwrap();
    harness.change_password(&anna, change(PASSWORD, OTHER)).await.unwrap();
    ask_for_reset(&harness, "new@example.org").await;
    let link = harness.letters().await;
    harness.reset_password(reset(&token_in(link.last().unwrap()), PASSWORD)).await.unwrap();
    let anna = harness.session_of("anna").await;
    let session = harness.sessions(&anna, SliceQuery::newest(1)).await.unwrap().results[0].id;
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

    let log = harness.log().await;
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

use guildhall_accounts::{
    Accounts, Error, NewUserToken, PasswordProof, PasswordReset, ResetRequest, SecondFactor, Security, SignedIn,
    Tokens, TotpCode,
};
use guildhall_kernel::{self as kernel, Timestamp};
use totp_rs::{Builder, Secret};

use crate::harness::{Harness, PASSWORD, accounts, code, credentials, fields, token_in, with_connections};

/// The code of a secret, so many seconds from now.
fn code_of(secret: &str, ahead: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(u64::try_from(Timestamp::now().unix_seconds()).unwrap() + ahead).to_string()
}

/// Sets a second factor up; gives the secret and the recovery codes. The clock is a step further then.
async fn set_up(harness: &Harness, name: &str) -> (String, Vec<String>) {
    let caller = harness.session_of(name).await;
    let setup = harness.set_up_totp(&caller).await.unwrap();
    assert!(setup.otpauth_url.starts_with("otpauth://totp/Guildhall:"), "{}", setup.otpauth_url);
    assert!(harness.try_sign_in(name, PASSWORD).await.is_ok(), "not asked for before it is confirmed");
    assert_eq!(fields(harness.confirm_totp(&caller, TotpCode { code: "000000".into() }).await), ["code"]);
    let code = TotpCode { code: code_of(&setup.secret, 0) };
    let codes = harness.confirm_totp(&caller, code).await.unwrap().recovery_codes;
    harness.wait(30);
    (setup.secret, codes)
}

async fn first_step(harness: &Harness, name: &str, password: &str) -> String {
    let refused: kernel::Error = harness.try_sign_in(name, password).await.err().unwrap().into();
    assert_eq!(refused.code(), "mfa_required");
    assert_eq!(refused.extension("methods").unwrap(), &serde_json::json!(["totp", "recovery_code"]));
    refused.extension("mfa_token").unwrap().as_str().unwrap().to_owned()
}

async fn second_step(harness: &Harness, mfa_token: &str, code: &str) -> Result<SignedIn, Error> {
    let second = SecondFactor { mfa_token: mfa_token.into(), code: code.into() };
    harness.sign_in_with_second_factor(second).await
}

#[tokio::test]
async fn once_it_is_set_up_a_code_is_asked_for() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let (secret, codes) = set_up(&harness, "anna").await;
    assert_eq!(codes.len(), 10);
    assert_eq!(harness.letters().await[0].subject, "A second factor was set up");
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(code(harness.try_sign_in("anna", "wrong").await), "invalid_credentials", "the password comes first");
    assert_eq!(fields(second_step(&harness, &mfa, "000000").await), ["code"]);
    let right = code_of(&secret, 30);
    let signed_in = second_step(&harness, &mfa, &right).await.unwrap();
    assert!(harness.shows(&signed_in.tokens.access).await.is_ok());
    assert_eq!(code(second_step(&harness, &mfa, &right).await), "token_not_valid", "the step was finished");
    let again = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(fields(second_step(&harness, &again, &right).await), ["code"], "the code was used");
    assert_eq!(fields(second_step(&harness, &again, &code_of(&secret, 0)).await), ["code"], "nor one before it");
    let exchange = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await;
    assert_eq!(code(exchange), "mfa_required", "no way round it");
}

#[tokio::test]
async fn a_recovery_code_works_once_however_it_is_typed() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let (_, codes) = set_up(&harness, "anna").await;
    harness.letters().await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert!(second_step(&harness, &mfa, &typed).await.is_ok());
    assert_eq!(harness.letters().await[0].subject, "A recovery code was used");
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(fields(second_step(&harness, &mfa, &codes[3]).await), ["code"]);
    assert!(second_step(&harness, &mfa, &codes[4]).await.is_ok());
    let used = harness.texts("SELECT CAST(id AS text) FROM accounts_recovery_code WHERE used_at IS NOT NULL").await;
    assert_eq!(used.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_use_a_code_at_once_one_gets_in() {
    let harness = with_connections(6).await;
    harness.registered("anna").await;
    let (secret, _) = set_up(&harness, "anna").await;
    let right = code_of(&secret, 30);
    let mut steps = Vec::new();
    for _ in 0..10 {
        steps.push(first_step(&harness, "anna", PASSWORD).await);
    }
    let tasks = steps.into_iter().map(|mfa_token| {
        let (accounts, code) = (harness.accounts.clone(), right.clone());
        tokio::spawn(async move { accounts.sign_in_with_second_factor(SecondFactor { mfa_token, code }).await.is_ok() })
    });
    let mut let_in = 0;
    for task in tasks.collect::<Vec<_>>() {
        let_in += u8::from(task.await.unwrap());
    }
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn codes_cannot_be_guessed() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let (secret, _) = set_up(&harness, "anna").await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(fields(second_step(&harness, &mfa, "000000").await), ["code"]);
    }
    let anew = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(code(second_step(&harness, &anew, &code_of(&secret, 30)).await), "throttled");
    harness.wait(301);
    assert_eq!(code(second_step(&harness, &anew, "000000").await), "token_not_valid", "five minutes have passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn codes_cannot_be_guessed_at_once_either() {
    let harness = with_connections(6).await;
    harness.registered("anna").await;
    set_up(&harness, "anna").await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    let tasks = (0..40).map(|n| {
        let (accounts, mfa_token) = (harness.accounts.clone(), mfa.clone());
        let code = format!("{n:06}");
        tokio::spawn(async move {
            crate::harness::code(accounts.sign_in_with_second_factor(SecondFactor { mfa_token, code }).await)
        })
    });
    let mut tried = 0;
    for task in tasks.collect::<Vec<_>>() {
        tried += u8::from(task.await.unwrap() == "invalid");
    }
    // One was tried, and counted, when it was set up.
    assert!((4..=5).contains(&tried), "{tried}");
}

#[tokio::test]
async fn a_password_and_a_programs_token_do_not_lead_past_it() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    set_up(&harness, "anna").await;
    let program = harness.shows_user_token(&token).await.unwrap();
    let proof = PasswordProof { password: PASSWORD.into() };
    let change = guildhall_accounts::PasswordChange {
        current_password: PASSWORD.into(),
        new_password: "another horse é".into(),
    };
    let email = guildhall_accounts::EmailChange { email: "x@example.org".into(), password: PASSWORD.into() };
    assert_eq!(code(harness.remove_totp(&program, proof).await), "step_up_required");
    assert_eq!(code(harness.change_password(&program, change).await), "step_up_required");
    assert_eq!(code(harness.change_email(&program, email).await), "step_up_required");
}

#[tokio::test]
async fn fault_12_no_call_that_takes_the_password_leads_a_user_token_past_it() {
    let harness = accounts().await;
    let anna = harness.verified("anna").await;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    set_up(&harness, "anna").await;
    let program = harness.shows_user_token(&token).await.unwrap();
    let new = NewUserToken { password: Some(PASSWORD.into()), ..NewUserToken::default() };
    assert_eq!(code(harness.create_user_token(&program, new).await), "step_up_required");
    let proof = PasswordProof { password: PASSWORD.into() };
    assert_eq!(code(harness.delete_me(&program, proof).await), "step_up_required");
    assert!(harness.account_exists(anna.user.id).await);
}

#[tokio::test]
async fn a_new_password_does_not_replace_the_second_factor() {
    let harness = accounts().await;
    harness.verified("anna").await;
    set_up(&harness, "anna").await;
    harness.letters().await;
    harness.request_reset(ResetRequest { email: "anna@example.org".into() }).await.unwrap();
    let token = token_in(&harness.letters().await[0]);
    let new_password = "another horse é".to_owned();
    harness.reset_password(PasswordReset { token, new_password: new_password.clone() }).await.unwrap();
    first_step(&harness, "anna", &new_password).await;
}

#[tokio::test]
async fn it_is_set_up_and_taken_away_by_whoever_shows_the_password() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let early = harness.session_of("anna").await;
    harness.wait(16 * 60);
    assert_eq!(code(harness.set_up_totp(&early).await), "step_up_required");
    harness.step_up(&early, PasswordProof { password: PASSWORD.into() }).await.unwrap();
    let setup = harness.set_up_totp(&early).await.unwrap();
    let code_now = TotpCode { code: code_of(&setup.secret, 16 * 60) };
    harness.confirm_totp(&early, code_now).await.unwrap();
    assert_eq!(code(harness.set_up_totp(&early).await), "second_factor_exists");
    harness.letters().await;
    let proof = |password: &str| PasswordProof { password: password.into() };
    assert_eq!(fields(harness.remove_totp(&early, proof("wrong")).await), ["password"]);
    harness.remove_totp(&early, proof(PASSWORD)).await.unwrap();
    assert_eq!(harness.letters().await[0].subject, "Your second factor was removed");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
    assert_eq!(harness.rows("accounts_recovery_code").await, 0);
    assert_eq!(code(harness.remove_totp(&early, proof(PASSWORD)).await), "no_second_factor");
}

use guildhall_accounts::{
    EmailAddresses, Error, NewUserToken, PasswordProof, PasswordReset, Passwords, Removals, ResetRequest, SecondFactor,
    SecondFactors, SignedIn, Tokens, TotpCode, UserTokens,
};
use guildhall_kernel::{self as kernel, Timestamp};
use totp_rs::{Builder, Secret};

use crate::harness::{Harness, PASSWORD, accounts, code, credentials, fields, token_in, with_connections};

/// The TOTP code of a secret, some seconds from now.
fn totp_code(secret: &str, seconds: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).with_account_name("x").build().unwrap();
    totp.generate(u64::try_from(Timestamp::now().unix_seconds()).unwrap() + seconds).to_string()
}

/// Sets up a second factor, advances the clock by one time step and returns the secret and recovery codes.
async fn set_up(harness: &Harness, name: &str) -> (String, Vec<String>) {
    let caller = harness.session_of(name).await;
    let setup = harness.set_up_totp(&caller).await.unwrap();
    assert!(setup.otpauth_url.starts_with("otpauth://totp/Guildhall:"), "{}", setup.otpauth_url);
    assert!(harness.try_sign_in(name, PASSWORD).await.is_ok(), "not required before it is confirmed");
    assert_eq!(fields(harness.confirm_totp(&caller, TotpCode { code: "000000".into() }).await), ["code"]);
    let code = TotpCode { code: totp_code(&setup.secret, 0) };
    let codes = harness.confirm_totp(&caller, code).await.unwrap().recovery_codes;
    harness.advance(30);
    (setup.secret, codes)
}

async fn first_step(harness: &Harness, name: &str, password: &str) -> String {
    let error: kernel::Error = harness.try_sign_in(name, password).await.err().unwrap().into();
    assert_eq!(error.code(), "mfa_required");
    assert_eq!(error.extension("methods").unwrap(), &serde_json::json!(["totp", "recovery_code"]));
    error.extension("mfa_token").unwrap().as_str().unwrap().to_owned()
}

async fn second_step(harness: &Harness, mfa_token: &str, code: &str) -> Result<SignedIn, Error> {
    let second = SecondFactor { mfa_token: mfa_token.into(), code: code.into() };
    harness.sign_in_with_second_factor(second).await
}

#[tokio::test]
async fn a_confirmed_second_factor_is_required_at_sign_in() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let (secret, codes) = set_up(&harness, "anna").await;
    assert_eq!(codes.len(), 10);
    assert_eq!(harness.emails().await[0].subject, "A second factor was set up");
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(code(harness.try_sign_in("anna", "wrong").await), "invalid_credentials", "the password comes first");
    assert_eq!(fields(second_step(&harness, &mfa, "000000").await), ["code"]);
    let correct = totp_code(&secret, 30);
    let signed_in = second_step(&harness, &mfa, &correct).await.unwrap();
    assert!(harness.authenticate_bearer(&signed_in.tokens.access).await.is_ok());
    assert_eq!(code(second_step(&harness, &mfa, &correct).await), "token_not_valid", "the sign-in was completed");
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(fields(second_step(&harness, &mfa, &correct).await), ["code"], "the code was used");
    assert_eq!(fields(second_step(&harness, &mfa, &totp_code(&secret, 0)).await), ["code"], "an earlier code");
    let exchange = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await;
    assert_eq!(code(exchange), "mfa_required", "a user token requires it too");
}

#[tokio::test]
async fn the_owner_sees_whether_there_is_a_second_factor() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let caller = harness.session_of("anna").await;
    let before = harness.second_factor_status(&caller).await.unwrap();
    assert_eq!((before.since, before.recovery_codes_left), (None, 0));
    let (_, codes) = set_up(&harness, "anna").await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    second_step(&harness, &mfa, &codes[0]).await.unwrap();
    let after = harness.second_factor_status(&caller).await.unwrap();
    assert!(after.since.is_some());
    assert_eq!(after.recovery_codes_left, 9);
}

#[tokio::test]
async fn a_recovery_code_works_once_in_any_spelling() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let (_, codes) = set_up(&harness, "anna").await;
    harness.emails().await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert!(second_step(&harness, &mfa, &typed).await.is_ok());
    assert_eq!(harness.emails().await[0].subject, "A recovery code was used");
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(fields(second_step(&harness, &mfa, &codes[3]).await), ["code"]);
    assert!(second_step(&harness, &mfa, &codes[4]).await.is_ok());
    let used =
        harness.db.query_texts("SELECT CAST(id AS text) FROM accounts_recovery_code WHERE used_at IS NOT NULL").await;
    assert_eq!(used.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_uses_of_a_code_one_succeeds() {
    let harness = with_connections(6).await;
    harness.register_user("anna").await;
    let (secret, _) = set_up(&harness, "anna").await;
    let correct = totp_code(&secret, 30);
    let mut steps = Vec::new();
    for _ in 0..10 {
        steps.push(first_step(&harness, "anna", PASSWORD).await);
    }
    let tasks = steps.into_iter().map(|mfa_token| {
        let (accounts, code) = (harness.accounts.clone(), correct.clone());
        tokio::spawn(async move { accounts.sign_in_with_second_factor(SecondFactor { mfa_token, code }).await.is_ok() })
    });
    let mut successes = 0;
    for task in tasks.collect::<Vec<_>>() {
        successes += u8::from(task.await.unwrap());
    }
    assert_eq!(successes, 1);
}

#[tokio::test]
async fn guessing_codes_is_throttled() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let (secret, _) = set_up(&harness, "anna").await;
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    for _ in 0..5 {
        assert_eq!(fields(second_step(&harness, &mfa, "000000").await), ["code"]);
    }
    let mfa = first_step(&harness, "anna", PASSWORD).await;
    assert_eq!(code(second_step(&harness, &mfa, &totp_code(&secret, 30)).await), "throttled");
    harness.advance(301);
    assert_eq!(code(second_step(&harness, &mfa, "000000").await), "token_not_valid", "five minutes have passed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_guesses_of_codes_are_throttled() {
    let harness = with_connections(6).await;
    harness.register_user("anna").await;
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
    // One failure was already counted during setup.
    assert!((4..=5).contains(&tried), "{tried}");
}

#[tokio::test]
async fn a_password_and_a_user_token_do_not_bypass_the_second_factor() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    set_up(&harness, "anna").await;
    let program = harness.authenticate_token(&token).await.unwrap();
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
async fn fault_12_no_operation_with_a_password_lets_a_user_token_bypass_the_second_factor() {
    let harness = accounts().await;
    let anna = harness.register_verified("anna").await;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    set_up(&harness, "anna").await;
    let program = harness.authenticate_token(&token).await.unwrap();
    let new = NewUserToken { password: Some(PASSWORD.into()), ..NewUserToken::default() };
    assert_eq!(code(harness.create_user_token(&program, new).await), "step_up_required");
    let proof = PasswordProof { password: PASSWORD.into() };
    assert_eq!(code(harness.delete_me(&program, proof).await), "step_up_required");
    assert!(harness.account_exists(anna.user.id).await);
}

#[tokio::test]
async fn resetting_the_password_keeps_the_second_factor() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    set_up(&harness, "anna").await;
    harness.emails().await;
    harness.request_reset(ResetRequest { email: "anna@example.org".into() }).await.unwrap();
    let token = token_in(&harness.emails().await[0]);
    let new_password = "another horse é".to_owned();
    harness.reset_password(PasswordReset { token, new_password: new_password.clone() }).await.unwrap();
    first_step(&harness, "anna", &new_password).await;
}

#[tokio::test]
async fn setting_up_and_removing_a_second_factor_require_the_password() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let session = harness.session_of("anna").await;
    harness.advance(16 * 60);
    assert_eq!(code(harness.set_up_totp(&session).await), "step_up_required");
    harness.step_up(&session, PasswordProof { password: PASSWORD.into() }).await.unwrap();
    let setup = harness.set_up_totp(&session).await.unwrap();
    let code_now = TotpCode { code: totp_code(&setup.secret, 16 * 60) };
    harness.confirm_totp(&session, code_now).await.unwrap();
    assert_eq!(code(harness.set_up_totp(&session).await), "second_factor_exists");
    harness.emails().await;
    let proof = |password: &str| PasswordProof { password: password.into() };
    assert_eq!(fields(harness.remove_totp(&session, proof("wrong")).await), ["password"]);
    harness.remove_totp(&session, proof(PASSWORD)).await.unwrap();
    assert_eq!(harness.emails().await[0].subject, "Your second factor was removed");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
    assert_eq!(harness.db.count_rows("accounts_recovery_code").await, 0);
    assert_eq!(code(harness.remove_totp(&session, proof(PASSWORD)).await), "no_second_factor");
}

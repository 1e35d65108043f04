//! Throttling slows down guessing and cannot be used to lock out the owner of an account.

use std::time::Duration;

use guildhall_accounts::{
    AccountLimits, Accounts, Error, PasswordProof, PasswordReset, Passwords, Removals, ResetRequest, Tokens,
};
use guildhall_kernel::testing::TestClock;

use crate::harness::{
    Harness, PASSWORD, accounts, caller, code, credentials, new_user, origin, token_in, with_connections, with_limits,
};

/// Tries to sign in from an IP address and returns the error code, or `ok`.
async fn guess(harness: &Harness, ip: &str, name: &str, password: &str) -> String {
    code(origin(ip).scope(harness.try_sign_in(name, password)).await)
}

async fn guess_often(harness: &Harness, ip: &str, name: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(guess(harness, ip, name, "wrong").await, "invalid_credentials");
    }
}

/// Guesses from a new network each time, like a botnet.
async fn guess_from_botnet(harness: &Harness, name: &str, times: usize) {
    for n in 0..times {
        assert_eq!(guess(harness, &format!("198.51.{n}.1"), name, "wrong").await, "invalid_credentials");
    }
}

#[tokio::test]
async fn after_five_failures_each_further_one_doubles_the_wait() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    let error = origin("203.0.113.77").scope(harness.try_sign_in("anna", PASSWORD)).await.err().unwrap();
    let Error::Throttled(wait) = error else { panic!("{error}") };
    assert!(wait.as_secs_f64() <= 1.0, "the same network: {wait:?}");
    harness.advance(1);
    guess_often(&harness, "203.0.113.9", "anna", 1).await;
    harness.advance(1);
    assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "throttled", "two seconds now");
    harness.advance(1);
    assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "ok");
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
}

#[tokio::test]
async fn unknown_usernames_are_throttled_with_the_same_message() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let mut messages = Vec::new();
    for name in ["anna", "nobody"] {
        guess_often(&harness, "203.0.113.9", name, 5).await;
        messages.push(origin("203.0.113.9").scope(harness.try_sign_in(name, "wrong")).await.err().unwrap().to_string());
    }
    assert_eq!(messages[0], messages[1]);
    let details = harness.db.query_texts("SELECT detail FROM kernel_audit_event WHERE outcome = 'refused'").await;
    assert!(details.iter().all(|detail| !detail.contains("nobody")), "the input may be a mistyped password");
}

#[tokio::test]
async fn a_network_that_tries_many_usernames_is_throttled() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    for n in 0..30 {
        guess_often(&harness, "203.0.113.9", &format!("name{n}"), 1).await;
    }
    assert_eq!(guess(&harness, "203.0.113.200", "anna", PASSWORD).await, "throttled");
    assert_eq!(guess(&harness, "203.0.114.1", "anna", PASSWORD).await, "ok", "another network");
    harness.advance(601);
    assert_eq!(guess(&harness, "203.0.113.200", "anna", PASSWORD).await, "ok");
}

#[tokio::test]
async fn an_attack_from_everywhere_does_not_lock_the_owner_out() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    assert_eq!(guess(&harness, "192.0.2.7", "anna", PASSWORD).await, "ok", "the owner's network becomes known");
    guess_from_botnet(&harness, "anna", 100).await;
    assert_eq!(guess(&harness, "198.51.200.1", "anna", "wrong").await, "throttled", "after 100 failures");
    assert_eq!(guess(&harness, "192.0.2.9", "anna", PASSWORD).await, "ok", "the owner on a known network");

    guess_from_botnet(&harness, "anna", 100).await;
    assert_eq!(guess(&harness, "198.18.0.1", "anna", PASSWORD).await, "throttled", "the owner on an unknown network");
    harness.emails().await;
    harness.request_reset(ResetRequest { email: "anna@example.org".into() }).await.unwrap();
    let token = token_in(&harness.emails().await[0]);
    let reset = PasswordReset { token, new_password: "another horse é".into() };
    origin("198.18.0.1").scope(harness.reset_password(reset)).await.unwrap();
    assert_eq!(guess(&harness, "198.18.0.1", "anna", "another horse é").await, "ok");
}

#[tokio::test]
async fn counters_survive_a_restart() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    let other = harness.second_node().await;
    let result = origin("203.0.113.9").scope(other.sign_in(credentials("anna", PASSWORD))).await;
    assert_eq!(code(result), "throttled");
}

#[tokio::test]
async fn a_success_resets_the_failures() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    for _ in 0..4 {
        guess_often(&harness, "203.0.113.9", "anna", 4).await;
        assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "ok");
    }
}

#[tokio::test]
async fn failed_password_confirmations_are_throttled_too() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let wrong = || PasswordProof { password: "wrong".into() };
    for _ in 0..5 {
        assert_eq!(code(harness.step_up(&anna, wrong()).await), "invalid");
    }
    assert_eq!(code(harness.step_up(&anna, wrong()).await), "throttled");
}

#[tokio::test]
async fn username_and_email_address_are_counted_separately() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    assert_eq!(guess(&harness, "203.0.113.9", "anna", "wrong").await, "throttled");
    assert_eq!(guess(&harness, "203.0.113.9", "anna@example.org", "wrong").await, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_attempts_cannot_bypass_the_throttle() {
    let harness = with_connections(6).await;
    harness.register_user("anna").await;
    let tasks = (0..30).map(|_| {
        let accounts = harness.accounts.clone();
        let attempt = async move { code(accounts.sign_in(credentials("anna", "wrong")).await) };
        tokio::spawn(origin("203.0.113.9").scope(attempt))
    });
    let mut tried = 0;
    for task in tasks.collect::<Vec<_>>() {
        tried += u8::from(task.await.unwrap() == "invalid_credentials");
    }
    // Up to one check per core can be running when the fifth failure is counted.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!((5..=5 + cores).contains(&usize::from(tried)), "{tried}");
}

#[tokio::test]
async fn fault_8_registrations_and_reset_requests_are_limited_per_network() {
    let harness = accounts().await;
    let register = async |ip: &str, n: usize| origin(ip).scope(harness.register(new_user(&format!("person{n}")))).await;
    for n in 0..20 {
        register("203.0.113.7", n).await.unwrap();
    }
    let error = register("203.0.113.8", 20).await.unwrap_err();
    assert!(matches!(error, Error::Throttled(wait) if wait.as_secs() > 3500), "{error}");
    register("203.0.114.1", 21).await.unwrap();
    assert_eq!(harness.emails().await.len(), 21, "the rejected registration sends no email");
    let request_reset = async |ip: &str| {
        let request = ResetRequest { email: "person1@example.org".into() };
        origin(ip).scope(harness.request_reset(request)).await
    };
    for _ in 0..30 {
        request_reset("203.0.113.7").await.unwrap();
    }
    assert!(matches!(request_reset("203.0.113.7").await.unwrap_err(), Error::Throttled(_)));
    harness.advance(3601);
    register("203.0.113.7", 22).await.unwrap();
    request_reset("203.0.113.7").await.unwrap();
}

#[tokio::test]
async fn fault_8_sign_ins_are_limited_per_user() {
    let harness = accounts().await;
    harness.register(new_user("anna")).await.unwrap();
    harness.register(new_user("berta")).await.unwrap();
    for _ in 0..60 {
        assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    }
    assert_eq!(guess(&harness, "203.0.114.7", "anna", PASSWORD).await, "throttled");
    assert_eq!(guess(&harness, "203.0.113.7", "berta", PASSWORD).await, "ok");
    harness.advance(3601);
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
}

#[tokio::test]
async fn fault_11_guesses_from_a_network_do_not_lock_out_users_who_are_known_there() {
    let harness = accounts().await;
    let anna = harness.register(new_user("anna")).await.unwrap();
    harness.register(new_user("berta")).await.unwrap();
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    for n in 0..30 {
        guess(&harness, "203.0.113.200", &format!("nobody{n}"), "wrong").await;
    }
    assert_eq!(guess(&harness, "203.0.113.200", "berta", PASSWORD).await, "throttled", "not known there");
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    // Signed-in users are exempt from the limit of the network.
    let anna = caller(&anna);
    let delete = harness.delete_me(&anna, PasswordProof { password: "wrong".into() });
    let error = origin("203.0.113.9").scope(delete).await.unwrap_err();
    assert!(matches!(error, Error::WrongPassword { .. }), "{error}");
}

#[tokio::test]
async fn fault_17_a_clock_that_was_ahead_locks_nobody_out() {
    let harness = accounts().await;
    harness.register(new_user("anna")).await.unwrap();
    let clock = TestClock::default();
    clock.advance(Duration::from_secs(365 * 24 * 3600));
    let ahead = harness.second_node_with(&clock).await;
    let guess_ahead =
        async |name: &str| code(origin("203.0.113.7").scope(ahead.sign_in(credentials(name, "wrong"))).await);
    for _ in 0..5 {
        assert_eq!(guess_ahead("anna").await, "invalid_credentials");
    }
    for n in 0..30 {
        guess_ahead(&format!("nobody{n}")).await;
    }
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    // Later failures are counted again.
    for n in 0..30 {
        guess(&harness, "203.0.113.7", &format!("nobody{n}"), "wrong").await;
    }
    assert_eq!(guess(&harness, "203.0.113.7", "nobody", "wrong").await, "throttled");
}

#[tokio::test]
async fn fault_t7_every_limit_is_a_setting() {
    let limits = AccountLimits { failures_per_network: 2, registrations_per_hour: 1, ..AccountLimits::default() };
    let harness = with_limits(limits).await;
    origin("203.0.113.7").scope(harness.register(new_user("anna"))).await.unwrap();
    let error = origin("203.0.113.7").scope(harness.register(new_user("berta"))).await.unwrap_err();
    assert!(matches!(error, Error::Throttled(_)), "{error}");
    for n in 0..2 {
        assert_eq!(guess(&harness, "203.0.113.7", &format!("nobody{n}"), "wrong").await, "invalid_credentials");
    }
    assert_eq!(guess(&harness, "203.0.113.7", "nobody", "wrong").await, "throttled");
}

//! Guessing is slowed down, and cannot be used against the one whose password is guessed.

use guildhall_accounts::{AccountLimits, Accounts, Error, PasswordProof, PasswordReset, ResetRequest, Security};

use crate::harness::{Harness, PASSWORD, accounts, caller, code, from, somebody, token_in, with_limits};

/// Tries a password from an address.
async fn guess(harness: &Harness, ip: &str, name: &str, password: &str) -> String {
    code(from(ip).scope(harness.try_sign_in(name, password)).await)
}

async fn guess_often(harness: &Harness, ip: &str, name: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(guess(harness, ip, name, "wrong").await, "invalid_credentials");
    }
}

/// Guesses from ever new networks, as a botnet does.
async fn botnet(harness: &Harness, name: &str, times: usize) {
    for n in 0..times {
        assert_eq!(guess(harness, &format!("198.51.{n}.1"), name, "wrong").await, "invalid_credentials");
    }
}

#[tokio::test]
async fn after_five_failures_each_more_doubles_the_wait() {
    let harness = accounts().await;
    harness.registered("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    let refused = from("203.0.113.77").scope(harness.try_sign_in("anna", PASSWORD)).await.err().unwrap();
    let Error::Throttled(wait) = refused else { panic!("{refused}") };
    assert!(wait.as_secs_f64() <= 1.0, "the same network: {wait:?}");
    harness.wait(1);
    guess_often(&harness, "203.0.113.9", "anna", 1).await;
    harness.wait(1);
    assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "throttled", "two seconds now");
    harness.wait(1);
    assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "ok");
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
}

#[tokio::test]
async fn what_is_not_there_is_throttled_in_the_same_words() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let mut told = Vec::new();
    for name in ["anna", "nobody"] {
        guess_often(&harness, "203.0.113.9", name, 5).await;
        told.push(from("203.0.113.9").scope(harness.try_sign_in(name, "wrong")).await.err().unwrap().to_string());
    }
    assert_eq!(told[0], told[1]);
    let kept = harness.texts("SELECT detail FROM kernel_audit_event WHERE outcome = 'refused'").await;
    assert!(kept.iter().all(|detail| !detail.contains("nobody")), "what was typed may be a password");
}

#[tokio::test]
async fn a_network_that_tries_many_names_is_stopped_too() {
    let harness = accounts().await;
    harness.registered("anna").await;
    for n in 0..30 {
        guess_often(&harness, "203.0.113.9", &format!("name{n}"), 1).await;
    }
    assert_eq!(guess(&harness, "203.0.113.200", "anna", PASSWORD).await, "throttled");
    assert_eq!(guess(&harness, "203.0.114.1", "anna", PASSWORD).await, "ok", "another network");
    harness.wait(601);
    assert_eq!(guess(&harness, "203.0.113.200", "anna", PASSWORD).await, "ok");
}

#[tokio::test]
async fn an_attack_from_everywhere_does_not_lock_the_owner_out() {
    let harness = accounts().await;
    harness.verified("anna").await;
    assert_eq!(guess(&harness, "192.0.2.7", "anna", PASSWORD).await, "ok", "where anna lives");
    botnet(&harness, "anna", 100).await;
    assert_eq!(guess(&harness, "198.51.200.1", "anna", "wrong").await, "throttled", "the hundred-and-first guess");
    assert_eq!(guess(&harness, "192.0.2.9", "anna", PASSWORD).await, "ok", "the owner at home");

    botnet(&harness, "anna", 100).await;
    assert_eq!(guess(&harness, "198.18.0.1", "anna", PASSWORD).await, "throttled", "the owner on a journey");
    harness.letters().await;
    harness.request_reset(ResetRequest { email: "anna@example.org".into() }).await.unwrap();
    let token = token_in(&harness.letters().await[0]);
    let reset = PasswordReset { token, new_password: "another horse é".into() };
    from("198.18.0.1").scope(harness.reset_password(reset)).await.unwrap();
    assert_eq!(guess(&harness, "198.18.0.1", "anna", "another horse é").await, "ok");
}

#[tokio::test]
async fn counts_outlive_the_process() {
    let harness = accounts().await;
    harness.registered("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    let other = harness.another().await;
    let credentials = crate::harness::credentials("anna", PASSWORD);
    let refused = from("203.0.113.9").scope(guildhall_accounts::Tokens::sign_in(&other, credentials)).await;
    assert_eq!(code(refused), "throttled");
}

#[tokio::test]
async fn a_success_forgets_the_failures() {
    let harness = accounts().await;
    harness.registered("anna").await;
    for _ in 0..4 {
        guess_often(&harness, "203.0.113.9", "anna", 4).await;
        assert_eq!(guess(&harness, "203.0.113.9", "anna", PASSWORD).await, "ok");
    }
}

#[tokio::test]
async fn passwords_that_are_asked_for_again_are_counted_as_well() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let wrong = || guildhall_accounts::PasswordProof { password: "wrong".into() };
    for _ in 0..5 {
        assert_eq!(code(harness.step_up(&anna, wrong()).await), "invalid");
    }
    assert_eq!(code(harness.step_up(&anna, wrong()).await), "throttled");
}

#[tokio::test]
async fn a_count_does_not_tell_which_address_belongs_to_which_name() {
    let harness = accounts().await;
    harness.verified("anna").await;
    guess_often(&harness, "203.0.113.9", "anna", 5).await;
    assert_eq!(guess(&harness, "203.0.113.9", "anna", "wrong").await, "throttled");
    assert_eq!(guess(&harness, "203.0.113.9", "anna@example.org", "wrong").await, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_many_at_once_are_no_way_round_it() {
    let harness = crate::harness::with_connections(6).await;
    harness.registered("anna").await;
    let tasks = (0..30).map(|_| {
        let accounts = harness.accounts.clone();
        let try_once = async move {
            let credentials = crate::harness::credentials("anna", "wrong");
            code(guildhall_accounts::Tokens::sign_in(&accounts, credentials).await)
        };
        tokio::spawn(from("203.0.113.9").scope(try_once))
    });
    let mut tried = 0;
    for task in tasks.collect::<Vec<_>>() {
        tried += u8::from(task.await.unwrap() == "invalid_credentials");
    }
    // As many as there are cores may be at it when the fifth failure is counted.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!((5..=5 + cores).contains(&usize::from(tried)), "{tried}");
}

#[tokio::test]
async fn fault_8_one_network_registers_only_so_many_and_has_so_many_emails_sent() {
    let harness = accounts().await;
    let register = async |ip: &str, n: usize| from(ip).scope(harness.register(somebody(&format!("person{n}")))).await;
    for n in 0..20 {
        register("203.0.113.7", n).await.unwrap();
    }
    let refused = register("203.0.113.8", 20).await.unwrap_err();
    assert!(matches!(refused, Error::Throttled(wait) if wait.as_secs() > 3500), "{refused}");
    register("203.0.114.1", 21).await.unwrap();
    assert_eq!(harness.letters().await.len(), 21, "nobody is sent anything by what was refused");
    let ask = async |ip: &str| {
        let request = ResetRequest { email: "person1@example.org".into() };
        from(ip).scope(harness.request_reset(request)).await
    };
    for _ in 0..30 {
        ask("203.0.113.7").await.unwrap();
    }
    assert!(matches!(ask("203.0.113.7").await.unwrap_err(), Error::Throttled(_)));
    harness.wait(3601);
    register("203.0.113.7", 22).await.unwrap();
    ask("203.0.113.7").await.unwrap();
}

#[tokio::test]
async fn fault_8_one_person_signs_in_only_so_often() {
    let harness = accounts().await;
    harness.register(somebody("anna")).await.unwrap();
    harness.register(somebody("berta")).await.unwrap();
    for _ in 0..60 {
        assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    }
    assert_eq!(guess(&harness, "203.0.114.7", "anna", PASSWORD).await, "throttled");
    assert_eq!(guess(&harness, "203.0.113.7", "berta", PASSWORD).await, "ok");
    harness.wait(3601);
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
}

#[tokio::test]
async fn fault_11_guesses_from_a_network_do_not_lock_out_those_who_are_known_there() {
    let harness = accounts().await;
    let anna = harness.register(somebody("anna")).await.unwrap();
    harness.register(somebody("berta")).await.unwrap();
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    for n in 0..30 {
        guess(&harness, "203.0.113.200", &format!("nobody{n}"), "wrong").await;
    }
    assert_eq!(guess(&harness, "203.0.113.200", "berta", PASSWORD).await, "throttled", "not known there");
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    // Whoever is signed in has shown who they are.
    let anna = caller(&anna);
    let delete = harness.delete_me(&anna, PasswordProof { password: "wrong".into() });
    let refused = from("203.0.113.9").scope(delete).await.unwrap_err();
    assert!(matches!(refused, Error::WrongPassword { .. }), "{refused}");
}

#[tokio::test]
async fn fault_17_a_clock_that_was_ahead_keeps_nobody_out() {
    let harness = accounts().await;
    harness.register(somebody("anna")).await.unwrap();
    harness.wait(365 * 24 * 3600);
    guess_often(&harness, "203.0.113.7", "anna", 5).await;
    for n in 0..30 {
        guess(&harness, "203.0.113.7", &format!("nobody{n}"), "wrong").await;
    }
    harness.wait(-365 * 24 * 3600);
    assert_eq!(guess(&harness, "203.0.113.7", "anna", PASSWORD).await, "ok");
    // And what fails from now on is counted again.
    for n in 0..30 {
        guess(&harness, "203.0.113.7", &format!("nobody{n}"), "wrong").await;
    }
    assert_eq!(guess(&harness, "203.0.113.7", "nobody", "wrong").await, "throttled");
}

#[tokio::test]
async fn fault_t7_every_limit_is_a_setting() {
    let limits = AccountLimits { failures_per_network: 2, registrations_per_hour: 1, ..AccountLimits::default() };
    let harness = with_limits(limits).await;
    from("203.0.113.7").scope(harness.register(somebody("anna"))).await.unwrap();
    let refused = from("203.0.113.7").scope(harness.register(somebody("berta"))).await.unwrap_err();
    assert!(matches!(refused, Error::Throttled(_)), "{refused}");
    for n in 0..2 {
        assert_eq!(guess(&harness, "203.0.113.7", &format!("nobody{n}"), "wrong").await, "invalid_credentials");
    }
    assert_eq!(guess(&harness, "203.0.113.7", "nobody", "wrong").await, "throttled");
}

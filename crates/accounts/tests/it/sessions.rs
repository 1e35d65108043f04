use guildhall_accounts::{Accounts, SignOutEverywhere, Tokens, WeakPassword};
use guildhall_kernel::{Authenticate, Credentials, Roles, SliceQuery};

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, from, somebody, with_connections};

#[tokio::test]
async fn signing_in_opens_a_session_with_one_refresh_token() {
    let harness = accounts().await;
    let anna = harness.registered("anna").await;
    let signed_in = harness.signs_in("ANNA").await;
    assert_eq!((signed_in.tokens.token_type, signed_in.tokens.expires_in), ("Bearer", 300));
    assert!(signed_in.user.details.last_login.is_some());
    assert_eq!(harness.shows(&signed_in.tokens.access).await.unwrap().user, anna.user.id);
    assert_eq!(harness.rows("accounts_session").await, 1);
    assert_eq!(harness.rows("accounts_refresh_token").await, 1);
}

#[tokio::test]
async fn an_address_signs_in_once_it_is_verified() {
    let harness = accounts().await;
    harness.registered("anna").await;
    assert_eq!(code(harness.try_sign_in("anna@example.org", PASSWORD).await), "invalid_credentials");
    harness.create_user(somebody("berta"), Roles::default(), WeakPassword::Refuse).await.unwrap();
    assert!(harness.try_sign_in("Berta@Example.org", PASSWORD).await.is_ok());
    // Whoever takes an address for a name gets nothing by it.
    let squatter = guildhall_accounts::NewUser {
        email: "x@example.org".into(),
        password: "k7#pQz2m!!".into(),
        ..somebody("berta@example.org")
    };
    harness.register(squatter).await.unwrap();
    assert_eq!(harness.try_sign_in("berta@example.org", PASSWORD).await.unwrap().user.user.username, "berta");
}

#[tokio::test]
async fn every_reason_not_to_sign_in_looks_the_same() {
    let harness = accounts().await;
    harness.registered("anna").await;
    harness.registered("berta").await;
    harness.set_active("berta", false).await.unwrap();
    for (name, password) in [
        ("anna", "wrong"),
        ("nobody", PASSWORD),
        ("berta", PASSWORD),
        ("anna", &"x".repeat(5000)),
        ("anna\u{301}", "x"),
    ] {
        let refused = harness.try_sign_in(name, password).await.err().unwrap();
        assert_eq!(refused.to_string(), "No active account found with the given credentials.", "{name}");
        assert_eq!(code(Err::<(), _>(refused)), "invalid_credentials");
    }
    let blank = harness.sign_in(credentials(" ", "")).await;
    assert_eq!(fields(blank), ["password", "username"]);
}

#[tokio::test]
async fn a_refresh_makes_the_next_pair_of_the_same_session() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    assert!(second.refresh != first.refresh && second.access != first.access);
    for access in [&first.access, &second.access] {
        assert!(harness.shows(access).await.is_ok());
    }
    assert_eq!(harness.rows("accounts_session").await, 1);
    assert_eq!(code(harness.verify(&first.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&second.refresh).await), "ok");
    assert_eq!(code(harness.verify(&second.access).await), "ok");
}

#[tokio::test]
async fn within_the_grace_the_same_token_gives_the_same_successor() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.shows(&second.access).await.unwrap();
    harness.wait(9);
    let again = harness.refresh(&first.refresh).await.unwrap();
    assert_eq!(again.refresh, second.refresh);
    assert!(harness.shows(&again.access).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_was_lost_can_be_asked_for_again() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let lost = harness.refresh(&first.refresh).await.unwrap();
    harness.wait(3600);
    let again = harness.refresh(&first.refresh).await.unwrap();
    assert_eq!(again.refresh, lost.refresh);
}

#[tokio::test]
async fn a_second_use_after_the_successor_was_used_ends_the_session() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let other_device = harness.signs_in("anna").await.tokens;
    let first = harness.signs_in("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    let third = harness.refresh(&second.refresh).await.unwrap();
    harness.wait(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(code(harness.shows(&third.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&third.refresh).await), "token_not_valid");
    assert!(harness.shows(&other_device.access).await.is_ok(), "other sessions go on");
}

#[tokio::test]
async fn a_second_use_after_the_successors_access_token_was_seen_ends_the_session() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.shows(&second.access).await.unwrap();
    harness.wait(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(code(harness.shows(&second.access).await), "token_not_valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_parallel_refreshes_make_one_successor() {
    let harness = with_connections(8).await;
    harness.registered("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let tasks = (0..20).map(|_| {
        let (accounts, token) = (harness.accounts.clone(), first.refresh.clone());
        tokio::spawn(async move { accounts.refresh(&token).await.unwrap().refresh })
    });
    let mut successors = std::collections::HashSet::new();
    for task in tasks.collect::<Vec<_>>() {
        successors.insert(task.await.unwrap());
    }
    assert_eq!(successors.len(), 1);
    assert_eq!(harness.rows("accounts_refresh_token").await, 2);
}

#[tokio::test]
async fn tokens_end_when_they_said_they_would() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    harness.wait(300);
    assert_eq!(code(harness.shows(&tokens.access).await), "token_expired");
    assert_eq!(code(harness.verify(&tokens.access).await), "token_expired");
    harness.wait(14 * 24 * 3600);
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_expired");
}

#[tokio::test]
async fn a_session_ends_however_often_it_is_refreshed() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let mut tokens = harness.signs_in("anna").await.tokens;
    for _ in 0..6 {
        harness.wait(13 * 24 * 3600);
        tokens = harness.refresh(&tokens.refresh).await.unwrap();
    }
    // 78 of 90 days have passed: twelve are left, not fourteen.
    harness.wait(12 * 24 * 3600 + 60);
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_expired");
}

#[tokio::test]
async fn the_two_kinds_of_token_are_not_exchangeable() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    assert_eq!(code(harness.refresh(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.shows(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.shows_user_token(&tokens.access).await), "token_not_valid");
}

#[tokio::test]
async fn signing_out_ends_both_tokens_at_once() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    harness.sign_out(&tokens.refresh).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&tokens.access).await), "token_not_valid");
    harness.sign_out(&tokens.refresh).await.unwrap();
    harness.wait(15 * 24 * 3600);
    harness.sign_out(&tokens.refresh).await.unwrap();
    assert_eq!(code(harness.sign_out("nonsense").await), "token_not_valid");
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_and_leaves_user_tokens() {
    let harness = accounts().await;
    let anna = caller(&harness.registered("anna").await);
    let (one, two) = (harness.signs_in("anna").await.tokens, harness.signs_in("anna").await.tokens);
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out_everywhere(&anna, SignOutEverywhere::default()).await.unwrap();
    for tokens in [one, two] {
        assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
        assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    }
    assert!(harness.shows_user_token(&token).await.is_ok());
}

#[tokio::test]
async fn tokens_of_somebody_who_was_deactivated_stay_dead() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.set_active("anna", false).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "user_inactive");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "user_inactive");
    assert_eq!(code(harness.shows_user_token(&token).await), "token_not_valid");
    harness.set_active("anna", true).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.shows_user_token(&token).await), "token_not_valid");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn tokens_of_somebody_who_was_removed_are_dead() {
    let harness = accounts().await;
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(somebody("staff"), staff, WeakPassword::Refuse).await.unwrap());
    let anna = harness.registered("anna").await.user.id;
    let tokens = harness.signs_in("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.delete_user(&staff, anna, None).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.shows_user_token(&token).await), "token_not_valid");
}

#[tokio::test]
async fn a_request_is_let_in_with_one_statement() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    // The first use is noted.
    harness.shows(&tokens.access).await.unwrap();
    harness.shows_user_token(&token).await.unwrap();
    let before = harness.db.statements();
    harness.shows(&tokens.access).await.unwrap();
    harness.shows_user_token(&token).await.unwrap();
    assert_eq!(harness.db.statements() - before, 2);
}

#[tokio::test]
async fn a_second_node_takes_the_first_ones_tokens() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    let other = harness.another().await;
    assert!(other.refresh(&tokens.refresh).await.is_ok());
    let keys = |jwks| serde_json::to_value(jwks).unwrap();
    let theirs = keys(other.jwks().await.unwrap());
    assert_eq!(theirs, keys(harness.jwks().await.unwrap()));
    let jwks = theirs.to_string();
    assert!(jwks.contains("\"OKP\"") && !jwks.contains("\"d\""), "only the public half is shown");
}

#[tokio::test]
async fn a_session_is_listed_with_its_device_and_ended_by_its_owner_alone() {
    let harness = accounts().await;
    harness.registered("anna").await;
    harness.registered("berta").await;
    let here = harness.session_of("anna").await;
    let there = from("203.0.113.9").scope(harness.signs_in("anna")).await.tokens;
    let berta = harness.session_of("berta").await;
    let list = harness.sessions(&here, SliceQuery::newest(50)).await.unwrap().results;
    assert_eq!(list.len(), 2);
    assert_eq!(list.iter().map(|session| session.current).collect::<Vec<_>>(), [false, true], "newest first");
    assert_eq!((list[0].ip.as_deref(), list[0].device_label.as_str()), (Some("203.0.113.9"), "curl"));
    assert_eq!(code(harness.end_session(&berta, list[0].id).await), "session_not_found");
    assert!(harness.shows(&there.access).await.is_ok());
    harness.end_session(&here, list[0].id).await.unwrap();
    assert_eq!(code(harness.shows(&there.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&there.refresh).await), "token_not_valid");
    assert_eq!(code(harness.end_session(&here, list[0].id).await), "session_not_found");
    assert_eq!(harness.sessions(&here, SliceQuery::newest(50)).await.unwrap().results.len(), 1);
}

#[tokio::test]
async fn signing_out_elsewhere_leaves_the_session_that_asks() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let (here, other) = (harness.session_of("anna").await, harness.signs_in("anna").await.tokens);
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.sign_out_everywhere(&here, SignOutEverywhere { others: true, include_tokens: false }).await.unwrap();
    assert_eq!(code(harness.shows(&other.access).await), "token_not_valid");
    assert_eq!(harness.sessions(&here, SliceQuery::newest(50)).await.unwrap().results.len(), 1);
    assert!(harness.shows_user_token(&token).await.is_ok());
    harness.sign_out_everywhere(&here, SignOutEverywhere { others: false, include_tokens: true }).await.unwrap();
    assert!(harness.sessions(&here, SliceQuery::newest(50)).await.unwrap().results.is_empty());
    assert_eq!(code(harness.shows_user_token(&token).await), "token_not_valid");
}

#[tokio::test]
async fn a_ticket_works_once_for_half_a_minute_and_ends_with_its_session() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let caller = harness.session_of("anna").await;
    let ticket = async || harness.socket_ticket(&caller).await.unwrap().ticket;
    let shows = async |ticket: &str| harness.authenticate(Credentials::Ticket(ticket.to_owned())).await;
    let first = ticket().await;
    assert_eq!(shows(&first).await.unwrap(), caller);
    assert_eq!(code(shows(&first).await), "token_not_valid");
    assert_eq!(code(shows("nonsense").await), "token_not_valid");
    let late = ticket().await;
    harness.wait(31);
    assert_eq!(code(shows(&late).await), "token_not_valid");
    let orphan = ticket().await;
    harness.end_session(&caller, caller.session.unwrap()).await.unwrap();
    assert_eq!(code(shows(&orphan).await), "token_not_valid");
}

#[tokio::test]
async fn a_reused_token_is_told_to_the_owner_and_the_log() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let first = harness.signs_in("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.refresh(&second.refresh).await.unwrap();
    harness.wait(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(harness.log().await.last().unwrap(), "accounts.refresh refused");
    let letters = harness.letters().await;
    assert_eq!(letters.last().unwrap().subject, "A session of yours was ended");
}

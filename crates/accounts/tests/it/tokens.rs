use guildhall_accounts::{Accounts, Removals, Sessions, Tokens, UserTokens, WeakPassword};
use guildhall_kernel::{Authenticate, Caller, Credentials, Roles};

use crate::harness::{PASSWORD, accounts, caller, code, credentials, fields, new_user, with_connections};

#[tokio::test]
async fn signing_in_opens_a_session_with_one_refresh_token() {
    let harness = accounts().await;
    let anna = harness.register_user("anna").await;
    let signed_in = harness.sign_in_as("ANNA").await;
    assert_eq!((signed_in.tokens.token_type, signed_in.tokens.expires_in), ("Bearer", 300));
    assert!(signed_in.user.details.last_login.is_some());
    assert_eq!(harness.authenticate_bearer(&signed_in.tokens.access).await.unwrap().user, anna.user.id);
    assert_eq!(harness.db.count_rows("accounts_session").await, 1);
    assert_eq!(harness.db.count_rows("accounts_refresh_token").await, 1);
}

#[tokio::test]
async fn only_a_verified_email_address_can_be_used_to_sign_in() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    assert_eq!(code(harness.try_sign_in("anna@example.org", PASSWORD).await), "invalid_credentials");
    harness.create_user(new_user("berta"), Roles::default(), WeakPassword::Reject).await.unwrap();
    assert!(harness.try_sign_in("Berta@Example.org", PASSWORD).await.is_ok());
    // Using somebody else's email address as a username has no effect.
    let squatter = guildhall_accounts::NewUser {
        email: "x@example.org".into(),
        password: "k7#pQz2m!!".into(),
        ..new_user("berta@example.org")
    };
    harness.register(squatter).await.unwrap();
    assert_eq!(harness.try_sign_in("berta@example.org", PASSWORD).await.unwrap().user.user.username, "berta");
}

#[tokio::test]
async fn every_rejected_sign_in_gives_the_same_error() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    harness.register_user("berta").await;
    harness.set_active("berta", false).await.unwrap();
    for (name, password) in [
        ("anna", "wrong"),
        ("nobody", PASSWORD),
        ("berta", PASSWORD),
        ("anna", &"x".repeat(5000)),
        ("anna\u{301}", "x"),
    ] {
        let error = harness.try_sign_in(name, password).await.err().unwrap();
        assert_eq!(error.to_string(), "No active account found with the given credentials.", "{name}");
        assert_eq!(code(Err::<(), _>(error)), "invalid_credentials");
    }
    let blank = harness.sign_in(credentials(" ", "")).await;
    assert_eq!(fields(blank), ["password", "username"]);
}

#[tokio::test]
async fn a_refresh_issues_new_tokens_for_the_same_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    assert!(second.refresh != first.refresh && second.access != first.access);
    for access in [&first.access, &second.access] {
        assert!(harness.authenticate_bearer(access).await.is_ok());
    }
    assert_eq!(harness.db.count_rows("accounts_session").await, 1);
    assert_eq!(code(harness.verify(&first.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&second.refresh).await), "ok");
    assert_eq!(code(harness.verify(&second.access).await), "ok");
}

#[tokio::test]
async fn within_the_grace_period_reuse_returns_the_same_successor() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.authenticate_bearer(&second.access).await.unwrap();
    harness.advance(9);
    let repeated = harness.refresh(&first.refresh).await.unwrap();
    assert_eq!(repeated.refresh, second.refresh);
    assert!(harness.authenticate_bearer(&repeated.access).await.is_ok());
}

#[tokio::test]
async fn a_lost_response_can_be_requested_again() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let lost = harness.refresh(&first.refresh).await.unwrap();
    harness.advance(3600);
    let repeated = harness.refresh(&first.refresh).await.unwrap();
    assert_eq!(repeated.refresh, lost.refresh);
}

#[tokio::test]
async fn reuse_after_the_successor_was_used_ends_the_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let other_device = harness.sign_in_as("anna").await.tokens;
    let first = harness.sign_in_as("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    let third = harness.refresh(&second.refresh).await.unwrap();
    harness.advance(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(code(harness.authenticate_bearer(&third.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&third.refresh).await), "token_not_valid");
    assert!(harness.authenticate_bearer(&other_device.access).await.is_ok(), "other sessions are not affected");
}

#[tokio::test]
async fn reuse_after_the_new_access_token_was_used_ends_the_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.authenticate_bearer(&second.access).await.unwrap();
    harness.advance(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(code(harness.authenticate_bearer(&second.access).await), "token_not_valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_refreshes_create_one_successor() {
    let harness = with_connections(8).await;
    harness.register_user("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let tasks = (0..20).map(|_| {
        let (accounts, token) = (harness.accounts.clone(), first.refresh.clone());
        tokio::spawn(async move { accounts.refresh(&token).await.unwrap().refresh })
    });
    let mut successors = std::collections::HashSet::new();
    for task in tasks.collect::<Vec<_>>() {
        successors.insert(task.await.unwrap());
    }
    assert_eq!(successors.len(), 1);
    assert_eq!(harness.db.count_rows("accounts_refresh_token").await, 2);
}

#[tokio::test]
async fn tokens_expire_after_their_lifetime() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    harness.advance(300);
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_expired");
    assert_eq!(code(harness.verify(&tokens.access).await), "token_expired");
    harness.advance(14 * 24 * 3600);
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_expired");
}

#[tokio::test]
async fn refreshing_does_not_extend_the_maximum_lifetime_of_a_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let mut tokens = harness.sign_in_as("anna").await.tokens;
    for _ in 0..6 {
        harness.advance(13 * 24 * 3600);
        tokens = harness.refresh(&tokens.refresh).await.unwrap();
    }
    // 78 of 90 days have passed, so the token is valid for 12 days instead of 14.
    harness.advance(12 * 24 * 3600 + 60);
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_expired");
}

#[tokio::test]
async fn token_types_are_not_interchangeable() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    assert_eq!(code(harness.refresh(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.authenticate_bearer(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.authenticate_token(&tokens.access).await), "token_not_valid");
}

#[tokio::test]
async fn signing_out_invalidates_both_tokens_immediately() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    harness.sign_out(&tokens.refresh).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&tokens.access).await), "token_not_valid");
    harness.sign_out(&tokens.refresh).await.unwrap();
    harness.advance(15 * 24 * 3600);
    harness.sign_out(&tokens.refresh).await.unwrap();
    assert_eq!(code(harness.sign_out("nonsense").await), "token_not_valid");
}

#[tokio::test]
async fn tokens_stay_invalid_after_deactivation_and_reactivation() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.set_active("anna", false).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "user_inactive");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "user_inactive");
    assert_eq!(code(harness.authenticate_token(&token).await), "token_not_valid");
    harness.set_active("anna", true).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.authenticate_token(&token).await), "token_not_valid");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn tokens_of_a_deleted_user_are_invalid() {
    let harness = accounts().await;
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(new_user("staff"), staff, WeakPassword::Reject).await.unwrap());
    let anna = harness.register_user("anna").await.user.id;
    let tokens = harness.sign_in_as("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    harness.delete_user(&staff, anna, None).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.refresh(&tokens.refresh).await), "token_not_valid");
    assert_eq!(code(harness.authenticate_token(&token).await), "token_not_valid");
}

#[tokio::test]
async fn authenticating_a_request_takes_one_statement() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    // The first use is recorded, which takes further statements.
    harness.authenticate_bearer(&tokens.access).await.unwrap();
    harness.authenticate_token(&token).await.unwrap();
    let before = harness.db.statements();
    harness.authenticate_bearer(&tokens.access).await.unwrap();
    harness.authenticate_token(&token).await.unwrap();
    assert_eq!(harness.db.statements() - before, 2);
}

#[tokio::test]
async fn tokens_are_valid_on_every_node() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    let other = harness.second_node().await;
    assert!(other.refresh(&tokens.refresh).await.is_ok());
    let keys = |jwks| serde_json::to_value(jwks).unwrap();
    let other_keys = keys(other.jwks().await.unwrap());
    assert_eq!(other_keys, keys(harness.jwks().await.unwrap()));
    let jwks = other_keys.to_string();
    assert!(jwks.contains("\"OKP\"") && !jwks.contains("\"d\""), "no private key is published");
}

#[tokio::test]
async fn a_ticket_is_single_use_expires_and_is_bound_to_its_session() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let caller = harness.session_of("anna").await;
    let ticket = async || harness.socket_ticket(&caller).await.unwrap().ticket;
    let authenticate = async |ticket: &str| harness.authenticate(Credentials::Ticket(ticket.to_owned())).await;
    let first = ticket().await;
    // A socket is open as long as its session is.
    assert_eq!(authenticate(&first).await.unwrap(), Caller { expires_at: None, ..caller });
    assert_eq!(code(authenticate(&first).await), "token_not_valid");
    assert_eq!(code(authenticate("nonsense").await), "token_not_valid");
    let expired = ticket().await;
    harness.advance(31);
    assert_eq!(code(authenticate(&expired).await), "token_not_valid");
    let orphan = ticket().await;
    harness.end_session(&caller, caller.session.unwrap()).await.unwrap();
    assert_eq!(code(authenticate(&orphan).await), "token_not_valid");
}

#[tokio::test]
async fn reuse_is_recorded_and_the_owner_is_notified() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let first = harness.sign_in_as("anna").await.tokens;
    let second = harness.refresh(&first.refresh).await.unwrap();
    harness.refresh(&second.refresh).await.unwrap();
    harness.advance(11);
    assert_eq!(code(harness.refresh(&first.refresh).await), "token_reused");
    assert_eq!(harness.audit_log().await.last().unwrap(), "accounts.refresh refused");
    let emails = harness.emails().await;
    assert_eq!(emails.last().unwrap().subject, "One of your sessions was ended");
}

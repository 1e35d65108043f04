//! Email addresses, and the emails about them.

use guildhall_accounts::{Accounts, EmailAddresses, EmailChange, Error, Passwords, Removals};

use crate::harness::{
    NEW_PASSWORD, PASSWORD, accounts, caller, code, fields, new_user, request_reset, reset, token_in,
};

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
    let mut emails = 0;
    for n in 0..5 {
        let new = guildhall_accounts::NewUser { email: "other@example.org".into(), ..new_user(&format!("p{n}")) };
        let user = caller(&harness.register(new).await.unwrap());
        // Counted now, because what is queued is deleted with the account.
        emails += harness.emails().await.len();
        let proof = guildhall_accounts::PasswordProof { password: PASSWORD.into() };
        harness.delete_me(&user, proof).await.unwrap();
    }
    assert_eq!(emails, 1, "the limit remains when accounts are deleted");
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
async fn repeated_changes_to_an_email_address_are_told_how_long_to_wait() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let anna = harness.session_of("anna").await;
    let change_email = async || {
        let change = EmailChange { email: "new@example.org".into(), password: PASSWORD.into() };
        harness.change_email(&anna, change).await
    };
    let wait = async || match change_email().await {
        Err(Error::Throttled(wait)) => wait.as_secs_f64().ceil(),
        other => panic!("{other:?}"),
    };
    change_email().await.unwrap();
    harness.advance(20);
    assert!((30.0..=40.0).contains(&wait().await), "the first pause is a minute");
    harness.advance(40);
    change_email().await.unwrap();
    assert!((290.0..=300.0).contains(&wait().await), "the second pause is five minutes");
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

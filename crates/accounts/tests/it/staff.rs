use guildhall_accounts::{
    Account, AccountChange, AccountFilter, Error, NewAccount, NewUserToken, PasswordReset, Passwords, Removals,
    SecondFactors, Staff, TotpCode, UserTokenId, UserTokens, WeakPassword,
};
use guildhall_kernel::{Caller, CursorQuery, IfMatch, PageQuery, Roles, SessionId};

use crate::harness::{Harness, PASSWORD, accounts, caller, code, fields, new_user, request_reset, token_in};

fn staff() -> Roles {
    Roles { staff: true, ..Roles::default() }
}

fn superuser() -> Roles {
    Roles { superuser: true, ..Roles::default() }
}

async fn create_caller(harness: &Harness, name: &str, roles: Roles) -> Caller {
    caller(&harness.create_user(new_user(name), roles, WeakPassword::Reject).await.unwrap())
}

fn roles(names: &[&str]) -> AccountChange {
    AccountChange { roles: Some(names.iter().map(|name| (*name).to_owned()).collect()), is_active: None }
}

fn active(is_active: bool) -> AccountChange {
    AccountChange { roles: None, is_active: Some(is_active) }
}

async fn change(harness: &Harness, caller: &Caller, user: &Caller, change: AccountChange) -> Result<Account, Error> {
    harness.change_account(caller, user.user, change, IfMatch::default()).await
}

async fn usernames(harness: &Harness, caller: &Caller, filter: AccountFilter) -> Vec<String> {
    let page = harness.all_accounts(caller, filter, PageQuery::new(1, 20)).await.unwrap();
    page.results.into_iter().map(|account| account.user.username).collect()
}

#[tokio::test]
async fn accounts_are_filtered_by_name_email_role_and_status() {
    let harness = accounts().await;
    let boss = create_caller(&harness, "boss", superuser()).await;
    create_caller(&harness, "teacher", Roles { teacher: true, ..Roles::default() }).await;
    harness.register_user("anna").await;
    harness.register_user("berta").await;
    harness.set_active("berta", false).await.unwrap();
    let search = |text: &str| AccountFilter { search: Some(text.into()), ..AccountFilter::default() };
    let role = |name: &str| AccountFilter { role: Some(name.into()), ..AccountFilter::default() };
    let status = |is_active| AccountFilter { is_active: Some(is_active), ..AccountFilter::default() };
    assert_eq!(usernames(&harness, &boss, AccountFilter::default()).await, ["anna", "berta", "boss", "teacher"]);
    assert_eq!(usernames(&harness, &boss, search("AN")).await, ["anna"]);
    assert_eq!(usernames(&harness, &boss, search("berta@exa")).await, ["berta"]);
    assert_eq!(usernames(&harness, &boss, role("teacher")).await, ["teacher"]);
    assert_eq!(usernames(&harness, &boss, status(false)).await, ["berta"]);
    assert_eq!(usernames(&harness, &boss, status(true)).await, ["anna", "boss", "teacher"]);
    let unknown = harness.all_accounts(&boss, role("king"), PageQuery::new(1, 20)).await;
    assert_eq!(fields(unknown), ["role"]);
}

#[tokio::test]
async fn account_administration_requires_the_staff_role() {
    let harness = accounts().await;
    let (anna, berta) = (caller(&harness.register_user("anna").await), caller(&harness.register_user("berta").await));
    let id = berta.user;
    let new = NewAccount {
        username: "x".into(),
        email: "x@example.org".into(),
        first_name: String::new(),
        last_name: String::new(),
        roles: Vec::new(),
    };
    for code in [
        code(harness.all_accounts(&anna, AccountFilter::default(), PageQuery::new(1, 20)).await),
        code(harness.account(&anna, id).await),
        code(harness.create_account(&anna, new).await),
        code(change(&harness, &anna, &berta, active(false)).await),
        code(harness.sessions_of(&anna, id, CursorQuery::newest(5)).await),
        code(harness.end_sessions_of(&anna, id).await),
        code(harness.end_session_of(&anna, id, SessionId(1)).await),
        code(harness.revoke_user_token_of(&anna, id, UserTokenId(1)).await),
        code(harness.send_reset(&anna, id).await),
        code(harness.remove_second_factor(&anna, id).await),
        code(harness.erase_user(&anna, id).await),
        code(harness.delete_user(&anna, id, None).await),
    ] {
        assert_eq!(code, "not_staff");
    }
}

#[tokio::test]
async fn an_account_is_created_without_a_password_and_its_owner_chooses_one() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let new = |name: &str, role: &str| NewAccount {
        username: name.into(),
        email: format!("{name}@example.org"),
        first_name: String::new(),
        last_name: String::new(),
        roles: vec![role.into()],
    };
    assert_eq!(code(harness.create_account(&staff, new("x", "staff")).await), "not_superuser");
    assert_eq!(fields(harness.create_account(&staff, new("x", "king")).await), ["roles"]);
    let anna = harness.create_account(&staff, new("anna", "teacher")).await.unwrap();
    assert!(anna.user.roles.teacher && !anna.details.email_verified);
    assert_eq!(code(harness.create_account(&staff, new("ANNA", "teacher")).await), "username_taken");
    let taken = NewAccount { email: "staff@example.org".into(), ..new("berta", "teacher") };
    assert_eq!(code(harness.create_account(&staff, taken).await), "email_taken");
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    let emails = harness.emails().await;
    assert_eq!(emails[0].subject, "Your account at Guildhall");
    let reset = PasswordReset { token: token_in(&emails[0]), new_password: PASSWORD.into() };
    harness.reset_password(reset).await.unwrap();
    let signed_in = harness.sign_in_as("anna").await;
    assert!(signed_in.user.details.email_verified, "the link also verifies the email address");
}

#[tokio::test]
async fn only_a_superuser_manages_privileged_roles_and_users() {
    let harness = accounts().await;
    let boss = create_caller(&harness, "boss", superuser()).await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = caller(&harness.register_user("anna").await);
    assert!(change(&harness, &staff, &anna, roles(&["teacher"])).await.unwrap().user.roles.teacher);
    for names in [&["staff"][..], &["superuser"], &["teacher", "staff"]] {
        assert_eq!(code(change(&harness, &staff, &anna, roles(names)).await), "not_superuser");
    }
    assert_eq!(code(change(&harness, &staff, &boss, roles(&[])).await), "not_superuser");
    assert_eq!(code(change(&harness, &staff, &boss, active(false)).await), "not_superuser");
    assert_eq!(code(harness.send_reset(&staff, boss.user).await), "not_superuser");
    assert_eq!(code(harness.end_sessions_of(&staff, boss.user).await), "not_superuser");
    assert_eq!(code(harness.end_session_of(&staff, boss.user, SessionId(1)).await), "not_superuser");
    assert_eq!(code(harness.revoke_user_token_of(&staff, boss.user, UserTokenId(1)).await), "not_superuser");
    assert_eq!(code(harness.erase_user(&staff, boss.user).await), "not_superuser");
    let colleague = create_caller(&harness, "colleague", Roles { staff: true, ..Roles::default() }).await;
    assert_eq!(code(change(&harness, &staff, &colleague, active(false)).await), "not_superuser");
    assert_eq!(code(harness.erase_user(&staff, colleague.user).await), "not_superuser");
    assert_eq!(code(harness.remove_second_factor(&staff, colleague.user).await), "not_superuser");
    assert_eq!(code(harness.delete_user(&staff, colleague.user, None).await), "not_superuser");
    assert!(change(&harness, &boss, &anna, roles(&["staff"])).await.unwrap().user.roles.staff);
    assert_eq!(fields(change(&harness, &boss, &anna, roles(&["king"])).await), ["roles"]);
    let logged =
        harness.db.query_texts("SELECT detail FROM kernel_audit_event WHERE action = 'accounts.change_account'").await;
    assert!(logged[1].contains(r#""roles":["staff"]"#) && logged[1].contains(r#""roles_before":["teacher"]"#));
}

#[tokio::test]
async fn the_last_superuser_cannot_be_removed() {
    let harness = accounts().await;
    let boss = create_caller(&harness, "boss", superuser()).await;
    for code in [
        code(change(&harness, &boss, &boss, roles(&["staff"])).await),
        code(change(&harness, &boss, &boss, active(false)).await),
        code(harness.erase_user(&boss, boss.user).await),
        code(harness.delete_user(&boss, boss.user, None).await),
        code(harness.delete_me(&boss, guildhall_accounts::PasswordProof { password: PASSWORD.into() }).await),
    ] {
        assert_eq!(code, "last_superuser");
    }
    let second = create_caller(&harness, "second", superuser()).await;
    change(&harness, &boss, &boss, roles(&[])).await.unwrap();
    assert_eq!(code(change(&harness, &second, &second, active(false)).await), "last_superuser");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_superusers_cannot_demote_each_other_concurrently() {
    let harness = crate::harness::with_connections(4).await;
    let one = create_caller(&harness, "one", superuser()).await;
    let two = create_caller(&harness, "two", superuser()).await;
    let demote = |caller: Caller, user: Caller| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { accounts.change_account(&caller, user.user, roles(&[]), IfMatch::default()).await })
    };
    let (first, second) = (demote(one, two), demote(two, one));
    let outcomes = [code(first.await.unwrap()), code(second.await.unwrap())];
    assert!(outcomes.contains(&"ok".to_owned()) && outcomes.contains(&"last_superuser".to_owned()), "{outcomes:?}");
    assert!(harness.has_superuser().await.unwrap());
}

#[tokio::test]
async fn deactivation_permanently_ends_all_sessions_and_tokens() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = caller(&harness.register_user("anna").await);
    let tokens = harness.sign_in_as("anna").await.tokens;
    change(&harness, &staff, &anna, active(false)).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "user_inactive");
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    change(&harness, &staff, &anna, active(true)).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn staff_end_sessions_and_send_reset_links() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = harness.register_verified("anna").await.user.id;
    let tokens = harness.sign_in_as("anna").await.tokens;
    assert_eq!(harness.sessions_of(&staff, anna, CursorQuery::newest(5)).await.unwrap().results.len(), 1);
    harness.end_sessions_of(&staff, anna).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert!(harness.sessions_of(&staff, anna, CursorQuery::newest(5)).await.unwrap().results.is_empty());
    harness.send_reset(&staff, anna).await.unwrap();
    let reset = PasswordReset { token: token_in(&harness.emails().await[0]), new_password: "another horse é".into() };
    harness.reset_password(reset).await.unwrap();
    assert_eq!(code(harness.account(&staff, guildhall_kernel::UserId(999)).await), "user_not_found");
}

#[tokio::test]
async fn staff_end_one_session_and_revoke_one_token_of_a_user() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = harness.register_user("anna").await.user.id;
    let (first, second) = (harness.session_of("anna").await, harness.session_of("anna").await);
    let ended = first.session.unwrap();
    harness.end_session_of(&staff, anna, ended).await.unwrap();
    let left = harness.sessions_of(&staff, anna, CursorQuery::newest(5)).await.unwrap().results;
    assert_eq!(left.iter().map(|session| session.id).collect::<Vec<_>>(), [second.session.unwrap()]);
    assert_eq!(code(harness.end_session_of(&staff, anna, ended).await), "session_not_found");
    let token = harness.create_user_token(&second, NewUserToken::default()).await.unwrap();
    // Not that of somebody else.
    assert_eq!(code(harness.revoke_user_token_of(&staff, staff.user, token.shown.id).await), "token_not_found");
    harness.revoke_user_token_of(&staff, anna, token.shown.id).await.unwrap();
    assert!(harness.authenticate_token(&token.token).await.is_err());
    let log = harness.audit_log().await;
    assert!(log.contains(&"accounts.end_session done".to_owned()), "{log:?}");
}

#[tokio::test]
async fn staff_send_no_reset_link_to_a_deactivated_user() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = harness.register_verified("anna").await.user.id;
    harness.set_active("anna", false).await.unwrap();
    harness.emails().await;
    harness.send_reset(&staff, anna).await.unwrap();
    assert!(harness.emails().await.is_empty());
    assert_eq!(harness.db.count_rows("accounts_one_time_token WHERE purpose = 'reset_password'").await, 0);
    assert!(!harness.audit_log().await.contains(&"accounts.request_reset done".to_owned()));
}

#[tokio::test]
async fn staff_cannot_flood_a_mailbox_with_reset_links() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = harness.register_verified("anna").await.user.id;
    let berta = harness.register_verified("berta").await.user.id;
    let wait = async || match harness.send_reset(&staff, anna).await {
        Err(Error::Throttled(wait)) => wait.as_secs_f64().ceil(),
        other => panic!("{other:?}"),
    };
    harness.send_reset(&staff, anna).await.unwrap();
    harness.advance(20);
    assert!((30.0..=40.0).contains(&wait().await), "the first pause is a minute");
    assert_eq!(harness.emails().await.len(), 1);
    assert_eq!(harness.db.count_rows("accounts_one_time_token WHERE purpose = 'reset_password'").await, 1);
    harness.send_reset(&staff, berta).await.unwrap();
    assert_eq!(harness.emails().await.len(), 1, "the limit is per address");
    harness.advance(40);
    request_reset(&harness, "anna@example.org").await;
    assert_eq!(harness.emails().await.len(), 1);
    assert!((290.0..=300.0).contains(&wait().await), "what users request themselves is counted too");
}

#[tokio::test]
async fn staff_remove_a_lost_second_factor() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    harness.register_verified("anna").await;
    let anna = harness.session_of("anna").await;
    harness.set_up_totp(&anna).await.unwrap();
    assert_eq!(fields(harness.confirm_totp(&anna, TotpCode { code: "1".into() }).await), ["code"]);
    harness.db.sql("UPDATE accounts_totp SET confirmed_at = 1").await.unwrap();
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "mfa_required");
    harness.emails().await;
    harness.remove_second_factor(&staff, anna.user).await.unwrap();
    assert_eq!(harness.emails().await[0].subject, "Your second factor was removed");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
    assert_eq!(code(harness.remove_second_factor(&staff, anna.user).await), "no_second_factor");
}

#[tokio::test]
async fn a_change_of_a_stale_version_is_rejected() {
    let harness = accounts().await;
    let staff = create_caller(&harness, "staff", staff()).await;
    let anna = harness.register_user("anna").await;
    let version: guildhall_kernel::ETag = anna.updated_at.into();
    let if_match = || IfMatch::only(version);
    let change = async |names: &[&str]| harness.change_account(&staff, anna.user.id, roles(names), if_match()).await;
    change(&["teacher"]).await.unwrap();
    assert_eq!(code(change(&[]).await), "stale");
}

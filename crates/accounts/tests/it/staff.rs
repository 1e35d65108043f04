use guildhall_accounts::{
    Account, AccountChange, AccountFilter, Accounts, Error, NewAccount, PasswordReset, Security, Staff, TotpCode,
    WeakPassword,
};
use guildhall_kernel::{Caller, IfMatch, PageQuery, Roles, SliceQuery};

use crate::harness::{Harness, PASSWORD, accounts, caller, code, fields, somebody, token_in};

fn staff() -> Roles {
    Roles { staff: true, ..Roles::default() }
}

fn superuser() -> Roles {
    Roles { superuser: true, ..Roles::default() }
}

async fn appointed(harness: &Harness, name: &str, roles: Roles) -> Caller {
    caller(&harness.create_user(somebody(name), roles, WeakPassword::Refuse).await.unwrap())
}

fn roles(names: &[&str]) -> AccountChange {
    AccountChange { roles: Some(names.iter().map(|name| (*name).to_owned()).collect()), is_active: None }
}

fn active(is_active: bool) -> AccountChange {
    AccountChange { roles: None, is_active: Some(is_active) }
}

async fn change(harness: &Harness, by: &Caller, whom: &Caller, change: AccountChange) -> Result<Account, Error> {
    harness.change_account(by, whom.user, change, IfMatch::default()).await
}

async fn found(harness: &Harness, by: &Caller, filter: AccountFilter) -> Vec<String> {
    let page = harness.all_accounts(by, filter, PageQuery::new(1, 20)).await.unwrap();
    page.results.into_iter().map(|account| account.user.username).collect()
}

#[tokio::test]
async fn accounts_are_found_by_name_address_role_and_state() {
    let harness = accounts().await;
    let boss = appointed(&harness, "boss", superuser()).await;
    appointed(&harness, "teacher", Roles { teacher: true, ..Roles::default() }).await;
    harness.registered("anna").await;
    harness.registered("berta").await;
    harness.set_active("berta", false).await.unwrap();
    let search = |text: &str| AccountFilter { search: Some(text.into()), ..AccountFilter::default() };
    let role = |name: &str| AccountFilter { role: Some(name.into()), ..AccountFilter::default() };
    let state = |is_active| AccountFilter { is_active: Some(is_active), ..AccountFilter::default() };
    assert_eq!(found(&harness, &boss, AccountFilter::default()).await, ["anna", "berta", "boss", "teacher"]);
    assert_eq!(found(&harness, &boss, search("AN")).await, ["anna"]);
    assert_eq!(found(&harness, &boss, search("berta@exa")).await, ["berta"]);
    assert_eq!(found(&harness, &boss, role("teacher")).await, ["teacher"]);
    assert_eq!(found(&harness, &boss, state(false)).await, ["berta"]);
    assert_eq!(found(&harness, &boss, state(true)).await, ["anna", "boss", "teacher"]);
    let unknown = harness.all_accounts(&boss, role("king"), PageQuery::new(1, 20)).await;
    assert_eq!(fields(unknown), ["role"]);
}

#[tokio::test]
async fn people_without_the_role_may_do_none_of_it() {
    let harness = accounts().await;
    let (anna, berta) = (caller(&harness.registered("anna").await), caller(&harness.registered("berta").await));
    let whom = berta.user;
    let new = NewAccount {
        username: "x".into(),
        email: "x@example.org".into(),
        first_name: String::new(),
        last_name: String::new(),
        roles: Vec::new(),
    };
    for refused in [
        code(harness.all_accounts(&anna, AccountFilter::default(), PageQuery::new(1, 20)).await),
        code(harness.account(&anna, whom).await),
        code(harness.create_account(&anna, new).await),
        code(change(&harness, &anna, &berta, active(false)).await),
        code(harness.sessions_of(&anna, whom, SliceQuery::newest(5)).await),
        code(harness.end_sessions_of(&anna, whom).await),
        code(harness.send_reset(&anna, whom).await),
        code(harness.remove_second_factor(&anna, whom).await),
        code(harness.erase_user(&anna, whom).await),
        code(harness.delete_user(&anna, whom, None).await),
    ] {
        assert_eq!(refused, "not_staff");
    }
}

#[tokio::test]
async fn an_account_is_made_without_a_password_and_its_owner_chooses_one() {
    let harness = accounts().await;
    let staff = appointed(&harness, "staff", staff()).await;
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
    let letters = harness.letters().await;
    assert_eq!(letters[0].subject, "Your account at Guildhall");
    let reset = PasswordReset { token: token_in(&letters[0]), new_password: PASSWORD.into() };
    harness.reset_password(reset).await.unwrap();
    let signed_in = harness.signs_in("anna").await;
    assert!(signed_in.user.details.email_verified, "the letter has shown whose address it is");
}

#[tokio::test]
async fn only_a_superuser_gives_and_takes_the_high_roles() {
    let harness = accounts().await;
    let boss = appointed(&harness, "boss", superuser()).await;
    let staff = appointed(&harness, "staff", staff()).await;
    let anna = caller(&harness.registered("anna").await);
    assert!(change(&harness, &staff, &anna, roles(&["teacher"])).await.unwrap().user.roles.teacher);
    for names in [&["staff"][..], &["superuser"], &["teacher", "staff"]] {
        assert_eq!(code(change(&harness, &staff, &anna, roles(names)).await), "not_superuser");
    }
    assert_eq!(code(change(&harness, &staff, &boss, roles(&[])).await), "not_superuser");
    assert_eq!(code(change(&harness, &staff, &boss, active(false)).await), "not_superuser");
    assert_eq!(code(harness.send_reset(&staff, boss.user).await), "not_superuser");
    assert_eq!(code(harness.end_sessions_of(&staff, boss.user).await), "not_superuser");
    assert_eq!(code(harness.erase_user(&staff, boss.user).await), "not_superuser");
    let colleague = appointed(&harness, "colleague", Roles { staff: true, ..Roles::default() }).await;
    assert_eq!(code(change(&harness, &staff, &colleague, active(false)).await), "not_superuser");
    assert_eq!(code(harness.erase_user(&staff, colleague.user).await), "not_superuser");
    assert_eq!(code(harness.remove_second_factor(&staff, colleague.user).await), "not_superuser");
    assert_eq!(code(harness.delete_user(&staff, colleague.user, None).await), "not_superuser");
    assert!(change(&harness, &boss, &anna, roles(&["staff"])).await.unwrap().user.roles.staff);
    assert_eq!(fields(change(&harness, &boss, &anna, roles(&["king"])).await), ["roles"]);
    let logged = harness.texts("SELECT detail FROM kernel_audit_event WHERE action = 'accounts.change_account'").await;
    assert!(logged[1].contains(r#""roles":["staff"]"#) && logged[1].contains(r#""roles_before":["teacher"]"#));
}

#[tokio::test]
async fn the_last_superuser_stays() {
    let harness = accounts().await;
    let boss = appointed(&harness, "boss", superuser()).await;
    for refused in [
        code(change(&harness, &boss, &boss, roles(&["staff"])).await),
        code(change(&harness, &boss, &boss, active(false)).await),
        code(harness.erase_user(&boss, boss.user).await),
        code(harness.delete_user(&boss, boss.user, None).await),
        code(harness.delete_me(&boss, guildhall_accounts::PasswordProof { password: PASSWORD.into() }).await),
    ] {
        assert_eq!(refused, "last_superuser");
    }
    let second = appointed(&harness, "second", superuser()).await;
    change(&harness, &boss, &boss, roles(&[])).await.unwrap();
    assert_eq!(code(change(&harness, &second, &second, active(false)).await), "last_superuser");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_superusers_cannot_demote_each_other_at_once() {
    let harness = crate::harness::with_connections(4).await;
    let one = appointed(&harness, "one", superuser()).await;
    let two = appointed(&harness, "two", superuser()).await;
    let demote = |by: Caller, whom: Caller| {
        let accounts = harness.accounts.clone();
        tokio::spawn(async move { accounts.change_account(&by, whom.user, roles(&[]), IfMatch::default()).await })
    };
    let (first, second) = (demote(one, two), demote(two, one));
    let outcomes = [code(first.await.unwrap()), code(second.await.unwrap())];
    assert!(outcomes.contains(&"ok".to_owned()) && outcomes.contains(&"last_superuser".to_owned()), "{outcomes:?}");
    assert!(harness.has_superuser().await.unwrap());
}

#[tokio::test]
async fn whoever_is_deactivated_loses_every_session_and_token_for_good() {
    let harness = accounts().await;
    let staff = appointed(&harness, "staff", staff()).await;
    let anna = caller(&harness.registered("anna").await);
    let tokens = harness.signs_in("anna").await.tokens;
    change(&harness, &staff, &anna, active(false)).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "user_inactive");
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    change(&harness, &staff, &anna, active(true)).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn staff_ends_sessions_and_sends_links() {
    let harness = accounts().await;
    let staff = appointed(&harness, "staff", staff()).await;
    let anna = harness.verified("anna").await.user.id;
    let tokens = harness.signs_in("anna").await.tokens;
    assert_eq!(harness.sessions_of(&staff, anna, SliceQuery::newest(5)).await.unwrap().results.len(), 1);
    harness.end_sessions_of(&staff, anna).await.unwrap();
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert!(harness.sessions_of(&staff, anna, SliceQuery::newest(5)).await.unwrap().results.is_empty());
    harness.send_reset(&staff, anna).await.unwrap();
    let reset = PasswordReset { token: token_in(&harness.letters().await[0]), new_password: "another horse é".into() };
    harness.reset_password(reset).await.unwrap();
    assert_eq!(code(harness.account(&staff, guildhall_kernel::UserId(999)).await), "user_not_found");
}

#[tokio::test]
async fn a_lost_second_factor_is_taken_away_by_staff() {
    let harness = accounts().await;
    let staff = appointed(&harness, "staff", staff()).await;
    harness.verified("anna").await;
    let anna = harness.session_of("anna").await;
    let setup = harness.set_up_totp(&anna).await.unwrap();
    assert_eq!(fields(harness.confirm_totp(&anna, TotpCode { code: "1".into() }).await), ["code"]);
    drop(setup);
    harness.sql("UPDATE accounts_totp SET confirmed_at = 1").await;
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "mfa_required");
    harness.letters().await;
    harness.remove_second_factor(&staff, anna.user).await.unwrap();
    assert_eq!(harness.letters().await[0].subject, "Your second factor was removed");
    assert!(harness.try_sign_in("anna", PASSWORD).await.is_ok());
    assert_eq!(code(harness.remove_second_factor(&staff, anna.user).await), "no_second_factor");
}

#[tokio::test]
async fn a_change_against_a_stale_version_is_refused() {
    let harness = accounts().await;
    let staff = appointed(&harness, "staff", staff()).await;
    let anna = harness.registered("anna").await;
    let version: guildhall_kernel::ETag = anna.updated_at.into();
    let known = || IfMatch::only(version);
    let change = async |names: &[&str]| harness.change_account(&staff, anna.user.id, roles(names), known()).await;
    change(&["teacher"]).await.unwrap();
    assert_eq!(code(change(&[]).await), "stale");
}

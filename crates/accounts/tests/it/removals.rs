//! Deletion, erasure and data export of users.

use async_trait::async_trait;
use guildhall_accounts::{Accounts, PasswordProof, Removals, UserTokens, WeakPassword};
use guildhall_kernel::{
    self as kernel, AccountCleanup, Blocker, Caller, Directory, Roles, UserId, UserRemoval,
    db::{self, Snapshot, Tx},
};
use serde_json::json;

use crate::harness::{
    Harness, PASSWORD, accounts, caller, code, credentials, fields, new_user, with_connections, with_domain,
};

/// A domain that blocks the deletion of the user `busy` without a successor. It records calls of `release` in
/// `kernel_job`.
struct Deals;

#[async_trait]
impl UserRemoval for Deals {
    async fn blockers(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> kernel::Result<Vec<Blocker>> {
        let sql = "SELECT username FROM users WHERE id = $1 AND username = 'busy'";
        let name = db::scalar::<String>(tx, sql, [user.into()]).await?;
        let examples = vec!["DLID0001 - Global Corp".to_owned()];
        Ok(if name.is_some() && successor.is_none() {
            vec![Blocker { model: "deal", count: 3, examples }]
        } else {
            Vec::new()
        })
    }

    async fn is_used(&self, tx: &Tx, user: UserId) -> kernel::Result<bool> {
        Ok(!self.blockers(tx, user, None).await?.is_empty())
    }

    async fn release(&self, tx: &Tx, user: UserId, successor: Option<UserId>) -> kernel::Result<()> {
        let target = successor.map_or_else(|| "nobody".to_owned(), |successor| successor.to_string());
        let name = format!("{user} to {target}");
        db::execute(tx, "INSERT INTO kernel_job (name, next_at) VALUES ($1, 0)", [name.into()]).await?;
        if successor == Some(UserId(1)) {
            return Err(kernel::Error::internal("release failed"));
        }
        Ok(())
    }

    async fn export(&self, _: &Snapshot, user: UserId) -> kernel::Result<(&'static str, serde_json::Value)> {
        Ok(("deals", json!([{"owner": user}])))
    }
}

async fn staff(harness: &Harness) -> Caller {
    let roles = Roles { staff: true, ..Roles::default() };
    caller(&harness.create_user(new_user("staff"), roles, WeakPassword::Reject).await.unwrap())
}

#[tokio::test]
async fn blockers_are_reported_and_nothing_is_changed() {
    let harness = with_domain(Deals).await;
    let staff = staff(&harness).await;
    let busy = harness.register_user("busy").await.user.id;
    let tokens = harness.sign_in_as("busy").await.tokens;
    let error: kernel::Error = harness.delete_user(&staff, busy, None).await.unwrap_err().into();
    assert_eq!(error.code(), "protected");
    let blockers = json!([{"model": "deal", "count": 3, "examples": ["DLID0001 - Global Corp"]}]);
    assert_eq!(error.extension("blockers"), Some(&blockers));
    assert!(harness.authenticate_bearer(&tokens.access).await.is_ok(), "the user was not deleted");
    assert_eq!(harness.db.count_rows("kernel_job").await, 0, "nothing was released");
}

#[tokio::test]
async fn an_unused_account_is_removed_and_audited_but_never_a_staff_account() {
    let harness = with_domain(Deals).await;
    let staff = staff(&harness).await;
    let [busy, idle] = [harness.register_user("busy").await.user.id, harness.register_user("idle").await.user.id];
    let accounts = &harness.accounts;
    let remove = async |id| harness.db.write(|tx| async move { accounts.remove_unused(&tx, id).await }).await.unwrap();
    assert!(!remove(busy).await, "a domain uses it");
    assert!(!remove(staff.user).await, "a staff account");
    assert!(remove(idle).await);
    assert!(!remove(idle).await, "it does not exist any more");
    assert_eq!(harness.db.count_rows("users").await, 2);
    assert_eq!(harness.db.count_rows("kernel_job").await, 1, "the domains released the user");
    assert_eq!(harness.db.count_rows("kernel_audit_event WHERE action = 'accounts.delete_unused_user'").await, 1);
}

#[tokio::test]
async fn a_successor_takes_over_in_the_same_transaction() {
    let harness = with_domain(Deals).await;
    let staff = staff(&harness).await;
    let busy = harness.register_user("busy").await.user.id;
    let successor = harness.register_user("successor").await.user.id;
    let inactive = harness.register_user("inactive").await.user.id;
    harness.set_active("inactive", false).await.unwrap();
    for invalid in [busy, inactive, UserId(999)] {
        assert_eq!(fields(harness.delete_user(&staff, busy, Some(invalid)).await), ["reassign_to"]);
    }
    let failed = harness.delete_user(&staff, busy, Some(staff.user)).await;
    assert_eq!(code(failed), "internal");
    assert_eq!(harness.db.count_rows("kernel_job").await, 0, "a failure rolls everything back");
    harness.delete_user(&staff, busy, Some(successor)).await.unwrap();
    assert_eq!(harness.db.query_texts("SELECT name FROM kernel_job").await, [format!("{busy} to {successor}")]);
    assert_eq!(code(harness.user(&staff, busy).await), "user_not_found");
}

#[tokio::test]
async fn deleting_a_user_deletes_every_row_and_the_id_is_never_reused() {
    let harness = accounts().await;
    let staff = staff(&harness).await;
    let anna = harness.register_verified("anna").await.user.id;
    harness.sign_in_as("anna").await;
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    harness.emails().await;
    harness.delete_user(&staff, anna, None).await.unwrap();
    for table in [
        "accounts_session",
        "accounts_refresh_token",
        "accounts_user_token",
        "accounts_one_time_token",
        "accounts_known_network",
    ] {
        assert_eq!(harness.db.count_rows(table).await, 0, "{table}");
    }
    let emails = harness.emails().await;
    assert_eq!((emails.len(), emails[0].subject.as_str()), (1, "Your account was deleted"));
    let labels = harness.db.query_texts("SELECT subject_label FROM kernel_audit_event WHERE subject_id IS NULL").await;
    assert!(labels.contains(&format!("anna #{anna}")), "the audit log keeps the name: {labels:?}");
    let next = harness.register_user("anna").await.user.id;
    assert!(next.0 > anna.0);
}

#[tokio::test]
async fn deleting_the_own_account_requires_the_password() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let anna = harness.session_of("anna").await;
    let proof = |password: &str| PasswordProof { password: password.into() };
    assert_eq!(fields(harness.delete_me(&anna, proof("wrong")).await), ["password"]);
    harness.delete_me(&anna, proof(PASSWORD)).await.unwrap();
    assert_eq!(harness.db.count_rows("users").await, 0);
    let emails = harness.db.query_texts("SELECT title FROM kernel_outbox").await;
    assert_eq!(emails, ["Your account was deleted"], "earlier emails are deleted");
}

#[tokio::test]
async fn erasing_a_user_keeps_only_the_row() {
    let harness = with_domain(Deals).await;
    let staff = staff(&harness).await;
    let anna = harness.register_verified("busy").await.user.id;
    let tokens = harness.sign_in_as("busy").await.tokens;
    harness.exchange_for_user_token(credentials("busy", PASSWORD)).await.unwrap();
    harness.erase_user(&staff, anna).await.unwrap();
    harness.erase_user(&staff, anna).await.unwrap();
    let columns = "username || '|' || email || '|' || display_name || '|' || COALESCE(password_hash, 'none')";
    let row = harness.db.query_texts(&format!("SELECT {columns} FROM users WHERE id = {anna}")).await;
    assert_eq!(row, [format!("erased-{anna}|||none")]);
    for table in ["accounts_session", "accounts_refresh_token", "accounts_user_token", "accounts_one_time_token"] {
        assert_eq!(harness.db.count_rows(table).await, 0, "{table}");
    }
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.try_sign_in(&format!("erased-{anna}"), PASSWORD).await), "invalid_credentials");
    assert_eq!(code(harness.user(&staff, anna).await), "user_not_found");
    let emails = harness.db.query_texts("SELECT title FROM kernel_outbox").await;
    assert_eq!(emails, ["Your account was deleted"], "earlier emails are deleted");
    assert!(harness.people(&[anna]).await.unwrap().is_empty(), "not in the directory");
    assert_eq!(code(harness.set_active(&format!("erased-{anna}"), true).await), "user_not_found");
    let reregistered = harness.register(new_user("busy")).await;
    assert!(reregistered.is_ok(), "the username is available again");
    let reserved = harness.register(new_user(&format!("Erased-{anna}x"))).await;
    assert_eq!(fields(reserved), ["username"]);
}

#[tokio::test]
async fn an_export_contains_all_data_without_secrets() {
    let harness = with_domain(Deals).await;
    harness.register_verified("anna").await;
    let anna = harness.session_of("anna").await;
    let token = harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap().token;
    let export = harness.export_me(&anna).await.unwrap();
    assert_eq!(export["account"]["username"], "anna");
    assert_eq!(export["account"]["email"], "anna@example.org");
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(export["user_tokens"].as_array().unwrap().len(), 1);
    assert_eq!(export["log"][0]["action"], "accounts.create_user_token");
    assert_eq!(export["deals"], json!([{"owner": anna.user}]));
    let text = export.to_string();
    assert!(!text.contains(&token) && !text.contains("argon2") && !text.contains("password_hash"));
}

#[tokio::test]
async fn staff_delete_users_with_their_sessions_and_tokens() {
    let harness = accounts().await;
    let staff = Roles { staff: true, ..Roles::default() };
    let staff = caller(&harness.create_user(new_user("staff"), staff, WeakPassword::Reject).await.unwrap());
    let anna = harness.register_user("anna").await;
    harness.sign_in_as("anna").await;
    assert_eq!(code(harness.delete_user(&caller(&anna), staff.user, None).await), "not_staff");
    harness.delete_user(&staff, anna.user.id, None).await.unwrap();
    assert_eq!(harness.db.count_rows("accounts_session").await, 0);
    assert_eq!(harness.db.count_rows("accounts_refresh_token").await, 0);
    assert_eq!(code(harness.delete_user(&staff, anna.user.id, None).await), "user_not_found");
    let next = harness.register_user("anna").await;
    assert!(next.user.id > anna.user.id, "ids are never reused");
}

#[tokio::test]
async fn superusers_cannot_delete_each_other_concurrently() {
    let harness = with_connections(4).await;
    let superuser = Roles { superuser: true, ..Roles::default() };
    let staff = Roles { staff: true, ..Roles::default() };
    let create = async |name: &str, roles| {
        caller(&harness.create_user(new_user(name), roles, WeakPassword::Reject).await.unwrap())
    };
    let one = create("one", superuser).await;
    let two = create("two", superuser).await;
    let staff = create("staff", staff).await;
    assert_eq!(code(harness.delete_user(&staff, one.user, None).await), "not_superuser");
    let (first, second) =
        tokio::join!(harness.delete_user(&one, two.user, None), harness.delete_user(&two, one.user, None));
    let mut outcomes = [code(first), code(second)];
    outcomes.sort();
    assert_eq!(outcomes, ["last_superuser", "ok"]);
    assert!(harness.has_superuser().await.unwrap());
}

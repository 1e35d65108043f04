//! How people leave.

use async_trait::async_trait;
use guildhall_accounts::{Accounts, PasswordProof, Tokens, WeakPassword};
use guildhall_kernel::{self as kernel, Blocker, Caller, Directory, Roles, UserId, UserRemoval};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};
use serde_json::json;

use crate::harness::{Harness, PASSWORD, accounts, beside, caller, code, credentials, fields, somebody};

/// A domain that keeps whoever has the username `busy`, unless there is an heir, and writes down whom
/// it let go.
struct Deals;

#[async_trait]
impl UserRemoval for Deals {
    async fn blockers(
        &self,
        conn: &DatabaseTransaction,
        user: UserId,
        heir: Option<UserId>,
    ) -> kernel::Result<Vec<Blocker>> {
        let sql = format!("SELECT username FROM users WHERE id = {user} AND username = 'busy'");
        let busy = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await?;
        let examples = vec!["DLID0001 - Global Corp".to_owned()];
        Ok(if busy.is_some() && heir.is_none() {
            vec![Blocker { model: "deal", count: 3, examples }]
        } else {
            Vec::new()
        })
    }

    async fn release(&self, conn: &DatabaseTransaction, user: UserId, heir: Option<UserId>) -> kernel::Result<()> {
        let name = format!("{user} to {}", heir.map_or_else(|| "nobody".to_owned(), |heir| heir.to_string()));
        let sql = format!("INSERT INTO kernel_job (name, next_at) VALUES ('{name}', 0)");
        conn.execute_unprepared(&sql).await?;
        if heir == Some(UserId(1)) {
            return Err(kernel::Error::internal("it went wrong half way"));
        }
        Ok(())
    }

    async fn export(&self, _: &DatabaseTransaction, user: UserId) -> kernel::Result<(&'static str, serde_json::Value)> {
        Ok(("deals", json!([{"owner": user}])))
    }
}

async fn staff(harness: &Harness) -> Caller {
    let roles = Roles { staff: true, ..Roles::default() };
    caller(&harness.create_user(somebody("staff"), roles, WeakPassword::Refuse).await.unwrap())
}

#[tokio::test]
async fn what_keeps_a_person_is_named_and_nothing_is_half_done() {
    let harness = beside(Deals).await;
    let staff = staff(&harness).await;
    let busy = harness.registered("busy").await.user.id;
    let tokens = harness.signs_in("busy").await.tokens;
    let refused = harness.delete_user(&staff, busy, None).await.unwrap_err();
    let refused: kernel::Error = refused.into();
    assert_eq!(refused.code(), "protected");
    let blockers = json!([{"model": "deal", "count": 3, "examples": ["DLID0001 - Global Corp"]}]);
    assert_eq!(refused.extension("blockers"), Some(&blockers));
    assert!(harness.shows(&tokens.access).await.is_ok(), "still there");
    assert_eq!(harness.rows("kernel_job").await, 0, "and nothing was let go");
}

#[tokio::test]
async fn an_heir_takes_over_in_the_same_transaction() {
    let harness = beside(Deals).await;
    let staff = staff(&harness).await;
    let busy = harness.registered("busy").await.user.id;
    let heir = harness.registered("heir").await.user.id;
    harness.registered("gone").await;
    harness.set_active("gone", false).await.unwrap();
    let gone = UserId(heir.0 + 1);
    for unfit in [busy, gone, UserId(999)] {
        assert_eq!(fields(harness.delete_user(&staff, busy, Some(unfit)).await), ["reassign_to"]);
    }
    let broken = harness.delete_user(&staff, busy, Some(staff.user)).await;
    assert_eq!(code(broken), "internal");
    assert_eq!(harness.rows("kernel_job").await, 0, "what failed half way left nothing");
    harness.delete_user(&staff, busy, Some(heir)).await.unwrap();
    assert_eq!(harness.texts("SELECT name FROM kernel_job").await, [format!("{busy} to {heir}")]);
    assert_eq!(code(harness.user(&staff, busy).await), "user_not_found");
}

#[tokio::test]
async fn whoever_goes_takes_every_row_along_and_the_number_is_never_given_again() {
    let harness = accounts().await;
    let staff = staff(&harness).await;
    let anna = harness.verified("anna").await.user.id;
    harness.signs_in("anna").await;
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    harness.letters().await;
    harness.delete_user(&staff, anna, None).await.unwrap();
    for table in [
        "accounts_session",
        "accounts_refresh_token",
        "accounts_user_token",
        "accounts_one_time_token",
        "accounts_known_network",
    ] {
        assert_eq!(harness.rows(table).await, 0, "{table}");
    }
    let letters = harness.letters().await;
    assert_eq!((letters.len(), letters[0].subject.as_str()), (1, "Your account was removed"));
    let left = harness.texts("SELECT subject_label FROM kernel_audit_event WHERE subject_id IS NULL").await;
    assert!(left.contains(&format!("anna #{anna}")), "the log still knows: {left:?}");
    let next = harness.registered("anna").await.user.id;
    assert!(next.0 > anna.0);
}

#[tokio::test]
async fn one_removes_oneself_with_the_password() {
    let harness = accounts().await;
    harness.registered("anna").await;
    let anna = harness.session_of("anna").await;
    let proof = |password: &str| PasswordProof { password: password.into() };
    assert_eq!(fields(harness.delete_me(&anna, proof("wrong")).await), ["password"]);
    harness.delete_me(&anna, proof(PASSWORD)).await.unwrap();
    assert_eq!(harness.rows("users").await, 0);
}

#[tokio::test]
async fn of_an_erased_person_nothing_is_left_but_the_row() {
    let harness = beside(Deals).await;
    let staff = staff(&harness).await;
    let anna = harness.verified("busy").await.user.id;
    let tokens = harness.signs_in("busy").await.tokens;
    harness.exchange_for_user_token(credentials("busy", PASSWORD)).await.unwrap();
    harness.erase_user(&staff, anna).await.unwrap();
    harness.erase_user(&staff, anna).await.unwrap();
    let row = "username || '|' || email || '|' || display_name || '|' || COALESCE(password_hash, 'none')";
    let kept = harness.texts(&format!("SELECT {row} FROM users WHERE id = {anna}")).await;
    assert_eq!(kept, [format!("erased-{anna}|||none")]);
    for table in ["accounts_session", "accounts_refresh_token", "accounts_user_token", "accounts_one_time_token"] {
        assert_eq!(harness.rows(table).await, 0, "{table}");
    }
    assert_eq!(code(harness.shows(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.try_sign_in(&format!("erased-{anna}"), PASSWORD).await), "invalid_credentials");
    assert_eq!(code(harness.user(&staff, anna).await), "user_not_found");
    let letters = harness.texts("SELECT title FROM kernel_outbox").await;
    assert_eq!(letters, ["Your account was removed"], "but for the last one");
    assert!(harness.people(&[anna]).await.unwrap().is_empty(), "shown as nobody inside other objects");
    assert_eq!(code(harness.set_active(&format!("erased-{anna}"), true).await), "user_not_found");
    let again = harness.register(somebody("busy")).await;
    assert!(again.is_ok(), "the name is free again");
    let named = harness.register(somebody(&format!("Erased-{anna}x"))).await;
    assert_eq!(fields(named), ["username"]);
}

#[tokio::test]
async fn an_export_holds_what_is_kept_and_no_secret() {
    let harness = beside(Deals).await;
    harness.verified("anna").await;
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

use guildhall_accounts::{Accounts, Pruned, Tokens, UserFilter, UserTokens};
use guildhall_kernel::{
    PageQuery,
    doctor::{Finding, Severity},
};
use sea_orm::DbBackend;

use crate::harness::{Harness, PASSWORD, accounts, code, credentials, new_user};

#[tokio::test]
async fn expired_rows_are_deleted_once() {
    let harness = accounts().await;
    harness.register_verified("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    let next = harness.refresh(&tokens.refresh).await.unwrap();
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    assert_eq!(code(harness.try_sign_in("anna", "wrong").await), "invalid_credentials");
    assert_eq!(harness.prune().await.unwrap(), Pruned::default(), "nothing has expired yet");

    harness.advance(13 * 24 * 3600);
    let later = harness.refresh(&next.refresh).await.unwrap();
    harness.advance(24 * 3600);
    let pruned = harness.prune().await.unwrap();
    // The first one was used, but kept until it expired, to detect reuse.
    assert_eq!((pruned.refresh_tokens, pruned.sessions, pruned.user_tokens), (2, 0, 0));
    assert!(pruned.throttles > 0 && pruned.one_time_tokens > 0 && pruned.emails > 0);
    assert_eq!(harness.prune().await.unwrap(), Pruned::default());
    assert!(harness.refresh(&later.refresh).await.is_ok());

    harness.advance(366 * 24 * 3600);
    let pruned = harness.prune().await.unwrap();
    assert_eq!((pruned.refresh_tokens, pruned.sessions, pruned.user_tokens, pruned.networks), (2, 1, 1, 1));
    assert_eq!(harness.db.count_rows("accounts_session").await, 0);
    assert_eq!(harness.prune().await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn many_rows_are_deleted_in_batches() {
    let harness = accounts().await;
    let anna = harness.register_user("anna").await.user.id;
    harness.sign_in_as("anna").await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)";
    let fill = format!(
        "{numbers} INSERT INTO accounts_refresh_token \
         (session_id, user_id, generation, jti, kid, issued_at, expires_at, consumed_at) \
         SELECT s.id, {anna}, i, 'jti' || i, 'k', 0, 1, 1 FROM n, accounts_session s"
    );
    // Both databases accept WITH before INSERT.
    harness.db.sql(&fill).await.unwrap();
    let before = harness.db.statements();
    assert_eq!(harness.prune().await.unwrap().refresh_tokens, 1600);
    assert!(harness.db.statements() - before < 20);
    assert_eq!(harness.db.count_rows("accounts_refresh_token").await, 1);
}

async fn severities(harness: &Harness, fix: bool) -> Vec<(&'static str, Severity, bool)> {
    let findings = harness.examine(fix).await.unwrap();
    findings.into_iter().map(|Finding { check, severity, fixed, .. }| (check, severity, fixed)).collect()
}

#[tokio::test]
async fn an_examination_changes_nothing_without_fix() {
    let harness = accounts().await;
    assert!(severities(&harness, false).await.iter().all(|(_, severity, _)| *severity != Severity::Error));
    harness.register_user("anna").await;
    harness.sign_in_as("anna").await;
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    let findings = severities(&harness, false).await;
    assert!(findings.contains(&("superusers", Severity::Error, false)), "there are users, but no superuser");
    assert!(findings.contains(&("user_tokens", Severity::Ok, false)));

    let superuser = guildhall_kernel::Roles { superuser: true, ..guildhall_kernel::Roles::default() };
    harness.create_user(new_user("boss"), superuser, guildhall_accounts::WeakPassword::Reject).await.unwrap();
    harness.advance(366 * 24 * 3600);
    let findings = severities(&harness, false).await;
    for check in ["expired_tokens", "user_tokens", "superusers", "second_factor", "signing_keys"] {
        assert!(findings.contains(&(check, Severity::Note, false)), "{check}: {findings:?}");
    }
    assert_eq!(harness.db.count_rows("accounts_user_token").await, 1, "only reported");
    assert!(severities(&harness, true).await.contains(&("expired_tokens", Severity::Note, true)));
    assert_eq!(harness.db.count_rows("accounts_user_token").await, 0);
    assert_eq!(harness.db.count_rows("accounts_refresh_token").await, 0);

    harness.db.sql("UPDATE users SET username_key = 'x' WHERE username = 'anna'").await.unwrap();
    harness.db.sql("UPDATE users SET password_hash = 'bcrypt$x' WHERE username = 'boss'").await.unwrap();
    let findings = severities(&harness, true).await;
    assert!(findings.contains(&("usernames", Severity::Error, false)));
    assert!(findings.contains(&("password_hashes", Severity::Note, false)));
}

#[tokio::test]
async fn the_number_of_active_users_is_exact_whoever_changes_them() {
    let harness = accounts().await;
    let boss = harness.register_user("boss").await.user;
    let caller = guildhall_kernel::Caller::new(boss.id, guildhall_kernel::Roles::default());
    let listed = async || {
        let page = PageQuery::new(1, 1);
        harness.users(&caller, UserFilter::default(), page).await.unwrap().count
    };
    for name in ["anna", "ben", "cora", "dora"] {
        harness.register_user(name).await;
    }
    assert_eq!(listed().await, 5);
    for (sql, expected) in [
        ("UPDATE users SET is_active = false WHERE username IN ('anna', 'ben')", 3),
        ("UPDATE users SET is_active = true, first_name = 'B' WHERE username IN ('ben', 'cora')", 4),
        ("UPDATE users SET erased_at = 1 WHERE username = 'anna'", 4),
        ("UPDATE users SET erased_at = 1 WHERE username = 'dora'", 3),
        ("DELETE FROM users WHERE username IN ('anna', 'ben')", 2),
    ] {
        harness.db.sql(sql).await.unwrap();
        assert_eq!(listed().await, expected, "{sql}");
    }
    assert!(severities(&harness, false).await.contains(&("user_count", Severity::Ok, false)));
    harness.db.sql("UPDATE accounts_user_count SET active = 77").await.unwrap();
    if harness.db.backend() == DbBackend::Sqlite {
        assert!(severities(&harness, false).await.contains(&("user_count", Severity::Error, false)));
        assert!(severities(&harness, true).await.contains(&("user_count", Severity::Error, true)));
    }
    assert_eq!(listed().await, 2);
}

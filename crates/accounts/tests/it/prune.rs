use guildhall_accounts::{Pruned, Tokens};
use guildhall_kernel::doctor::{Finding, Severity};

use crate::harness::{Harness, PASSWORD, accounts, code, credentials, somebody};

#[tokio::test]
async fn what_has_expired_is_cleared_away_once() {
    let harness = accounts().await;
    harness.verified("anna").await;
    let tokens = harness.signs_in("anna").await.tokens;
    let next = harness.refresh(&tokens.refresh).await.unwrap();
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    assert_eq!(code(harness.try_sign_in("anna", "wrong").await), "invalid_credentials");
    assert_eq!(harness.prune().await.unwrap(), Pruned::default(), "nothing has expired yet");

    harness.wait(13 * 24 * 3600);
    let later = harness.refresh(&next.refresh).await.unwrap();
    harness.wait(24 * 3600);
    let pruned = harness.prune().await.unwrap();
    // The first one was used, and kept until it expired: it would have shown a second use.
    assert_eq!((pruned.refresh_tokens, pruned.sessions, pruned.user_tokens), (2, 0, 0));
    assert!(pruned.throttles > 0 && pruned.one_time_tokens > 0 && pruned.letters > 0);
    assert_eq!(harness.prune().await.unwrap(), Pruned::default());
    assert!(harness.refresh(&later.refresh).await.is_ok());

    harness.wait(366 * 24 * 3600);
    let pruned = harness.prune().await.unwrap();
    assert_eq!((pruned.refresh_tokens, pruned.sessions, pruned.user_tokens, pruned.networks), (2, 1, 1, 1));
    assert_eq!(harness.rows("accounts_session").await, 0);
    assert_eq!(harness.prune().await.unwrap(), Pruned::default());
}

#[tokio::test]
async fn a_great_many_go_in_small_steps() {
    let harness = accounts().await;
    let anna = harness.registered("anna").await.user.id;
    harness.signs_in("anna").await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)";
    let fill = format!(
        "{numbers} INSERT INTO accounts_refresh_token \
         (session_id, user_id, generation, jti, kid, issued_at, expires_at, consumed_at) \
         SELECT s.id, {anna}, i, 'jti' || i, 'k', 0, 1, 1 FROM n, accounts_session s"
    );
    // The WITH clause stands before INSERT on both databases.
    harness.sql(&fill).await;
    let before = harness.db.statements();
    assert_eq!(harness.prune().await.unwrap().refresh_tokens, 1600);
    assert!(harness.db.statements() - before < 20);
    assert_eq!(harness.rows("accounts_refresh_token").await, 1);
}

async fn severities(harness: &Harness, fix: bool) -> Vec<(&'static str, Severity, bool)> {
    let findings = harness.examine(fix).await.unwrap();
    findings.into_iter().map(|Finding { check, severity, fixed, .. }| (check, severity, fixed)).collect()
}

#[tokio::test]
async fn an_examination_tells_faults_from_notes_and_changes_nothing_by_itself() {
    let harness = accounts().await;
    assert!(severities(&harness, false).await.iter().all(|(_, severity, _)| *severity != Severity::Fault));
    harness.registered("anna").await;
    harness.signs_in("anna").await;
    harness.exchange_for_user_token(credentials("anna", PASSWORD)).await.unwrap();
    let found = severities(&harness, false).await;
    assert!(found.contains(&("superusers", Severity::Fault, false)), "people, and nobody to look after them");
    assert!(found.contains(&("user_tokens", Severity::Ok, false)));

    let superuser = guildhall_kernel::Roles { superuser: true, ..guildhall_kernel::Roles::default() };
    harness.create_user(somebody("boss"), superuser, guildhall_accounts::WeakPassword::Refuse).await.unwrap();
    harness.wait(366 * 24 * 3600);
    let found = severities(&harness, false).await;
    for check in ["expired_tokens", "user_tokens", "superusers", "second_factor", "signing_keys"] {
        assert!(found.contains(&(check, Severity::Note, false)), "{check}: {found:?}");
    }
    assert_eq!(harness.rows("accounts_user_token").await, 1, "only told");
    assert!(severities(&harness, true).await.contains(&("expired_tokens", Severity::Note, true)));
    assert_eq!(harness.rows("accounts_user_token").await, 0);
    assert_eq!(harness.rows("accounts_refresh_token").await, 0);

    harness.sql("UPDATE users SET username_key = 'x' WHERE username = 'anna'").await;
    harness.sql("UPDATE users SET password_hash = 'bcrypt$x' WHERE username = 'boss'").await;
    let found = severities(&harness, true).await;
    assert!(found.contains(&("usernames", Severity::Fault, false)));
    assert!(found.contains(&("password_hashes", Severity::Note, false)));
}

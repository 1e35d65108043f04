use guildhall_accounts::{FirstStart, WeakPassword};
use guildhall_kernel::Roles;

use crate::harness::{accounts, code, fields, new_user, with_connections};

#[tokio::test]
async fn the_first_superuser_is_created_once() {
    let harness = accounts().await;
    harness.register_user("early").await;
    assert!(harness.needs_superuser().await.unwrap());
    let admin = harness.create_first_superuser(new_user("anna")).await.unwrap();
    assert!(admin.user.roles.superuser && admin.details.email_verified && admin.details.is_active);
    assert!(!harness.needs_superuser().await.unwrap());
    assert_eq!(code(harness.create_first_superuser(new_user("berta")).await), "already_set_up");
    harness.sign_in_as("anna").await;
    assert!(harness.audit_log().await.contains(&"accounts.create_first_superuser done".to_owned()));
}

#[tokio::test]
async fn a_first_superuser_obeys_the_rules_of_registration() {
    let harness = accounts().await;
    let weak = guildhall_accounts::NewUser { password: "password".into(), email: "x".into(), ..new_user("anna") };
    assert_eq!(fields(harness.create_first_superuser(weak).await), ["email", "password"]);
    assert!(harness.needs_superuser().await.unwrap());
}

#[tokio::test]
async fn a_superuser_made_otherwise_ends_the_first_start() {
    let harness = accounts().await;
    let superuser = Roles { superuser: true, ..Roles::default() };
    harness.create_user(new_user("operator"), superuser, WeakPassword::Reject).await.unwrap();
    assert!(!harness.needs_superuser().await.unwrap());
    assert_eq!(code(harness.create_first_superuser(new_user("anna")).await), "already_set_up");
}

#[tokio::test]
async fn of_two_first_superusers_at_once_one_is_created() {
    let harness = with_connections(4).await;
    let (one, other) = tokio::join!(
        harness.create_first_superuser(new_user("anna")),
        harness.create_first_superuser(new_user("berta"))
    );
    let mut codes = [code(one), code(other)];
    codes.sort();
    assert_eq!(codes, ["already_set_up", "ok"]);
}

use guildhall_accounts::{NewUser, NewUserToken, WeakPassword};
use guildhall_kernel::{PageQuery, Roles};

use crate::harness::{PASSWORD, accounts, code, fields, new_user};

fn with_weak_password(name: &str) -> NewUser {
    NewUser { password: "your_password".into(), ..new_user(name) }
}

#[tokio::test]
async fn a_weak_password_is_accepted_only_on_request() {
    let harness = accounts().await;
    let superuser = Roles { superuser: true, ..Roles::default() };
    assert_eq!(
        fields(harness.create_user(with_weak_password("admin"), superuser, WeakPassword::Reject).await),
        ["password"]
    );
    let admin = harness.create_user(with_weak_password("admin"), superuser, WeakPassword::Accept).await.unwrap();
    assert!(admin.user.roles.superuser && admin.details.email_verified);
    assert!(harness.try_sign_in("admin", "your_password").await.is_ok());
}

#[tokio::test]
async fn a_verified_email_address_belongs_to_one_account() {
    let harness = accounts().await;
    harness.create_user(new_user("anna"), Roles::default(), WeakPassword::Reject).await.unwrap();
    let duplicate = NewUser { email: "Anna@example.org".into(), ..new_user("berta") };
    assert_eq!(code(harness.create_user(duplicate, Roles::default(), WeakPassword::Reject).await), "email_taken");
}

#[tokio::test]
async fn setting_a_password_ends_all_sessions() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let tokens = harness.sign_in_as("anna").await.tokens;
    assert_eq!(fields(harness.set_password("anna", "password", WeakPassword::Reject).await), ["password"]);
    harness.set_password("anna", "another horse é", WeakPassword::Reject).await.unwrap();
    assert_eq!(code(harness.authenticate_bearer(&tokens.access).await), "token_not_valid");
    assert_eq!(code(harness.try_sign_in("anna", PASSWORD).await), "invalid_credentials");
    assert!(harness.try_sign_in("anna", "another horse é").await.is_ok());
    assert_eq!(code(harness.set_password("nobody", PASSWORD, WeakPassword::Reject).await), "user_not_found");
}

#[tokio::test]
async fn the_last_superuser_cannot_be_deactivated() {
    let harness = accounts().await;
    let superuser = Roles { superuser: true, ..Roles::default() };
    assert!(!harness.has_superuser().await.unwrap());
    harness.create_user(new_user("one"), superuser, WeakPassword::Reject).await.unwrap();
    assert_eq!(code(harness.set_active("one", false).await), "last_superuser");
    harness.create_user(new_user("two"), superuser, WeakPassword::Reject).await.unwrap();
    harness.set_active("one", false).await.unwrap();
    assert_eq!(code(harness.set_active("two", false).await), "last_superuser");
}

#[tokio::test]
async fn an_operator_creates_tokens_and_lists_all_accounts() {
    let harness = accounts().await;
    harness.register_user("anna").await;
    let token = harness.create_token_for("ANNA", NewUserToken::default()).await.unwrap().token;
    assert!(harness.authenticate_token(&token).await.is_ok());
    harness.set_active("anna", false).await.unwrap();
    let page = harness.accounts(PageQuery::new(1, 100)).await.unwrap();
    assert!(
        page.results
            .iter()
            .map(|account| (account.user.username.as_str(), account.details.is_active))
            .eq([("anna", false)])
    );
    assert_eq!(code(harness.create_token_for("anna", NewUserToken::default()).await), "user_inactive");
}

use guildhall_accounts::Tokens;
use guildhall_kernel::{Authenticate, Credentials};

use crate::harness::{Harness, accounts, code};

async fn kids(accounts: &impl Tokens) -> Vec<String> {
    let jwks = serde_json::to_value(accounts.jwks().await.unwrap()).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn authenticate(accounts: &impl Authenticate, access: &str) -> String {
    code(accounts.authenticate(Credentials::Bearer(access.to_owned())).await)
}

async fn with_anna() -> Harness {
    let harness = accounts().await;
    harness.register_user("anna").await;
    harness
}

#[tokio::test]
async fn after_a_rotation_old_tokens_stay_valid_and_the_new_key_signs() {
    let harness = with_anna().await;
    let old = harness.sign_in_as("anna").await.tokens;
    let before = kids(&harness.accounts).await;
    let new = harness.rotate_keys(false).await.unwrap();
    assert_eq!(kids(&harness.accounts).await, [new.clone(), before[0].clone()]);
    assert_eq!(authenticate(&harness.accounts, &old.access).await, "ok");
    let next = harness.refresh(&old.refresh).await.unwrap();
    let kid = |token: &str| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let part = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&part).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!((kid(&old.access), kid(&next.access), kid(&next.refresh)), (before[0].clone(), new.clone(), new));
}

#[tokio::test]
async fn a_rotation_takes_effect_on_every_node() {
    let harness = with_anna().await;
    let other = harness.second_node().await;
    let old = harness.sign_in_as("anna").await.tokens;
    let lost = harness.refresh(&old.refresh).await.unwrap();
    other.rotate_keys(false).await.unwrap();
    assert_eq!(kids(&harness.accounts).await, kids(&other).await);
    let repeated = harness.refresh(&old.refresh).await.unwrap();
    assert_eq!(repeated.refresh, lost.refresh, "the same successor, signed with the same key");
    let fresh = harness.sign_in_as("anna").await.tokens;
    assert_eq!(authenticate(&other, &fresh.access).await, "ok");
    let credentials = guildhall_accounts::SignIn { username: "anna".into(), password: crate::harness::PASSWORD.into() };
    other.rotate_keys(false).await.unwrap();
    let tokens = other.sign_in(credentials).await.unwrap().tokens;
    assert_eq!(authenticate(&harness.accounts, &tokens.access).await, "ok", "keys are reloaded for an unknown key");
}

#[tokio::test]
async fn a_compromised_key_is_invalid_immediately_on_every_node() {
    let harness = with_anna().await;
    let other = harness.second_node().await;
    let old = harness.sign_in_as("anna").await.tokens;
    assert_eq!(authenticate(&harness.accounts, &old.access).await, "ok");
    let new = other.rotate_keys(true).await.unwrap();
    assert_eq!(authenticate(&harness.accounts, &old.access).await, "token_not_valid");
    assert_eq!(code(harness.refresh(&old.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&old.access).await), "token_not_valid");
    assert_eq!(code(harness.sign_out(&old.refresh).await), "token_not_valid");
    assert_eq!(kids(&harness.accounts).await, [new]);
    let fresh = harness.sign_in_as("anna").await.tokens;
    assert_eq!(authenticate(&harness.accounts, &fresh.access).await, "ok");
}

#[tokio::test]
async fn pruning_deletes_the_seed_of_a_retired_key_and_later_the_key() {
    let harness = with_anna().await;
    let old = harness.sign_in_as("anna").await.tokens;
    harness.rotate_keys(false).await.unwrap();
    let seed_lengths = async || {
        let sql = "SELECT CAST(length(seed) AS text) FROM accounts_signing_key ORDER BY id";
        harness.db.query_texts(sql).await
    };
    assert_eq!(seed_lengths().await, ["32", "32"]);
    harness.prune().await.unwrap();
    assert_eq!(seed_lengths().await, ["32", "32"], "still needed to reproduce a lost response");
    harness.advance(3601);
    harness.prune().await.unwrap();
    assert_eq!(seed_lengths().await, ["0", "32"]);
    let other = harness.second_node().await;
    assert!(other.refresh(&old.refresh).await.is_ok(), "the key still verifies");
    harness.advance(14 * 24 * 3600);
    assert_eq!(harness.prune().await.unwrap().keys, 1);
    assert_eq!(kids(&harness.accounts).await.len(), 1);
}

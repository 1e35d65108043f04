use guildhall_accounts::Tokens;
use guildhall_kernel::{Authenticate, Credentials};

use crate::harness::{Harness, accounts, code};

async fn kids(accounts: &impl Tokens) -> Vec<String> {
    let jwks = serde_json::to_value(accounts.jwks().await.unwrap()).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn shows(accounts: &impl Authenticate, access: &str) -> String {
    code(accounts.authenticate(Credentials::Bearer(access.to_owned())).await)
}

async fn with_anna() -> Harness {
    let harness = accounts().await;
    harness.registered("anna").await;
    harness
}

#[tokio::test]
async fn what_the_old_key_has_signed_stays_good_and_the_new_one_signs() {
    let harness = with_anna().await;
    let old = harness.signs_in("anna").await.tokens;
    let before = kids(&harness.accounts).await;
    let new = harness.rotate_keys(false).await.unwrap();
    assert_eq!(kids(&harness.accounts).await, [new.clone(), before[0].clone()]);
    assert_eq!(shows(&harness.accounts, &old.access).await, "ok");
    let next = harness.refresh(&old.refresh).await.unwrap();
    let header = |token: &str| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let part = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&part).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (header(&old.access), header(&next.access), header(&next.refresh)),
        (before[0].clone(), new.clone(), new)
    );
}

#[tokio::test]
async fn a_node_that_did_not_rotate_goes_along() {
    let harness = with_anna().await;
    let other = harness.another().await;
    let old = harness.signs_in("anna").await.tokens;
    let lost = harness.refresh(&old.refresh).await.unwrap();
    other.rotate_keys(false).await.unwrap();
    assert_eq!(kids(&harness.accounts).await, kids(&other).await);
    let again = harness.refresh(&old.refresh).await.unwrap();
    assert_eq!(again.refresh, lost.refresh, "the same successor, byte for byte, by the key that signed it");
    let fresh = harness.signs_in("anna").await.tokens;
    assert_eq!(shows(&other, &fresh.access).await, "ok");
    let theirs = guildhall_accounts::SignIn { username: "anna".into(), password: crate::harness::PASSWORD.into() };
    other.rotate_keys(false).await.unwrap();
    let theirs = other.sign_in(theirs).await.unwrap().tokens;
    assert_eq!(shows(&harness.accounts, &theirs.access).await, "ok", "a key that was not known here is looked for");
}

#[tokio::test]
async fn a_compromised_key_is_dropped_at_once_everywhere() {
    let harness = with_anna().await;
    let other = harness.another().await;
    let old = harness.signs_in("anna").await.tokens;
    assert_eq!(shows(&harness.accounts, &old.access).await, "ok");
    let new = other.rotate_keys(true).await.unwrap();
    assert_eq!(shows(&harness.accounts, &old.access).await, "token_not_valid");
    assert_eq!(code(harness.refresh(&old.refresh).await), "token_not_valid");
    assert_eq!(code(harness.verify(&old.access).await), "token_not_valid");
    assert_eq!(code(harness.sign_out(&old.refresh).await), "token_not_valid");
    assert_eq!(kids(&harness.accounts).await, [new]);
    let fresh = harness.signs_in("anna").await.tokens;
    assert_eq!(shows(&harness.accounts, &fresh.access).await, "ok");
}

#[tokio::test]
async fn a_retired_key_forgets_its_secret_and_then_goes() {
    let harness = with_anna().await;
    let old = harness.signs_in("anna").await.tokens;
    harness.rotate_keys(false).await.unwrap();
    let secrets = async || {
        let sql = "SELECT CAST(length(seed) AS text) FROM accounts_signing_key ORDER BY id";
        harness.texts(sql).await
    };
    assert_eq!(secrets().await, ["32", "32"]);
    harness.prune().await.unwrap();
    assert_eq!(secrets().await, ["32", "32"], "still needed to make a lost answer again");
    harness.wait(3601);
    harness.prune().await.unwrap();
    assert_eq!(secrets().await, ["0", "32"]);
    let other = harness.another().await;
    assert!(other.refresh(&old.refresh).await.is_ok(), "it still verifies");
    harness.wait(14 * 24 * 3600);
    assert_eq!(harness.prune().await.unwrap().keys, 1);
    assert_eq!(kids(&harness.accounts).await.len(), 1);
}

use guildhall_messaging::{ChosenPreferences, Preferences, PreferencesPatch};

use crate::harness::{code, messaging, person};

#[tokio::test]
async fn preferences_have_defaults_and_change_one_by_one() {
    let harness = messaging().await;
    let defaults = Preferences { accepts_requests_only: false, sends_receipts: true, is_discoverable: true };
    assert_eq!(harness.preferences(&person(1)).await.unwrap(), defaults);
    let patch = PreferencesPatch { sends_receipts: Some(false), ..PreferencesPatch::default() };
    harness.change_preferences(&person(1), patch).await.unwrap();
    let patch = PreferencesPatch { is_discoverable: Some(false), ..PreferencesPatch::default() };
    let changed = harness.change_preferences(&person(1), patch).await.unwrap();
    assert_eq!(changed, Preferences { sends_receipts: false, is_discoverable: false, ..defaults });
    assert_eq!(harness.preferences(&person(1)).await.unwrap(), changed);
    assert_eq!(harness.preferences(&person(2)).await.unwrap(), defaults);
}

#[tokio::test]
async fn a_change_names_at_least_one_preference() {
    let harness = messaging().await;
    let changed = harness.change_preferences(&person(1), PreferencesPatch::default()).await;
    assert_eq!(code(changed), "invalid");
    assert_eq!(harness.db.count_rows("messaging_settings").await, 0);
}

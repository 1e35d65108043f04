use guildhall_kernel::{self as kernel, ETag, IfMatch, Kind, Timestamp};
use guildhall_notifications::{
    Channel, Digest, NotificationKind, NotificationPreferences, Preferences, PreferencesPatch, Result,
};
use serde_json::{Value, json};

use crate::harness::{Harness, mention, notifications, person};

async fn change(harness: &Harness, patch: Value) -> Result<NotificationPreferences> {
    let patch: PreferencesPatch = serde_json::from_value(patch).unwrap();
    harness.service.change_notification_preferences(&person(1), patch, IfMatch::default()).await
}

#[tokio::test]
async fn the_defaults_are_those_of_the_kinds() {
    let harness = notifications().await;
    let preferences = harness.service.notification_preferences(&person(1)).await.unwrap();
    assert_eq!(preferences.kinds.len(), 15);
    for (kind, channels) in &preferences.kinds {
        assert!(channels.page && channels.push);
        assert_eq!(channels.email, kind.is_on_by_default(Channel::Email), "{kind:?}");
    }
    assert_eq!((preferences.time_zone.as_str(), preferences.digest), ("UTC", Digest::Off));
    assert_eq!((preferences.quiet_hours, preferences.sends_emails), (None, true));
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_mention() {
    let harness = notifications().await;
    let hours = json!({"from": "22:00", "until": "07:00"});
    change(&harness, json!({"quiet_hours": hours, "kinds": {"reaction": {"push": false}}})).await.unwrap();
    let patch =
        json!({"time_zone": "Europe/Vienna", "kinds": {"reaction": {"email": true}, "system": {"email": false}}});
    let preferences = change(&harness, patch).await.unwrap();
    let shown = serde_json::to_value(&preferences).unwrap();
    assert_eq!(shown["kinds"]["reaction"], json!({"page": true, "email": true, "push": false}));
    assert_eq!(shown["kinds"]["system"], json!({"page": true, "email": false, "push": true}));
    assert_eq!((&shown["quiet_hours"], &shown["time_zone"]), (&hours, &json!("Europe/Vienna")));
    assert_eq!(harness.service.notification_preferences(&person(1)).await.unwrap(), preferences);
    let cleared = change(&harness, json!({"quiet_hours": null})).await.unwrap();
    assert_eq!((cleared.quiet_hours, cleared.time_zone.as_str()), (None, "Europe/Vienna"));
    let of_others = harness.service.notification_preferences(&person(2)).await.unwrap();
    assert_eq!(of_others.time_zone, "UTC");
}

#[tokio::test]
async fn invalid_preferences_are_refused() {
    let harness = notifications().await;
    for (patch, field) in [
        (json!({"time_zone": "Mars/Olympus"}), "time_zone"),
        (json!({"quiet_hours": {"from": "07:00", "until": "07:00"}}), "quiet_hours"),
    ] {
        let error = kernel::Error::from(change(&harness, patch).await.unwrap_err());
        assert!(error.fields().contains_key(field), "{error:?}");
    }
    assert_eq!(harness.db.count_rows("notifications_settings").await, 0);
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let harness = notifications().await;
    let change = async |known: ETag| {
        let patch = PreferencesPatch { digest: Some(Digest::Weekly), ..PreferencesPatch::default() };
        harness.service.change_notification_preferences(&person(1), patch, IfMatch::only(known)).await
    };
    let never_changed = ETag::from(Timestamp::EPOCH);
    let changed = change(never_changed).await.unwrap();
    let refused = kernel::Error::from(change(never_changed).await.unwrap_err());
    assert_eq!(refused.kind(), Kind::PreconditionFailed);
    change(changed.updated_at.into()).await.unwrap();
}

#[tokio::test]
async fn a_kind_whose_page_channel_is_off_gets_neither_a_row_nor_a_frame() {
    let harness = notifications().await;
    change(&harness, json!({"kinds": {"comment": {"page": false}}})).await.unwrap();
    harness.comment(2, 7).await;
    assert_eq!(harness.db.count_rows("notifications_notification").await, 0);
    assert_eq!(harness.frames(1).await, [] as [Value; 0]);
    harness.happens(&mention(2, 7)).await;
    assert_eq!(harness.list(1).await[0].kind, NotificationKind::Mention);
}

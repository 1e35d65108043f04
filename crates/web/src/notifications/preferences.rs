//! Through which channels the reader gets notifications.

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use guildhall_kernel::{Error, IfMatch, Result};
use guildhall_notifications::{
    Digest, KindPreferences, KindPreferencesPatch, NotificationKind, NotificationPreferences, PreferencesPatch,
    QuietHours, TimeOfDay,
};

use crate::{
    form::{FormErrors, Submission},
    page::{form_errors, redirect_with, show},
    reader::{Frame, Place, Reader},
    view::View,
    web::App,
};

/// The channels of a kind.
struct KindRow {
    /// The name of the kind, as in the fields of the form.
    name: String,
    label: String,
    channels: KindPreferences,
}

#[derive(Template)]
#[template(path = "notifications/settings.html")]
struct SettingsPage {
    f: Frame,
    tab: &'static str,
    e: FormErrors,
    kinds: Vec<KindRow>,
    preferences: NotificationPreferences,
    zone: String,
    from: String,
    until: String,
}

impl SettingsPage {
    fn is_daily(&self) -> bool {
        self.preferences.digest == Digest::Daily
    }

    fn is_weekly(&self) -> bool {
        self.preferences.digest == Digest::Weekly
    }
}

/// The name of a kind in the API.
fn name_of(kind: NotificationKind) -> String {
    let name = serde_json::to_value(kind).ok();
    name.and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

fn label(view: &View, kind: NotificationKind) -> String {
    view.t(match kind {
        NotificationKind::Mention => "kind-mention",
        NotificationKind::Reply => "kind-reply",
        NotificationKind::Comment => "kind-comment",
        NotificationKind::Reaction => "kind-reaction",
        NotificationKind::GroupInvite => "kind-group-invite",
        NotificationKind::JoinRequest => "kind-join-request",
        NotificationKind::RequestApproved => "kind-request-approved",
        NotificationKind::DirectMessage => "kind-direct-message",
        NotificationKind::RoomRequest => "kind-room-request",
        NotificationKind::RoomApproved => "kind-room-approved",
        NotificationKind::DealAssigned => "kind-deal-assigned",
        NotificationKind::PaymentRecorded => "kind-payment-recorded",
        NotificationKind::PaymentVerified => "kind-payment-verified",
        NotificationKind::TaskDue => "kind-task-due",
        NotificationKind::System => "kind-system",
    })
}

async fn settings_page(app: &App, reader: &Reader, e: FormErrors, form: &Submission) -> Result<Response> {
    let status = if e.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let preferences = app.notifications.preferences.notification_preferences(&reader.caller).await;
    let preferences = preferences.map_err(Error::from)?;
    let row = |(kind, channels): (&NotificationKind, &KindPreferences)| KindRow {
        name: name_of(*kind),
        label: label(&reader.view, *kind),
        channels: *channels,
    };
    let kinds = preferences.kinds.iter().map(row).collect();
    let time = |hour: Option<TimeOfDay>| hour.map(String::from).unwrap_or_default();
    let entered = |name: &str, stored: String| form.find(name).map_or(stored, str::to_owned);
    let from = entered("quiet_from", time(preferences.quiet_hours.map(|hours| hours.from)));
    let until = entered("quiet_until", time(preferences.quiet_hours.map(|hours| hours.until)));
    let zone = entered("time_zone", preferences.time_zone.clone());
    let f = reader.frame(app, Place::More).await?;
    Ok(show(status, &SettingsPage { f, tab: "notifications", e, kinds, preferences, zone, from, until }))
}

pub(crate) async fn settings(State(app): State<App>, reader: Reader) -> Result<Response> {
    settings_page(&app, &reader, FormErrors::default(), &Submission::default()).await
}

/// The quiet hours of a form; `None` if both fields are empty.
fn quiet_hours(form: &Submission) -> Result<Option<QuietHours>> {
    let time = |name: &str| {
        let text = form.filled(name).map(|text| TimeOfDay::try_from(text.chars().take(5).collect::<String>()));
        text.transpose().map_err(|error| Error::field(name, error.to_string()))
    };
    match (time("quiet_from")?, time("quiet_until")?) {
        (Some(from), Some(until)) => Ok(Some(QuietHours { from, until })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::field("quiet_from", "This field is required.")),
        (Some(_), None) => Err(Error::field("quiet_until", "This field is required.")),
    }
}

async fn patch(app: &App, reader: &Reader, form: &Submission) -> Result<PreferencesPatch> {
    let current = app.notifications.preferences.notification_preferences(&reader.caller).await;
    let mut kinds = BTreeMap::new();
    for kind in current.map_err(Error::from)?.kinds.into_keys() {
        let name = name_of(kind);
        let is_on = |channel: &str| Some(form.is_checked(&format!("{name}.{channel}")));
        kinds.insert(kind, KindPreferencesPatch { page: is_on("page"), email: is_on("email"), push: is_on("push") });
    }
    Ok(PreferencesPatch {
        kinds: Some(kinds),
        sends_emails: Some(form.is_checked("sends_emails")),
        digest: form.choice("digest")?,
        time_zone: form.filled("time_zone").map(str::to_owned),
        quiet_hours: Some(quiet_hours(form)?),
    })
}

pub(crate) async fn change(State(app): State<App>, reader: Reader, form: Submission) -> Result<Response> {
    let changed = async {
        let patch = patch(&app, &reader, &form).await?;
        let preferences = &app.notifications.preferences;
        preferences
            .change_notification_preferences(&reader.caller, patch, IfMatch::default())
            .await
            .map_err(Error::from)
    };
    match changed.await {
        Ok(_) => Ok(redirect_with(&app, "/notifications/settings/", "flash-saved")),
        Err(error) => {
            let e = form_errors(&reader.view, error)?;
            settings_page(&app, &reader, e, &form).await
        }
    }
}

//! The timeline of a deal or client: activities, stage changes, and changes of fields.

use std::collections::BTreeMap;

use guildhall_deals::{Activity, ActivityKind, Change, StageChange};
use guildhall_kernel::{Person, Timestamp};
use serde_json::Value;

use crate::view::View;

/// The fields of the audit log that people can read, with the keys of their names.
const FIELDS: [(&str, &str); 17] = [
    ("title", "deals-title"),
    ("name", "deals-client-name"),
    ("email", "email"),
    ("phone", "deals-phone"),
    ("website", "deals-website"),
    ("address", "deals-address"),
    ("tax_id", "deals-tax-id"),
    ("notes", "deals-notes"),
    ("description", "description"),
    ("value", "deals-value"),
    ("currency", "deals-currency"),
    ("probability", "deals-probability"),
    ("source", "deals-source"),
    ("expected_close_date", "deals-expected"),
    ("verification", "deals-verification"),
    ("lost_reason", "deals-lost-reason"),
    ("status", "deals-status"),
];

/// What a timeline shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Everything,
    Notes,
    Changes,
}

impl Part {
    /// The part with a name in addresses.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "notes" => Self::Notes,
            "changes" => Self::Changes,
            _ => Self::Everything,
        }
    }
}

/// A changed field: its name, and its value before and after.
pub(super) struct Difference {
    pub(super) field: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// An entry of a timeline.
pub(super) struct Entry {
    pub(super) icon: &'static str,
    pub(super) who: Option<Person>,
    pub(super) what: String,
    pub(super) at: Timestamp,
    pub(super) note: Option<String>,
    pub(super) differences: Vec<Difference>,
}

fn activity(view: &View, activity: Activity) -> Entry {
    let (icon, what) = match activity.kind {
        ActivityKind::Note => ("pencil", "deals-logged-note"),
        ActivityKind::Call => ("phone", "deals-logged-call"),
        ActivityKind::Meeting => ("users-round", "deals-logged-meeting"),
        ActivityKind::Email => ("mail", "deals-logged-email"),
    };
    Entry {
        icon,
        who: activity.created_by,
        what: view.t(what),
        at: activity.happened_at,
        note: Some(activity.content),
        differences: Vec::new(),
    }
}

fn stage_change(view: &View, change: StageChange) -> Entry {
    let (icon, what) = match &change.from_stage {
        None => ("sparkles", view.t1("deals-created-in", "stage", &change.to_stage)),
        Some(_) => ("arrow-right", view.t1("deals-moved-to", "stage", &change.to_stage)),
    };
    Entry { icon, who: change.moved_by, what, at: change.moved_at, note: None, differences: Vec::new() }
}

/// A stored value as a text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A change of fields; `None` if nobody could read what has changed.
fn field_change(view: &View, change: Change) -> Option<Entry> {
    let differences = |changes: &BTreeMap<String, (Value, Value)>| -> Vec<Difference> {
        let known = FIELDS.iter().filter_map(|(column, key)| Some((key, changes.get(*column)?)));
        let difference = |(key, (before, after)): (&&str, &(Value, Value))| Difference {
            field: view.t(key),
            before: text(before),
            after: text(after),
        };
        known.map(difference).collect()
    };
    let found = differences(&change.changes);
    // Creating an object sets all its fields.
    let is_creation = change.action.contains("create_");
    (!found.is_empty() && !is_creation).then(|| Entry {
        icon: "square-pen",
        who: change.actor,
        what: view.t("deals-changed-fields"),
        at: change.at,
        note: None,
        differences: found,
    })
}

/// The entries of a timeline, newest first.
pub(super) fn entries(
    view: &View,
    part: Part,
    activities: Vec<Activity>,
    stages: Vec<StageChange>,
    changes: Vec<Change>,
) -> Vec<Entry> {
    let mut all = Vec::new();
    if part != Part::Changes {
        all.extend(activities.into_iter().map(|found| activity(view, found)));
    }
    if part != Part::Notes {
        all.extend(stages.into_iter().map(|change| stage_change(view, change)));
        all.extend(changes.into_iter().filter_map(|change| field_change(view, change)));
    }
    all.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    all
}

//! The messages of services about fields, in the language of the reader.

use crate::view::View;

/// Messages without variables, and the keys of their texts.
const KNOWN: [(&str, &str); 22] = [
    ("This field may not be blank.", "field-blank"),
    ("This field is required.", "field-blank"),
    ("Control characters are not allowed.", "field-control-characters"),
    ("Enter a valid email address.", "field-email"),
    ("Wrong password.", "field-wrong-password"),
    ("The code is wrong or has already been used.", "field-wrong-code"),
    ("A valid number is required.", "field-number"),
    ("Choose one of the offered values.", "field-choice"),
    ("Upload a file.", "field-file"),
    ("Use letters, digits, - and _ only.", "field-tag"),
    ("This password is too common.", "field-common-password"),
    ("This password is too similar to the username or the email address.", "field-similar-password"),
    ("Invalid or expired token.", "field-token"),
    ("A user with that username already exists.", "error-username-taken"),
    ("This is not what has to be typed.", "field-not-confirmed"),
    ("The database does not allow this value.", "field-not-allowed"),
    ("A post that is approved stays approved.", "field-approved"),
    ("Use owner, moderator or member.", "field-group-role"),
    ("A closed room cannot be opened again.", "field-closed-room"),
    ("An event cannot end before it starts.", "field-ends-too-early"),
    ("Enter a URL that begins with https:// or http://.", "field-web-url"),
    ("Quiet hours cannot begin and end at the same time.", "field-quiet-hours"),
];

/// A message of a service in the language of the reader; as it is if there is no text for it.
pub(crate) fn translated(view: &View, message: &str) -> String {
    if let Some((_, key)) = KNOWN.iter().find(|(known, _)| *known == message) {
        return view.t(key);
    }
    let number_in = |before: &str, after: &str| message.strip_prefix(before)?.strip_suffix(after)?.parse::<i64>().ok();
    if let Some(length) = number_in("Ensure this field has at least ", " characters.") {
        return view.n("field-too-short", length);
    }
    if let Some(length) = number_in("Ensure this field has no more than ", " characters.") {
        return view.n("field-too-long", length);
    }
    if let Some(length) = number_in("This password is too short. It must have at least ", " characters.") {
        return view.n("field-too-short", length);
    }
    message.to_owned()
}

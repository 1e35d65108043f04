//! Keys of forms that create something: a form that is sent twice creates it once.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use guildhall_kernel::{Error, Result, idempotency::IdempotencyKey, secret};
use serde_json::Value;

use crate::form::Submission;

/// The field with the key of a form.
pub(super) const FORM_KEY: &str = "form_key";

/// A key for a form that is about to be shown.
pub(super) fn new() -> Result<String> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(secret::random::<18>()?))
}

/// The key that a form was shown with, for its address and what is in these fields.
pub(super) fn sent(form: &Submission, address: &str, fields: &[&str]) -> Result<Option<IdempotencyKey>> {
    let mut request = vec![address.as_bytes()];
    request.extend(fields.iter().map(|name| form.text(name).as_bytes()));
    form.filled(FORM_KEY).map(|key| IdempotencyKey::new(key, &request)).transpose()
}

/// The id of what the form created when it was sent first.
pub(super) fn id_in(response: &Value) -> Result<i64> {
    response["id"].as_i64().ok_or_else(|| Error::internal("a stored response has no id"))
}

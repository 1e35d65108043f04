//! Messages of errors with their causes.

use std::{error::Error, iter::successors};

/// The messages of an error and its causes.
pub(crate) fn message_of(error: &(dyn Error + 'static)) -> String {
    let mut message = String::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !message.contains(&text) {
            let colon = if message.is_empty() { "" } else { ": " };
            message = format!("{message}{colon}{text}");
        }
    }
    message
}

/// An error and its causes.
pub(crate) fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    successors(Some(error), |&cause| cause.source())
}

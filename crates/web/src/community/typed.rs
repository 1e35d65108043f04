//! What was typed into a form that was refused.

use crate::form::FormErrors;

/// A text that was typed, with what is wrong with it.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) errors: FormErrors,
    pub(super) text: String,
}

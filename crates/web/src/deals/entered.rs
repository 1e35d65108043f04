//! The fields of a form, as it is shown.

use guildhall_kernel::{Error, Result};

use super::form_key::{self, FORM_KEY};
use crate::{
    form::{FormErrors, Submission},
    page::form_errors,
    view::View,
};

/// The field with the version of the object that a form was made of.
const VERSION: &str = "version";

/// The texts of a form's fields: those of an object, or what was typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Entered(Vec<(&'static str, String)>);

impl Entered {
    /// The fields of an object.
    pub(super) fn of<const N: usize>(fields: [(&'static str, &str); N]) -> Self {
        Self(fields.into_iter().map(|(name, text)| (name, text.to_owned())).collect())
    }

    /// What was typed into those of these fields that the form has.
    pub(super) fn typed(form: &Submission, names: &[&'static str]) -> Self {
        Self(names.iter().filter_map(|name| Some((*name, form.find(name)?.to_owned()))).collect())
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// The text of a field; empty if the form has none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// Whether a choice is the chosen one.
    pub(super) fn is(&self, name: &str, choice: impl ToString) -> bool {
        self.get(name) == choice.to_string()
    }

    /// These fields with another text in one of them.
    pub(super) fn with(mut self, name: &'static str, text: &str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self.0.push((name, text.to_owned()));
        self
    }
}

/// A form that was refused.
pub(super) struct Refused {
    pub(super) errors: FormErrors,
    /// What was typed, with the version that the form was made of.
    pub(super) typed: Entered,
    /// Whether somebody has changed the object since the form was opened.
    is_stale: bool,
}

/// A field that somebody has changed to something else than what was typed.
pub(super) struct Conflict {
    pub(super) field: &'static str,
    /// The name of the field, as people read it.
    pub(super) label: String,
    /// What the object has.
    pub(super) current: String,
    /// What was typed.
    pub(super) typed: String,
}

/// What was typed into a form that was refused. A key that another form was sent with is replaced: with it, the form
/// could never be sent.
pub(super) fn retyped(error: &Error, typed: Entered) -> Result<Entered> {
    if error.code() != "idempotency_key_reused" {
        return Ok(typed);
    }
    Ok(typed.with(FORM_KEY, &form_key::new()?))
}

impl Refused {
    /// What to show after an error. Errors that nobody can correct on the form are passed on.
    pub(super) fn new(view: &View, error: impl Into<Error>, form: &Submission, names: &[&'static str]) -> Result<Self> {
        let error = error.into();
        let is_stale = error.code() == "stale";
        let typed = retyped(&error, Entered::typed(form, names))?;
        Ok(Self { errors: form_errors(view, error)?, typed, is_stale })
    }

    /// The errors and fields to show, and the fields that differ from those of the object if it has changed. Then the
    /// form gets the current version, because its user sees the current fields beside theirs. After any other error
    /// it keeps the version it was made of, so that it cannot overwrite a change that its user has not seen.
    pub(super) fn against(
        self,
        current: &Entered,
        labels: &[(&'static str, String)],
    ) -> (FormErrors, Entered, Option<Vec<Conflict>>) {
        let Self { errors, typed, is_stale } = self;
        if !is_stale {
            return (errors, typed, None);
        }
        let conflict = |(name, label): &(&'static str, String)| {
            let (current, typed) = (current.get(name), typed.find(name)?);
            if current.trim() == typed.trim() {
                return None;
            }
            Some(Conflict { field: name, label: label.clone(), current: current.to_owned(), typed: typed.to_owned() })
        };
        let conflicts = labels.iter().filter_map(conflict).collect();
        let typed = typed.with(VERSION, current.get(VERSION));
        (errors, typed, Some(conflicts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_without_text_is_empty() {
        let fields = Entered::of([("stage", "7")]);
        assert!(fields.is("stage", 7) && !fields.is("stage", 77));
        assert_eq!(fields.get("title"), "");
    }

    #[test]
    fn only_a_stale_form_gets_the_current_version() {
        let current = Entered::of([("title", "Benches"), ("source", "fair"), ("contact", "7"), (VERSION, "2")]);
        let labels = ["title", "source", "contact"].map(|name| (name, name.to_uppercase()));
        let refused = |is_stale| {
            let typed = Entered::of([("title", "Chairs"), ("source", "fair "), (VERSION, "1")]);
            Refused { errors: FormErrors::default(), typed, is_stale }
        };
        let (_, typed, conflicts) = refused(false).against(&current, &labels);
        assert_eq!((typed.get(VERSION), conflicts.is_none()), ("1", true));
        let (_, typed, conflicts) = refused(true).against(&current, &labels);
        assert_eq!((typed.get(VERSION), typed.get("title")), ("2", "Chairs"));
        let conflicts = conflicts.unwrap();
        assert_eq!(conflicts.len(), 1, "the form has no contact");
        let title = &conflicts[0];
        assert_eq!([&title.label, &title.current, &title.typed], ["TITLE", "Benches", "Chairs"]);
    }
}

//! The fields of a form, as it is shown.

use crate::form::Submission;

/// The texts of a form's fields: those of an object, or what was typed.
#[derive(Debug, Default)]
pub(super) struct Entered(Vec<(&'static str, String)>);

impl Entered {
    /// The fields of an object.
    pub(super) fn of<const N: usize>(fields: [(&'static str, &str); N]) -> Self {
        Self(fields.into_iter().map(|(name, text)| (name, text.to_owned())).collect())
    }

    /// What was typed into these fields.
    pub(super) fn typed(form: &Submission, names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, form.text(name).to_owned())).collect())
    }

    /// The text of a field; empty if the form has none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }

    /// Whether a choice is the chosen one.
    pub(super) fn is(&self, name: &str, choice: impl ToString) -> bool {
        self.get(name) == choice.to_string()
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
}

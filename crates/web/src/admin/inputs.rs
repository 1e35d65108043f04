//! The inputs of the forms for rows.

use std::collections::BTreeMap;

use guildhall_admin::{Field, Reference};
use guildhall_kernel::{
    Error, FieldErrors, Result, Timestamp,
    admin::{Column, Kind},
};

use super::fields::is_long;
use crate::{
    form::{FormErrors, Submission},
    reader::Reader,
    view::View,
    web::App,
};

/// What begins the name of an input.
pub(super) const PREFIX: &str = "c.";

/// The rows that the texts in some columns can mean.
pub(super) type Meanings = BTreeMap<String, Vec<Reference>>;

/// An input of a form.
pub(super) struct Input {
    pub(super) column: Column,
    /// As submitted, else as stored.
    pub(super) text: String,
    pub(super) is_checked: bool,
    pub(super) is_required: bool,
    /// The table that it refers to.
    pub(super) target: Option<String>,
    /// What the row is called that it refers to.
    pub(super) referenced: Option<String>,
    /// The rows that the submitted text can mean.
    pub(super) meanings: Vec<Reference>,
    pub(super) error: Option<String>,
}

impl Input {
    /// Whether a text needs several lines.
    pub(super) fn is_long(&self) -> bool {
        self.column.kind == Kind::Text
            && (is_long(&self.text) || matches!(&*self.column.name, "content" | "description" | "notes"))
    }

    pub(super) fn is_flag(&self) -> bool {
        self.column.kind == Kind::Flag
    }

    /// The type of the element.
    pub(super) fn html_type(&self) -> &'static str {
        if self.column.kind == Kind::Moment { "datetime-local" } else { "text" }
    }

    /// The attributes that depend on the type.
    pub(super) fn attributes(&self) -> &'static str {
        if self.target.is_some() {
            " autocomplete=\"off\""
        } else if self.column.kind == Kind::Number {
            " inputmode=\"numeric\""
        } else {
            ""
        }
    }
}

fn name(field: &Field) -> String {
    format!("{PREFIX}{}", field.column.name)
}

/// The stored value of a field, as its input has it.
fn stored(view: &View, field: &Field) -> String {
    let text = field.cell.text.clone().unwrap_or_default();
    match (field.column.kind, text.parse()) {
        (Kind::Moment, Ok(micros)) => view.field_time(Timestamp::from_unix_micros(micros)),
        _ => text,
    }
}

/// The inputs for fields that can be changed, with what was submitted, if it was refused.
pub(super) fn inputs(
    view: &View,
    fields: &[Field],
    form: &Submission,
    errors: &FormErrors,
    meanings: &Meanings,
) -> Vec<Input> {
    let is_submitted = form.find("submitted").is_some();
    let input = |field: &Field| {
        let column = &field.column.name;
        let stored = stored(view, field);
        let submitted = form.find(&name(field)).map(str::to_owned);
        let is_checked = if is_submitted { form.is_checked(&name(field)) } else { stored == "true" };
        let referenced =
            field.cell.reference.as_ref().filter(|_| submitted.as_ref().is_none_or(|text| *text == stored));
        Input {
            referenced: referenced.map(|reference| reference.label.clone()),
            text: submitted.unwrap_or(stored),
            is_checked,
            is_required: field.is_required,
            target: field.target.clone(),
            meanings: meanings.get(column).cloned().unwrap_or_default(),
            error: errors.has(column).then(|| errors.about(column)),
            column: field.column.clone(),
        }
    };
    fields.iter().filter(|field| field.is_editable).map(input).collect()
}

/// What was submitted.
#[derive(Default)]
pub(super) struct Submitted {
    /// The values of the columns; `None` for an empty input.
    pub(super) values: Vec<(String, Option<String>)>,
    /// Of references whose texts are not ids.
    pub(super) meanings: Meanings,
    pub(super) errors: FieldErrors,
}

impl Submitted {
    /// Reads the inputs of some fields. A box that is not checked is not submitted. A text in the place of a reference
    /// means the only row that has it.
    pub(super) async fn read(app: &App, reader: &Reader, fields: &[Field], form: &Submission) -> Result<Self> {
        let mut read = Self::default();
        for field in fields.iter().filter(|field| field.is_editable) {
            let Some(value) = read.value(app, reader, field, form).await? else { continue };
            read.values.push((field.column.name.clone(), Some(value).filter(|value| !value.is_empty())));
        }
        Ok(read)
    }

    /// The value of a field; `None` if its input was not submitted.
    async fn value(&mut self, app: &App, reader: &Reader, field: &Field, form: &Submission) -> Result<Option<String>> {
        if field.column.kind == Kind::Flag {
            return Ok(Some(form.is_checked(&name(field)).to_string()));
        }
        let Some(text) = form.find(&name(field)) else { return Ok(None) };
        if field.column.kind == Kind::Text && field.target.is_none() {
            return Ok(Some(text.to_owned()));
        }
        let text = text.trim();
        if text == stored(&reader.view, field) {
            return Ok(Some(field.cell.text.clone().unwrap_or_default()));
        }
        match &field.target {
            _ if text.is_empty() => Ok(Some(String::new())),
            Some(target) if text.parse::<i64>().is_err() => {
                let options = app.admin.panel.options(&reader.caller, target, text).await.map_err(Error::from)?;
                if let [only] = options.as_slice() {
                    return Ok(Some(only.key.to_string()));
                }
                let key = if options.is_empty() { "admin-nothing-found" } else { "admin-which-row-of" };
                self.errors.entry(field.column.name.clone()).or_default().push(reader.view.t(key));
                self.meanings.insert(field.column.name.clone(), options);
                Ok(Some(String::new()))
            }
            _ if field.column.kind == Kind::Moment => {
                let time = reader.view.read_time(text);
                if time.is_none() {
                    let message = reader.view.t("admin-invalid-time");
                    self.errors.entry(field.column.name.clone()).or_default().push(message);
                }
                Ok(time.map(|time| time.unix_micros().to_string()))
            }
            _ => Ok(Some(text.to_owned())),
        }
    }
}

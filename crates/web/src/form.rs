//! Submitted forms.

use std::str::FromStr;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use guildhall_files::{Form, Upload};
use guildhall_kernel::{Error, FieldErrors, Kind, Result, nul};
use serde::de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer};

use crate::{
    browser::Browser,
    local_path::LocalPath,
    reader::IsSignedIn,
    session::{CsrfToken, check_origin},
    web::App,
};

/// The name of the field with the CSRF token.
const CSRF_FIELD: &str = "csrf_token";
/// The maximum number of fields.
const MAX_FIELDS: usize = 1000;

/// The fields of a form that this browser got from this service: whoever has one has passed the CSRF check.
#[derive(Debug, Default)]
pub(crate) struct Submission {
    pairs: Vec<(String, String)>,
    uploads: Vec<Upload>,
}

impl Submission {
    /// The text of a field; empty if it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The text of a field.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text of a field that is not empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.find(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The texts of all fields with this name. A form with files has only the first.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text of a field that every form of its kind has.
    ///
    /// # Errors
    /// If it is absent or empty: the form is not complete.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.filled(name).ok_or_else(|| Error::field(name, "This field is required."))
    }

    /// Whether a box is checked.
    pub(crate) fn is_checked(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| !value.is_empty())
    }

    /// A number; `None` if the field is empty.
    ///
    /// # Errors
    /// If it is something else.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let number = self.filled(name).map(str::parse).transpose();
        number.map_err(|_| Error::field(name, "A valid number is required."))
    }

    /// A value of a type with named values; `None` if the field is empty.
    ///
    /// # Errors
    /// If there is no value of this name.
    pub(crate) fn choice<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let read = |text: &str| {
            let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
            T::deserialize(text)
        };
        self.filled(name).map(read).transpose().map_err(|_| Error::field(name, "Choose one of the offered values."))
    }

    /// Where the form wants to lead to afterwards.
    pub(crate) fn next(&self) -> Option<LocalPath> {
        self.find("next").and_then(LocalPath::parse)
    }

    /// The uploaded files.
    pub(crate) fn into_uploads(self) -> Vec<Upload> {
        self.uploads
    }

    /// The first uploaded file.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn into_upload(self, name: &str) -> Result<Upload> {
        self.uploads.into_iter().next().ok_or_else(|| Error::field(name, "Upload a file."))
    }
}

fn is_of_type(headers: &HeaderMap, expected: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected))
}

impl FromRequest<App> for Submission {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let browser = request.extensions().get::<Browser>().cloned();
        let browser = browser.ok_or_else(|| Error::internal("the layer of the pages is missing"))?;
        check_origin(request.headers(), &app.url)?;
        let token = CsrfToken::in_headers(request.headers()).map(str::to_owned);
        if token.is_some() {
            browser.check_csrf(token.as_deref())?;
        }
        let mut submission = if is_of_type(request.headers(), "multipart/form-data") {
            // Forms with files are large: only those of users are read.
            if request.extensions().get::<IsSignedIn>().is_none() {
                return Err(unsupported());
            }
            let (fields, uploads) = Form::from_request(request, app).await?.into_parts();
            Self { pairs: fields.into_iter().collect(), uploads }
        } else {
            Self { pairs: read_pairs(request, app).await?, uploads: Vec::new() }
        };
        if token.is_none() {
            browser.check_csrf(submission.find(CSRF_FIELD))?;
        }
        for (_, value) in &mut submission.pairs {
            // Browsers send line breaks as CR LF.
            *value = value.replace("\r\n", "\n");
        }
        Ok(submission)
    }
}

/// Reads the fields of a form without files.
async fn read_pairs(request: Request, app: &App) -> Result<Vec<(String, String)>> {
    let is_form = is_of_type(request.headers(), "application/x-www-form-urlencoded");
    let body = Bytes::from_request(request, app).await.map_err(|rejection| {
        if rejection.status() == Kind::TooLarge.status() {
            Error::new(Kind::TooLarge, "body_too_large", "The body is larger than the limit.")
        } else {
            Error::new(Kind::Invalid, "parse_error", "The body could not be read.")
        }
    })?;
    if !is_form && !body.is_empty() {
        return Err(unsupported());
    }
    let pairs: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().take(MAX_FIELDS).collect();
    match pairs.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        Some((name, _)) => Err(nul(Some(name.replace('\0', "\u{fffd}")))),
        None => Ok(pairs),
    }
}

fn unsupported() -> Error {
    Error::new(Kind::UnsupportedMediaType, "unsupported_media_type", "The body must be a form.")
}

/// What is wrong with a form, as its page shows it.
#[derive(Debug, Default)]
pub(crate) struct FormErrors {
    fields: FieldErrors,
    /// What is about no field.
    pub(crate) general: Option<String>,
}

impl FormErrors {
    /// The messages about some fields.
    pub(crate) fn of(fields: FieldErrors, general: Option<String>) -> Self {
        Self { fields, general }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.general.is_none()
    }

    /// Whether a field is wrong.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// The messages about a field.
    pub(crate) fn about(&self, field: &str) -> String {
        self.fields.get(field).map(|messages| messages.join(" ")).unwrap_or_default()
    }

    /// All messages as one text.
    pub(crate) fn text(&self) -> String {
        let fields = self.fields.values().flatten().map(String::as_str);
        self.general.as_deref().into_iter().chain(fields).collect::<Vec<_>>().join(" ")
    }

    /// The messages about fields that the page does not show.
    pub(crate) fn others(&self, shown: &[&str]) -> Vec<String> {
        let others = self.fields.iter().filter(|(field, _)| !shown.contains(&field.as_str()));
        others.flat_map(|(_, messages)| messages.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(pairs: &[(&str, &str)]) -> Submission {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Submission { pairs, uploads: Vec::new() }
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Color {
        DarkRed,
    }

    #[test]
    fn fields_are_read_by_name() {
        let form = submission(&[("a", " x "), ("b", ""), ("a", "y"), ("n", "7"), ("c", "dark_red")]);
        assert_eq!((form.text("a"), form.filled("a"), form.filled("b")), (" x ", Some("x"), None));
        assert_eq!(form.all("a").collect::<Vec<_>>(), [" x ", "y"]);
        assert_eq!(form.number::<i64>("n").unwrap(), Some(7));
        assert_eq!(form.number::<i64>("missing").unwrap(), None);
        assert!(form.number::<i64>("a").is_err());
        assert_eq!(form.choice::<Color>("c").unwrap(), Some(Color::DarkRed));
        assert!(form.choice::<Color>("a").is_err());
        assert!(form.is_checked("n") && !form.is_checked("b"));
    }

    #[test]
    fn a_form_does_not_lead_to_another_host() {
        assert_eq!(submission(&[("next", "//evil.example/")]).next(), None);
        assert_eq!(submission(&[("next", "/groups/")]).next().unwrap().as_str(), "/groups/");
    }
}

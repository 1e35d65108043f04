use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use crate::{Error, Kind};

/// A JSON body, in and out. What cannot be read is refused with a problem document: 415, 413,
/// 400 `parse_error` for what is not JSON, 400 `invalid` with the field for what does not fit.
#[derive(Default, Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        parse(&body).map(Self)
    }
}

/// No body at all is fine where one need not be given; a bad one is not.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Error> {
        let json = is_json(request.headers());
        let typed = request.headers().contains_key(header::CONTENT_TYPE);
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        match body.is_empty() {
            true if json || !typed => Ok(None),
            _ if json => parse(&body).map(|value| Some(Self(value))),
            _ => Err(not_json()),
        }
    }
}

fn not_json() -> Error {
    let detail = "The body must be JSON, with Content-Type: application/json.";
    Error::new(Kind::UnsupportedMediaType, "unsupported_media_type", detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub(crate) fn unreadable(rejection: BytesRejection) -> Error {
    match rejection.status() {
        status if status == Kind::TooLarge.status() => {
            Error::new(Kind::TooLarge, "body_too_large", "The body is larger than the limit.")
        }
        _ => Error::new(Kind::Invalid, "parse_error", "The body could not be read to its end."),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::Invalid, "parse_error", "The body is not UTF-8 (RFC 8259 §8.1)."))?;
    if !text.trim_start().starts_with('{') {
        // Serde would take a list for an object, field by field.
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(&error))?;
        return Err(Error::new(Kind::Invalid, "invalid", "The body must be a JSON object."));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            return misfit(&error);
        }
        // Serde calls a value of the wrong type a syntax error, too, where it expects a word.
        match serde_json::from_str::<Value>(text) {
            Ok(_) => misfit(&error),
            Err(error) => malformed(&error),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    if has_nul(body) {
        let whole = serde_json::from_str::<Value>(text).map_err(|error| malformed(&error))?;
        return Err(nul(place_of_nul(&whole)));
    }
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Error {
    let place = format!("JSON parse error at line {}, column {}.", error.line(), error.column());
    Error::new(Kind::Invalid, "parse_error", place)
}

fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Error::field(field, "This field is required.");
    }
    if path == "." {
        return Error::new(Kind::Invalid, "invalid", format!("The body does not fit: {message}."));
    }
    Error::field(path, format!("Not a valid value: {message}."))
}

/// Does a JSON text hold an escaped NUL? (A raw one is no JSON.) PostgreSQL stores none in text,
/// so that it is refused once, here, for every field of every body.
fn has_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // An escape is two bytes at least; the second may be a backslash that begins nothing.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// Where in a body a text with a NUL stands, in the form of `items[2].name`.
fn place_of_nul(value: &Value) -> Option<String> {
    let within = |place: String, value: &Value| {
        let rest = place_of_nul(value)?;
        let joint = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        Some(format!("{place}{joint}{rest}"))
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| within(format!("[{at}]"), item)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.contains('\0') { Some(name.replace('\0', "\u{fffd}")) } else { within(name.clone(), value) }
        }),
        _ => None,
    }
}

/// The refusal of a NUL, in the field that holds it.
pub(crate) fn nul(field: Option<String>) -> Error {
    let message = "The character U+0000 is not allowed.";
    let error = Error::new(Kind::Invalid, "nul_character", message);
    match field {
        Some(field) => error.about(field, message),
        None => error,
    }
}

/// Tells a field that is `null` (`Some(None)`) from one that is absent (`None`):
/// `#[serde(default, deserialize_with = "guildhall_kernel::present")]`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Reads a text of a patch, which `null` empties; whether it may be empty is its rule's to say:
/// `#[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]`.
pub fn text_or_null<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(field).map(|text| Some(text.unwrap_or_default()))
}

/// Reads a field of a patch that cannot be emptied: it is absent, or it has a value.
/// `#[serde(default, deserialize_with = "guildhall_kernel::not_null")]`.
pub fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// The parameters of a path. What does not fit, an id that is no number for instance, is 404:
/// there is nothing under that address.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let missing = || Error::new(Kind::NotFound, "not_found", "There is nothing here.");
        if parts.uri.path().contains("%00") {
            return Err(missing());
        }
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| missing())
    }
}

/// The parameters of a query string; what does not fit is 400.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        if let Some((name, _)) = pairs.clone().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(nul(Some(name.replace('\0', "\u{fffd}"))));
        }
        let value = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        value.map(Self).map_err(|error| {
            let (field, cause) = (error.path().to_string(), error.into_inner());
            Error::field(field, format!("Not a valid value: {cause}."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Input {
        #[serde(rename = "name")]
        _name: String,
    }

    fn refusal(body: &str) -> Error {
        parse::<Input>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_field_that_is_missing_or_of_the_wrong_type_is_named() {
        assert_eq!(refusal("{}").fields()["name"], ["This field is required."]);
        assert!(refusal(r#"{"name": 3}"#).fields().contains_key("name"));
        assert!(refusal(r#"{"name": null}"#).fields().contains_key("name"));
    }

    #[test]
    fn what_is_not_json_is_a_parse_error() {
        for body in ["", "{", "{\"name\": \"x\"} x", "\u{0}", r#"{"name": "\ud800"}"#, "nul"] {
            assert_eq!(refusal(body).code(), "parse_error", "{body:?}");
        }
        for body in ["[]", "3", "[\"a\"]", "null"] {
            assert_eq!(refusal(body).code(), "invalid", "{body}");
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Painted {
        #[serde(rename = "colour")]
        _colour: Colour,
    }

    #[test]
    fn fault_t8_a_value_of_the_wrong_type_where_a_word_is_expected_is_a_field_error() {
        for value in ["5", "true", "[1]", "null", "1.5", "\"blue\""] {
            let refused = parse::<Painted>(format!("{{\"colour\": {value}}}").as_bytes()).unwrap_err();
            assert_eq!(refused.code(), "invalid", "{value}");
            assert!(refused.fields().contains_key("colour"), "{value}: {refused:?}");
        }
        let broken = parse::<Painted>(br#"{"colour": 5, "x"}"#).unwrap_err();
        assert_eq!(broken.code(), "parse_error");
    }

    #[test]
    fn fault_t9_a_nul_is_refused_with_the_field_that_holds_it() {
        for (body, field) in [
            (r#"{"name": "a\u0000b"}"#, "name"),
            (r#"{"name": "x", "tags": ["a", "\u0000"]}"#, "tags[1]"),
            (r#"{"name": "x", "a": {"b": [{"c": "\u0000"}]}}"#, "a.b[0].c"),
        ] {
            assert_eq!(refusal(body).fields().keys().collect::<Vec<_>>(), [field], "{body}");
        }
    }

    #[test]
    fn a_nul_is_refused_wherever_it_is() {
        assert_eq!(refusal(r#"{"name": "a\u0000b"}"#).code(), "nul_character");
        assert_eq!(refusal(r#"{"name": "\\\u0000"}"#).code(), "nul_character");
        assert!(parse::<Input>(br#"{"name": "C:\\u0000"}"#).is_ok());
        let slashes = format!(r#"{{"name": "{}"}}"#, "\\".repeat(1_000_000));
        assert!(parse::<Input>(slashes.as_bytes()).is_ok());
    }

    #[test]
    fn a_thousand_keys_and_deep_nesting_do_no_harm() {
        let keys: Vec<String> = (0..1000).map(|i| format!("\"k{i}\": {i}")).collect();
        let wide = format!("{{\"name\": \"x\", {}}}", keys.join(","));
        assert!(parse::<Input>(wide.as_bytes()).is_ok());
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(refusal(&deep).kind(), Kind::Invalid);
        let ignored = format!("{{\"name\": \"x\", \"y\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(parse::<Input>(ignored.as_bytes()).is_ok());
    }
}

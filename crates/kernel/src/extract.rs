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

/// A JSON body, of a request or a response. Rejections are problem documents: 415, 413, 400 `parse_error` for
/// malformed JSON, 400 `invalid` with the field for a value of the wrong type.
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

/// An optional body may be absent, but not invalid.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Error> {
        let is_json = is_json(request.headers());
        let has_type = request.headers().contains_key(header::CONTENT_TYPE);
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        match body.is_empty() {
            true if is_json || !has_type => Ok(None),
            _ if is_json => parse(&body).map(|value| Some(Self(value))),
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
        _ => Error::new(Kind::Invalid, "parse_error", "The body could not be read."),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::Invalid, "parse_error", "The body is not UTF-8 (RFC 8259 §8.1)."))?;
    if !text.trim_start().starts_with('{') {
        // Serde would read an array as an object, field by field.
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(&error))?;
        return Err(Error::new(Kind::Invalid, "invalid", "The body must be a JSON object."));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        if error.inner().is_data() {
            return wrong_value(&error);
        }
        // Serde reports a wrong type as a syntax error where it expects an enum variant.
        match serde_json::from_str::<Value>(text) {
            Ok(_) => wrong_value(&error),
            Err(error) => malformed(&error),
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    if has_nul(body) {
        let value = serde_json::from_str::<Value>(text).map_err(|error| malformed(&error))?;
        return Err(nul(path_of_nul(&value)));
    }
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Error {
    let detail = format!("JSON parse error at line {}, column {}.", error.line(), error.column());
    Error::new(Kind::Invalid, "parse_error", detail)
}

fn wrong_value(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return Error::field(field, "This field is required.");
    }
    if path == "." {
        return Error::new(Kind::Invalid, "invalid", format!("Not a valid body: {message}."));
    }
    Error::field(path, format!("Not a valid value: {message}."))
}

/// Whether a JSON text contains an escaped NUL (an unescaped one is not valid JSON). PostgreSQL cannot store NUL in
/// text, so it is refused here for all fields.
fn has_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // An escape sequence has at least two bytes; the second may be a backslash that starts no other one.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// The path of the first text with a NUL in a body: `items[2].name`.
fn path_of_nul(value: &Value) -> Option<String> {
    let join = |prefix: String, value: &Value| {
        let rest = path_of_nul(value)?;
        let separator = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
        Some(format!("{prefix}{separator}{rest}"))
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| join(format!("[{index}]"), item)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.contains('\0') { Some(name.replace('\0', "\u{fffd}")) } else { join(name.clone(), value) }
        }),
        _ => None,
    }
}

/// The error for a NUL, with the field that contains it.
pub fn nul(field: Option<String>) -> Error {
    let message = "The character U+0000 is not allowed.";
    let error = Error::new(Kind::Invalid, "nul_character", message);
    match field {
        Some(field) => error.about(field, message),
        None => error,
    }
}

/// Distinguishes a `null` field (`Some(None)`) from an absent one (`None`):
/// `#[serde(default, deserialize_with = "guildhall_kernel::present")]`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Reads a text field of a patch, with `null` as the empty string, which the field's rule may refuse:
/// `#[serde(default, deserialize_with = "guildhall_kernel::text_or_null")]`.
pub fn text_or_null<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(field).map(|text| Some(text.unwrap_or_default()))
}

/// Reads a field of a patch that may be absent but not `null`:
/// `#[serde(default, deserialize_with = "guildhall_kernel::not_null")]`.
pub fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// The path parameters. An invalid one, an id that is not a number for instance, is 404: such a path does not
/// exist.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let missing = || Error::new(Kind::NotFound, "not_found", "Not found.");
        if parts.uri.path().contains("%00") {
            return Err(missing());
        }
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value)).map_err(|_| missing())
    }
}

/// The query parameters; an invalid one is 400.
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

    fn rejection(body: &str) -> Error {
        parse::<Input>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_missing_field_or_wrong_type_is_reported_with_the_field() {
        assert_eq!(rejection("{}").fields()["name"], ["This field is required."]);
        assert!(rejection(r#"{"name": 3}"#).fields().contains_key("name"));
        assert!(rejection(r#"{"name": null}"#).fields().contains_key("name"));
    }

    #[test]
    fn malformed_json_is_a_parse_error() {
        for body in ["", "{", "{\"name\": \"x\"} x", "\u{0}", r#"{"name": "\ud800"}"#, "nul"] {
            assert_eq!(rejection(body).code(), "parse_error", "{body:?}");
        }
        for body in ["[]", "3", "[\"a\"]", "null"] {
            assert_eq!(rejection(body).code(), "invalid", "{body}");
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Color {
        Red,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Colored {
        #[serde(rename = "color")]
        _color: Color,
    }

    #[test]
    fn fault_t8_a_wrong_type_for_an_enum_is_a_field_error() {
        for value in ["5", "true", "[1]", "null", "1.5", "\"blue\""] {
            let error = parse::<Colored>(format!("{{\"color\": {value}}}").as_bytes()).unwrap_err();
            assert_eq!(error.code(), "invalid", "{value}");
            assert!(error.fields().contains_key("color"), "{value}: {error:?}");
        }
        let error = parse::<Colored>(br#"{"color": 5, "x"}"#).unwrap_err();
        assert_eq!(error.code(), "parse_error");
    }

    #[test]
    fn fault_t9_a_nul_is_refused_with_the_field_that_contains_it() {
        for (body, field) in [
            (r#"{"name": "a\u0000b"}"#, "name"),
            (r#"{"name": "x", "tags": ["a", "\u0000"]}"#, "tags[1]"),
            (r#"{"name": "x", "a": {"b": [{"c": "\u0000"}]}}"#, "a.b[0].c"),
        ] {
            assert_eq!(rejection(body).fields().keys().collect::<Vec<_>>(), [field], "{body}");
        }
    }

    #[test]
    fn only_an_escape_sequence_of_nul_is_refused() {
        assert_eq!(rejection(r#"{"name": "a\u0000b"}"#).code(), "nul_character");
        assert_eq!(rejection(r#"{"name": "\\\u0000"}"#).code(), "nul_character");
        assert!(parse::<Input>(br#"{"name": "C:\\u0000"}"#).is_ok());
        let slashes = format!(r#"{{"name": "{}"}}"#, "\\".repeat(1_000_000));
        assert!(parse::<Input>(slashes.as_bytes()).is_ok());
    }

    #[test]
    fn many_keys_and_deep_nesting_are_safe() {
        let keys: Vec<String> = (0..1000).map(|i| format!("\"k{i}\": {i}")).collect();
        let wide = format!("{{\"name\": \"x\", {}}}", keys.join(","));
        assert!(parse::<Input>(wide.as_bytes()).is_ok());
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(rejection(&deep).kind(), Kind::Invalid);
        let ignored = format!("{{\"name\": \"x\", \"y\": {}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(parse::<Input>(ignored.as_bytes()).is_ok());
    }
}

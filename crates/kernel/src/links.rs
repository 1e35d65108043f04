//! Links from one page of a list to another.

use axum::{extract::OriginalUri, http::request::Parts};

use crate::{Error, FieldErrors, PublicUrl, Result};

/// The URL of the requested list, to build links to its other pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Links {
    pub(crate) fn new(parts: &Parts, url: &PublicUrl) -> Self {
        // A nested router strips its prefix from the request's URI.
        let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        let uri = original.unwrap_or(&parts.uri);
        let query = uri.query().unwrap_or_default();
        let mut path = uri.path().to_owned();
        if !path.ends_with('/') {
            path.push('/');
        }
        Self { path: url.join(&path), pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A positive integer; one that does not fit is read as the largest.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && number > 0 => Ok(number),
            Err(_) if digits => Ok(u64::MAX),
            _ => Err(Error::invalid(FieldErrors::from([(
                name.to_owned(),
                vec!["Must be a positive integer.".to_owned()],
            )]))),
        }
    }

    /// The URL with some parameters replaced (`Some`) or removed (`None`).
    pub(crate) fn with(&self, changes: &[(&str, Option<String>)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (key, value) in &self.pairs {
            if !changes.iter().any(|(changed, _)| changed == key) {
                query.append_pair(key, value);
            }
        }
        for (key, value) in changes {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        format!("{}?{}", self.path, query.finish())
    }
}

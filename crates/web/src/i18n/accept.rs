//! The choice of a language from what a browser prefers.

use axum::http::{HeaderMap, header};

/// The longest header that is read, in bytes.
const MAX_LENGTH: usize = 500;

/// The tag that `Accept-Language` (RFC 9110 §12.5.4) prefers of those offered.
pub(crate) fn best_of<'a>(headers: &HeaderMap, offered: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let value = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok().filter(|value| value.len() <= MAX_LENGTH)?;
    let mut best: Option<(&str, f32)> = None;
    for part in value.split(',') {
        let (range, weight) = part.split_once(';').unwrap_or((part, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse().ok()).unwrap_or(0.0);
        let primary = range.trim().split('-').next().unwrap_or_default();
        let found = offered.clone().find(|tag| tag.eq_ignore_ascii_case(primary));
        if let Some(tag) = found
            && weight > best.map_or(0.0, |(_, weight)| weight)
        {
            best = Some((tag, weight));
        }
    }
    best.map(|(tag, _)| tag)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn best(value: &'static str) -> Option<&'static str> {
        let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))]);
        best_of(&headers, ["en", "de"].into_iter())
    }

    #[test]
    fn the_language_with_the_greatest_weight_wins() {
        assert_eq!(best("de-AT,de;q=0.9,en;q=0.8"), Some("de"));
        assert_eq!(best("fr, en;q=0.3, de;q=0.7"), Some("de"));
        assert_eq!(best("fr"), None);
        assert_eq!(best("de;q=0"), None);
        assert_eq!(best("DE"), Some("de"));
    }
}

//! Markup that templates insert as it is.

use std::fmt;

use askama::filters::HtmlSafe;

/// Markup whose variable parts have been escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl Html {
    /// Wraps markup. Whatever people wrote must have been escaped or sanitized before.
    pub(crate) fn new(markup: impl Into<String>) -> Self {
        Self(markup.into())
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// Escapes a text for content and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_escaped() {
        assert_eq!(
            escape("<a href=\"x\">Tom & 'Co'</a>"),
            "&lt;a href=&quot;x&quot;&gt;Tom &amp; &#39;Co&#39;&lt;/a&gt;"
        );
    }
}

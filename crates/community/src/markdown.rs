//! Renders Markdown to HTML that is safe to show.
//!
//! There are two layers of defence. The HTML is generated from the parsed Markdown only, with HTML in the source
//! treated as text; then a sanitizer lets only a few tags through.

mod names;
mod parser;
mod references;
mod rendering;
mod urls;

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use ammonia::{Builder, UrlRelative};
use guildhall_kernel::hyperlink::SCHEMES;
use parser::{escape_names_and_urls, events};
use rendering::{Rendering, is_language_char};

use crate::error::{Error, Result};

pub(crate) use references::find_references;

/// The maximum length of long texts, in characters.
pub(crate) const MAX_TEXT_LENGTH: usize = 50_000;

/// The allowed tags. Images are not allowed: loading them would reveal to a third party who reads a text.
const TAGS: [&str; 24] = [
    "p",
    "br",
    "hr",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
];

/// The maximum length of rendered HTML, in bytes. Reference links can expand a short text.
const MAX_HTML_LENGTH: usize = 500_000;

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .generic_attributes(HashSet::new())
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("code", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .attribute_filter(filter_attribute)
        .url_schemes(HashSet::from(SCHEMES))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("nofollow noopener noreferrer ugc"));
    builder
});

/// Drops attributes whose values are not allowed.
fn filter_attribute<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let is_allowed = match (element, attribute) {
        ("code", "class") => value.strip_prefix("language-").is_some_and(|word| word.chars().all(is_language_char)),
        ("ol", "start") => value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => true,
    };
    is_allowed.then_some(Cow::Borrowed(value))
}

/// Renders the Markdown of an input field.
///
/// # Errors
///
/// The HTML is too long to be stored.
pub(crate) fn html_of(field: &'static str, text: &str) -> Result<String> {
    let html = render(text);
    if html.len() > MAX_HTML_LENGTH {
        return Err(Error::field(field, "The rendered text is too long."));
    }
    Ok(html)
}

/// Renders Markdown. The time is linear in the length of the text, whatever it contains.
fn render(text: &str) -> String {
    let mut rendering = Rendering::default();
    let text = escape_names_and_urls(text);
    for event in events(&text) {
        rendering.push(event);
    }
    let mut html = String::with_capacity(2 * text.len());
    pulldown_cmark::html::push_html(&mut html, rendering.events.into_iter());
    SANITIZER.clean(&html).to_string().trim_end_matches('\n').to_owned()
}

#[cfg(test)]
mod tests;

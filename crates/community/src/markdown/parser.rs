//! Parsing Markdown.

use std::{borrow::Cow, ops::Range};

use guildhall_kernel::hyperlink::bare_links;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TextMergeStream};

use super::names::mention_ranges;

/// The maximum number of columns of a table; a text with a wider table has no tables.
pub(super) const MAX_COLUMNS: usize = 40;

fn parser(text: &str) -> Parser<'_> {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    // Short rows are padded with empty cells, so a wide table could make a short text expensive.
    let has_wide_table = text.lines().any(|line| line.matches('|').count() > MAX_COLUMNS);
    options.set(Options::ENABLE_TABLES, !has_wide_table);
    Parser::new_ext(text, options)
}

/// Escapes emphasis characters in mentioned names and bare URLs, so that the parser takes them as part of the name or
/// URL.
pub(super) fn escape_names_and_urls(text: &str) -> Cow<'_, str> {
    let is_mark = |c| matches!(c, '*' | '_' | '~');
    let mut ranges: Vec<Range<usize>> = bare_links(text).into_iter().map(|(range, _)| range).collect();
    let urls = ranges.clone();
    ranges.extend(mention_ranges(text).filter(|name| !overlaps(&urls, name)));
    ranges.retain(|range| text[range.clone()].contains(is_mark));
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_unstable_by_key(|range| range.start);
    // Ranges in which a backslash is not an escape character.
    let verbatim: Vec<Range<usize>> = parser(text)
        .into_offset_iter()
        .filter(|(event, _)| {
            let is_autolink = matches!(event, Event::Start(Tag::Link { link_type, .. })
                if matches!(link_type, LinkType::Autolink | LinkType::Email));
            let is_code = matches!(event, Event::Code(_) | Event::Start(Tag::CodeBlock(_)));
            is_autolink || is_code || matches!(event, Event::Html(_) | Event::InlineHtml(_))
        })
        .map(|(_, range)| range)
        .collect();
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = 0;
    for range in ranges.into_iter().filter(|range| !overlaps(&verbatim, range)) {
        escaped.push_str(&text[rest..range.start]);
        for c in text[range.clone()].chars() {
            if is_mark(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        rest = range.end;
    }
    escaped.push_str(&text[rest..]);
    Cow::Owned(escaped)
}

/// Whether one of these ranges, which are sorted, overlaps with another range.
fn overlaps(ranges: &[Range<usize>], other: &Range<usize>) -> bool {
    let after = ranges.partition_point(|range| range.start < other.end);
    ranges[..after].last().is_some_and(|range| range.end > other.start)
}

/// The events of the parser, with HTML converted to text.
pub(super) fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let events = parser(text).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        event => event,
    });
    TextMergeStream::new(events)
}

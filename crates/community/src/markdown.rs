//! Renders Markdown to HTML that is safe to show.
//!
//! There are two layers of defence. The HTML is generated from the parsed Markdown only, with HTML in the source
//! treated as text; then a sanitizer lets only a few tags through.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
    sync::LazyLock,
};

use ammonia::{Builder, Url, UrlRelative};
use guildhall_kernel::text::fold;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};
use unicode_normalization::char::is_combining_mark;

use crate::{Error, Result};

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

/// The allowed schemes of links.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// How deeply quotes, lists and emphasis are nested at most. Browsers fail at some depth beyond that.
const MAX_DEPTH: usize = 20;

/// The maximum number of columns of a table; a text with a wider table has no tables.
const MAX_COLUMNS: usize = 40;

/// The maximum length of a URL, in bytes.
const MAX_URL_LENGTH: usize = 2_000;

/// The maximum length of the name of a language, in characters.
const MAX_LANGUAGE_LENGTH: usize = 30;

/// The maximum length of rendered HTML, in bytes. Reference links can expand a short text.
const MAX_HTML_LENGTH: usize = 500_000;

/// The maximum number of mentions in a text, and the maximum length of their names.
const MAX_MENTIONS: usize = 50;
const MAX_NAME_LENGTH: usize = 150;

/// The maximum number of links that get a preview.
const MAX_LINKS: usize = 5;

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

fn parser(text: &str) -> Parser<'_> {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    // Short rows are padded with empty cells, so a wide table could make a short text expensive.
    let has_wide_table = text.lines().any(|line| line.matches('|').count() > MAX_COLUMNS);
    options.set(Options::ENABLE_TABLES, !has_wide_table);
    Parser::new_ext(text, options)
}

/// Escapes emphasis characters in mentioned names and bare URLs, so that the parser takes them as part of the name or
/// URL.
fn escape_names_and_urls(text: &str) -> Cow<'_, str> {
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
fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let events = parser(text).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        event => event,
    });
    TextMergeStream::new(events)
}

/// The events to be rendered.
#[derive(Default)]
struct Rendering<'a> {
    events: Vec<Event<'a>>,
    /// How many quotes, lists and emphases are open, including those that are not rendered.
    depth: usize,
    in_code: bool,
    /// The open links; `None` for one that is not rendered as a link.
    links: Vec<Option<Link>>,
    /// Whether one of them is rendered.
    in_link: bool,
}

/// An open link.
struct Link {
    url: String,
    /// The number of events when it was opened.
    first_event: usize,
}

impl<'a> Rendering<'a> {
    fn push(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if !self.in_code => self.text(&text),
            // In posts and comments a line break is meant as such.
            Event::SoftBreak => self.events.push(Event::HardBreak),
            Event::TaskListMarker(done) => {
                let mark = if done { "☑ " } else { "☐ " };
                self.events.push(Event::Text(mark.into()));
            }
            event => self.events.push(event),
        }
    }

    fn start(&mut self, tag: Tag<'a>) {
        match tag {
            // The first level is reserved for the title of the page.
            Tag::Heading { level, .. } => self.events.push(Event::Start(Tag::Heading {
                level: level.max(HeadingLevel::H2),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            })),
            Tag::HtmlBlock => self.events.push(Event::Start(Tag::Paragraph)),
            Tag::BlockQuote(_) | Tag::List(_) | Tag::Emphasis | Tag::Strong | Tag::Strikethrough => {
                self.depth += 1;
                if self.depth <= MAX_DEPTH {
                    self.events.push(Event::Start(tag));
                }
            }
            Tag::Item if self.depth > MAX_DEPTH => self.events.push(Event::HardBreak),
            Tag::CodeBlock(kind) => {
                self.in_code = true;
                self.events.push(Event::Start(Tag::CodeBlock(language(&kind))));
            }
            Tag::Link { link_type, dest_url, .. } | Tag::Image { link_type, dest_url, .. } => {
                self.open(link_type, &dest_url);
            }
            tag => self.events.push(Event::Start(tag)),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.events.push(Event::End(TagEnd::Heading(level.max(HeadingLevel::H2)))),
            TagEnd::HtmlBlock => self.events.push(Event::End(TagEnd::Paragraph)),
            TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                if self.depth <= MAX_DEPTH {
                    self.events.push(Event::End(tag));
                }
                self.depth = self.depth.saturating_sub(1);
            }
            TagEnd::Item if self.depth > MAX_DEPTH => {}
            TagEnd::TableRow => {
                // Remove the cells that the parser has added to short rows.
                while let [.., Event::Start(Tag::TableCell), Event::End(TagEnd::TableCell)] = self.events.as_slice() {
                    self.events.truncate(self.events.len() - 2);
                }
                self.events.push(Event::End(tag));
            }
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.events.push(Event::End(tag));
            }
            TagEnd::Link | TagEnd::Image => self.close(),
            tag => self.events.push(Event::End(tag)),
        }
    }

    /// Opens a link, or an image, which is rendered as a link. Links cannot be nested.
    fn open(&mut self, link_type: LinkType, destination: &str) {
        let url = if self.in_link { None } else { link_url(link_type, destination) };
        if let Some(url) = &url {
            self.in_link = true;
            self.events.push(link_start(url));
        }
        let first_event = self.events.len();
        self.links.push(url.map(|url| Link { url, first_event }));
    }

    fn close(&mut self) {
        let Some(link) = self.links.pop().flatten() else { return };
        if self.events.len() == link.first_event {
            // For example an image without a description.
            self.events.push(Event::Text(link.url.into()));
        }
        self.events.push(link_end());
        self.in_link = false;
    }

    fn text(&mut self, text: &str) {
        // Only HTML blocks have several lines in one event.
        for (number, line) in text.lines().enumerate() {
            if number > 0 {
                self.events.push(Event::HardBreak);
            }
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        let mut rest = 0;
        // Links cannot be nested in HTML.
        let links = if self.in_link { Vec::new() } else { bare_links(line) };
        for (range, url) in links {
            self.events.push(Event::Text(line[rest..range.start].to_owned().into()));
            self.events.push(link_start(&url));
            self.events.push(Event::Text(line[range.clone()].to_owned().into()));
            self.events.push(link_end());
            rest = range.end;
        }
        self.events.push(Event::Text(line[rest..].to_owned().into()));
    }
}

fn link_start(url: &str) -> Event<'static> {
    let url = url.replace('&', "&amp;").replace('"', "&quot;");
    Event::InlineHtml(format!("<a href=\"{url}\">").into())
}

fn link_end() -> Event<'static> {
    Event::InlineHtml("</a>".into())
}

/// The normalized URL of a link; `None` if it is not allowed.
fn link_url(link_type: LinkType, destination: &str) -> Option<String> {
    if destination.len() > MAX_URL_LENGTH {
        return None;
    }
    let url = match link_type {
        LinkType::Email => Url::parse(&format!("mailto:{destination}")),
        _ => Url::parse(destination),
    };
    url.ok().filter(|url| SCHEMES.contains(&url.scheme())).map(String::from)
}

/// The first word after the opening fence of a code block, if it can be the name of a language.
fn language(kind: &CodeBlockKind<'_>) -> CodeBlockKind<'static> {
    match kind {
        CodeBlockKind::Indented => CodeBlockKind::Indented,
        CodeBlockKind::Fenced(info) => {
            let word: String = info.chars().take_while(|c| is_language_char(*c)).take(MAX_LANGUAGE_LENGTH).collect();
            CodeBlockKind::Fenced(word.into())
        }
    }
}

/// Whether a character can be part of the name of a language, such as `c++` or `objective-c`.
fn is_language_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '.' | '_' | '-')
}

/// The bare URLs in a text, with their normalized form. The time is linear in the length of the text.
fn bare_links(text: &str) -> Vec<(Range<usize>, String)> {
    let mut links = Vec::new();
    let mut search_start = 0;
    for (colon, slashes) in text.match_indices("://") {
        let Some(start) = url_start(text, search_start, colon) else { continue };
        let rest = &text[colon + slashes.len()..];
        let end = text.len() - rest.len() + rest.find(ends_url).unwrap_or(rest.len());
        // Do not search the same characters again.
        search_start = end;
        let run = without_punctuation(&text[start..end]);
        if let Some(url) = link_url(LinkType::Autolink, run) {
            links.push((start..start + run.len(), url));
        }
    }
    links
}

/// The start of the URL whose scheme ends at a colon.
fn url_start(text: &str, search_start: usize, colon: usize) -> Option<usize> {
    let before = text.get(search_start..colon)?;
    let ends_with = |scheme: &str| {
        let start = before.len().checked_sub(scheme.len());
        start.is_some_and(|start| before.as_bytes()[start..].eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let start = colon - ["https", "http"].into_iter().find(|scheme| ends_with(scheme))?.len();
    let inside_word = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    (!inside_word).then_some(start)
}

/// Whether a character ends a bare URL: white space, quotes, and punctuation of scripts without spaces.
fn ends_url(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '<' | '>'
                | '"'
                | '`'
                | '\\'
                | '«'
                | '»'
                | '\u{2010}'..='\u{206F}'
                | '\u{3000}'..='\u{303F}'
                | '\u{FF01}'..='\u{FF0F}'
                | '\u{FF1A}'..='\u{FF20}'
                | '\u{FF3B}'..='\u{FF40}'
                | '\u{FF5B}'..='\u{FF65}'
        )
}

/// Strips what belongs to the surrounding sentence from a URL: trailing punctuation, and closing brackets without an
/// opening one.
fn without_punctuation(run: &str) -> &str {
    let count = |bracket: char| run.matches(bracket).count();
    let mut round = count(')').saturating_sub(count('('));
    let mut square = count(']').saturating_sub(count('['));
    run.trim_end_matches(|c: char| {
        let open = match c {
            ')' => &mut round,
            ']' => &mut square,
            _ => return matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~'),
        };
        let is_unmatched = *open > 0;
        *open = open.saturating_sub(1);
        is_unmatched
    })
}

/// The mentions and links in a text, in order.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// Names after an `@`, as written, without duplicates.
    pub(crate) mentions: Vec<String>,
    /// URLs, without duplicates.
    pub(crate) links: Vec<String>,
}

/// Finds the mentions and links in a text, except in code.
pub(crate) fn find_references(text: &str) -> References {
    let mut finder = Finder::default();
    let mut in_code = false;
    let mut in_link = None;
    let text = escape_names_and_urls(text);
    for event in events(&text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                finder.link(link_url(link_type, &dest_url));
                in_link = Some(link_type);
            }
            Event::End(TagEnd::Link) => in_link = None,
            // The text of an autolink is its URL.
            Event::Text(_) if in_code || matches!(in_link, Some(LinkType::Autolink | LinkType::Email)) => {}
            Event::Text(text) => {
                let mut rest = 0;
                for (range, url) in bare_links(&text) {
                    finder.mentions(&text[rest..range.start]);
                    rest = range.end;
                    if in_link.is_none() {
                        finder.link(Some(url));
                    }
                }
                finder.mentions(&text[rest..]);
            }
            _ => {}
        }
    }
    finder.references
}

#[derive(Default)]
struct Finder {
    references: References,
    /// The names found so far, folded for comparison.
    names: HashSet<String>,
}

impl Finder {
    fn link(&mut self, url: Option<String>) {
        let links = &mut self.references.links;
        // Excludes `mailto:`.
        let web_url = url.filter(|url| url.starts_with("http"));
        if let Some(url) = web_url
            && links.len() < MAX_LINKS
            && !links.contains(&url)
        {
            links.push(url);
        }
    }

    fn mentions(&mut self, text: &str) {
        for name in mention_ranges(text).map(|name| &text[name]) {
            if self.references.mentions.len() < MAX_MENTIONS && self.names.insert(fold(name)) {
                self.references.mentions.push(name.to_owned());
            }
        }
    }
}

/// The ranges of names after an `@`, except in email addresses and URLs.
fn mention_ranges(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('@').filter_map(move |(at_sign, _)| {
        let before = text[..at_sign].chars().next_back();
        if before.is_some_and(|c| is_name_char(c) || matches!(c, '@' | '/')) {
            return None;
        }
        let rest = &text[at_sign + 1..];
        let (name, tail) = rest.split_at(rest.find(|c: char| !is_name_char(c)).unwrap_or(rest.len()));
        // `@anna@example.org` refers to an account on another server.
        if tail.starts_with('@') {
            return None;
        }
        let name = name.trim_end_matches(['.', '+', '-']);
        let is_valid_start = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (is_valid_start && name.chars().count() <= MAX_NAME_LENGTH).then_some(at_sign + 1..at_sign + 1 + name.len())
    })
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '.' | '+' | '-' | '_')
}

#[cfg(test)]
mod tests;

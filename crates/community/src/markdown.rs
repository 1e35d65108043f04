//! What people write: Markdown comes in, and HTML goes out that can be shown to anybody.
//!
//! Two fences stand one behind the other. The HTML is made of what the parser found and of nothing
//! that the writer wrote as HTML, and then a sanitiser lets through the few tags that can be there.

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

/// The tags that a text may have. No pictures: one from elsewhere tells its owner who reads.
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

/// What a link may lead to.
const SCHEMES: [&str; 3] = ["http", "https", "mailto"];

/// How many quotes, lists and emphases are shown within one another. Browsers and readers give up
/// some time after that.
const DEEPEST: usize = 20;

/// How many columns a table can have; a text that has a wider one has none.
const MOST_COLUMNS: usize = 40;

/// The longest address of a link, in bytes.
const LONGEST_ADDRESS: usize = 2_000;

/// The longest name of a language, in characters.
const LONGEST_LANGUAGE: usize = 30;

/// How long a text may be once it is HTML, in bytes: links by reference can make much of little.
const LONGEST_HTML: usize = 500_000;

/// How many people a text can call, and how long their names can be.
const MOST_MENTIONS: usize = 50;
const LONGEST_NAME: usize = 150;

/// How many links of a text are found.
const MOST_LINKS: usize = 5;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(TAGS))
        .generic_attributes(HashSet::new())
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("code", HashSet::from(["class"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .attribute_filter(keep)
        .url_schemes(HashSet::from(SCHEMES))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("nofollow noopener noreferrer ugc"));
    builder
});

/// The values that attributes may have.
fn keep<'v>(element: &str, attribute: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let fine = match (element, attribute) {
        ("code", "class") => value.strip_prefix("language-").is_some_and(|word| word.chars().all(is_of_language)),
        ("ol", "start") => value.bytes().all(|byte| byte.is_ascii_digit()),
        _ => true,
    };
    fine.then_some(Cow::Borrowed(value))
}

/// The HTML of what stands in a field.
///
/// # Errors
///
/// The field is refused where it becomes too long to be kept.
pub(crate) fn html_of(field: &'static str, text: &str) -> Result<String> {
    let html = render(text);
    if html.len() > LONGEST_HTML {
        return Err(Error::field(field, "It becomes too long when it is shown."));
    }
    Ok(html)
}

/// The HTML of a text. It takes time in proportion to the text, whatever that holds.
fn render(text: &str) -> String {
    let mut rendering = Rendering::default();
    let text = with_names_and_addresses_escaped(text);
    for event in events(&text) {
        rendering.take(event);
    }
    let mut html = String::with_capacity(2 * text.len());
    pulldown_cmark::html::push_html(&mut html, rendering.events.into_iter());
    SANITISER.clean(&html).to_string().trim_end_matches('\n').to_owned()
}

fn parser(text: &str) -> Parser<'_> {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    // Each short row is filled up with empty cells, so that a wide table is more work than a long text.
    let has_wide_table = text.lines().any(|line| line.matches('|').count() > MOST_COLUMNS);
    options.set(Options::ENABLE_TABLES, !has_wide_table);
    Parser::new_ext(text, options)
}

/// Marks of emphasis within a name behind an `@` or a bare address are part of it: a backslash keeps the parser from
/// reading them.
fn with_names_and_addresses_escaped(text: &str) -> Cow<'_, str> {
    let is_mark = |c| matches!(c, '*' | '_' | '~');
    let mut kept: Vec<Range<usize>> = bare_links(text).into_iter().map(|(range, _)| range).collect();
    let addresses = kept.clone();
    kept.extend(names(text).filter(|name| !overlaps(&addresses, name)));
    kept.retain(|range| text[range.clone()].contains(is_mark));
    if kept.is_empty() {
        return Cow::Borrowed(text);
    }
    kept.sort_unstable_by_key(|range| range.start);
    // Where a backslash is shown as it stands.
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
    for range in kept.into_iter().filter(|range| !overlaps(&verbatim, range)) {
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

/// Does one of these ranges, which are in the order of the text, have a part in common with another?
fn overlaps(ranges: &[Range<usize>], other: &Range<usize>) -> bool {
    let after = ranges.partition_point(|range| range.start < other.end);
    ranges[..after].last().is_some_and(|range| range.end > other.start)
}

/// What the parser finds in a text, with the HTML that it holds as text.
fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let events = parser(text).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        event => event,
    });
    TextMergeStream::new(events)
}

/// What is to be shown of a text.
#[derive(Default)]
struct Rendering<'a> {
    events: Vec<Event<'a>>,
    /// How many quotes, lists and emphases are open, shown or not.
    depth: usize,
    in_code: bool,
    /// The links that are open; nothing stands for one that is not shown as a link.
    links: Vec<Option<Link>>,
    /// Is one of them shown?
    in_link: bool,
}

/// A link that is open.
struct Link {
    address: String,
    /// How many events there were when it was opened.
    at: usize,
}

impl<'a> Rendering<'a> {
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if !self.in_code => self.text(&text),
            // Who writes a comment means a line to end where it ends.
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
            // The first level is the page's.
            Tag::Heading { level, .. } => self.events.push(Event::Start(Tag::Heading {
                level: level.max(HeadingLevel::H2),
                id: None,
                classes: Vec::new(),
                attrs: Vec::new(),
            })),
            Tag::HtmlBlock => self.events.push(Event::Start(Tag::Paragraph)),
            Tag::BlockQuote(_) | Tag::List(_) | Tag::Emphasis | Tag::Strong | Tag::Strikethrough => {
                self.depth += 1;
                if self.depth <= DEEPEST {
                    self.events.push(Event::Start(tag));
                }
            }
            Tag::Item if self.depth > DEEPEST => self.events.push(Event::HardBreak),
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
                if self.depth <= DEEPEST {
                    self.events.push(Event::End(tag));
                }
                self.depth = self.depth.saturating_sub(1);
            }
            TagEnd::Item if self.depth > DEEPEST => {}
            TagEnd::TableRow => {
                // Short rows stay as short as they are written.
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

    /// Opens a link, or a picture, of which only a link is shown. A link within a link is none.
    fn open(&mut self, link_type: LinkType, destination: &str) {
        let address = if self.in_link { None } else { address(link_type, destination) };
        if let Some(address) = &address {
            self.in_link = true;
            self.events.push(opening(address));
        }
        let at = self.events.len();
        self.links.push(address.map(|address| Link { address, at }));
    }

    fn close(&mut self) {
        let Some(link) = self.links.pop().flatten() else { return };
        if self.events.len() == link.at {
            // A picture without a description, for instance.
            self.events.push(Event::Text(link.address.into()));
        }
        self.events.push(closing());
        self.in_link = false;
    }

    fn text(&mut self, text: &str) {
        // Only HTML has several lines in one piece.
        for (number, line) in text.lines().enumerate() {
            if number > 0 {
                self.events.push(Event::HardBreak);
            }
            self.line(line);
        }
    }

    fn line(&mut self, line: &str) {
        let mut rest = 0;
        // HTML knows no link within a link.
        let links = if self.in_link { Vec::new() } else { bare_links(line) };
        for (range, address) in links {
            self.events.push(Event::Text(line[rest..range.start].to_owned().into()));
            self.events.push(opening(&address));
            self.events.push(Event::Text(line[range.clone()].to_owned().into()));
            self.events.push(closing());
            rest = range.end;
        }
        self.events.push(Event::Text(line[rest..].to_owned().into()));
    }
}

fn opening(address: &str) -> Event<'static> {
    let address = address.replace('&', "&amp;").replace('"', "&quot;");
    Event::InlineHtml(format!("<a href=\"{address}\">").into())
}

fn closing() -> Event<'static> {
    Event::InlineHtml("</a>".into())
}

/// What a link leads to, as browsers understand it; nothing where it may not lead there.
fn address(link_type: LinkType, destination: &str) -> Option<String> {
    if destination.len() > LONGEST_ADDRESS {
        return None;
    }
    let url = match link_type {
        LinkType::Email => Url::parse(&format!("mailto:{destination}")),
        _ => Url::parse(destination),
    };
    url.ok().filter(|url| SCHEMES.contains(&url.scheme())).map(String::from)
}

/// The first word that stands beside a block of code, if it can be the name of a language.
fn language(kind: &CodeBlockKind<'_>) -> CodeBlockKind<'static> {
    match kind {
        CodeBlockKind::Indented => CodeBlockKind::Indented,
        CodeBlockKind::Fenced(info) => {
            let word: String = info.chars().take_while(|c| is_of_language(*c)).take(LONGEST_LANGUAGE).collect();
            CodeBlockKind::Fenced(word.into())
        }
    }
}

/// May it be part of the name of a language, such as `c++` or `objective-c`?
fn is_of_language(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '.' | '_' | '-')
}

/// The web addresses that stand bare in a text, and what they lead to. No character is looked at more
/// than a few times.
fn bare_links(text: &str) -> Vec<(Range<usize>, String)> {
    let mut links = Vec::new();
    let mut from = 0;
    for (colon, slashes) in text.match_indices("://") {
        let Some(start) = start_of_address(text, from, colon) else { continue };
        let rest = &text[colon + slashes.len()..];
        let end = text.len() - rest.len() + rest.find(ends_address).unwrap_or(rest.len());
        // What is no address is not searched for another.
        from = end;
        let run = without_punctuation(&text[start..end]);
        if let Some(address) = address(LinkType::Autolink, run) {
            links.push((start..start + run.len(), address));
        }
    }
    links
}

/// Where the address begins whose scheme ends at a colon.
fn start_of_address(text: &str, from: usize, colon: usize) -> Option<usize> {
    let before = text.get(from..colon)?;
    let ends_with = |scheme: &str| {
        let start = before.len().checked_sub(scheme.len());
        start.is_some_and(|start| before.as_bytes()[start..].eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let start = colon - ["https", "http"].into_iter().find(|scheme| ends_with(scheme))?.len();
    let within_a_word = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    (!within_a_word).then_some(start)
}

/// Is it a character that stands behind an address rather than in it? Spaces and quotes do, and the
/// punctuation of writing without spaces.
fn ends_address(c: char) -> bool {
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

/// An address without what belongs to the sentence around it: punctuation at its end, and brackets
/// that it did not open.
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
        let left_over = *open > 0;
        *open = open.saturating_sub(1);
        left_over
    })
}

/// Whom a text calls, and where it leads, in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Names behind an `@`, as they are written, each once.
    pub(crate) mentions: Vec<String>,
    /// Web addresses, each once.
    pub(crate) links: Vec<String>,
}

/// Finds whom a text calls, and where it leads. Code calls nobody and leads nowhere.
pub(crate) fn find(text: &str) -> Found {
    let mut finder = Finder::default();
    let mut in_code = false;
    let mut in_link = None;
    let text = with_names_and_addresses_escaped(text);
    for event in events(&text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                finder.link(address(link_type, &dest_url));
                in_link = Some(link_type);
            }
            Event::End(TagEnd::Link) => in_link = None,
            // Such a link has its address for text.
            Event::Text(_) if in_code || matches!(in_link, Some(LinkType::Autolink | LinkType::Email)) => {}
            Event::Text(text) => {
                let mut rest = 0;
                for (range, address) in bare_links(&text) {
                    finder.mentions(&text[rest..range.start]);
                    rest = range.end;
                    if in_link.is_none() {
                        finder.link(Some(address));
                    }
                }
                finder.mentions(&text[rest..]);
            }
            _ => {}
        }
    }
    finder.found
}

#[derive(Default)]
struct Finder {
    found: Found,
    /// The names that were found, in the form in which two spellings are equal.
    names: HashSet<String>,
}

impl Finder {
    fn link(&mut self, address: Option<String>) {
        let links = &mut self.found.links;
        // The other scheme is that of mail.
        let web = address.filter(|address| address.starts_with("http"));
        if let Some(address) = web
            && links.len() < MOST_LINKS
            && !links.contains(&address)
        {
            links.push(address);
        }
    }

    fn mentions(&mut self, text: &str) {
        for name in names(text).map(|name| &text[name]) {
            if self.found.mentions.len() < MOST_MENTIONS && self.names.insert(fold(name)) {
                self.found.mentions.push(name.to_owned());
            }
        }
    }
}

/// Where the names are that stand behind an `@`, but not within an address.
fn names(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('@').filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| is_of_name(c) || matches!(c, '@' | '/')) {
            return None;
        }
        let rest = &text[at + 1..];
        let (name, behind) = rest.split_at(rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len()));
        // `@anna@example.org` is somebody elsewhere.
        if behind.starts_with('@') {
            return None;
        }
        let name = name.trim_end_matches(['.', '+', '-']);
        let begins = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (begins && name.chars().count() <= LONGEST_NAME).then_some(at + 1..at + 1 + name.len())
    })
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '.' | '+' | '-' | '_')
}

#[cfg(test)]
mod tests;

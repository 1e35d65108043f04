//! The events to be rendered, made from those of the parser.

use guildhall_kernel::hyperlink::bare_links;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Tag, TagEnd};

use super::urls::link_url;

/// How deeply quotes, lists and emphasis are nested at most. Browsers fail at some depth beyond that.
pub(super) const MAX_DEPTH: usize = 20;

/// The maximum length of the name of a language, in characters.
const MAX_LANGUAGE_LENGTH: usize = 30;

/// The events to be rendered.
#[derive(Default)]
pub(super) struct Rendering<'a> {
    pub(super) events: Vec<Event<'a>>,
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
    pub(super) fn push(&mut self, event: Event<'a>) {
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
pub(super) fn is_language_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '.' | '_' | '-')
}

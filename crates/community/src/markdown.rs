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
    for event in events(text) {
        rendering.take(event);
    }
    let mut html = String::with_capacity(2 * text.len());
    pulldown_cmark::html::push_html(&mut html, rendering.events.into_iter());
    SANITISER.clean(&html).to_string().trim_end_matches('\n').to_owned()
}

/// What the parser finds in a text, with the HTML that it holds as text.
fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    // Each short row is filled up with empty cells, so that a wide table is more work than a long text.
    let has_wide_table = text.lines().any(|line| line.matches('|').count() > MOST_COLUMNS);
    options.set(Options::ENABLE_TABLES, !has_wide_table);
    let events = Parser::new_ext(text, options).map(|event| match event {
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
    for event in events(text) {
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
        for name in names(text) {
            if self.found.mentions.len() < MOST_MENTIONS && self.names.insert(fold(name)) {
                self.found.mentions.push(name.to_owned());
            }
        }
    }
}

/// The names that stand behind an `@`, but not within an address.
fn names(text: &str) -> impl Iterator<Item = &str> {
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
        (begins && name.chars().count() <= LONGEST_NAME).then_some(name)
    })
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '.' | '+' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const REL: &str = "rel=\"nofollow noopener noreferrer ugc\"";

    /// Pieces of which both markup and mischief are made.
    const PIECES: &[&str] = &[
        "a",
        "word ",
        " ",
        "  \n",
        "\n",
        "\n\n",
        "\t",
        "    ",
        "# ",
        "###### ",
        "> ",
        "- ",
        "1. ",
        "0) ",
        "- [x] ",
        "* * *",
        "---",
        "===",
        "```",
        "```js\n",
        "`",
        "~~~",
        "~~",
        "*",
        "**",
        "_",
        "__",
        "[",
        "]",
        "(",
        ")",
        "![",
        "](",
        "][",
        "[a]: ",
        "http://a.example",
        "https://b.example/?q=1&r=\"",
        "javascript:alert(1)",
        "data:text/html,",
        "mailto:a@b.example",
        "//evil.example",
        "<",
        ">",
        "<http://c.example>",
        "<script>",
        "</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=",
        "<!--",
        "-->",
        "<![CDATA[",
        "<?",
        "</p>",
        "<pre>",
        "<div>\n",
        "&",
        "&lt;",
        "&#106;",
        "&Tab;",
        "&quot;",
        "&nbsp;",
        "\\",
        "\"",
        "'",
        "|",
        "|---|\n",
        "| a | b |\n",
        "@anna",
        "\u{0}",
        "\r",
        "\u{a0}",
        "é猫",
    ];

    /// What has got a script past one sanitiser or another.
    const ATTACKS: &[&str] = &[
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
        "<scr<script>ipt>alert(1)</scr</script>ipt>",
        "a <img src=x onerror=alert(1)> b",
        "<img src=\"x\" onerror=\"alert(1)\">",
        "<svg onload=alert(1)>",
        "<svg><script>alert(1)</script></svg>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
        "<iframe src=\"javascript:alert(1)\"></iframe>",
        "<iframe srcdoc=\"<script>alert(1)</script>\">",
        "<object data=\"javascript:alert(1)\">",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<a href=\"https://a.example\" onclick=\"alert(1)\">x</a>",
        "<form action=javascript:alert(1)><input type=submit autofocus onfocus=alert(1)>",
        "<details open ontoggle=alert(1)>",
        "<body onload=alert(1)>",
        "<style>@import 'javascript:alert(1)'</style>",
        "<p style=\"background:url(javascript:alert(1))\" class=x id=y>z</p>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<textarea><script>alert(1)</script>",
        "<!--><script>alert(1)</script>-->",
        "<![CDATA[<script>alert(1)</script>]]>",
        "<?php <script>alert(1)</script> ?>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&#60;img src=x onerror=alert(1)&#62;",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x]( javascript:alert(1) )",
        "[x](<javascript:alert(1)>)",
        "[x](<java\tscript:alert(1)>)",
        "[x](java&Tab;script:alert(1))",
        "[x](java&#9;script:alert(1))",
        "[x](java&NewLine;script:alert(1))",
        "[x](&#1;javascript:alert(1))",
        "[x](&#x6A;&#x61;vascript:alert(1))",
        "[x](&#106;avascript&colon;alert(1))",
        "[x](javascript&#58;alert(1))",
        "[x](java\\script:alert(1))",
        "[x](\u{1}javascript:alert(1))",
        "[x](\u{feff}javascript:alert(1))",
        "[x](javascript://a.example/%0aalert(1))",
        "[x](vbscript:msgbox(1))",
        "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
        "[x](DATA:text/html,<script>alert(1)</script>)",
        "[x](blob:https://a.example/1)",
        "[x](view-source:javascript:alert(1))",
        "[x](file:///etc/passwd)",
        "[x][y]\n\n[y]: javascript:alert(1)",
        "[y]\n\n[y]: <data:text/html,x> \"t\"",
        "<javascript:alert(1)>",
        "<vbscript:x>",
        "<data:text/html,x>",
        "![x](javascript:alert(1))",
        "![x\" onerror=\"alert(1)](https://a.example/x.png)",
        "[![x](javascript:alert(1))](javascript:alert(2))",
        "[a [b](https://a.example) c](javascript:alert(1))",
        "[a <https://a.example> c](https://b.example)",
        "![a [b](javascript:alert(1)) ![c](https://a.example)](https://b.example)",
        "[x](https://a.example/\"onmouseover=alert(1)//)",
        "[x](https://a.example/ \"\\\" onmouseover=alert(1) x=\")",
        "[x](https://a.example/'onmouseover=alert(1)//)",
        "[x](https://a.example/><script>alert(1)</script>)",
        "[x](<https://a.example/\"><script>alert(1)</script>>)",
        "[x](mailto:\"><script>alert(1)</script>)",
        "[x](<mailto:a@b.example?subject=\"><img src=x onerror=alert(1)>>)",
        "https://a.example/\"onmouseover=\"alert(1)",
        "https://a.example/'onmouseover='alert(1)",
        "https://a.example/<script>alert(1)</script>",
        "http://javascript:alert(1)",
        "```\" onclick=\"alert(1)\nx\n```",
        "```x\"><script>alert(1)</script>\nx\n```",
        "```html\n<script>alert(1)</script>\n```",
        "`<script>alert(1)</script>`",
        "# x {#y .z onclick=alert(1)}",
        "| <script>alert(1)</script> | b |\n|---|---|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
        "- [x] <input type=checkbox onclick=alert(1)>",
        "[^1]\n\n[^1]: <script>alert(1)</script>",
        "\u{0}<scr\u{0}ipt>alert(1)</scr\u{0}ipt>",
    ];

    fn link(address: &str, text: &str) -> String {
        format!("<a href=\"{address}\" {REL}>{text}</a>")
    }

    /// Sees that every tag is one of the few, and says nothing but what it may say.
    fn check(html: &str) {
        for tag in html.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            let fine = match tag.split_once(' ') {
                None => TAGS.contains(&tag.strip_prefix('/').unwrap_or(tag)),
                Some(("a", said)) => leads_somewhere_safe(said),
                Some(("code", said)) => {
                    let word = said.strip_prefix("class=\"language-").and_then(|said| said.strip_suffix('"'));
                    word.is_some_and(|word| word.chars().all(is_of_language))
                }
                Some(("ol", said)) => {
                    let number = said.strip_prefix("start=\"").and_then(|said| said.strip_suffix('"'));
                    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
                }
                Some(_) => false,
            };
            assert!(fine, "<{tag}> in {html}");
        }
        assert_eq!(SANITISER.clean(html).to_string(), html);
    }

    fn leads_somewhere_safe(said: &str) -> bool {
        let address = said.strip_prefix("href=\"").and_then(|said| said.strip_suffix(&format!("\" {REL}")));
        address.is_some_and(|address| {
            let schemes = ["http://", "https://", "mailto:"];
            schemes.iter().any(|scheme| address.starts_with(scheme)) && !address.contains('"')
        })
    }

    #[test]
    fn a_text_is_shown_as_it_is_meant() {
        for (text, html) in [
            ("", ""),
            ("Hello *you*\nand **all**", "<p>Hello <em>you</em><br>\nand <strong>all</strong></p>"),
            ("~~gone~~", "<p><del>gone</del></p>"),
            ("# One\n\n## Two", "<h2>One</h2>\n<h2>Two</h2>"),
            ("3. three\n4. four", "<ol start=\"3\">\n<li>three</li>\n<li>four</li>\n</ol>"),
            ("- [x] done\n- [ ] open", "<ul>\n<li>☑ done</li>\n<li>☐ open</li>\n</ul>"),
            ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
            ("`a < b`", "<p><code>a &lt; b</code></p>"),
            (
                "```rust,ignore\nlet a = 1 < 2;\n```",
                "<pre><code class=\"language-rust\">let a = 1 &lt; 2;\n</code></pre>",
            ),
            (
                "| a | b |\n|---|:-:|\n| 1 | 2 |",
                "<table><thead><tr><th>a</th><th>b</th></tr></thead>\
                 <tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>",
            ),
            ("hi @anna", "<p>hi @anna</p>"),
        ] {
            assert_eq!(render(text), html, "{text}");
            check(html);
        }
    }

    #[test]
    fn html_is_shown_as_it_is_written() {
        assert_eq!(render("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>");
        assert_eq!(render("<script>alert(1)</script>"), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>");
        assert_eq!(render("<div>\n*a*\n</div>\n\nb"), "<p>&lt;div&gt;<br>\n*a*<br>\n&lt;/div&gt;</p>\n<p>b</p>");
        assert_eq!(render("a <!-- c --> b"), "<p>a &lt;!-- c --&gt; b</p>");
    }

    #[test]
    fn links_tell_nothing_and_vouch_for_nothing() {
        let here = link("https://a.example/b?c=d&amp;e=f", "here");
        assert_eq!(render("[here](https://a.example/b?c=d&e=f \"title\")"), format!("<p>{here}</p>"));
        assert_eq!(render("[here][1]\n\n[1]: https://a.example/b?c=d&e=f"), format!("<p>{here}</p>"));
        let mail = link("mailto:anna@a.example", "anna@a.example");
        assert_eq!(render("<anna@a.example>"), format!("<p>{mail}</p>"));
        assert_eq!(
            render("[*x* `y`](http://[::1]/)"),
            format!("<p>{}</p>", link("http://[::1]/", "<em>x</em> <code>y</code>"))
        );
        assert_eq!(
            render("[](https://a.example)"),
            format!("<p>{}</p>", link("https://a.example/", "https://a.example/"))
        );
        assert_eq!(render("[here](/inside) [there](#part) [x](//b.example)"), "<p>here there x</p>");
    }

    #[test]
    fn a_picture_is_a_link_to_it() {
        let cat = link("https://a.example/cat.png", "a cat");
        assert_eq!(render("![a cat](https://a.example/cat.png)"), format!("<p>{cat}</p>"));
        let bare = link("https://a.example/cat.png", "https://a.example/cat.png");
        assert_eq!(render("![](https://a.example/cat.png)"), format!("<p>{bare}</p>"));
        assert_eq!(
            render("[![a cat](https://a.example/cat.png)](https://b.example/)"),
            format!("<p>{}</p>", link("https://b.example/", "a cat"))
        );
        assert_eq!(render("![a](data:image/svg+xml,x)"), "<p>a</p>");
    }

    #[test]
    fn bare_addresses_become_links() {
        let anchor = |address: &str| link(address, address);
        for (text, html) in [
            ("see https://a.example/x.", format!("see {}.", anchor("https://a.example/x"))),
            ("(https://a.example/x)", format!("({})", anchor("https://a.example/x"))),
            ("https://a.example/x_(y).", format!("{}.", anchor("https://a.example/x_(y)"))),
            ("https://a.example/a_b_c?d=e!?", format!("{}!?", anchor("https://a.example/a_b_c?d=e"))),
            (
                "https://a.example/、https://b.example/",
                format!("{}、{}", anchor("https://a.example/"), anchor("https://b.example/")),
            ),
            ("HTTP://a.example", link("http://a.example/", "HTTP://a.example")),
            ("http://猫.example/é", link("http://xn--z7x.example/%C3%A9", "http://猫.example/é")),
            ("xhttp://a.example", "xhttp://a.example".to_owned()),
            ("http:// https://. ftp://a.example", "http:// https://. ftp://a.example".to_owned()),
            ("`http://a.example`", "<code>http://a.example</code>".to_owned()),
            ("[http://a.example/](http://b.example/)", link("http://b.example/", "http://a.example/")),
        ] {
            assert_eq!(render(text), format!("<p>{html}</p>"), "{text}");
        }
        assert_eq!(render("    http://a.example\n"), "<pre><code>http://a.example\n</code></pre>");
    }

    #[test]
    fn no_script_gets_through() {
        for attack in ATTACKS {
            let html = render(attack);
            check(&html);
            let plain = html.to_lowercase();
            for mischief in
                ["<script", "<img", "<svg", "<iframe", "<a href=\"javascript", "<a href=\"data", "<a href=\"vbscript"]
            {
                assert!(!plain.contains(mischief), "{attack}: {html}");
            }
        }
    }

    #[test]
    fn nesting_has_an_end() {
        for (text, tag) in [
            (format!("{}x", "> ".repeat(5_000)), "<blockquote>"),
            (format!("{}x", "- ".repeat(5_000)), "<ul>"),
            (format!("{}x{}", "*".repeat(5_000), "*".repeat(5_000)), "<strong>"),
        ] {
            let html = render(&text);
            check(&html);
            assert_eq!(html.matches(tag).count(), DEEPEST, "{tag}");
        }
        // What stands too deep is shown all the same, each item on a line.
        let deep = format!("{}- one\n{}- two", "> ".repeat(DEEPEST), "> ".repeat(DEEPEST));
        assert!(render(&deep).contains("one<br>\ntwo"), "{}", render(&deep));
    }

    #[test]
    fn a_small_text_does_not_become_a_great_page() {
        let table = |columns: usize| {
            let rows = "a\n".repeat((10_000 - 4 * columns) / 2);
            format!("{}\n{}\n{rows}", "|a".repeat(columns), "|-".repeat(columns))
        };
        let link = format!("[a]: https://a.example/{}\n\n{}", "x".repeat(1_900), "[a] ".repeat(2_000));
        for text in [table(MOST_COLUMNS), table(MOST_COLUMNS + 1), table(1_500), link] {
            let html = render(&text);
            check(&html);
            assert!(html.len() < 25 * text.len(), "{} of {}", html.len(), text.len());
        }
        assert!(
            render("a|b|c\n-|-|-\n|1||3|\n|1||")
                .contains("<tr><td>1</td><td></td><td>3</td></tr>\n<tr><td>1</td></tr>")
        );
    }

    #[test]
    fn hostile_texts_are_shown_in_time() {
        for piece in [
            "[",
            "]",
            "[](",
            "![",
            "[a](",
            "[a]: b\n",
            "<",
            "<!--",
            "<![CDATA[",
            "<?",
            "</",
            "<a b=",
            "&",
            "&#",
            "`",
            "`a``",
            "~~",
            "_a ",
            "**a *",
            "*a_",
            "> ",
            "- ",
            "1. ",
            "> - ",
            "|",
            "|-",
            "http://",
            "http://%",
            "https://a)",
            "@",
            "@a",
            "a@",
            "\\",
            "\t",
            "\n",
            "\r\n",
            "#",
            "\u{301}",
        ] {
            let text = piece.repeat(10_000 / piece.len());
            check(&render(&text));
            let found = find(&text);
            assert!(found.mentions.len() <= MOST_MENTIONS && found.links.len() <= MOST_LINKS);
        }
    }

    #[test]
    fn mentions_are_found_in_text_but_not_in_code_or_addresses() {
        for (text, names) in [
            ("@anna and @bo.b. @ANNA!", vec!["anna", "bo.b"]),
            ("(@anna), **@bo** and [@cy](https://a.example)", vec!["anna", "bo", "cy"]),
            ("@Jürgen @李雷 @анна @e\u{301}va", vec!["Jürgen", "李雷", "анна", "e\u{301}va"]),
            ("@a+b-c_d- @_x @1", vec!["a+b-c_d", "_x", "1"]),
            ("@anna's @bo, @cy: @di-", vec!["anna", "bo", "cy", "di"]),
            ("anna@a.example <bo@a.example> @cy@a.example @@di a.example/@ed", vec![]),
            ("https://a.example/@anna <https://a.example/@bo> @ @. @-x", vec![]),
            ("`@anna`\n\n    @bo\n\n```\n@cy\n```", vec![]),
        ] {
            assert_eq!(find(text).mentions, names, "{text}");
        }
        let many: String = (0..60).map(|number| format!("@a{number} ")).collect();
        assert_eq!(find(&many).mentions.len(), MOST_MENTIONS);
        assert!(find(&format!("@{}", "a".repeat(LONGEST_NAME + 1))).mentions.is_empty());
    }

    #[test]
    fn links_are_found_once_and_in_order() {
        let text = "https://a.example/1 [x](http://b.example) <https://c.example> https://A.example/1\n\n\
                    [y]\n\n[y]: https://d.example/";
        let links = ["https://a.example/1", "http://b.example/", "https://c.example/", "https://d.example/"];
        assert_eq!(find(text).links, links);
        let none = "`https://a.example` [x](mailto:a@b.example) <a@b.example> [x](/y) \
                    ![x](https://a.example/x.png) ftp://a.example";
        assert!(find(none).links.is_empty(), "{:?}", find(none));
        assert_eq!(find("[https://a.example](https://b.example)").links, ["https://b.example/"]);
        let many: String = (0..9).map(|number| format!("https://a.example/{number} ")).collect();
        assert_eq!(find(&many).links.len(), MOST_LINKS);
    }

    #[test]
    fn what_becomes_too_long_is_refused_by_its_field() {
        let much = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
        let refused = html_of("content", &much).unwrap_err();
        let Error::Kernel(kernel) = &refused else { panic!("{refused}") };
        assert!(format!("{kernel:?}").contains("content"), "{kernel:?}");
        let long = "\"\u{1f600}&".repeat(50_000 / 3);
        assert!(html_of("content", &long).unwrap().len() < LONGEST_HTML, "no plain text becomes too long");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_shown_safely(text in "(?s).{0,200}") {
            check(&render(&text));
        }

        #[test]
        fn whatever_is_pieced_together_is_shown_safely(
            pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..40)
        ) {
            check(&render(&pieces.concat()));
        }
    }
}

//! The metadata of a page.

use std::{cell::RefCell, collections::HashMap};

use html5ever::{
    TokenizerResult,
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind},
};

const MAX_TITLE_LENGTH: usize = 300;
const MAX_DESCRIPTION_LENGTH: usize = 500;
const MAX_SITE_LENGTH: usize = 100;

/// How many `<meta>` tags are read.
const MAX_META_TAGS: usize = 200;

/// How much is tokenized at a time, in bytes. A page is abandoned if a chunk completes no token: the time that a tag
/// takes grows with the square of the number of its attributes.
const CHUNK_SIZE: usize = 16 * 1024;

/// How much of a `<title>` is kept, in bytes, before white space is collapsed.
const MAX_RAW_TITLE_LENGTH: usize = 4 * 1024;

/// The `<meta>` tags that are used, in order of preference.
const TITLES: [&str; 2] = ["og:title", "twitter:title"];
const DESCRIPTIONS: [&str; 3] = ["og:description", "twitter:description", "description"];
const SITES: [&str; 1] = ["og:site_name"];

/// The metadata of a page, each value in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The title; never empty.
    pub(super) title: String,
    /// The description; may be empty.
    pub(super) description: String,
    /// The name of the site; may be empty.
    pub(super) site: String,
}

/// Reads the metadata in the head of a page; `None` if it has no title.
pub(super) fn read(html: &str) -> Option<Metadata> {
    let tokenizer = Tokenizer::new(HeadSink::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    let mut rest = html;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(rest.floor_char_boundary(CHUNK_SIZE));
        let tokens = tokenizer.sink.tokens();
        input.push_back(StrTendril::from(chunk));
        let needs_input = matches!(tokenizer.feed(&input), TokenizerResult::Done);
        if !needs_input || tokenizer.sink.tokens() == tokens {
            break;
        }
        rest = tail;
    }
    let head = tokenizer.sink.0.into_inner();
    let first_meta = |keys: &[&str]| keys.iter().find_map(|key| head.metas.get(*key)).map_or("", String::as_str);
    let title = match first_meta(&TITLES) {
        "" => clean_line(&head.title, MAX_TITLE_LENGTH),
        title => clean_line(title, MAX_TITLE_LENGTH),
    };
    (!title.is_empty()).then(|| Metadata {
        title,
        description: clean_line(first_meta(&DESCRIPTIONS), MAX_DESCRIPTION_LENGTH),
        site: clean_line(first_meta(&SITES), MAX_SITE_LENGTH),
    })
}

/// Collapses white space to one line of at most this many characters, and strips control characters for bidirectional
/// text, which would affect the text around it.
fn clean_line(text: &str, max_length: usize) -> String {
    let text: String =
        text.chars().filter(|c| !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')).collect();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(max_length).collect();
    line.trim_end().to_owned()
}

/// Collects the metadata of a page up to its body.
#[derive(Default)]
struct HeadSink(RefCell<Head>);

impl HeadSink {
    /// The number of tokens so far.
    fn tokens(&self) -> usize {
        self.0.borrow().tokens
    }
}

impl TokenSink for HeadSink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut head = self.0.borrow_mut();
        match token {
            // Parse errors also occur inside a tag.
            Token::ParseError(_) => return TokenSinkResult::Continue,
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                head.tokens += 1;
                return head.start(&tag);
            }
            Token::TagToken(tag) if &*tag.name == "title" => head.in_title = false,
            Token::CharacterTokens(text) if head.in_title && head.title.len() < MAX_RAW_TITLE_LENGTH => {
                head.title.push_str(&text);
            }
            _ => {}
        }
        head.tokens += 1;
        TokenSinkResult::Continue
    }
}

/// The metadata collected so far.
#[derive(Default)]
struct Head {
    tokens: usize,
    meta_tags: usize,
    metas: HashMap<&'static str, String>,
    title: String,
    in_title: bool,
}

impl Head {
    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            "meta" => {
                self.meta(tag);
                self.meta_tags += 1;
                if self.meta_tags < MAX_META_TAGS { TokenSinkResult::Continue } else { STOP }
            }
            "title" => {
                self.in_title = self.title.is_empty();
                TokenSinkResult::RawData(RawKind::Rcdata)
            }
            // The content of these elements contains no tags.
            "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "body" => STOP,
            _ => TokenSinkResult::Continue,
        }
    }

    fn meta(&mut self, tag: &Tag) {
        let Some(content) = attribute(tag, "content") else { return };
        let content = clean_line(content, MAX_DESCRIPTION_LENGTH);
        if content.is_empty() {
            return;
        }
        // Some pages use `name` instead of `property`, or the reverse.
        for value in ["property", "name"].into_iter().filter_map(|name| attribute(tag, name)) {
            let keys = TITLES.iter().chain(&DESCRIPTIONS).chain(&SITES);
            if let Some(key) = keys.copied().find(|key| key.eq_ignore_ascii_case(value.trim())) {
                self.metas.entry(key).or_insert_with(|| content.clone());
            }
        }
    }
}

/// Stops the tokenizer; it is not fed again.
const STOP: TokenSinkResult<()> = TokenSinkResult::Script(());

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(title: &str, description: &str, site: &str) -> Metadata {
        Metadata { title: title.into(), description: description.into(), site: site.into() }
    }

    #[test]
    fn open_graph_tags_are_preferred() {
        let page = r#"<!DOCTYPE html><html><head>
            <title>Not this</title>
            <meta property="og:title" content="Knots &amp; Splices">
            <meta property='og:description' content='How to tie&#32;them.'>
            <META NAME="og:site_name" CONTENT="Harbour">
            <meta name="description" content="Not this"></head><body>"#;
        assert_eq!(read(page), Some(preview("Knots & Splices", "How to tie them.", "Harbour")));
    }

    #[test]
    fn title_and_description_are_the_fallback() {
        let page = "<title>\n  Knots &mdash;\n\tSplices </title><meta name=description content=\"How  to\ntie\">";
        assert_eq!(read(page), Some(preview("Knots — Splices", "How to tie", "")));
        let page = "<meta name=\"twitter:title\" content=\"Knots\"><title>Other</title>";
        assert_eq!(read(page), Some(preview("Knots", "", "")));
    }

    #[test]
    fn empty_values_are_skipped() {
        let page = "<meta property=og:title content=' '><meta property=og:title content=Second><title>Third</title>";
        assert_eq!(read(page), Some(preview("Second", "", "")));
        assert_eq!(read("<meta property=og:title content=''><title>Third</title>"), Some(preview("Third", "", "")));
    }

    #[test]
    fn the_first_title_is_used() {
        let page = "<title>One</title><svg><title>Two</title></svg>";
        assert_eq!(read(page), Some(preview("One", "", "")));
    }

    #[test]
    fn a_page_without_title_has_no_preview() {
        for page in [
            "",
            "plain words",
            "<meta name=description content=x>",
            "<title> </title>",
            "<body><title>x</title>",
            "<script>'<title>x</title>'</script>",
            "<!-- <title>x</title> -->",
            "<style><title>x</title></style>",
        ] {
            assert_eq!(read(page), None, "{page}");
        }
    }

    #[test]
    fn markup_in_values_is_kept_as_text() {
        let page = "<title><script>alert(1)</script></title>";
        assert_eq!(read(page), Some(preview("<script>alert(1)</script>", "", "")));
        let page = "<meta property=og:title content='\"><script>alert(1)</script>'>";
        assert_eq!(read(page), Some(preview("\"><script>alert(1)</script>", "", "")));
        assert_eq!(read("<title>a\u{202E}b&#7;c</title>"), Some(preview("ab c", "", "")));
    }

    #[test]
    fn long_values_are_truncated() {
        let long = "é".repeat(1_000);
        let page = format!(
            "<title>{long}</title><meta name=description content={long}><meta property=og:site_name content={long}>"
        );
        let preview = read(&page).unwrap();
        assert_eq!(preview.title.chars().count(), MAX_TITLE_LENGTH);
        assert_eq!(preview.description.chars().count(), MAX_DESCRIPTION_LENGTH);
        assert_eq!(preview.site.chars().count(), MAX_SITE_LENGTH);
    }

    #[test]
    fn a_truncated_page_is_read_as_far_as_possible() {
        assert_eq!(read("<title>Knots and"), Some(preview("Knots and", "", "")));
        assert_eq!(read("<title>Knots</title><meta property=\"og:ti"), Some(preview("Knots", "", "")));
    }

    #[test]
    fn a_page_without_early_metadata_is_abandoned() {
        let tags = "<meta name=x content=y>".repeat(MAX_META_TAGS);
        assert_eq!(read(&format!("{tags}<title>late</title>")), None);
        let attributes: String = (0..100_000).map(|number| format!(" a{number}")).collect();
        assert_eq!(read(&format!("<meta{attributes}><title>late</title>")), None);
        let script = format!("<script>{}</script>", "let a = 1;\n".repeat(20_000));
        assert_eq!(read(&format!("{script}<title>there</title>")), Some(preview("there", "", "")));
    }
}

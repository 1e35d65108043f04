//! What a page says about itself, to be shown where somebody links to it.

use std::{cell::RefCell, collections::HashMap};

use html5ever::{
    TokenizerResult,
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind},
};

const LONGEST_TITLE: usize = 300;
const LONGEST_DESCRIPTION: usize = 500;
const LONGEST_SITE: usize = 100;

/// How many `<meta>` tags are read.
const MOST_META_TAGS: usize = 200;

/// How much is read at a time, in bytes. A page in which so much holds no end of a tag is not read
/// on: the work that a tag takes grows with the square of its attributes.
const PIECE: usize = 16 * 1024;

/// How much of a `<title>` is kept, in bytes, until it is known how much of that is space.
const LONGEST_RAW_TITLE: usize = 4 * 1024;

/// What `<meta>` tags say that is of use.
const TITLES: [&str; 2] = ["og:title", "twitter:title"];
const DESCRIPTIONS: [&str; 3] = ["og:description", "twitter:description", "description"];
const SITES: [&str; 1] = ["og:site_name"];

/// What a page says about itself, each in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    /// What it is called; never empty.
    pub(crate) title: String,
    /// What it is about, or nothing.
    pub(crate) description: String,
    /// What the site is called, or nothing.
    pub(crate) site: String,
}

/// Reads what the head of a page says; nothing where it has no title.
pub(crate) fn read(html: &str) -> Option<Preview> {
    let tokenizer = Tokenizer::new(Head::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        let known = tokenizer.sink.tokens();
        input.push_back(StrTendril::from(piece));
        let goes_on = matches!(tokenizer.feed(&input), TokenizerResult::Done);
        if !goes_on || tokenizer.sink.tokens() == known {
            break;
        }
        rest = after;
    }
    let said = tokenizer.sink.0.into_inner();
    let first = |keys: &[&str]| keys.iter().find_map(|key| said.metas.get(*key)).map_or("", String::as_str);
    let title = match first(&TITLES) {
        "" => tidy(&said.title, LONGEST_TITLE),
        title => tidy(title, LONGEST_TITLE),
    };
    (!title.is_empty()).then(|| Preview {
        title,
        description: tidy(first(&DESCRIPTIONS), LONGEST_DESCRIPTION),
        site: tidy(first(&SITES), LONGEST_SITE),
    })
}

/// One line of at most so many characters, without what would turn the text around it.
fn tidy(text: &str, most: usize) -> String {
    let text: String =
        text.chars().filter(|c| !matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')).collect();
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    let line: String = line.chars().take(most).collect();
    line.trim_end().to_owned()
}

/// Takes the tokens of a page up to its body.
#[derive(Default)]
struct Head(RefCell<Said>);

impl Head {
    /// How many tokens there were so far.
    fn tokens(&self) -> usize {
        self.0.borrow().tokens
    }
}

impl TokenSink for Head {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut said = self.0.borrow_mut();
        match token {
            // Comes within a tag too.
            Token::ParseError(_) => return TokenSinkResult::Continue,
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                said.tokens += 1;
                return said.start(&tag);
            }
            Token::TagToken(tag) if &*tag.name == "title" => said.in_title = false,
            Token::CharacterTokens(text) if said.in_title && said.title.len() < LONGEST_RAW_TITLE => {
                said.title.push_str(&text);
            }
            _ => {}
        }
        said.tokens += 1;
        TokenSinkResult::Continue
    }
}

/// What was said so far.
#[derive(Default)]
struct Said {
    tokens: usize,
    meta_tags: usize,
    metas: HashMap<&'static str, String>,
    title: String,
    in_title: bool,
}

impl Said {
    fn start(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        match &*tag.name {
            "meta" => {
                self.meta(tag);
                self.meta_tags += 1;
                if self.meta_tags < MOST_META_TAGS { TokenSinkResult::Continue } else { STOP }
            }
            "title" => {
                self.in_title = self.title.is_empty();
                TokenSinkResult::RawData(RawKind::Rcdata)
            }
            // What looks like a tag within these is none.
            "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "body" => STOP,
            _ => TokenSinkResult::Continue,
        }
    }

    fn meta(&mut self, tag: &Tag) {
        let Some(content) = attribute(tag, "content") else { return };
        let content = tidy(content, LONGEST_DESCRIPTION);
        if content.is_empty() {
            return;
        }
        // Pages say `property` and `name` for one another.
        for said in ["property", "name"].into_iter().filter_map(|name| attribute(tag, name)) {
            let keys = TITLES.iter().chain(&DESCRIPTIONS).chain(&SITES);
            if let Some(key) = keys.copied().find(|key| key.eq_ignore_ascii_case(said.trim())) {
                self.metas.entry(key).or_insert_with(|| content.clone());
            }
        }
    }
}

/// Hands control back, and is not asked again.
const STOP: TokenSinkResult<()> = TokenSinkResult::Script(());

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(title: &str, description: &str, site: &str) -> Preview {
        Preview { title: title.into(), description: description.into(), site: site.into() }
    }

    #[test]
    fn a_page_says_what_it_is_called_and_about() {
        let page = r#"<!DOCTYPE html><html><head>
            <title>Not this</title>
            <meta property="og:title" content="Knots &amp; Splices">
            <meta property='og:description' content='How to tie&#32;them.'>
            <META NAME="og:site_name" CONTENT="Harbour">
            <meta name="description" content="Not this"></head><body>"#;
        assert_eq!(read(page), Some(preview("Knots & Splices", "How to tie them.", "Harbour")));
    }

    #[test]
    fn a_page_without_special_tags_has_its_title_and_description() {
        let page = "<title>\n  Knots &mdash;\n\tSplices </title><meta name=description content=\"How  to\ntie\">";
        assert_eq!(read(page), Some(preview("Knots — Splices", "How to tie", "")));
        let page = "<meta name=\"twitter:title\" content=\"Knots\"><title>Other</title>";
        assert_eq!(read(page), Some(preview("Knots", "", "")));
    }

    #[test]
    fn an_empty_word_gives_way_to_the_next() {
        let page = "<meta property=og:title content=' '><meta property=og:title content=Second><title>Third</title>";
        assert_eq!(read(page), Some(preview("Second", "", "")));
        assert_eq!(read("<meta property=og:title content=''><title>Third</title>"), Some(preview("Third", "", "")));
    }

    #[test]
    fn the_first_title_counts() {
        let page = "<title>One</title><svg><title>Two</title></svg>";
        assert_eq!(read(page), Some(preview("One", "", "")));
    }

    #[test]
    fn no_title_is_no_preview() {
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
    fn markup_is_text_like_any_other() {
        let page = "<title><script>alert(1)</script></title>";
        assert_eq!(read(page), Some(preview("<script>alert(1)</script>", "", "")));
        let page = "<meta property=og:title content='\"><script>alert(1)</script>'>";
        assert_eq!(read(page), Some(preview("\"><script>alert(1)</script>", "", "")));
        assert_eq!(read("<title>a\u{202E}b&#7;c</title>"), Some(preview("ab c", "", "")));
    }

    #[test]
    fn what_a_page_says_is_cut() {
        let long = "é".repeat(1_000);
        let page = format!(
            "<title>{long}</title><meta name=description content={long}><meta property=og:site_name content={long}>"
        );
        let said = read(&page).unwrap();
        assert_eq!(said.title.chars().count(), LONGEST_TITLE);
        assert_eq!(said.description.chars().count(), LONGEST_DESCRIPTION);
        assert_eq!(said.site.chars().count(), LONGEST_SITE);
    }

    #[test]
    fn a_page_that_is_cut_short_is_read_as_far_as_it_goes() {
        assert_eq!(read("<title>Knots and"), Some(preview("Knots and", "", "")));
        assert_eq!(read("<title>Knots</title><meta property=\"og:ti"), Some(preview("Knots", "", "")));
    }

    #[test]
    fn a_page_that_never_comes_to_the_point_is_left() {
        let tags = "<meta name=x content=y>".repeat(MOST_META_TAGS);
        assert_eq!(read(&format!("{tags}<title>late</title>")), None);
        let attributes: String = (0..100_000).map(|number| format!(" a{number}")).collect();
        assert_eq!(read(&format!("<meta{attributes}><title>late</title>")), None);
        let script = format!("<script>{}</script>", "let a = 1;\n".repeat(20_000));
        assert_eq!(read(&format!("{script}<title>there</title>")), Some(preview("there", "", "")));
    }
}

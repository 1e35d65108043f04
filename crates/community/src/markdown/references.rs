//! Mentions and links in texts.

use std::collections::HashSet;

use guildhall_kernel::{hyperlink::bare_links, text::fold};
use pulldown_cmark::{Event, LinkType, Tag, TagEnd};

use super::{
    names::mention_ranges,
    parser::{escape_names_and_urls, events},
    urls::link_url,
};

/// The maximum number of mentions in a text.
pub(super) const MAX_MENTIONS: usize = 50;

/// The maximum number of links that get a preview.
pub(super) const MAX_LINKS: usize = 5;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::names::MAX_NAME_LENGTH;

    #[test]
    fn mentions_are_found_in_text_but_not_in_code_or_urls() {
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
            assert_eq!(find_references(text).mentions, names, "{text}");
        }
        let many: String = (0..60).map(|number| format!("@a{number} ")).collect();
        assert_eq!(find_references(&many).mentions.len(), MAX_MENTIONS);
        assert!(find_references(&format!("@{}", "a".repeat(MAX_NAME_LENGTH + 1))).mentions.is_empty());
    }

    #[test]
    fn links_are_found_once_and_in_order() {
        let text = "https://a.example/1 [x](http://b.example) <https://c.example> https://A.example/1\n\n\
                    [y]\n\n[y]: https://d.example/";
        let links = ["https://a.example/1", "http://b.example/", "https://c.example/", "https://d.example/"];
        assert_eq!(find_references(text).links, links);
        let none = "`https://a.example` [x](mailto:a@b.example) <a@b.example> [x](/y) \
                    ![x](https://a.example/x.png) ftp://a.example";
        assert!(find_references(none).links.is_empty(), "{:?}", find_references(none));
        assert_eq!(find_references("[https://a.example](https://b.example)").links, ["https://b.example/"]);
        let many: String = (0..9).map(|number| format!("https://a.example/{number} ")).collect();
        assert_eq!(find_references(&many).links.len(), MAX_LINKS);
    }
}

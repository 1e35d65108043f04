//! The text of a message as markup.

use std::fmt::Write;

use guildhall_kernel::hyperlink::bare_links;

use crate::html::{Html, escape};

/// A text with its URLs as links.
pub(crate) fn linked(text: &str) -> Html {
    let mut markup = String::new();
    let mut end = 0;
    for (range, url) in bare_links(text) {
        markup.push_str(&escape(&text[end..range.start]));
        let (url, shown) = (escape(&url), escape(&text[range.clone()]));
        let _ = write!(markup, "<a href=\"{url}\" rel=\"nofollow noopener noreferrer ugc\">{shown}</a>");
        end = range.end;
    }
    markup.push_str(&escape(&text[end..]));
    Html::new(markup)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_links_and_everything_else_is_text() {
        let html = linked("<b> see https://example.org/?a=1&b=\"x\" now").to_string();
        assert!(html.starts_with("&lt;b&gt; see <a href=\"https://example.org/?a=1&amp;b=\""), "{html}");
        assert!(!html.contains("<b>") && html.ends_with(" now"), "{html}");
        assert_eq!(linked("javascript://alert(1)").to_string(), "javascript://alert(1)");
    }
}

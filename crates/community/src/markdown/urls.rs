//! URLs of links in Markdown.

use guildhall_kernel::hyperlink;
use pulldown_cmark::LinkType;

/// The normalized URL of a link; `None` if it is not allowed.
pub(super) fn link_url(link_type: LinkType, destination: &str) -> Option<String> {
    match link_type {
        LinkType::Email => hyperlink::normalize(&format!("mailto:{destination}")),
        _ => hyperlink::normalize(destination),
    }
}

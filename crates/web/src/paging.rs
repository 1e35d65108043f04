//! The pages of lists.

use guildhall_kernel::{CursorQuery, PageQuery};
use serde::Deserialize;

use crate::local_path::encode;

/// How many entries a numbered page has.
pub(crate) const PAGE_SIZE: u64 = 20;

/// The part of a history that was asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Before {
    /// Only what is older than this.
    pub(crate) before: Option<i64>,
}

impl Before {
    /// The part of a history with at most so many rows.
    pub(crate) fn query(self, limit: u64) -> CursorQuery {
        self.before.map_or_else(|| CursorQuery::newest(limit), |key| CursorQuery::before(key, limit))
    }
}

/// The number in the link to the next part of a history, which leads to the API.
pub(crate) fn older(next: Option<&str>) -> Option<i64> {
    let (_, query) = next?.split_once('?')?;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "before");
    found.and_then(|(_, value)| value.parse().ok())
}

/// The number of a page in a query string.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct PageNumber {
    page: Option<u64>,
}

impl PageNumber {
    /// The number, from 1.
    pub(crate) fn number(self) -> u64 {
        self.page.unwrap_or(1).max(1)
    }

    /// The query of the service.
    pub(crate) fn query(self) -> PageQuery {
        PageQuery::new(self.number(), PAGE_SIZE)
    }
}

/// The links from one page of a list to another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pager {
    /// The number of the first entry on the page.
    pub(crate) first: u64,
    /// The number of the last one.
    pub(crate) last: u64,
    pub(crate) count: u64,
    /// Whether there are more entries than `count`.
    pub(crate) is_capped: bool,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
}

impl Pager {
    /// The links of a list at a path, whose other parameters are kept.
    pub(crate) fn new<T>(
        page: &guildhall_kernel::Page<T>,
        number: PageNumber,
        path: &str,
        kept: &[(&str, &str)],
    ) -> Self {
        let number = number.number();
        let first = (number - 1) * PAGE_SIZE + 1;
        let last = first + page.results.len() as u64 - u64::from(!page.results.is_empty());
        let kept: String = kept
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}&", encode(value)))
            .collect();
        let url = |number: u64| format!("{path}?{kept}page={number}");
        Self {
            first,
            last,
            count: page.count,
            is_capped: page.count_capped,
            previous: (number > 1).then(|| url(number - 1)),
            next: (page.count > last && page.next.is_some()).then(|| url(number + 1)),
        }
    }

    /// Whether there are other pages.
    pub(crate) fn is_needed(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_part_is_read_from_the_link_of_the_service() {
        assert_eq!(older(Some("https://example.org/api/x/?limit=50&before=17")), Some(17));
        assert_eq!(older(Some("https://example.org/api/x/?after=17")), None);
        assert_eq!(older(None), None);
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let page = guildhall_kernel::Page {
            count: 50,
            count_capped: false,
            next: Some("x".into()),
            previous: None,
            results: vec![0; 20],
        };
        let pager = Pager::new(&page, PageNumber { page: Some(2) }, "/groups/", &[("q", "a&b"), ("category", "")]);
        assert_eq!((pager.first, pager.last), (21, 40));
        assert_eq!(pager.next.as_deref(), Some("/groups/?q=a%26b&page=3"));
        assert_eq!(pager.previous.as_deref(), Some("/groups/?q=a%26b&page=1"));
    }
}

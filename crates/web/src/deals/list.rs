//! The list of deals, and its export.

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use guildhall_deals::{Deal, Filter, Format, OrganizationId, Pipeline};
use guildhall_kernel::{PageQuery, Path, Query, Result};
use serde::Deserialize;

use super::{
    board::{pipelines, status_name},
    frame::OrgFrame,
};
use crate::{
    local_path::encode,
    page::ok,
    paging::{PAGE_SIZE, PageNumber, Pager},
    reader::Reader,
    web::App,
};

/// The fields that the list can be sorted by.
const ORDERINGS: [&str; 4] = ["number", "value", "expected_close_date", "updated_at"];

/// Which deals to show.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    archived: String,
    #[serde(default)]
    sort: String,
}

impl Search {
    /// The filters of the service.
    fn filter(&self) -> Filter {
        let pairs = [
            ("q", self.q.trim()),
            ("status", &self.status),
            ("stage_id", &self.stage),
            ("owner", &self.owner),
            ("currency", &self.currency),
            ("archived", &self.archived),
        ];
        Filter::new(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    }

    /// The query string, with another ordering.
    fn query(&self, sort: &str) -> String {
        let pairs = [
            ("q", self.q.as_str()),
            ("status", &self.status),
            ("stage", &self.stage),
            ("owner", &self.owner),
            ("currency", &self.currency),
            ("archived", &self.archived),
            ("sort", sort),
        ];
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        filled.map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&")
    }

    /// The field that the list is sorted by, and whether in descending order. Values can be compared within a currency
    /// only.
    fn order(&self) -> (&str, bool) {
        let (name, descending) = self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |name| (name, true));
        let is_possible = ORDERINGS.contains(&name) && (name != "value" || !self.currency.is_empty());
        if is_possible { (name, descending) } else { ("number", true) }
    }
}

#[derive(Template)]
#[template(path = "deals/list.html", blocks = ["results"])]
struct ListPage {
    f: OrgFrame,
    search: Search,
    pipelines: Vec<Pipeline>,
    deals: Vec<Deal>,
    pager: Pager,
}

impl ListPage {
    /// The address of the list in the order of a field; in the other direction if it has this order.
    fn sort_url(&self, name: &str) -> String {
        let (current, descending) = self.search.order();
        let sort = if current == name && !descending { format!("-{name}") } else { name.to_owned() };
        let mut search = self.search.clone();
        if name == "value" && search.currency.is_empty() {
            self.f.org.default_currency.code().clone_into(&mut search.currency);
        }
        self.f.url(&format!("list/?{}", search.query(&sort)))
    }

    fn is_currency(&self, code: &str) -> bool {
        self.search.currency == code
    }

    /// The currencies that one can choose from: that of the organization, and the chosen one.
    fn currencies(&self) -> Vec<String> {
        let mut found = vec![self.f.org.default_currency.code().to_owned(), self.search.currency.clone()];
        found.retain(|code| !code.is_empty());
        found.dedup();
        found
    }

    /// The attribute of the heading of a sorted column.
    fn sorted(&self, name: &str) -> &'static str {
        match self.search.order() {
            (current, true) if current == name => " aria-sort=\"descending\"",
            (current, false) if current == name => " aria-sort=\"ascending\"",
            _ => "",
        }
    }

    fn is_sorted(&self, name: &str) -> bool {
        self.search.order().0 == name
    }

    fn export_url(&self) -> String {
        self.f.url(&format!("list/export/?{}", self.search.query("")))
    }

    fn is_filtered(&self) -> bool {
        !self.search.query("").is_empty()
    }

    fn status(deal: &Deal) -> &'static str {
        status_name(deal.status)
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(search): Query<Search>,
    Query(number): Query<PageNumber>,
) -> Result<Response> {
    let f = OrgFrame::open(&app, &reader, org, "list").await?;
    let pipelines = pipelines(&app, &reader, org).await?;
    let (name, descending) = search.order();
    let ordering = if descending { format!("-{name}") } else { name.to_owned() };
    let query = PageQuery::new(number.number(), PAGE_SIZE).ordered(ordering);
    let page = app.deals.deals.deals(&reader.caller, org, None, search.filter(), query).await?;
    let kept = [
        ("q", search.q.as_str()),
        ("status", &search.status),
        ("stage", &search.stage),
        ("owner", &search.owner),
        ("currency", &search.currency),
        ("archived", &search.archived),
        ("sort", &search.sort),
    ];
    let pager = Pager::new(&page, number, &f.url("list/"), &kept);
    let page = ListPage { f, search, pipelines, deals: page.results, pager };
    Ok(if reader.view.wants("results") { ok(&page.as_results()) } else { ok(&page) })
}

/// A table of the deals on all pages of the list.
pub(crate) async fn export(
    State(app): State<App>,
    Path(org): Path<OrganizationId>,
    reader: Reader,
    Query(search): Query<Search>,
) -> Result<Response> {
    let table = app.deals.exports.export_deals(&reader.caller, org, search.filter(), Format::Csv).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"deals.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(table)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_by_known_fields_only() {
        let sorted = |sort: &str| Search { sort: sort.to_owned(), ..Search::default() };
        let in_euro = Search { currency: "EUR".to_owned(), ..sorted("-value") };
        assert_eq!(in_euro.order(), ("value", true));
        assert_eq!(sorted("-value").order(), ("number", true));
        assert_eq!(sorted("updated_at").order(), ("updated_at", false));
        assert_eq!(sorted("").order(), ("number", true));
        assert_eq!(sorted("-owner").order(), ("number", true));
    }

    #[test]
    fn links_keep_the_filters() {
        let search = Search { q: "a&b".to_owned(), status: "won".to_owned(), ..Search::default() };
        assert_eq!(search.query("value"), "q=a%26b&status=won&sort=value");
    }
}

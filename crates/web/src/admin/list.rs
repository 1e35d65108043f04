//! The rows of a table, and their export.

use askama::Template;
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use guildhall_admin::{Cell, Filter, Key, ListQuery, Reference, Row, Rows};
use guildhall_kernel::{
    Error, Path, Query, Result,
    admin::{Column, Kind},
};

use super::{
    fields::{is_number, shown},
    frame::AdminFrame,
};
use crate::{
    form::Submission,
    html::{Html, escape},
    local_path::encode,
    page::{ok, redirect},
    reader::Reader,
    web::App,
};

/// What begins the name of a parameter that filters.
const FILTER: &str = "f.";

/// The parameters of a query.
type Pairs = Vec<(String, String)>;

/// Reads the query of a list.
fn read_query(pairs: Pairs) -> ListQuery {
    let mut query = ListQuery::default();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        match &*name {
            "q" => query.search = value,
            "col" => query.columns.push(value),
            "order" => query.order = Some(value),
            "after" => query.after = Some(Key::parse(&value)),
            "before" => query.before = Some(Key::parse(&value)),
            name => {
                if let Some(column) = name.strip_prefix(FILTER) {
                    query.filters.push((column.to_owned(), value));
                }
            }
        }
    }
    query
}

/// The query string of a list from its beginning, without one of its filters, in an order.
fn write_query(query: &ListQuery, without: Option<&str>, order: Option<&str>) -> String {
    let mut pairs = vec![("q".to_owned(), query.search.clone())];
    let kept = query.filters.iter().filter(|(column, _)| Some(column.as_str()) != without);
    pairs.extend(kept.map(|(column, value)| (format!("{FILTER}{column}"), value.clone())));
    pairs.extend(query.columns.iter().map(|column| ("col".to_owned(), column.clone())));
    pairs.push(("order".to_owned(), order.map(str::to_owned).or(query.order.clone()).unwrap_or_default()));
    let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| format!("{name}={}", encode(&value))).collect::<Vec<_>>().join("&")
}

#[derive(Template)]
#[template(path = "admin/list.html", blocks = ["results"])]
struct ListPage {
    f: AdminFrame,
    query: ListQuery,
    list: Rows,
    /// Rows that a text in the filter of a reference can mean.
    ambiguous: Vec<(Filter, Vec<Reference>)>,
}

impl ListPage {
    fn url(&self, query: &str) -> String {
        format!("/admin/{}/?{query}", self.list.table.name)
    }

    fn sort_url(&self, column: &Column) -> String {
        let (current, descending) = &self.list.order;
        let order = if *current == column.name && !descending { format!("-{current}") } else { column.name.clone() };
        self.url(&write_query(&self.query, None, Some(&order)))
    }

    fn is_sortable(&self, column: &Column) -> bool {
        self.list.sortable.contains(&column.name)
    }

    fn is_sorted(&self, column: &Column) -> bool {
        self.list.order.0 == column.name
    }

    /// The attribute of the heading of a sorted column.
    fn sorted(&self, column: &Column) -> &'static str {
        match self.is_sorted(column) {
            true if self.list.order.1 => " aria-sort=\"descending\"",
            true => " aria-sort=\"ascending\"",
            false => "",
        }
    }

    fn page_url(&self, direction: &str, position: &Key) -> String {
        let query = write_query(&self.query, None, None);
        self.url(&format!("{query}&{direction}={}", encode(&position.to_string())))
    }

    fn export_url(&self) -> String {
        format!("/admin/{}/export/?{}", self.list.table.name, write_query(&self.query, None, None))
    }

    fn without_url(&self, filter: &Filter) -> String {
        self.url(&write_query(&self.query, Some(&filter.column.name), None))
    }

    /// The list with a row that a filter can mean.
    fn meant_url(&self, filter: &Filter, reference: &Reference) -> String {
        let rest = write_query(&self.query, Some(&filter.column.name), None);
        let value = encode(&reference.key.to_string());
        self.url(&format!("{rest}&{FILTER}{}={value}", filter.column.name))
    }

    fn is_chosen(filter: &Filter, value: &str) -> bool {
        filter.value.as_deref() == Some(value)
    }

    fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a Column, &'a Cell)> {
        self.list.columns.iter().zip(&row.cells)
    }

    /// The first cell of a row, which is the link to it.
    fn first(&self, row: &Row, column: &Column, cell: &Cell) -> Html {
        match (&cell.reference, &cell.text) {
            (Some(reference), _) => Html::new(escape(&reference.label)),
            (None, Some(text)) if !text.trim().is_empty() => shown(&self.f, column, cell),
            _ => Html::new(escape(&row.title)),
        }
    }

    fn shown(&self, column: &Column, cell: &Cell) -> Html {
        shown(&self.f, column, cell)
    }

    /// The columns to choose from: all but the first, which is always shown.
    fn choosable(&self) -> impl Iterator<Item = &Column> {
        let first = self.list.columns.first();
        self.list.all_columns.iter().filter(move |column| first.is_none_or(|first| first.name != column.name))
    }

    fn is_shown(&self, column: &Column) -> bool {
        self.list.columns.iter().any(|shown| shown.name == column.name)
    }

    fn is_number(column: &Column) -> bool {
        is_number(column)
    }

    fn is_filtered(&self) -> bool {
        !self.query.search.is_empty() || !self.query.filters.is_empty()
    }

    fn order(&self) -> &str {
        self.query.order.as_deref().unwrap_or_default()
    }
}

/// The rows of a list on the page of the row that they refer to.
#[derive(Template)]
#[template(path = "admin/related.html")]
struct RelatedRows<'a> {
    page: &'a ListPage,
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    Query(pairs): Query<Pairs>,
) -> Result<Response> {
    let f = AdminFrame::open(&app, &reader, &table).await?;
    let query = read_query(pairs);
    let panel = &app.admin.panel;
    let list = panel.rows(&reader.caller, &table, query.clone()).await.map_err(Error::from)?;
    let mut ambiguous = Vec::new();
    for filter in &list.filters {
        let (Some(target), Some(value)) = (&filter.target, &filter.value) else { continue };
        // A number is an id, and a hyphen means none.
        if value.parse::<i64>().is_err() && value != "-" {
            let options = panel.options(&reader.caller, target, value).await.map_err(Error::from)?;
            ambiguous.push((filter.clone(), options));
        }
    }
    let page = ListPage { f, query, list, ambiguous };
    Ok(if reader.view.wants("results") {
        ok(&page.as_results())
    } else if reader.view.wants_in("related-") {
        ok(&RelatedRows { page: &page })
    } else {
        ok(&page)
    })
}

/// Leads to the page that asks whether to delete the chosen rows.
pub(crate) async fn choose(Path(table): Path<String>, _: Reader, form: Submission) -> Response {
    let keys = form.all("key").map(|key| format!("key={}", encode(key)));
    let keys = keys.take(super::delete::MAX_CHOSEN).collect::<Vec<_>>().join("&");
    let table = encode(&table);
    redirect(&if keys.is_empty() { format!("/admin/{table}/") } else { format!("/admin/{table}/delete/?{keys}") })
}

/// The rows of the list as CSV.
pub(crate) async fn export(
    State(app): State<App>,
    Path(table): Path<String>,
    reader: Reader,
    Query(pairs): Query<Pairs>,
) -> Result<Response> {
    let query = read_query(pairs);
    let lines = app.admin.panel.export(&reader.caller, &table, query).await.map_err(Error::from)?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"rows.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_is_written() {
        let pairs =
            [("q", "a&b"), ("f.group_id", "3"), ("f.empty", ""), ("col", "name"), ("order", "-id"), ("after", "9")];
        let query = read_query(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!((query.search.as_str(), query.order.as_deref()), ("a&b", Some("-id")));
        assert_eq!(query.filters, [("group_id".to_owned(), "3".to_owned())]);
        assert_eq!(query.after, Some(Key::parse("9")));
        assert_eq!(write_query(&query, None, None), "q=a%26b&f.group_id=3&col=name&order=-id");
        assert_eq!(write_query(&query, Some("group_id"), Some("id")), "q=a%26b&col=name&order=id");
    }
}

//! Lists: their conditions, order and position.

use guildhall_kernel::{
    admin::{Column, Kind, Model},
    search, text,
};
use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, Func, LikeExpr, Order, Query, SelectStatement, SubQueryStatement},
};

use super::{
    SqlPanel,
    columns::{as_short_text, as_text, col, condition, read, shown, value},
};
use crate::{Cell, Count, Key, ListQuery, Result, Row, TableCount};

/// How many rows a page has.
pub(super) const PAGE: u64 = 50;
/// How far rows are counted.
pub(super) const MAX_COUNT: u64 = 10_000;
/// The maximum length of a term.
const MAX_TERM: usize = 100;

/// A list with its columns, conditions and order.
pub(super) struct List<'a> {
    pub(super) model: &'a Model,
    pub(super) columns: Vec<&'a Column>,
    conditions: Vec<Expr>,
    /// The columns of a position: the ordering and the primary key.
    position: Vec<&'a Column>,
    pub(super) descending: bool,
    /// Whether texts are cut.
    is_short: bool,
}

/// The rows of a table that staff may see, without columns.
pub(super) fn rows_of(model: &Model) -> SelectStatement {
    let mut select = Query::select();
    select.from(Alias::new(&model.table));
    if let Some(condition) = model.visible {
        select.and_where(Expr::cust(condition));
    }
    select
}

/// The columns of the list view.
pub(super) fn list_columns(model: &Model) -> Vec<&Column> {
    let listed = model.list.iter().filter_map(|name| model.column(name));
    let listed: Vec<&Column> = listed.collect();
    if listed.is_empty() { model.columns.iter().take(6).collect() } else { listed }
}

/// The columns of a list: the first one of the list view, which names the row, and those that were chosen.
pub(super) fn chosen_columns<'a>(model: &'a Model, chosen: &[String]) -> Vec<&'a Column> {
    let listed = list_columns(model);
    let Some(first) = listed.first().copied().filter(|_| !chosen.is_empty()) else { return listed };
    let others = model.columns.iter().filter(|column| column.name != first.name && chosen.contains(&column.name));
    std::iter::once(first).chain(others).collect()
}

/// The columns of an export: the key, and those of the list.
pub(super) fn exported_columns<'a>(model: &'a Model, listed: &[&'a Column]) -> Vec<&'a Column> {
    let key = model.key().filter(|column| listed.iter().all(|listed| listed.name != column.name));
    key.chain(listed.iter().copied()).collect()
}

impl SqlPanel {
    /// The columns that a table can be ordered by: those with an index that are never null, and the primary key.
    pub(super) async fn sortable(&self, model: &Model) -> Result<Vec<String>> {
        let schema = self.schema().await?;
        let is_first_of_key = |column: &Column| model.key().next().is_some_and(|first| first.name == column.name);
        let is_sortable = |column: &&Column| {
            let indexed = schema.indexed.contains(&(model.table.clone(), column.name.clone()));
            !column.nullable && column.kind != Kind::Bytes && (indexed || is_first_of_key(column))
        };
        Ok(model.columns.iter().filter(is_sortable).map(|column| column.name.clone()).collect())
    }

    /// A list of a table. The newest rows come first where ids are numbers.
    pub(super) async fn list<'a>(&self, model: &'a Model, query: &ListQuery) -> Result<List<'a>> {
        let mut conditions: Vec<Expr> = search_condition(model, &query.search).into_iter().collect();
        for (name, text) in &query.filters {
            let Some(column) = model.column(name).filter(|_| !text.is_empty()) else { continue };
            conditions.push(condition(column, text, self.0.clock.now())?);
        }
        let key: Vec<&Column> = model.key().collect();
        let sortable = self.sortable(model).await?;
        let (name, descending) = match query.order.as_deref() {
            Some(order) => order.strip_prefix('-').map_or((order, false), |name| (name, true)),
            None => ("", matches!(key[..], [Column { kind: Kind::Number | Kind::Reference, .. }])),
        };
        let ordering = sortable.iter().any(|column| column == name).then(|| model.column(name)).flatten();
        let position = ordering.into_iter().chain(key.into_iter().filter(|column| column.name != name)).collect();
        Ok(List {
            model,
            columns: chosen_columns(model, &query.columns),
            conditions,
            position,
            descending,
            is_short: true,
        })
    }

    /// The rows of a list from a position on, as texts: those of the columns, then those of the position.
    pub(super) async fn fetch(
        &self,
        list: &List<'_>,
        from: Option<&Key>,
        backwards: bool,
        limit: u64,
    ) -> Result<Vec<Fetched>> {
        let descending = list.descending != backwards;
        let mut select = list.select();
        if let Some(from) = from {
            let bound = list.position.iter().zip(from.values()).map(|(column, text)| value(column, text));
            let values = bound.map(|value| value.map(Expr::val)).collect::<Result<Vec<Expr>>>()?;
            // A position of another list is that of no row.
            if values.len() != list.position.len() || values.len() != from.values().len() {
                return Ok(Vec::new());
            }
            let here = Expr::tuple(list.position.iter().map(|column| col(&column.name)));
            let there = Expr::tuple(values);
            select.and_where(if descending { here.lt(there) } else { here.gt(there) });
        }
        let conn = self.0.db.conn();
        for column in &list.columns {
            select.expr(if list.is_short { as_short_text(conn, column) } else { as_text(conn, column) });
        }
        for column in list.position.iter().copied().chain(list.model.key()) {
            select.expr(as_text(conn, column));
        }
        for column in &list.position {
            // With its table: PostgreSQL would take the bare name for the text that is selected.
            let column = (Alias::new(&list.model.table), Alias::new(&column.name));
            select.order_by(column, if descending { Order::Desc } else { Order::Asc });
        }
        select.limit(limit);
        let rows = conn.query_all(&select).await?;
        let mut rows = rows.iter().map(|row| list.read(row)).collect::<Result<Vec<_>>>()?;
        if backwards {
            rows.reverse();
        }
        Ok(rows)
    }

    /// The number of rows of a list.
    pub(super) async fn count(&self, list: &List<'_>) -> Result<Count> {
        let count = Query::select().expr(Expr::from(counted(list.select()))).take();
        let row = self.0.db.conn().query_one(&count).await?;
        let number = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?.unwrap_or_default();
        Ok(capped(number))
    }

    /// The tables of an area with their numbers of rows.
    pub(super) async fn count_tables(&self, models: &[Model]) -> Result<Vec<TableCount>> {
        let mut counts = Query::select();
        for model in models {
            counts.expr(Expr::from(counted(rows_of(model))));
        }
        let row = self.0.db.conn().query_one(&counts).await?;
        let read = |(at, model): (usize, &Model)| {
            let number = row.as_ref().map(|row| row.try_get_by_index::<i64>(at)).transpose()?;
            Ok(TableCount { table: self.table(model), count: capped(number.unwrap_or_default()) })
        };
        models.iter().enumerate().map(read).collect()
    }
}

/// The number of rows of a query without columns, up to one more than is counted.
pub(super) fn counted(mut rows: SelectStatement) -> SubQueryStatement {
    rows.expr(Expr::val(1_i32)).limit(MAX_COUNT + 1);
    Query::select().expr(Func::count(Expr::cust("*"))).from_subquery(rows, Alias::new("counted")).take().into()
}

/// A number that was counted up to the limit.
pub(super) fn capped(number: i64) -> Count {
    let number = u64::try_from(number).unwrap_or_default();
    Count { number: Ord::min(number, MAX_COUNT), more: number > MAX_COUNT }
}

/// A row as it was read.
pub(super) struct Fetched {
    pub(super) row: Row,
    /// Its position in the list.
    pub(super) position: Key,
}

impl List<'_> {
    /// The same list, with the key and without cut texts.
    pub(super) fn exported(self) -> Self {
        Self { columns: exported_columns(self.model, &self.columns), is_short: false, ..self }
    }

    /// The matching rows, without columns.
    fn select(&self) -> SelectStatement {
        let mut select = rows_of(self.model);
        for condition in &self.conditions {
            select.and_where(condition.clone());
        }
        select
    }

    /// The column that the list is ordered by.
    pub(super) fn ordered_by(&self) -> &str {
        self.position.first().map_or("", |column| column.name.as_str())
    }

    fn read(&self, row: &QueryResult) -> Result<Fetched> {
        let text = |(at, column): (usize, &&Column)| Ok(shown(column.kind, read(row, at)?));
        let columns = self.columns.iter().chain(&self.position).enumerate();
        let mut texts = columns.map(text).collect::<Result<Vec<_>>>()?;
        let position = Key::new(texts.split_off(self.columns.len()).into_iter().map(Option::unwrap_or_default));
        let first = self.columns.len() + self.position.len();
        let key = (0..self.model.key().count()).map(|at| read(row, first + at).map(Option::unwrap_or_default));
        let key = Key::new(key.collect::<Result<Vec<_>, _>>()?);
        let title = title(&self.columns, &texts, &key);
        let cells = texts.into_iter().map(|text| Cell { text, reference: None }).collect();
        Ok(Fetched { row: Row { key, title, cells }, position })
    }
}

/// What a row is called: the text of its first column of text, or its key if that is empty.
pub(super) fn title(columns: &[&Column], texts: &[Option<String>], key: &Key) -> String {
    let named = columns.iter().zip(texts).find(|(column, _)| column.kind == Kind::Text);
    let text = named.and_then(|(_, text)| text.as_deref()).filter(|text| !text.trim().is_empty());
    text.map_or_else(|| format!("#{key}"), |text| text.chars().take(80).collect())
}

/// The rows of a table that contain a term in a searched column, or have it as their id.
pub(super) fn search_condition(model: &Model, term: &str) -> Option<Expr> {
    let term: String = term.trim().chars().take(MAX_TERM).collect();
    if term.is_empty() {
        return None;
    }
    let mut conditions: Vec<Expr> = model.search.iter().filter_map(|name| contains(name, &term)).collect();
    let mut key = model.key();
    if let (Some(only), None) = (key.next(), key.next())
        && let Ok(value) = value(only, &term)
        && only.kind != Kind::Bytes
    {
        conditions.push(col(&only.name).eq(Expr::val(value)));
    }
    let none = Expr::val(1_i32).eq(0_i32);
    Some(conditions.into_iter().reduce(ExprTrait::or).unwrap_or(none))
}

/// The condition that a column contains a term, in the form in which its texts are stored; `None` if nothing is left of
/// the term in this form.
fn contains(name: &str, term: &str) -> Option<Expr> {
    let like = |term: &str| {
        let escaped = term.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        LikeExpr::new(format!("%{escaped}%")).escape('\\')
    };
    if name == "search_text" {
        let terms = search::terms(term);
        return (!terms.is_empty()).then(|| col(name).like(like(&terms)));
    }
    if name.ends_with("_key") {
        return Some(col(name).like(like(&text::fold(term))));
    }
    // SQLite has no other lowercase letters than those of ASCII, so the term is also looked for as it was typed.
    let lowercase = Expr::from(Func::lower(col(name))).like(like(&term.to_lowercase()));
    Some(lowercase.or(col(name).like(like(term))))
}

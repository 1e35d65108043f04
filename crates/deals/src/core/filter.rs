//! Filters of lists: `?field=`, `?field__gte=` and so on. Unknown filters are refused, since ignoring one would return
//! more rows than were asked for.

use guildhall_kernel::{self as kernel, Timestamp, text};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, Select, Value,
    sea_query::{Alias, Expr, ExprTrait, LikeExpr, Query, extension::sqlite::SqliteExpr},
};
use serde::Deserialize;
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle},
        schema::{AdditionalProperties, ObjectBuilder},
    },
};

use crate::{Amount, Currency, Day};

/// The name of the parameter that stands for all filters in the API description.
pub(crate) const FILTER: &str = "filter";

/// How many filters a request may have: each combination is a statement of its own.
const MAX_FILTERS: usize = 50;
/// How many terms of a search are used, and how many characters of each.
const MAX_TERMS: usize = 8;
const MAX_TERM_LENGTH: usize = 100;

/// The parameters of pagination, which are read elsewhere.
const PAGING: [&str; 5] = ["page", "page_size", "ordering", "count", "cursor"];

/// The filters of a list, from the query string.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Filter(Vec<(String, String)>);

/// How the values of a filter are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Number,
    OneOf(&'static [&'static str]),
    Currency,
    Text,
    /// An amount in the currency of the filter `currency`.
    Money,
    Day,
    Timestamp,
}

/// A field that a list can be filtered by.
pub(crate) struct Field<C> {
    pub(crate) name: &'static str,
    pub(crate) column: C,
    pub(crate) kind: ValueKind,
}

/// The API description has one parameter for all filters: an object whose properties become query parameters.
impl IntoParams for Filter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let any_object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(true)));
        let filters = ParameterBuilder::new()
            .name(FILTER)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(
                "Filters: `field=`, `field__in=` (comma-separated), `field__gte=`, `field__lte=`, `field__gt=`, \
                 `field__lt=`, `field__isnull=`. Unknown filters are refused.",
            ))
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .schema(Some(any_object));
        vec![filters.build()]
    }
}

fn invalid(name: &str, message: impl Into<String>) -> kernel::Error {
    kernel::Error::field(name, message)
}

impl Filter {
    /// Creates filters from pairs of names and values.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Adds a filter.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether there is no filter but the parameters of pagination.
    pub(crate) fn is_empty(&self) -> bool {
        let is_paging = |(index, (name, _)): (usize, &(String, String))| {
            PAGING.contains(&name.as_str()) && self.0[..index].iter().all(|(other, _)| other != name)
        };
        self.0.iter().enumerate().all(is_paging)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Refuses the parameters of pagination, for exports.
    pub(crate) fn reject_paging(&self) -> kernel::Result<()> {
        match PAGING.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(invalid(name, "Not supported here: an export contains all rows.")),
            None => Ok(()),
        }
    }

    pub(crate) fn number(&self, name: &str) -> kernel::Result<Option<i64>> {
        let parse = |text: &str| text.parse().map_err(|_| invalid(name, "Must be a whole number."));
        self.get(name).map(parse).transpose()
    }

    /// The filters whose names begin with a prefix.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }

    /// Removes the filter `source` and adds the filters that it stands for; those of the request take precedence.
    pub(crate) fn with_defaults(mut self, source: &str, defaults: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.retain(|(name, _)| name != source);
        let own = self.0.clone();
        self.0.extend(defaults.into_iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name)));
        self
    }

    /// The condition on the rows. `own` are filters that the list handles itself; a name that ends in `_` is a prefix.
    pub(crate) fn condition<C: ColumnTrait>(&self, fields: &[Field<C>], own: &[&str]) -> kernel::Result<Condition> {
        if self.0.len() > MAX_FILTERS {
            return Err(invalid(FILTER, format!("At most {MAX_FILTERS} filters are allowed.")));
        }
        let mut condition = Condition::all();
        for (index, (name, value)) in self.0.iter().enumerate() {
            if self.0[..index].iter().any(|(other, _)| other == name) {
                return Err(invalid(name, "A filter can be used only once."));
            }
            let is_own = |own: &&str| name == own || (own.ends_with('_') && name.starts_with(own));
            if PAGING.contains(&name.as_str()) || own.iter().any(is_own) {
                continue;
            }
            let (field, operator) = name.split_once("__").unwrap_or((name, ""));
            let Some(field) = fields.iter().find(|candidate| candidate.name == field) else {
                let known: Vec<&str> = fields.iter().map(|field| field.name).chain(own.iter().copied()).collect();
                return Err(invalid(name, format!("Unknown filter. Choose from: {}.", known.join(", "))));
            };
            let parse = |text: &str| self.parse(field.kind, text).map_err(|message| invalid(name, message));
            let column = field.column;
            let ordered = !matches!(field.kind, ValueKind::OneOf(_) | ValueKind::Currency | ValueKind::Text);
            condition = condition.add(match operator {
                "" => column.eq(parse(value)?),
                "in" => {
                    let values: Vec<Value> =
                        value.split(',').map(|item| parse(item.trim())).collect::<Result<_, _>>()?;
                    if values.len() > 100 {
                        return Err(invalid(name, "At most 100 values are allowed."));
                    }
                    column.is_in(values)
                }
                "gte" if ordered => column.gte(parse(value)?),
                "lte" if ordered => column.lte(parse(value)?),
                "gt" if ordered => column.gt(parse(value)?),
                "lt" if ordered => column.lt(parse(value)?),
                "isnull" => match value.as_str() {
                    "true" => column.is_null(),
                    "false" => column.is_not_null(),
                    _ => return Err(invalid(name, "Must be true or false.")),
                },
                _ => return Err(invalid(name, "This operator is not supported for this field.")),
            });
        }
        Ok(condition)
    }

    fn parse(&self, kind: ValueKind, text: &str) -> Result<Value, String> {
        match kind {
            ValueKind::Number => text.parse::<i64>().map(Value::from).map_err(|_| "Must be a whole number.".to_owned()),
            ValueKind::OneOf(values) if values.contains(&text) => Ok(text.into()),
            ValueKind::OneOf(values) => Err(format!("Choose from: {}.", values.join(", "))),
            ValueKind::Text => Ok(text.into()),
            ValueKind::Currency => match Currency::from_code(text) {
                Some(currency) => Ok(currency.to_string().into()),
                None => Err("Must be an ISO 4217 currency code such as EUR.".to_owned()),
            },
            ValueKind::Money => {
                let currency = self.get("currency").and_then(Currency::from_code);
                let currency =
                    currency.ok_or("Amounts can only be compared within one currency. Filter by currency as well.")?;
                Amount::new(text).minor(&currency).map(Value::from)
            }
            ValueKind::Day => Day::parse(text).map(Value::from).ok_or("Must be a date such as 2025-09-01.".to_owned()),
            ValueKind::Timestamp => {
                let time: Result<Timestamp, _> = serde_json::from_value(text.into());
                time.map(Value::from).map_err(|_| "Must be a time such as 2025-01-04T10:30:00Z.".to_owned())
            }
        }
    }

    /// Applies `?archived=`: by default, archived rows are left out.
    pub(crate) fn archived<E: EntityTrait>(&self, rows: Select<E>, column: E::Column) -> kernel::Result<Select<E>> {
        match self.get("archived").unwrap_or("false") {
            "false" => Ok(rows.filter(column.is_null())),
            "true" => Ok(rows.filter(column.is_not_null())),
            "all" => Ok(rows),
            _ => Err(invalid("archived", "Choose from: false, true, all.")),
        }
    }
}

/// Condition on rows whose search text contains all terms of a query. Terms of three characters and more use a trigram
/// index. On SQLite, that index is a table of its own.
pub(crate) fn search_condition(table: &'static str, query: &str, backend: DbBackend) -> Condition {
    let mut condition = Condition::all();
    for term in text::fold(query).split_whitespace().take(MAX_TERMS) {
        let end = term.char_indices().nth(MAX_TERM_LENGTH).map_or(term.len(), |(index, _)| index);
        let term = &term[..end];
        let is_indexed = term.chars().count() >= 3;
        condition = condition.add(if backend == DbBackend::Sqlite && is_indexed {
            let index = Alias::new(format!("{table}_words"));
            // A quoted phrase, in which FTS operators have no meaning.
            let phrase = format!("\"{}\"", term.replace('"', "\"\""));
            let rows =
                Query::select().column("rowid").from(index.clone()).and_where(Expr::col(index).matches(phrase)).take();
            Expr::col((table, "id")).in_subquery(rows)
        } else {
            let escaped = term.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            Expr::col((table, "search_text")).like(LikeExpr::new(format!("%{escaped}%")).escape('\\'))
        });
    }
    condition
}

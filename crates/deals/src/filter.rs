//! What a list is narrowed by: `?field=`, `?field__gte=` and so on. A filter that is not understood is refused,
//! since one that is passed over would show more than was asked for.

use guildhall_kernel::{self as kernel, Timestamp, text};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, QueryFilter, Select, Value,
    sea_query::{Alias, Expr, ExprTrait, LikeExpr},
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

/// What stands for all filters in the description of a list.
pub(crate) const FILTER: &str = "filter";

/// How many filters a list takes: each combination is another statement.
const MOST_FILTERS: usize = 50;
/// How many words are searched for, and how much of each, in characters.
const MOST_WORDS: usize = 8;
const LONGEST_WORD: usize = 100;

/// What belongs to pages, and is read elsewhere.
const OF_PAGES: [&str; 5] = ["page", "page_size", "ordering", "count", "cursor"];

/// The filters of a list, as they stand in the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Filter(Vec<(String, String)>);

/// What a field holds, so that its filters can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A whole number.
    Number,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A currency.
    Currency,
    /// A text, to the letter.
    Text,
    /// An amount of the currency that another filter names.
    Money,
    /// A day.
    Day,
    /// A moment.
    Moment,
}

/// A field that a list can be narrowed by.
pub(crate) struct Field<C> {
    pub(crate) name: &'static str,
    pub(crate) column: C,
    pub(crate) holds: Holds,
}

/// All filters are one parameter to the description, whose members are parameters of the address.
impl IntoParams for Filter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let anything = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(true)));
        let all = ParameterBuilder::new()
            .name(FILTER)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(
                "What the rows have to fulfil: `field=`, `field__in=` (with commas between), `field__gte=`, \
                 `field__lte=`, `field__gt=`, `field__lt=`, `field__isnull=`. One that is not known is refused.",
            ))
            .style(Some(ParameterStyle::Form))
            .explode(Some(true))
            .schema(Some(anything));
        vec![all.build()]
    }
}

fn refused(name: &str, message: impl Into<String>) -> kernel::Error {
    kernel::Error::field(name, message)
}

impl Filter {
    /// The filters of some pairs, for callers from Rust.
    pub fn new<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The same with one more.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a filter that the list reads by itself.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Refuses what only pages have.
    pub(crate) fn for_all_rows(&self) -> kernel::Result<()> {
        match OF_PAGES.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(refused(name, "A table has all of its rows, in the order of their numbers.")),
            None => Ok(()),
        }
    }

    /// A whole number that the list reads by itself.
    pub(crate) fn number(&self, name: &str) -> kernel::Result<Option<i64>> {
        let number = |text: &str| text.parse().map_err(|_| refused(name, "A whole number is needed."));
        self.get(name).map(number).transpose()
    }

    /// The filters whose names begin so.
    pub(crate) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }

    /// The same on top of other filters, which say nothing where this one does; the filter that has led to them
    /// is taken away.
    pub(crate) fn over(mut self, by: &str, below: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.retain(|(name, _)| name != by);
        let own = self.0.clone();
        self.0.extend(below.into_iter().filter(|(name, _)| own.iter().all(|(known, _)| known != name)));
        self
    }

    /// What the rows have to fulfil. `own` names the filters that the list reads by itself; one that ends in `_`
    /// stands for all that begin so.
    pub(crate) fn condition<C: ColumnTrait>(&self, fields: &[Field<C>], own: &[&str]) -> kernel::Result<Condition> {
        if self.0.len() > MOST_FILTERS {
            return Err(refused(FILTER, format!("No more than {MOST_FILTERS} filters are taken.")));
        }
        let mut all = Condition::all();
        for (at, (name, value)) in self.0.iter().enumerate() {
            if self.0[..at].iter().any(|(other, _)| other == name) {
                return Err(refused(name, "A filter is taken once."));
            }
            let is_own = |known: &&str| name == known || (known.ends_with('_') && name.starts_with(known));
            if OF_PAGES.contains(&name.as_str()) || own.iter().any(is_own) {
                continue;
            }
            let (field, operator) = name.split_once("__").unwrap_or((name, ""));
            let Some(field) = fields.iter().find(|known| known.name == field) else {
                let known: Vec<&str> = fields.iter().map(|field| field.name).chain(own.iter().copied()).collect();
                return Err(refused(name, format!("There is no such filter; there are: {}.", known.join(", "))));
            };
            let read = |text: &str| self.read(field.holds, text).map_err(|message| refused(name, message));
            let column = field.column;
            let ordered = !matches!(field.holds, Holds::Word(_) | Holds::Currency | Holds::Text);
            all = all.add(match operator {
                "" => column.eq(read(value)?),
                "in" => {
                    let values: Vec<Value> =
                        value.split(',').map(|word| read(word.trim())).collect::<Result<_, _>>()?;
                    if values.len() > 100 {
                        return Err(refused(name, "No more than 100 values are taken."));
                    }
                    column.is_in(values)
                }
                "gte" if ordered => column.gte(read(value)?),
                "lte" if ordered => column.lte(read(value)?),
                "gt" if ordered => column.gt(read(value)?),
                "lt" if ordered => column.lt(read(value)?),
                "isnull" => match value.as_str() {
                    "true" => column.is_null(),
                    "false" => column.is_not_null(),
                    _ => return Err(refused(name, "Either true or false is needed.")),
                },
                _ => return Err(refused(name, "There is no such comparison for this field.")),
            });
        }
        Ok(all)
    }

    fn read(&self, holds: Holds, text: &str) -> Result<Value, String> {
        match holds {
            Holds::Number => text.parse::<i64>().map(Value::from).map_err(|_| "A whole number is needed.".to_owned()),
            Holds::Word(words) if words.contains(&text) => Ok(text.into()),
            Holds::Word(words) => Err(format!("Choose from: {}.", words.join(", "))),
            Holds::Text => Ok(text.into()),
            Holds::Currency => match Currency::from_code(text) {
                Some(currency) => Ok(currency.to_string().into()),
                None => Err("A currency of ISO 4217 like EUR is needed.".to_owned()),
            },
            Holds::Money => {
                let currency = self.get("currency").and_then(Currency::from_code);
                let currency = currency.ok_or("Amounts are compared within one currency: name it with currency.")?;
                Amount::new(text).minor(&currency).map(Value::from)
            }
            Holds::Day => Day::parse(text).map(Value::from).ok_or("A day like 2025-09-01 is needed.".to_owned()),
            Holds::Moment => {
                let moment: Result<Timestamp, _> = serde_json::from_value(text.into());
                moment.map(Value::from).map_err(|_| "A time like 2025-01-04T10:30:00Z is needed.".to_owned())
            }
        }
    }

    /// Narrows a list by `?archived=`: rows that were put aside are not shown unless asked for.
    pub(crate) fn archived<E: EntityTrait>(&self, rows: Select<E>, column: E::Column) -> kernel::Result<Select<E>> {
        match self.get("archived").unwrap_or("false") {
            "false" => Ok(rows.filter(column.is_null())),
            "true" => Ok(rows.filter(column.is_not_null())),
            "all" => Ok(rows),
            _ => Err(refused("archived", "Choose from: false, true, all.")),
        }
    }
}

/// A condition on rows whose folded text has all the words of a search in it. Words of three letters and more
/// are found by an index of trigrams.
pub(crate) fn containing(table: &'static str, typed: &str, backend: DbBackend) -> Condition {
    let mut all = Condition::all();
    for word in text::fold(typed).split_whitespace().take(MOST_WORDS) {
        let end = word.char_indices().nth(LONGEST_WORD).map_or(word.len(), |(at, _)| at);
        let word = &word[..end];
        let escaped = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let indexed = word.chars().count() >= 3;
        all = all.add(if backend == DbBackend::Sqlite && indexed {
            // As a phrase, in which nothing means anything but itself.
            let phrase = format!("\"{}\"", word.replace('"', "\"\""));
            Expr::cust_with_values(
                format!("{table}.id IN (SELECT rowid FROM {table}_words WHERE {table}_words MATCH ?)"),
                [phrase],
            )
        } else {
            let column = Expr::col((Alias::new(table), Alias::new("search_text")));
            column.like(LikeExpr::new(format!("%{escaped}%")).escape('\\'))
        });
    }
    all
}

use async_trait::async_trait;
use futures_util::{StreamExt, future::try_join_all, stream::BoxStream};
use guildhall_kernel::{
    self as kernel, Caller,
    admin::{Column, Kind, Model},
};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, Query},
};

use super::{
    SqlPanel,
    columns::{as_text, col, is_canonical, read, shown, value},
    export,
    list::{PAGE, capped, counted, list_columns, rows_of, title},
    require_staff,
};
use crate::{
    Area, Cell, Error, Field, Filter, Found, History, Key, ListQuery, NewColumn, NewRow, Panel, Reference, Relation,
    Result, Row, RowDetail, Rows,
};

/// How many values of a column are offered.
const CHOICES: u64 = 20;
/// How many rows are looked through for the values to offer.
const CHOICE_ROWS: u64 = 5_000;
/// How many rows of a table a search over all tables shows, and a picker.
const FEW: u64 = 5;
const OPTIONS: u64 = 20;

#[async_trait]
impl Panel for SqlPanel {
    async fn tables(&self, caller: &Caller) -> Result<Vec<Area>> {
        require_staff(caller)?;
        let count = || async {
            let areas = self.0.registry.areas().map(|(name, models)| async move {
                Ok::<_, Error>(Area { name, tables: self.count_tables(models).await? })
            });
            try_join_all(areas).await
        };
        self.0.counted.get(self.0.clock.now(), count).await
    }

    async fn find(&self, caller: &Caller, term: &str) -> Result<Found> {
        require_staff(caller)?;
        let (term, lowercase) = (term.trim().to_owned(), term.trim().to_lowercase());
        if term.is_empty() {
            return Ok(Found::default());
        }
        let is_named =
            |model: &&Model| model.table.contains(&lowercase) || model.label.to_lowercase().contains(&lowercase);
        let tables = self.0.registry.models().filter(is_named).map(|model| self.table(model)).collect();
        // Logs have every id and many texts: they are searched on their own pages.
        let searched = self.0.registry.models().filter(|model| !model.search.is_empty() && !model.is_log);
        let query = ListQuery { search: term, ..ListQuery::default() };
        let query = &query;
        let rows = searched.map(|model| async move {
            let list = self.list(model, query).await?;
            let rows = self.fetch(&list, None, false, FEW).await?;
            Ok::<_, Error>((self.table(model), rows.into_iter().map(|fetched| fetched.row).collect::<Vec<Row>>()))
        });
        let mut rows = try_join_all(rows).await?;
        rows.retain(|(_, rows)| !rows.is_empty());
        Ok(Found { tables, rows })
    }

    async fn rows(&self, caller: &Caller, table: &str, query: ListQuery) -> Result<Rows> {
        let model = self.open(caller, table)?;
        let list = self.list(model, &query).await?;
        let (from, backwards) = match (&query.after, &query.before) {
            (Some(after), _) => (Some(after), false),
            (None, Some(before)) => (Some(before), true),
            (None, None) => (None, false),
        };
        let mut fetched = self.fetch(&list, from, backwards, PAGE + 1).await?;
        let is_full = fetched.len() as u64 > PAGE;
        if is_full && backwards {
            fetched.remove(0);
        } else if is_full {
            fetched.pop();
        }
        let (has_previous, has_next) = if backwards { (is_full, true) } else { (from.is_some(), is_full) };
        let previous = fetched.first().filter(|_| has_previous).map(|row| row.position.clone());
        let next = fetched.last().filter(|_| has_next).map(|row| row.position.clone());
        let mut rows: Vec<Row> = fetched.into_iter().map(|fetched| fetched.row).collect();
        let mut cells: Vec<&mut Vec<Cell>> = rows.iter_mut().map(|row| &mut row.cells).collect();
        self.add_references(model, &list.columns, &mut cells).await?;
        Ok(Rows {
            table: self.table(model),
            columns: list.columns.iter().map(|column| (*column).clone()).collect(),
            all_columns: model.columns.clone(),
            rows,
            count: self.count(&list).await?,
            filters: self.filters(model, &query).await?,
            is_searchable: !model.search.is_empty() || model.key().count() == 1,
            sortable: self.sortable(model).await?,
            order: (list.ordered_by().to_owned(), list.descending),
            previous,
            next,
        })
    }

    async fn export(
        &self,
        caller: &Caller,
        table: &str,
        query: ListQuery,
    ) -> Result<BoxStream<'static, kernel::Result<String>>> {
        let model = self.open(caller, table)?;
        self.record_export(caller, model, &query).await?;
        Ok(export::lines(self.clone(), model.clone(), query).boxed())
    }

    async fn row(&self, caller: &Caller, table: &str, key: &Key) -> Result<RowDetail> {
        let model = self.open(caller, table)?;
        let columns: Vec<&Column> = model.columns.iter().collect();
        let texts = self.read_row(model, key).await?.ok_or(Error::NotFound)?;
        let listed = list_columns(model);
        let named: Vec<Option<String>> = listed
            .iter()
            .map(|listed| columns.iter().position(|column| column.name == listed.name))
            .map(|at| at.and_then(|at| texts.get(at).cloned().flatten()))
            .collect();
        let title = title(&listed, &named, key);
        let version = self.version(model, &texts);
        let mut cells: Vec<Cell> = texts.into_iter().map(|text| Cell { text, reference: None }).collect();
        self.add_references(model, &columns, &mut [&mut cells]).await?;
        let editable = self.editable(model);
        let schema = self.schema().await?;
        let fields = columns.into_iter().zip(cells).map(|(column, cell)| Field {
            is_editable: editable.contains(&column.name.as_str()),
            is_required: !column.nullable,
            target: self.target(schema, model, &column.name).map(|(target, _)| target.table.clone()),
            column: column.clone(),
            cell,
        });
        Ok(RowDetail {
            table: self.table(model),
            key: key.clone(),
            title,
            version,
            fields: fields.collect(),
            relations: self.relations(model, key).await?,
        })
    }

    async fn new_row(&self, caller: &Caller, table: &str) -> Result<NewRow> {
        let model = self.open(caller, table)?;
        let schema = self.schema().await?;
        let field = |new: &NewColumn| {
            let column = model.column(new.name).ok_or(Error::NotFound)?;
            Ok(Field {
                column: column.clone(),
                cell: Cell { text: new.is_checked.then(|| "true".to_owned()), reference: None },
                is_editable: true,
                is_required: new.is_required,
                target: self.target(schema, model, new.name).map(|(target, _)| target.table.clone()),
            })
        };
        let fields: Vec<Field> = self.new_columns(model).iter().map(field).collect::<Result<_>>()?;
        if fields.is_empty() { Err(Error::ReadOnly) } else { Ok(NewRow { table: self.table(model), fields }) }
    }

    async fn options(&self, caller: &Caller, table: &str, term: &str) -> Result<Vec<Reference>> {
        let model = self.open(caller, table)?;
        let query = ListQuery { search: term.to_owned(), ..ListQuery::default() };
        let list = self.list(model, &query).await?;
        let rows = self.fetch(&list, None, false, OPTIONS).await?;
        let options = rows.into_iter().map(|fetched| Reference {
            table: model.table.clone(),
            key: fetched.row.key,
            label: fetched.row.title,
        });
        Ok(options.collect())
    }

    async fn history(&self, caller: &Caller, table: &str, key: &Key) -> Result<Vec<History>> {
        let model = self.open(caller, table)?;
        self.history_of(model, key).await
    }
}

impl SqlPanel {
    /// The values of a row's columns.
    pub(super) async fn read_row(&self, model: &Model, key: &Key) -> Result<Option<Vec<Option<String>>>> {
        let Some(is_row) = key_condition(model, key) else { return Ok(None) };
        let conn = self.0.db.conn();
        let mut select = rows_of(model);
        select.and_where(is_row);
        for column in &model.columns {
            select.expr(as_text(conn, column));
        }
        let Some(row) = conn.query_one(&select).await? else { return Ok(None) };
        let texts = model.columns.iter().enumerate().map(|(at, column)| Ok(shown(column.kind, read(&row, at)?)));
        texts.collect::<Result<Vec<_>>>().map(Some)
    }

    /// The rows that reference a row with a single key, counted in one query.
    async fn relations(&self, model: &Model, key: &Key) -> Result<Vec<Relation>> {
        let mut primary = model.key();
        let (Some(only), None) = (primary.next(), primary.next()) else { return Ok(Vec::new()) };
        let id = value(only, key.values().first().map_or("", String::as_str))?;
        let schema = self.schema().await?;
        let mut referencing: Vec<(&Model, &str)> = Vec::new();
        for foreign in schema.foreign_keys.iter().filter(|foreign| foreign.target == model.table) {
            let at = foreign.target_columns.iter().position(|column| *column == only.name);
            let column = at.and_then(|at| foreign.columns.get(at));
            if let (Some((_, other)), Some(column)) = (self.0.registry.find(&foreign.table), column)
                && !referencing.iter().any(|(model, known)| model.table == other.table && known == column)
            {
                referencing.push((other, column));
            }
        }
        if referencing.is_empty() {
            return Ok(Vec::new());
        }
        let mut counts = Query::select();
        for (other, column) in &referencing {
            let mut rows = rows_of(other);
            rows.and_where(col(column).eq(Expr::val(id.clone())));
            counts.expr(Expr::from(counted(rows)));
        }
        let Some(row) = self.0.db.conn().query_one(&counts).await? else { return Ok(Vec::new()) };
        let relation = |(at, (other, column)): (usize, (&Model, &str))| {
            let count = capped(row.try_get_by_index::<i64>(at)?);
            Ok(Relation { table: self.table(other), column: column.to_owned(), count })
        };
        let relations = referencing.into_iter().enumerate().map(relation).collect::<Result<Vec<_>>>()?;
        Ok(relations.into_iter().filter(|relation| relation.count.number > 0 || relation.table.is_creatable).collect())
    }

    /// The filters of a table: those of its description, and each reference that is in use.
    async fn filters(&self, model: &Model, query: &ListQuery) -> Result<Vec<Filter>> {
        let schema = self.schema().await?;
        let chosen = |name: &str| {
            let found = query.filters.iter().find(|(column, text)| column == name && !text.is_empty());
            found.map(|(_, text)| text.clone())
        };
        let is_offered =
            |column: &&Column| model.filters.contains(&column.name.as_str()) || chosen(&column.name).is_some();
        let filters = model.columns.iter().filter(is_offered).map(|column| async move {
            let target = self.target(schema, model, &column.name).map(|(target, _)| target);
            let value = query.filters.iter().find(|(name, text)| *name == column.name && !text.is_empty());
            let value = value.map(|(_, text)| text.clone());
            let choices = match column.kind {
                Kind::Text if model.filters.contains(&column.name.as_str()) => self.choices(model, column).await?,
                _ => Vec::new(),
            };
            let mut cells =
                vec![Cell { text: value.clone().filter(|text| text.parse::<i64>().is_ok()), reference: None }];
            if target.is_some() {
                self.add_references(model, &[column], &mut [&mut cells]).await?;
            }
            let label = cells.pop().and_then(|cell| cell.reference).map(|reference| reference.label);
            let target = target.map(|target| target.table.clone());
            Ok::<_, Error>(Filter { column: column.clone(), value, label, choices, target })
        });
        try_join_all(filters).await
    }

    /// The values of a column, if there are few.
    async fn choices(&self, model: &Model, column: &Column) -> Result<Vec<String>> {
        let mut some = rows_of(model);
        some.expr_as(col(&column.name).cast_as("text"), Alias::new("choice"));
        some.limit(CHOICE_ROWS);
        let mut distinct = Query::select();
        distinct.distinct().column(Alias::new("choice")).from_subquery(some, Alias::new("some"));
        distinct.and_where(col("choice").is_not_null()).limit(CHOICES + 1);
        let rows = self.0.db.conn().query_all(&distinct).await?;
        let mut choices = Vec::with_capacity(rows.len());
        for row in &rows {
            choices.extend(read(row, 0)?.filter(|choice| !choice.is_empty()));
        }
        choices.sort();
        Ok(if rows.len() as u64 > CHOICES { Vec::new() } else { choices })
    }
}

/// The condition that a row has a key; `None` if the table has no such keys.
pub(super) fn key_condition(model: &Model, key: &Key) -> Option<Expr> {
    if model.key().count() != key.values().len() {
        return None;
    }
    let is_equal = |(column, text): (&Column, &String)| {
        // What cannot be the value of a key is the key of no row.
        value(column, text)
            .ok()
            .filter(|_| is_canonical(column, text))
            .map(|value| col(&column.name).eq(Expr::val(value)))
    };
    let conditions: Option<Vec<Expr>> = model.key().zip(key.values()).map(is_equal).collect();
    conditions?.into_iter().reduce(ExprTrait::and)
}

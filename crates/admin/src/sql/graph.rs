//! What a deletion does: breadth-first over the foreign keys, one level of rows after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::future::try_join_all;
use guildhall_kernel::{
    admin::{Column, Kind, Model},
    db::{ForeignKey, OnDelete, Schema, Sql},
};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Alias, Expr, ExprTrait, Query, ValueTuple},
};

use super::{
    SqlPanel,
    columns::{as_text, col, read, shown, value},
    list::{MAX_COUNT, list_columns, rows_of, title},
    panel::key_condition,
};
use crate::{Count, Error, Graph, GraphTable, Key, Outlook, Result};

/// How many rows can be deleted at once.
const MAX_CHOSEN: usize = 100;
/// A deletion of more rows has to be confirmed in writing.
const UNCONFIRMED: u64 = 100;
/// How many rows a query takes the references of.
const CHUNK: usize = 500;

/// The columns of a table that take part in foreign keys, and its primary key.
fn linked_columns(schema: &Schema, model: &Model) -> Vec<Column> {
    let owned = schema.foreign_keys.iter().filter(|key| key.table == model.table).flat_map(|key| &key.columns);
    let aimed = schema.foreign_keys.iter().filter(|key| key.target == model.table).flat_map(|key| &key.target_columns);
    let names: BTreeSet<&String> = owned.chain(aimed).chain(model.key().map(|column| &column.name)).collect();
    let describe = |name: &String| {
        let hidden = || Column { name: name.clone(), kind: Kind::Reference, nullable: true, key: false };
        model.column(name).cloned().unwrap_or_else(hidden)
    };
    names.into_iter().map(describe).collect()
}

/// A row with the columns that take part in foreign keys.
#[derive(Clone)]
struct Linked {
    key: Key,
    values: HashMap<String, String>,
}

impl Linked {
    /// The values of some columns, if none is null.
    fn tuple(&self, columns: &[String]) -> Option<Vec<String>> {
        columns.iter().map(|column| self.values.get(column).cloned()).collect()
    }
}

/// The rows of a table that share an outlook.
#[derive(Default)]
struct Affected {
    keys: HashSet<Key>,
    more: bool,
    /// The column by which they reference the chosen rows themselves.
    column: Option<String>,
    /// The order in which tables were reached.
    place: usize,
}

impl Affected {
    /// Adds a row; returns whether it is new. Further rows than are counted are not kept.
    fn add(&mut self, key: &Key) -> bool {
        if (self.keys.len() as u64) < MAX_COUNT {
            return self.keys.insert(key.clone());
        }
        self.more = self.more || !self.keys.contains(key);
        false
    }

    /// Whether further rows would change nothing.
    fn is_full(&self) -> bool {
        self.more && self.keys.len() as u64 >= MAX_COUNT
    }
}

fn outlook_of(action: OnDelete) -> Outlook {
    match action {
        OnDelete::Cascade => Outlook::Goes,
        OnDelete::Clear => Outlook::Stays,
        OnDelete::Restrict => Outlook::Blocks,
    }
}

impl SqlPanel {
    /// What the deletion of rows does.
    pub(super) async fn graph(&self, model: &Model, keys: &[Key]) -> Result<Graph> {
        let schema = self.schema().await?;
        let conditions = keys.iter().take(MAX_CHOSEN).map(|key| key_condition(model, key));
        let conditions: Vec<Expr> = conditions.flatten().collect();
        let Some(is_chosen) = conditions.into_iter().reduce(ExprTrait::or) else { return Err(Error::NotFound) };
        let is_chosen = model.visible.map(Expr::cust).into_iter().fold(is_chosen, ExprTrait::and);
        let chosen = self.linked(schema, model, is_chosen, MAX_CHOSEN as u64).await?;
        if chosen.is_empty() {
            return Err(Error::NotFound);
        }
        let writes = self.writes_of(model);
        let removes = |table: &str| writes.is_some_and(|writes| writes.removes(table));
        let mut affected: BTreeMap<(Outlook, String), Affected> = BTreeMap::new();
        let start = Affected { keys: chosen.iter().map(|row| row.key.clone()).collect(), ..Affected::default() };
        affected.insert((Outlook::Goes, model.table.clone()), start);
        let mut frontier = Vec::new();
        if writes.is_some_and(|writes| writes.removes_users()) {
            for (other, found) in self.removed_with(schema, &chosen).await? {
                let place = affected.len();
                let key = (Outlook::Goes, other.table.clone());
                let entry = affected.entry(key).or_insert_with(|| Affected { place, ..Affected::default() });
                let found: Vec<Linked> = found.into_iter().filter(|row| entry.add(&row.key)).collect();
                frontier.push((other, found));
            }
        }
        frontier.insert(0, (model, chosen));
        let mut is_first = true;
        while !frontier.is_empty() {
            let mut next: BTreeMap<&str, (&Model, Vec<Linked>)> = BTreeMap::new();
            for (target, rows) in &frontier {
                // What references rows that are not counted is not counted either.
                let is_cut = affected.get(&(Outlook::Goes, target.table.clone())).is_some_and(|affected| affected.more);
                for key in schema.foreign_keys.iter().filter(|key| key.target == target.table) {
                    let Some((_, child)) = self.0.registry.find(&key.table) else { continue };
                    let outlook = match outlook_of(key.on_delete) {
                        Outlook::Blocks if removes(&child.table) => Outlook::Goes,
                        outlook => outlook,
                    };
                    if affected.get(&(outlook, child.table.clone())).is_some_and(Affected::is_full) {
                        continue;
                    }
                    let found = self.referencing(schema, child, key, rows).await?;
                    let place = affected.len();
                    let entry = affected.entry((outlook, child.table.clone())).or_insert_with(|| Affected {
                        column: (is_first && target.table == model.table && key.columns.len() == 1)
                            .then(|| key.columns.concat()),
                        place,
                        ..Affected::default()
                    });
                    entry.more = entry.more || (is_cut && !found.is_empty());
                    for row in found {
                        if entry.add(&row.key) && outlook == Outlook::Goes {
                            next.entry(&child.table).or_insert_with(|| (child, Vec::new())).1.push(row);
                        }
                    }
                }
            }
            frontier = next.into_values().collect();
            is_first = false;
        }
        self.describe(model, keys, affected).await
    }

    /// The rows that the removal of users deletes besides those that foreign keys delete, by table.
    async fn removed_with(&self, schema: &Schema, users: &[Linked]) -> Result<Vec<(&Model, Vec<Linked>)>> {
        let backend = self.0.db.conn().get_database_backend();
        let described = self.0.registry.models().filter_map(|model| Some((model, model.removed_with_user?)));
        let found = described.map(|(model, condition)| async move {
            let conditions = users.iter().filter_map(|user| user.key.id());
            let conditions = conditions.map(|id| Sql::new(condition).condition(backend, id));
            match conditions.reduce(ExprTrait::or) {
                Some(condition) => Ok((model, self.linked(schema, model, condition, MAX_COUNT + 1).await?)),
                None => Ok((model, Vec::new())),
            }
        });
        try_join_all(found).await
    }

    /// The rows that reference some rows by a foreign key, up to one more than is counted.
    async fn referencing(
        &self,
        schema: &Schema,
        child: &Model,
        key: &ForeignKey,
        rows: &[Linked],
    ) -> Result<Vec<Linked>> {
        let tuples: BTreeSet<Vec<String>> = rows.iter().filter_map(|row| row.tuple(&key.target_columns)).collect();
        let tuples: Vec<Vec<String>> = tuples.into_iter().collect();
        let linked = linked_columns(schema, child);
        let mut found = Vec::new();
        let columns = key.columns.iter().filter_map(|name| linked.iter().find(|column| column.name == *name));
        let columns: Vec<&Column> = columns.collect();
        // A level can have more rows than a statement can have values.
        for chunk in tuples.chunks(CHUNK) {
            let left = (MAX_COUNT + 1).saturating_sub(found.len() as u64);
            if left == 0 {
                break;
            }
            let mut wanted = Vec::with_capacity(chunk.len());
            for tuple in chunk {
                let values = columns.iter().zip(tuple).map(|(column, text)| value(column, text));
                wanted.push(ValueTuple::Many(values.collect::<Result<Vec<_>>>()?));
            }
            // A list of tuples is only understood by PostgreSQL, a list of rows by both.
            let wanted = Query::select().expr(Expr::cust("*")).from_values(wanted, Alias::new("wanted")).take();
            let condition = Expr::tuple(columns.iter().map(|column| col(&column.name))).in_subquery(wanted);
            found.extend(self.linked(schema, child, condition, left).await?);
        }
        Ok(found)
    }

    /// The rows that match a condition, up to a limit.
    async fn linked(&self, schema: &Schema, model: &Model, condition: Expr, limit: u64) -> Result<Vec<Linked>> {
        let conn = self.0.db.conn();
        let columns = linked_columns(schema, model);
        let mut select = Query::select();
        select.from(Alias::new(&model.table)).and_where(condition).limit(limit);
        for column in &columns {
            select.expr(as_text(conn, column));
        }
        let mut found = Vec::new();
        for row in conn.query_all(&select).await? {
            let mut values = HashMap::new();
            for (at, column) in columns.iter().enumerate() {
                if let Some(text) = shown(column.kind, read(&row, at)?) {
                    values.insert(column.name.clone(), text);
                }
            }
            let key = model.key().map(|column| values.get(&column.name).cloned().unwrap_or_default());
            found.push(Linked { key: Key::new(key), values });
        }
        Ok(found)
    }

    async fn describe(
        &self,
        model: &Model,
        keys: &[Key],
        mut affected: BTreeMap<(Outlook, String), Affected>,
    ) -> Result<Graph> {
        let going: BTreeMap<String, HashSet<Key>> = affected
            .iter()
            .filter(|((outlook, _), _)| *outlook == Outlook::Goes)
            .map(|((_, table), rows)| (table.clone(), rows.keys.clone()))
            .collect();
        // A row that goes by one key is not kept, and blocks nothing, by another.
        for ((outlook, table), rows) in &mut affected {
            if let Some(going) = going.get(table).filter(|_| *outlook != Outlook::Goes) {
                rows.keys.retain(|key| !going.contains(key));
            }
        }
        let chosen = affected.remove(&(Outlook::Goes, model.table.clone())).unwrap_or_default();
        let mut rows: Vec<Key> = keys.iter().filter(|key| chosen.keys.contains(key)).cloned().collect();
        rows.dedup();
        let further = chosen.keys.len().saturating_sub(rows.len());
        if further > 0 {
            let rest = chosen.keys.iter().filter(|key| !rows.contains(key)).cloned().collect();
            let rest = Affected { keys: rest, more: chosen.more, ..Affected::default() };
            affected.insert((Outlook::Goes, model.table.clone()), rest);
        }
        let mut entries: Vec<_> = affected.into_iter().filter(|(_, rows)| !rows.keys.is_empty()).collect();
        entries.sort_by_key(|(_, rows)| rows.place);
        let mut total = Count { number: rows.len() as u64, more: false };
        let mut tables = Vec::new();
        for ((outlook, table), rows) in entries {
            let Some((_, other)) = self.0.registry.find(&table) else { continue };
            let count = Count { number: rows.keys.len() as u64, more: rows.more };
            if outlook == Outlook::Goes {
                total = Count { number: total.number + count.number, more: total.more || count.more };
            }
            tables.push(GraphTable { table: self.table(other), outlook, count, column: rows.column });
        }
        let rows = self.titles(model, rows).await?;
        let confirmation = (model.guarded || total.number > UNCONFIRMED).then(|| match &rows[..] {
            [(_, title)] => title.clone(),
            _ => total.number.to_string(),
        });
        let has_rule = self.writes_of(model).is_some();
        Ok(Graph { table: self.table(model), rows, tables, total, confirmation, has_rule })
    }

    /// What rows are called.
    async fn titles(&self, model: &Model, keys: Vec<Key>) -> Result<Vec<(Key, String)>> {
        let conn = self.0.db.conn();
        let columns = list_columns(model);
        let conditions = keys.iter().filter_map(|key| key_condition(model, key));
        let Some(is_row) = conditions.reduce(ExprTrait::or) else { return Ok(Vec::new()) };
        let mut select = rows_of(model);
        select.and_where(is_row);
        for column in model.key().chain(columns.iter().copied()) {
            select.expr(as_text(conn, column));
        }
        let width = model.key().count();
        let mut titles = HashMap::new();
        for row in conn.query_all(&select).await? {
            let key = (0..width).map(|at| Ok(read(&row, at)?.unwrap_or_default())).collect::<Result<Vec<_>>>()?;
            let texts = (width..width + columns.len()).map(|at| Ok(read(&row, at)?)).collect::<Result<Vec<_>>>()?;
            let key = Key::new(key);
            let name = title(&columns, &texts, &key);
            titles.insert(key, name);
        }
        Ok(keys.into_iter().filter_map(|key| titles.remove(&key).map(|title| (key, title))).collect())
    }
}

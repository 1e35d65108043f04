//! The names of rows that others reference.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use guildhall_kernel::admin::{Column, Model};
use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{
    SqlPanel,
    columns::{as_short_text, as_text, col, read, shown, value},
    list::{list_columns, rows_of, title},
};
use crate::{Cell, Key, Reference, Result};

impl SqlPanel {
    /// Adds the rows that some cells reference, with one query for each referenced table.
    pub(super) async fn add_references(
        &self,
        model: &Model,
        columns: &[&Column],
        rows: &mut [&mut Vec<Cell>],
    ) -> Result<()> {
        let schema = self.schema().await?;
        let targets: Vec<_> = columns.iter().map(|column| self.target(schema, model, &column.name)).collect();
        let mut wanted: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for row in rows.iter() {
            for (cell, target) in row.iter().zip(&targets) {
                if let (Some(text), Some((target, _))) = (&cell.text, target) {
                    wanted.entry(&target.table).or_default().insert(text.clone());
                }
            }
        }
        let named = wanted.into_iter().map(|(table, ids)| async move {
            Ok::<_, crate::Error>((table.to_owned(), self.names(table, ids).await?))
        });
        let named: HashMap<String, HashMap<String, String>> =
            futures_util::future::try_join_all(named).await?.into_iter().collect();
        for row in rows.iter_mut() {
            for (cell, target) in row.iter_mut().zip(&targets) {
                let (Some(text), Some((target, _))) = (&cell.text, target) else { continue };
                let label = named.get(&target.table).and_then(|names| names.get(text));
                cell.reference = label.map(|label| Reference {
                    table: target.table.clone(),
                    key: Key::new([text.clone()]),
                    label: label.clone(),
                });
            }
        }
        Ok(())
    }

    /// What rows of a table are called, by the text of their single key.
    async fn names(&self, table: &str, ids: BTreeSet<String>) -> Result<HashMap<String, String>> {
        let Some((_, model)) = self.0.registry.find(table) else { return Ok(HashMap::new()) };
        let Some(key) = model.key().next() else { return Ok(HashMap::new()) };
        let ids = ids.iter().map(|id| value(key, id).map(Expr::val)).collect::<Result<Vec<_>>>()?;
        let columns = list_columns(model);
        let conn = self.0.db.conn();
        let mut select = rows_of(model);
        select.expr(as_text(conn, key)).and_where(col(&key.name).is_in(ids));
        for column in &columns {
            select.expr(as_short_text(conn, column));
        }
        let mut names = HashMap::new();
        for row in conn.query_all(&select).await? {
            let id = read(&row, 0)?.unwrap_or_default();
            let texts = columns.iter().enumerate().map(|(at, column)| Ok(shown(column.kind, read(&row, at + 1)?)));
            let texts = texts.collect::<Result<Vec<_>>>()?;
            let name = title(&columns, &texts, &Key::new([id.clone()]));
            names.insert(id, name);
        }
        Ok(names)
    }
}

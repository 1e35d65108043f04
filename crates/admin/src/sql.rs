//! The services on a database.

mod columns;
mod export;
mod graph;
mod history;
mod kept;
mod list;
mod operations;
mod panel;
mod references;
mod writes;

use std::{collections::HashMap, sync::Arc};

use guildhall_kernel::{
    Caller, Clock, Db,
    admin::Model,
    db::{ForeignKey, Schema},
};
use tokio::sync::OnceCell;

use self::kept::Kept;
use crate::{Activity, Area, Error, NewColumn, Registry, Result, Table, TableWrites};

/// The scope of the panel in the audit log.
const SCOPE: &str = "admin";

/// The panel on a database.
#[derive(Clone)]
pub struct SqlPanel(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    registry: Registry,
    writes: HashMap<&'static str, Arc<dyn TableWrites>>,
    schema: OnceCell<Schema>,
    counted: Kept<Vec<Area>>,
    activity: Kept<Activity>,
}

impl SqlPanel {
    /// The panel over these tables, with the services that change some of them.
    pub fn new(db: Db, clock: Clock, registry: Registry, writes: Vec<Arc<dyn TableWrites>>) -> Self {
        let writes = writes.into_iter().map(|writes| (writes.table(), writes)).collect();
        let (schema, counted, activity) = (OnceCell::new(), Kept::new(), Kept::new());
        Self(Arc::new(Inner { db, clock, registry, writes, schema, counted, activity }))
    }

    /// The tables of the panel.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The table, if the caller may see the panel.
    fn open(&self, caller: &Caller, table: &str) -> Result<&Model> {
        require_staff(caller)?;
        Ok(self.0.registry.find(table).ok_or(Error::NotFound)?.1)
    }

    /// The schema. It does not change while the server runs, so it is read once.
    async fn schema(&self) -> Result<&Schema> {
        Ok(self.0.schema.get_or_try_init(|| Schema::read(self.0.db.conn())).await?)
    }

    fn writes_of(&self, model: &Model) -> Option<&Arc<dyn TableWrites>> {
        self.0.writes.get(model.table.as_str())
    }

    /// The columns of a table that can be changed.
    fn editable(&self, model: &Model) -> &[&'static str] {
        self.writes_of(model).map_or(model.editable, |writes| writes.columns())
    }

    /// The columns of a table that a row is created from.
    fn new_columns(&self, model: &Model) -> &'static [NewColumn] {
        self.writes_of(model).map_or(&[], |writes| writes.new_columns())
    }

    /// A table as the pages show it.
    fn table(&self, model: &Model) -> Table {
        let deletes = self.writes_of(model).map_or(model.deletable, |writes| writes.deletes());
        Table {
            name: model.table.clone(),
            label: model.label,
            area: self.0.registry.find(&model.table).map_or("", |(area, _)| area),
            is_creatable: !self.new_columns(model).is_empty(),
            is_editable: !self.editable(model).is_empty(),
            is_deletable: deletes,
        }
    }

    /// The row that a column references: the table, and the column of its primary key. A key of several columns counts
    /// for the one that the others do not have: `client_id` of `(org_id, client_id)`.
    fn target<'a>(&'a self, schema: &'a Schema, model: &Model, column: &str) -> Option<(&'a Model, &'a str)> {
        let mut keys: Vec<&ForeignKey> = schema.foreign_keys.iter().filter(|key| key.table == model.table).collect();
        keys.sort_by_key(|key| key.columns.len());
        keys.into_iter().find_map(|key| {
            let at = key.columns.iter().position(|name| name == column)?;
            let target = self.0.registry.find(&key.target)?.1;
            let target_column = key.target_columns.get(at)?;
            let mut primary = target.key();
            let is_key = primary.next().is_some_and(|only| only.name == *target_column) && primary.next().is_none();
            is_key.then_some((target, target_column.as_str()))
        })
    }
}

fn require_staff(caller: &Caller) -> Result<()> {
    if caller.roles.is_staff() { Ok(()) } else { Err(Error::NotStaff) }
}

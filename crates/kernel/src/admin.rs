//! Descriptions of tables for an admin panel. Each crate describes its own tables in a few lines; the columns come
//! from the entities.

mod tables;

use sea_orm::{ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};

pub use tables::admin;

/// A table in the admin panel.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name of the table.
    pub table: String,
    /// The name of a row, in singular.
    pub label: &'static str,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the list view.
    pub list: &'static [&'static str],
    /// The columns for searching.
    pub search: &'static [&'static str],
    /// The columns for filtering.
    pub filters: &'static [&'static str],
    /// Whether it is a log: so large that a search over all tables leaves it out.
    pub is_log: bool,
    /// The condition of the rows that staff may see, in SQL; without one, all of them. An `OR` is in parentheses.
    pub visible: Option<&'static str>,
    /// The condition of the rows that the removal of a user deletes besides those that foreign keys delete, in SQL
    /// with `$1` for the id of the user.
    pub removed_with_user: Option<&'static str>,
    /// The columns that the panel changes itself, because no rule depends on them.
    pub editable: &'static [&'static str],
    /// Whether the panel deletes rows itself, because no rule depends on them.
    pub deletable: bool,
    /// Whether the name of a row has to be typed before it is deleted.
    pub guarded: bool,
}

/// A column in the admin panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// How the column is displayed and edited.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it belongs to the primary key.
    pub key: bool,
}

/// How a column is displayed and edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Number,
    /// A time, in microseconds since the Unix epoch.
    Moment,
    /// The id of a row of another table.
    Reference,
    /// A boolean.
    Flag,
    /// Text.
    Text,
    /// Bytes, which are not displayed.
    Bytes,
}

impl Model {
    /// Describes the table of an entity. By default, the list view shows the first columns.
    pub fn new<E: EntityTrait>(entity: E, label: &'static str) -> Self {
        let keys: Vec<String> = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned()).collect();
        let column = |column: E::Column| {
            let definition = column.def();
            let name = column.as_str().to_owned();
            let key = keys.contains(&name);
            let kind = kind(&name, definition.get_column_type());
            Column { kind, nullable: definition.is_null(), key, name }
        };
        Self {
            table: entity.table_name().to_owned(),
            label,
            columns: E::Column::iter().map(column).collect(),
            list: &[],
            search: &[],
            filters: &[],
            is_log: false,
            visible: None,
            removed_with_user: None,
            editable: &[],
            deletable: false,
            guarded: false,
        }
    }

    /// Leaves out columns, which the admin panel then never shows.
    ///
    /// # Panics
    /// If one of them does not exist: a column that was renamed would be shown.
    #[must_use]
    pub fn without(mut self, columns: &[&str]) -> Self {
        for name in columns {
            assert!(self.columns.iter().any(|column| column.name == *name), "{} has no column {name}", self.table);
        }
        self.columns.retain(|column| !columns.contains(&column.name.as_str()));
        self
    }

    /// Sets the columns of the list view.
    #[must_use]
    pub fn list(self, list: &'static [&'static str]) -> Self {
        Self { list, ..self }
    }

    /// Sets the columns for searching.
    #[must_use]
    pub fn search(self, search: &'static [&'static str]) -> Self {
        Self { search, ..self }
    }

    /// Sets the columns for filtering.
    #[must_use]
    pub fn filters(self, filters: &'static [&'static str]) -> Self {
        Self { filters, ..self }
    }

    /// Leaves the table out of the search over all tables.
    #[must_use]
    pub fn log(self) -> Self {
        Self { is_log: true, ..self }
    }

    /// Sets the condition of the rows that staff may see. Others exist neither in lists nor in searches, exports and
    /// references; only deletions count them.
    #[must_use]
    pub fn visible(self, condition: &'static str) -> Self {
        Self { visible: Some(condition), ..self }
    }

    /// Sets the condition of the rows that the removal of a user deletes besides those that foreign keys delete.
    #[must_use]
    pub fn removed_with_user(self, condition: &'static str) -> Self {
        Self { removed_with_user: Some(condition), ..self }
    }

    /// Sets the columns that the panel may change itself. No counter, event, cache or search index may depend on them.
    #[must_use]
    pub fn editable(self, editable: &'static [&'static str]) -> Self {
        Self { editable, ..self }
    }

    /// Lets the panel delete rows itself. No counter, event, cache or file may depend on them.
    #[must_use]
    pub fn deletable(self) -> Self {
        Self { deletable: true, ..self }
    }

    /// Asks for the name of a row before it is deleted, however little goes with it.
    #[must_use]
    pub fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    /// Describes integer columns as times whose names do not end in `_at`.
    #[must_use]
    pub fn moments(mut self, columns: &[&str]) -> Self {
        for column in self.columns.iter_mut().filter(|column| columns.contains(&column.name.as_str())) {
            column.kind = Kind::Moment;
        }
        self
    }

    /// A column.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of the primary key, in order.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.key)
    }

    /// The names in the description that are not columns of the table; for tests, which expect none.
    pub fn unknown_columns(&self) -> Vec<&'static str> {
        let is_column = |name: &&'static str| self.columns.iter().any(|column| column.name == **name);
        let names = self.list.iter().chain(self.search).chain(self.filters).chain(self.editable);
        names.copied().filter(|name| !is_column(name)).collect()
    }
}

fn kind(name: &str, column: &ColumnType) -> Kind {
    match column {
        ColumnType::Boolean => Kind::Flag,
        ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => Kind::Bytes,
        ColumnType::BigInteger | ColumnType::Integer if name.ends_with("_at") || name == "at" => Kind::Moment,
        ColumnType::BigInteger | ColumnType::Integer if name.ends_with("_id") || name.ends_with("_by") => {
            Kind::Reference
        }
        ColumnType::BigInteger | ColumnType::Integer | ColumnType::SmallInteger => Kind::Number,
        _ => Kind::Text,
    }
}

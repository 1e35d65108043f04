//! What an admin panel has to know about a table. Each crate describes its own, in a few lines each; the
//! columns come from the entity, so that no description can lag behind its table.

use sea_orm::{ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};

/// A table as a panel shows it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The table.
    pub table: String,
    /// What one row is called.
    pub label: &'static str,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The columns of a list.
    pub list: &'static [&'static str],
    /// The columns that are searched.
    pub search: &'static [&'static str],
    /// The columns that a list can be narrowed by.
    pub filters: &'static [&'static str],
    /// Rows are only looked at: they change by what people do, or not at all.
    pub read_only: bool,
}

/// A column as a panel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How it is shown and edited.
    pub kind: Kind,
    /// May it be empty?
    pub nullable: bool,
    /// Is it part of what a row is known by?
    pub key: bool,
}

/// How a column is shown and edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number, or what is kept as one: an id, a moment.
    Number,
    /// A moment, in microseconds since the Unix epoch.
    Moment,
    /// The number of a row of another table.
    Reference,
    /// Yes or no.
    Flag,
    /// Text.
    Text,
    /// Bytes, which nobody wants to see.
    Bytes,
}

impl Model {
    /// Describes the table of an entity. Without more, a list shows its first columns.
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
            read_only: false,
        }
    }

    /// The columns of a list.
    #[must_use]
    pub fn list(self, list: &'static [&'static str]) -> Self {
        Self { list, ..self }
    }

    /// The columns that are searched.
    #[must_use]
    pub fn search(self, search: &'static [&'static str]) -> Self {
        Self { search, ..self }
    }

    /// The columns that a list can be narrowed by.
    #[must_use]
    pub fn filters(self, filters: &'static [&'static str]) -> Self {
        Self { filters, ..self }
    }

    /// Rows are only looked at.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// The names in the description that are no columns of the table; there should be none.
    pub fn strangers(&self) -> Vec<&'static str> {
        let known = |name: &&'static str| self.columns.iter().any(|column| column.name == **name);
        let named = self.list.iter().chain(self.search).chain(self.filters);
        named.copied().filter(|name| !known(name)).collect()
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

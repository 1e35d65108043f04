/// A number of rows; exact up to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub number: u64,
    /// Whether there are more.
    pub more: bool,
}

/// A table as the pages show it.
#[derive(Clone, Debug)]
pub struct Table {
    /// The name of the table.
    pub name: String,
    /// The name of a row.
    pub label: &'static str,
    /// The name of its area.
    pub area: &'static str,
    /// Whether rows can be created.
    pub is_creatable: bool,
    /// Whether some columns of its rows can be changed.
    pub is_editable: bool,
    /// Whether its rows can be deleted.
    pub is_deletable: bool,
}

use super::{Count, Key, Table};

/// What happens to rows when others are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlook {
    /// They are deleted as well.
    Goes,
    /// They stay, and the reference is cleared.
    Stays,
    /// They prevent the deletion.
    Blocks,
}

/// What a deletion does to the rows of a table.
#[derive(Clone, Debug)]
pub struct GraphTable {
    /// The table.
    pub table: Table,
    /// What happens to the rows.
    pub outlook: Outlook,
    /// The number of rows.
    pub count: Count,
    /// The column by which they reference the deleted row, if they do so themselves.
    pub column: Option<String>,
}

/// What a deletion does, counted just now.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The table of the rows to delete.
    pub table: Table,
    /// The rows to delete, and what they are called.
    pub rows: Vec<(Key, String)>,
    /// What happens to others.
    pub tables: Vec<GraphTable>,
    /// The number of all rows that go, with the chosen ones.
    pub total: Count,
    /// What has to be typed, if a deletion of so much needs a confirmation.
    pub confirmation: Option<String>,
    /// Whether a service of the table deletes, and decides what is in its way.
    pub has_rule: bool,
}

impl Graph {
    /// The tables with this outlook.
    pub fn with(&self, outlook: Outlook) -> impl Iterator<Item = &GraphTable> {
        self.tables.iter().filter(move |table| table.outlook == outlook)
    }

    /// Whether the database would refuse the deletion.
    pub fn is_blocked(&self) -> bool {
        !self.has_rule && self.with(Outlook::Blocks).next().is_some()
    }

    /// Changes when one of the counts does.
    pub fn token(&self) -> String {
        let counts = self.tables.iter().map(|entry| {
            let mark = match entry.outlook {
                Outlook::Goes => "",
                Outlook::Stays => "=",
                Outlook::Blocks => "!",
            };
            format!("{}{mark}{}", entry.table.name, entry.count.number)
        });
        let counts: Vec<String> = counts.collect();
        format!("{}:{}", self.rows.len(), counts.join(":"))
    }
}

/// What somebody has confirmed.
#[derive(Clone, Debug, Default)]
pub struct Confirmation {
    /// The token of the graph that they saw.
    pub token: String,
    /// What they have typed.
    pub typed: String,
}

/// The outcome of a deletion.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// The rows were deleted.
    Done,
    /// Nothing was deleted, because the counts have changed; the new ones.
    Changed(Box<Graph>),
}

use sea_orm::{ColumnTrait, Order};

use crate::{Error, Result};

/// The orderings that a list supports.
#[derive(Debug)]
pub struct Ordering<'a, C: ColumnTrait> {
    /// Field names on the wire and their columns, each of which needs an index.
    pub fields: &'a [(&'a str, C)],
    /// The default ordering, in the syntax of `?ordering=`: `-created_at`.
    pub default: &'a str,
    /// The unique column that breaks ties, so that pages never overlap.
    pub id: C,
}

impl<C: ColumnTrait> Ordering<'_, C> {
    /// The columns of an ordering; 400 for a field that is unknown or repeated.
    pub(super) fn columns(&self, order: &str) -> Result<Vec<(C, Order)>> {
        let mut columns = Vec::new();
        let mut seen = Vec::new();
        for term in order.split(',') {
            let (name, direction) = match term.trim().strip_prefix('-') {
                Some(name) => (name, Order::Desc),
                None => (term.trim(), Order::Asc),
            };
            let Some((_, column)) = self.fields.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = self.fields.iter().map(|(known, _)| *known).collect();
                return Err(Error::field("ordering", format!("Choose from: {}.", known.join(", "))));
            };
            if seen.contains(&name) {
                return Err(Error::field("ordering", format!("{name} is repeated.")));
            }
            seen.push(name);
            columns.push((*column, direction));
        }
        let last = columns.last().map_or(Order::Asc, |(_, direction)| direction.clone());
        columns.push((self.id, last));
        Ok(columns)
    }
}

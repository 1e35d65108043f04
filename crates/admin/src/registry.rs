//! The tables of the panel.

use guildhall_kernel::admin::Model;

/// The tables of the panel, in areas: usually one for each crate.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    areas: Vec<(&'static str, Vec<Model>)>,
}

impl Registry {
    /// Adds the tables of an area, whose name is that of its crate.
    #[must_use]
    pub fn with(mut self, area: &'static str, models: Vec<Model>) -> Self {
        self.areas.push((area, models));
        self
    }

    /// The areas with their tables.
    pub fn areas(&self) -> impl Iterator<Item = (&'static str, &[Model])> {
        self.areas.iter().map(|(name, models)| (*name, models.as_slice()))
    }

    /// All tables.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.areas.iter().flat_map(|(_, models)| models)
    }

    /// A table, and the name of its area.
    pub fn find(&self, table: &str) -> Option<(&'static str, &Model)> {
        self.areas.iter().find_map(|(area, models)| {
            let model = models.iter().find(|model| model.table == table)?;
            Some((*area, model))
        })
    }
}

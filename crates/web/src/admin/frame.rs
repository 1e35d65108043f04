//! The frame of the panel: its own sidebar with all tables.

use std::ops::Deref;

use guildhall_admin::{Area, Count, PERIODS, Table};
use guildhall_kernel::{Error, Result, UserId};

use crate::{local_path::encode, reader::Reader, view::View, web::App};

/// What the frame around a page of the panel shows.
pub(super) struct AdminFrame {
    view: View,
    /// The reader.
    pub(super) user: UserId,
    pub(super) areas: Vec<Area>,
    /// The place in the sidebar: `dashboard`, `find`, `tables`, `jobs`, `outbox`, `audit`, or the name of a table.
    place: String,
}

impl AdminFrame {
    /// The frame of a page, if the reader is staff.
    pub(super) async fn open(app: &App, reader: &Reader, place: &str) -> Result<Self> {
        let areas = app.admin.panel.tables(&reader.caller).await.map_err(Error::from)?;
        Ok(Self { view: reader.view.clone(), user: reader.id(), areas, place: place.to_owned() })
    }

    /// The attribute that marks the current place.
    pub(super) fn at_place(&self, place: &str) -> &'static str {
        if self.place == place { " aria-current=\"page\"" } else { "" }
    }

    /// The attribute that opens the area of the current table.
    pub(super) fn open_area(&self, area: &Area) -> &'static str {
        if area.tables.iter().any(|entry| entry.table.name == self.place) { " open" } else { "" }
    }

    /// The name of an area.
    pub(super) fn area_name(&self, area: &str) -> String {
        self.view.find(&format!("admin-area-{area}")).unwrap_or_else(|| area.to_owned())
    }

    /// The name of a table.
    pub(super) fn table_name(&self, table: &Table) -> String {
        let key = format!("admin-table-{}", table.name.replace('_', "-"));
        self.view.find(&key).unwrap_or_else(|| table.label.to_owned())
    }

    /// A number of rows.
    pub(super) fn count(&self, count: &Count) -> String {
        if count.more { format!("{}+", self.view.number(count.number)) } else { self.view.number(count.number) }
    }

    /// The name of a column as people read it.
    #[expect(clippy::unused_self, reason = "templates call it on the frame")]
    pub(super) fn column_name(&self, name: &str) -> String {
        column_name(name)
    }

    /// The address of a row.
    #[expect(clippy::unused_self, reason = "templates call it on the frame")]
    pub(super) fn row_url(&self, table: &str, key: impl std::fmt::Display) -> String {
        row_url(table, key)
    }

    /// The periods that times can be filtered by.
    #[expect(clippy::unused_self, reason = "templates call it on the frame")]
    pub(super) fn periods(&self) -> [(&'static str, u64); 4] {
        PERIODS
    }

    /// The address of a table.
    #[expect(clippy::unused_self, reason = "templates call it on the frame")]
    pub(super) fn table_url(&self, table: &Table) -> String {
        format!("/admin/{}/", table.name)
    }
}

/// The address of a row.
pub(super) fn row_url(table: &str, key: impl std::fmt::Display) -> String {
    format!("/admin/{table}/{}/", encode(&key.to_string()))
}

/// The name of a column as people read it.
pub(super) fn column_name(name: &str) -> String {
    let name = name.replace('_', " ");
    let mut chars = name.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

impl Deref for AdminFrame {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

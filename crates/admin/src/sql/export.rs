//! Exports as CSV.

use futures_util::{Stream, StreamExt, stream};
use guildhall_kernel::{self as kernel, Caller, admin::Model, audit::AuditEvent, csv};
use serde_json::{Map, Value};

use super::{
    SCOPE, SqlPanel,
    list::{Fetched, chosen_columns, exported_columns},
};
use crate::{Key, ListQuery, Result};

/// How many rows are read at a time. Their texts are not cut, so these are fewer than they could be.
const CHUNK: u64 = 250;
/// How many rows an export has at most.
const MAX_ROWS: u64 = 100_000;

/// How far an export has come.
enum Progress {
    /// The position of the last row, and the number of rows.
    Read(Option<Key>, u64),
    Done,
}

impl SqlPanel {
    /// Records that somebody takes the rows of a list out of the panel.
    pub(super) async fn record_export(&self, caller: &Caller, model: &Model, query: &ListQuery) -> Result<()> {
        // A wrong filter is refused before anything is recorded.
        self.list(model, query).await?;
        let filters = query.filters.iter().filter(|(_, text)| !text.is_empty());
        let filters: Map<String, Value> = filters.map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        let event = AuditEvent::new("admin.export").by(caller).of(SCOPE, format!("{SCOPE}/{}", model.table));
        let event = event.with("table", model.table.as_str()).with("filters", filters);
        let event = &event.with("search", query.search.trim());
        let now = self.0.clock.now();
        Ok(self.0.db.write(|tx| async move { event.clone().record(&tx, now).await }).await?)
    }
}

/// The lines of an export: the names of the columns, then the rows.
pub(super) fn lines(
    panel: SqlPanel,
    model: Model,
    query: ListQuery,
) -> impl Stream<Item = kernel::Result<String>> + Send + 'static {
    let heading = line(
        exported_columns(&model, &chosen_columns(&model, &query.columns))
            .into_iter()
            .map(|column| column.name.as_str()),
    );
    let rows = stream::try_unfold(Progress::Read(None, 0), move |progress| {
        let (panel, model, query) = (panel.clone(), model.clone(), query.clone());
        async move {
            let Progress::Read(after, read) = progress else { return Ok(None) };
            let list = panel.list(&model, &query).await?.exported();
            if read >= MAX_ROWS {
                let rest = panel.fetch(&list, after.as_ref(), false, 1).await?;
                let cut = format!("This export has the first {MAX_ROWS} rows only.");
                return Ok((!rest.is_empty()).then(|| (line(std::iter::once(cut.as_str())), Progress::Done)));
            }
            let rows: Vec<Fetched> = panel.fetch(&list, after.as_ref(), false, CHUNK).await?;
            let Some(last) = rows.last().map(|row| row.position.clone()) else { return Ok(None) };
            let lines = rows
                .iter()
                .map(|fetched| line(fetched.row.cells.iter().map(|cell| cell.text.as_deref().unwrap_or_default())));
            let text: String = lines.collect();
            // A last chunk that is not full saves a query.
            let is_last = (rows.len() as u64) < CHUNK;
            let next = if is_last { Progress::Done } else { Progress::Read(Some(last), read + CHUNK) };
            Ok::<_, kernel::Error>(Some((text, next)))
        }
    });
    stream::once(async move { Ok(heading) }).chain(rows)
}

/// A line of CSV.
fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = cells.map(|cell| format!("\"{}\"", csv::escape(cell).replace('"', "\"\""))).collect();
    format!("{}\r\n", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_csv_are_no_formulas() {
        let cells = ["a\"b", "=1+1", "-5", "@x", "x,y"];
        assert_eq!(line(cells.into_iter()), "\"a\"\"b\",\"'=1+1\",\"-5\",\"'@x\",\"x,y\"\r\n");
    }
}

//! Running an import: storing its rows in chunks, and aborting it if it fails or its process has stopped.

use std::time::Duration;

use guildhall_kernel::{Caller, Error as KernelError, Origin, audit, db, gate::Permit};
use sea_orm::{EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};
use tracing::Instrument;

use super::{
    CHUNK,
    check::{Chunk, Rows},
    owners::departed,
    progress::{STALLED, advance},
    revert::{DealNumbers, ranges},
    row::MAX_ERRORS,
};
use crate::{
    Error, ImportError, Result, SqlExchange, core::access::scope_of, entity::import, event::ImportFinished,
    permission::Permission,
};

/// How long a request waits for its import, which then goes on in the background.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// Marks a running import as failed, unless it was changed since it was read.
const MARK_FAILED: &str = "UPDATE deals_import \
     SET status = 'failed', created = 0, failed = $3, errors = $4, updated_at = $5 \
     WHERE id = $1 AND updated_at = $2 AND status = 'running'";
/// The error of a process whose import was aborted meanwhile.
const ABORTED: &str = "The import was aborted.";

impl SqlExchange {
    /// Stores the checked rows in chunks, and the progress with each. Stops at the first chunk with rows that cannot be
    /// stored any more, and returns their errors.
    async fn store_rows(&self, caller: &Caller, row: &mut import::Model, rows: &Rows) -> Result<Vec<ImportError>> {
        let (id, org) = (row.id, row.org_id);
        for chunk in rows.chunks(CHUNK) {
            let (previous, now, counts) = (row.updated_at, self.core.now(), chunk.counts());
            let errors = self.core.db.write(|tx| async move {
                let access = self.core.authorize(&tx, caller, org, Permission::ImportRun).await?;
                let errors = departed(&tx, &access, &chunk.owners()).await?;
                if !errors.is_empty() {
                    return Ok(errors);
                }
                // Before the rows, so that an operation that aborts the import waits, instead of a deadlock.
                if !advance(&tx, id, previous, now, counts).await? {
                    return Err(Error::IllegalTransition(ABORTED));
                }
                match chunk {
                    Chunk::Deals(rows) => self.store_deals(&tx, &access, id, rows).await?,
                    Chunk::Clients(rows) => self.store_clients(&tx, (caller, &access), id, rows).await?,
                }
                Ok(Vec::new())
            });
            let errors = errors.await?;
            if !errors.is_empty() {
                return Ok(errors);
            }
            let (created, updated) = counts;
            row.created += created;
            row.updated += updated;
            row.updated_at = now;
        }
        Ok(Vec::new())
    }

    /// Stores all rows of an import, or aborts it.
    pub(super) async fn run_import(
        self,
        caller: Caller,
        mut row: import::Model,
        rows: Rows,
        permit: Permit,
    ) -> Result<()> {
        let _permit = permit;
        let outcome = match self.store_rows(&caller, &mut row, &rows).await {
            Ok(errors) => match errors.first() {
                None => self.finish(&caller, &row).await,
                Some(first) => {
                    let error = Error::field(&first.field, &first.message);
                    add_errors(&mut row, errors)?;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(import.id = row.id.0, %error, "an import failed and is being rolled back");
            self.abort(row).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Marks an import as done and emits its event.
    async fn finish(&self, caller: &Caller, row: &import::Model) -> Result<()> {
        let detail = &vec![
            ("file_name", row.file_name.clone().into()),
            ("created", row.created.into()),
            ("updated", row.updated.into()),
        ];
        self.core
            .db
            .write(|tx| async move {
                let conn = &tx;
                if !advance(conn, row.id, row.updated_at, self.core.now(), (0, 0)).await? {
                    return Err(Error::IllegalTransition(ABORTED));
                }
                db::execute(conn, "UPDATE deals_import SET status = 'done' WHERE id = $1", [row.id.into()]).await?;
                let access = self.core.authorize(conn, caller, row.org_id, Permission::ImportRun).await?;
                let finished = ImportFinished {
                    organization_id: row.org_id,
                    id: row.id,
                    file_name: row.file_name.clone(),
                    created: row.created,
                    updated: row.updated,
                };
                tx.emit(&finished).await?;
                self.core.record(conn, (caller, &access), "deals.import", ("import", row.id.0), detail.clone()).await
            })
            .await
    }

    /// Deletes the rows that an import has created, and marks it as failed. Does nothing if it was changed since it was
    /// read: it is done although its last commit reported an error, or another process aborts it.
    async fn abort(&self, mut row: import::Model) -> Result<()> {
        let Some(numbers) = self.delete_created(&mut row, DealNumbers::Release).await? else { return Ok(()) };
        let (row, numbers) = (&row, &ranges(numbers));
        self.core
            .db
            .write(|tx| async move {
                let (conn, now) = (&tx, self.core.now());
                let errors = [row.failed.into(), row.errors.as_str().into()];
                let values = [row.id.into(), row.updated_at.into()].into_iter().chain(errors).chain([now.into()]);
                if db::execute(conn, MARK_FAILED, values).await? == 0 {
                    return Ok(());
                }
                let scope = scope_of(row.org_id);
                let object = format!("{scope}/import/{}", row.id);
                let event = audit::AuditEvent::new("deals.break_off_import").with("numbers", numbers.as_str());
                Ok::<_, Error>(event.of(scope, object).record(conn, now).await?)
            })
            .await
    }

    /// Aborts the imports whose process has stopped. A process that is only slow cannot go on after this.
    pub(crate) async fn abort_stalled(&self) -> Result<()> {
        let now = self.core.now();
        let stalled = import::Entity::find()
            .filter(Expr::cust("deals_import.status = 'running'"))
            .filter(import::COLUMN.updated_at.lt(now - STALLED))
            .order_by_asc(import::Column::Id);
        for row in stalled.all(self.core.db.conn()).await? {
            self.abort(row).await?;
        }
        Ok(())
    }
}

/// Adds errors to those of an import.
fn add_errors(row: &mut import::Model, errors: Vec<ImportError>) -> Result<()> {
    row.failed += i64::try_from(errors.len()).unwrap_or(i64::MAX);
    let mut all: Vec<ImportError> = serde_json::from_str(&row.errors).unwrap_or_default();
    all.extend(errors);
    all.truncate(MAX_ERRORS);
    row.errors = serde_json::to_string(&all).map_err(KernelError::internal)?;
    Ok(())
}

/// Runs an operation of several transactions in a task of its own, so that it completes although the client may
/// disconnect; waits for it up to [`MAX_WAIT`].
pub(super) async fn run_detached(work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let origin = (*Origin::current()).clone();
    let task = tokio::spawn(origin.scope(work).instrument(tracing::Span::current()));
    match tokio::time::timeout(MAX_WAIT, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Err(KernelError::internal(panicked).into()),
        Err(_) => Ok(()),
    }
}

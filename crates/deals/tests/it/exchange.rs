//! Imports and exports.

mod exports;
mod imports;
mod runs;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::TryStreamExt;
use guildhall_deals::{
    Deals, Filter, Import, ImportKind, ImportMode, Imports, NewImport, OnDuplicate, OrganizationId, Table,
};

use crate::harness::{Harness, created, page, person};

fn table(kind: ImportKind, text: impl Into<Bytes>) -> NewImport {
    NewImport {
        kind,
        file_name: "table.csv".into(),
        bytes: text.into(),
        delimiter: None,
        is_windows_1252: None,
        decimal_comma: false,
        mapping: BTreeMap::new(),
        on_duplicate: OnDuplicate::Error,
        mode: ImportMode::Atomic,
        dry_run: false,
    }
}

async fn import(harness: &Harness, org: OrganizationId, new: NewImport) -> Import {
    created(harness.exchange.import(&person(1), org, new, None).await.unwrap())
}

async fn text(table: Table) -> String {
    let chunks: Vec<Bytes> = table.try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

/// The line, field and code of each error of a table.
async fn errors(harness: &Harness, org: OrganizationId, new: NewImport) -> Vec<(u64, String, String)> {
    let checked = import(harness, org, NewImport { dry_run: true, ..new }).await;
    checked.errors.into_iter().map(|error| (error.line, error.field, error.code)).collect()
}

async fn values(harness: &Harness, org: OrganizationId) -> Vec<String> {
    let all =
        harness.deals.sales.deals(&person(1), org, None, Filter::default(), page().ordered("number")).await.unwrap();
    all.results.into_iter().map(|deal| deal.value).collect()
}

async fn audit_entries(harness: &Harness, action: &str) -> i64 {
    harness.db.query_i64(&format!("SELECT COUNT(*) FROM kernel_audit_event WHERE action = '{action}'")).await
}

//! How imports run, fail and are reverted.

use std::collections::BTreeMap;

use bytes::Bytes;
use guildhall_deals::{Amount, DealPatch, Deals, Filter, ImportKind, ImportStatus, Imports, NewImport};
use guildhall_kernel::{
    IfMatch,
    idempotency::{IdempotencyKey, Idempotent},
    job::Job,
};
use sea_orm::DbBackend;

use super::{audit_entries, import, table};
use crate::harness::{Harness, code, created, deals, invalid_fields, page, person, with_connections};

#[tokio::test]
async fn reverting_an_import_keeps_rows_changed_since() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let rows: String = (0..1200).map(|n| format!("deal {n},client {}\n", n % 600)).collect();
    let done = import(&harness, org, table(ImportKind::Deals, format!("title,client\n{rows}"))).await;
    assert_eq!((done.created, harness.db.count_rows("deals_client").await), (1200, 600));
    let first = harness.db.query_i64("SELECT MIN(id) FROM deals_deal").await;
    let patch = DealPatch { value: Some(Amount::new("5")), ..DealPatch::default() };
    let at = guildhall_deals::DealId(first).into();
    harness.sales.change_deal(&person(1), org, at, patch, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.exchange.revert_import(&person(2), org, done.id).await), "not_granted");
    let reverted = harness.exchange.revert_import(&person(1), org, done.id).await.unwrap();
    assert_eq!((reverted.status, reverted.kept), (ImportStatus::Reverted, 2), "the deal and its client");
    let kept: Vec<_> = reverted.kept_rows.iter().map(|row| (row.model, row.label.as_str())).collect();
    assert_eq!(kept, [("deal", "DLID0001 - deal 0"), ("client", "client 0")]);
    assert_eq!((harness.db.count_rows("deals_deal").await, harness.db.count_rows("deals_client").await), (1, 1));
    assert_eq!(code(harness.exchange.revert_import(&person(1), org, done.id).await), "illegal_transition");
    let client = harness.client_of(1, org, "x").await.id;
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID1201", "numbers are not reused");
}

#[tokio::test]
async fn reverting_an_import_keeps_deals_with_files_or_line_items() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let done = import(&harness, org, table(ImportKind::Deals, "title,client\na,x\nb,x\nc,x\n")).await;
    let all =
        harness.deals.sales.deals(me, org, None, Filter::default(), page().ordered("number")).await.unwrap().results;
    let file = guildhall_files::Upload {
        name: "offer.txt".into(),
        content_type: "text/plain".into(),
        bytes: Bytes::from_static(b"x"),
        fields: BTreeMap::new(),
    };
    guildhall_deals::DealFiles::add_file(&harness.deals.sales, me, org, all[0].id.into(), file).await.unwrap();
    let line = guildhall_deals::NewLine {
        name: "free".into(),
        quantity: None,
        unit_price: Amount::new("0"),
        discount: None,
        tax: None,
    };
    guildhall_deals::LineItems::add_line(&harness.deals.sales, me, org, all[1].id.into(), line).await.unwrap();
    harness.exchange.revert_import(me, org, done.id).await.unwrap();
    assert_eq!(harness.titles(1, org, &[("ordering", "number")]).await, ["b", "a"]);
}

#[tokio::test]
async fn an_interrupted_import_is_aborted_and_can_be_repeated() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let key = || Some(IdempotencyKey::new("k", &[b"same"]).unwrap());
    let new = || table(ImportKind::Deals, "title,client\na,x\nb,x\n");
    let done = created(harness.exchange.import(me, org, new(), key()).await.unwrap());
    // The state while its chunks are stored.
    harness.db.sql("UPDATE deals_import SET status = 'running'").await.unwrap();
    assert_eq!(code(harness.exchange.import(me, org, new(), key()).await), "idempotency_in_progress");
    Job::run(&harness.deals.exchange).await.unwrap();
    assert_eq!(harness.db.count_rows("deals_deal").await, 2, "it may still be running");
    harness.clock.advance(std::time::Duration::from_secs(301));
    Job::run(&harness.deals.exchange).await.unwrap();
    let failed = harness.exchange.find_import(me, org, done.id).await.unwrap();
    assert_eq!((failed.status, failed.created), (ImportStatus::Failed, 0));
    assert_eq!((harness.db.count_rows("deals_deal").await, harness.db.count_rows("deals_client").await), (0, 0));
    let again = created(harness.exchange.import(me, org, new(), key()).await.unwrap());
    assert_eq!((again.status, again.created), (ImportStatus::Done, 2));
    assert!(again.id > done.id);
}

#[tokio::test]
async fn an_import_that_fails_in_a_later_chunk_leaves_nothing() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let rows: String = (0..700).map(|n| format!("deal {n},client\n")).collect();
    // In the second chunk.
    harness.reject_rows("deals_deal", "title = 'deal 600'").await;
    let key = || Some(IdempotencyKey::new("k", &[b"same"]).unwrap());
    let new = || table(ImportKind::Deals, format!("title,client\n{rows}"));
    assert!(harness.exchange.import(me, org, new(), key()).await.is_err());
    let all = harness.exchange.imports(me, org, page()).await.unwrap().results;
    assert_eq!((all[0].status, all[0].created), (ImportStatus::Failed, 0));
    assert_eq!((harness.db.count_rows("deals_deal").await, harness.db.count_rows("deals_client").await), (0, 0));
}

#[tokio::test]
async fn concurrent_imports_with_one_idempotency_key_run_once() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let rows: String = (0..1500).map(|n| format!("deal {n},client\n")).collect();
    let send = || {
        let new = table(ImportKind::Deals, format!("title,client\n{rows}"));
        harness.exchange.import(me, org, new, Some(IdempotencyKey::new("k", &[b"same"]).unwrap()))
    };
    let (one, other) = tokio::join!(send(), send());
    let codes = [one, other].map(|outcome| match outcome {
        Ok(Idempotent::Created(_)) => "new".to_owned(),
        Ok(Idempotent::Replayed(_)) => "replayed".to_owned(),
        Err(error) => code::<()>(Err(error)),
    });
    assert_eq!(codes.iter().filter(|code| *code == "new").count(), 1, "{codes:?}");
    assert!(
        codes.iter().all(|code| ["new", "replayed", "idempotency_in_progress"].contains(&code.as_str())),
        "{codes:?}"
    );
    assert_eq!(harness.db.count_rows("deals_deal").await, 1500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_an_import_continues_after_its_client_disconnects() {
    let harness = with_connections(4).await;
    let org = harness.org().await;
    let rows: String = (0..3000).map(|n| format!("deal {n},client\n")).collect();
    let new = table(ImportKind::Deals, format!("title,client\n{rows}"));
    let caller = person(1);
    // Dropped after the first chunk, like a request whose client disconnects.
    let mut import = Box::pin(harness.exchange.import(&caller, org, new, None));
    while harness.db.count_rows("deals_deal").await == 0 {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(5), &mut import).await;
    }
    drop(import);
    let start = std::time::Instant::now();
    loop {
        let newest = harness.exchange.imports(&caller, org, page()).await.unwrap().results.remove(0);
        if newest.status == ImportStatus::Done {
            break;
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "{newest:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(harness.db.count_rows("deals_deal").await, 3000);
}

#[tokio::test]
async fn fault_10_a_failed_import_releases_its_numbers_and_a_reverted_one_logs_them() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    harness.reject_rows("deals_deal", "title = 'deal 700'").await;
    let rows: String = (0..900).map(|n| format!("deal {n},client\n")).collect();
    let new = || table(ImportKind::Deals, format!("title,client\n{rows}"));
    assert!(harness.exchange.import(&person(1), org, new(), None).await.is_err());
    assert_eq!(harness.db.count_rows("deals_deal").await, 0);
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0001", "no later number was assigned");
    // A finished import keeps its numbers; its revert logs them.
    let done = import(&harness, org, table(ImportKind::Deals, "title,client\na,x\nb,x\n")).await;
    harness.exchange.revert_import(&person(1), org, done.id).await.unwrap();
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0004");
    let logged = harness
        .db
        .query_i64(
            "SELECT COUNT(*) FROM kernel_audit_event WHERE action = 'deals.revert_import' AND detail LIKE '%2-3%'",
        )
        .await;
    assert_eq!(logged, 1);
}

/// Makes the database run a statement after a change of an import that meets a condition, as another process might.
async fn after_import_change(harness: &Harness, change: &str, condition: &str, statement: &str) {
    let sql = match harness.db.backend() {
        DbBackend::Sqlite => format!(
            "CREATE TRIGGER interfere AFTER {change} ON deals_import FOR EACH ROW WHEN {condition} \
             BEGIN {statement}; END"
        ),
        _ => format!(
            "CREATE FUNCTION interfere() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN {statement}; RETURN NULL; END $$; \
             CREATE TRIGGER interfere AFTER {change} ON deals_import FOR EACH ROW WHEN ({condition}) \
             EXECUTE FUNCTION interfere()"
        ),
    };
    harness.db.sql(&sql).await.unwrap();
}

#[tokio::test]
async fn an_import_that_another_process_ended_or_took_over_is_not_aborted() {
    for (change, status) in [
        // As after a commit that reported an error although it succeeded.
        ("status = 'done'", ImportStatus::Done),
        ("status = 'failed'", ImportStatus::Failed),
        ("updated_at = 1", ImportStatus::Running),
    ] {
        let harness = deals().await;
        let (org, me) = (harness.org().await, &person(1));
        let statement = format!("UPDATE deals_import SET {change} WHERE id = NEW.id");
        after_import_change(&harness, "UPDATE", "OLD.created = 0 AND NEW.created = 500", &statement).await;
        let rows: String = (0..700).map(|n| format!("deal {n},client\n")).collect();
        let new = table(ImportKind::Deals, format!("title,client\n{rows}"));
        assert_eq!(code(harness.exchange.import(me, org, new, None).await), "illegal_transition");
        let newest = async || harness.exchange.imports(me, org, page()).await.unwrap().results.remove(0);
        assert_eq!(newest().await.status, status);
        assert_eq!(harness.db.count_rows("deals_deal").await, 500, "{status:?}");
        assert_eq!(audit_entries(&harness, "deals.break_off_import").await, 0, "{status:?}");
        // The process that took it over.
        for _ in 0..2 {
            Job::run(&harness.deals.exchange).await.unwrap();
        }
        let (status, deals, entries) = match status {
            ImportStatus::Running => (ImportStatus::Failed, 0, 1),
            status => (status, 500, 0),
        };
        assert_eq!(newest().await.status, status);
        assert_eq!(harness.db.count_rows("deals_deal").await, deals, "{status:?}");
        assert_eq!(audit_entries(&harness, "deals.break_off_import").await, entries, "{status:?}");
    }
}

#[tokio::test]
async fn of_two_concurrent_reverts_one_fails_and_the_other_logs_all_numbers() {
    let harness = with_connections(4).await;
    let (org, me) = (harness.org().await, &person(1));
    let rows: String = (0..1200).map(|n| format!("deal {n},client\n")).collect();
    let done = import(&harness, org, table(ImportKind::Deals, format!("title,client\n{rows}"))).await;
    let revert = || harness.exchange.revert_import(me, org, done.id);
    let (one, other) = tokio::join!(revert(), revert());
    let (reverted, refused): (Vec<_>, Vec<_>) = [one, other].into_iter().partition(Result::is_ok);
    assert_eq!(reverted.len(), 1);
    let refused: Vec<String> = refused.into_iter().map(|outcome| outcome.unwrap_err().to_string()).collect();
    assert_eq!(refused, ["Only a finished import can be reverted."]);
    let found = harness.exchange.find_import(me, org, done.id).await.unwrap();
    assert_eq!((found.status, found.kept), (ImportStatus::Reverted, 0));
    assert_eq!(harness.db.count_rows("deals_deal").await, 0);
    assert_eq!(audit_entries(&harness, "deals.revert_import").await, 1);
    let sql = "SELECT COUNT(*) FROM kernel_audit_event \
               WHERE action = 'deals.revert_import' AND detail LIKE '%\"1-1200\"%'";
    assert_eq!(harness.db.query_i64(sql).await, 1);
}

#[tokio::test]
async fn a_revert_in_progress_is_not_repeated_unless_its_process_has_stopped() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let done = import(&harness, org, table(ImportKind::Deals, "title,client\na,x\n")).await;
    harness.db.sql("UPDATE deals_import SET kept = -1").await.unwrap();
    assert_eq!(harness.exchange.find_import(me, org, done.id).await.unwrap().kept, 0);
    assert_eq!(code(harness.exchange.revert_import(me, org, done.id).await), "illegal_transition");
    assert_eq!(harness.db.count_rows("deals_deal").await, 1);
    harness.clock.advance(std::time::Duration::from_secs(301));
    let reverted = harness.exchange.revert_import(me, org, done.id).await.unwrap();
    assert_eq!((reverted.status, reverted.kept), (ImportStatus::Reverted, 0));
    assert_eq!(harness.db.count_rows("deals_deal").await, 0);
}

#[tokio::test]
async fn an_import_fails_if_an_owner_leaves_after_the_check() {
    for (kind, file) in [
        (ImportKind::Deals, "title,client,Owner\na,x,person-1\nb,x,Person-2\n"),
        (ImportKind::Clients, "name,Owner\na,person-1\nb,Person-2\n"),
    ] {
        let harness = deals().await;
        let (org, me) = (harness.org().await, &person(1));
        harness.join(org, 2, "salesperson", None).await;
        let leave = "UPDATE deals_member SET status = 'deactivated' WHERE user_id = 2";
        after_import_change(&harness, "INSERT", "NEW.status = 'running'", leave).await;
        assert_eq!(invalid_fields(harness.exchange.import(me, org, table(kind, file), None).await), ["owner"]);
        let failed = harness.exchange.imports(me, org, page()).await.unwrap().results.remove(0);
        assert_eq!((failed.status, failed.created, failed.failed), (ImportStatus::Failed, 0, 1));
        assert_eq!((harness.db.count_rows("deals_deal").await, harness.db.count_rows("deals_client").await), (0, 0));
        let checked = import(&harness, org, NewImport { dry_run: true, ..table(kind, file) }).await;
        assert_eq!(failed.errors, checked.errors);
        assert_eq!(failed.errors.len(), 1);
    }
}

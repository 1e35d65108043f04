//! Exports, and imports of what was exported.

use bytes::Bytes;
use futures_util::TryStreamExt;
use guildhall_deals::{
    Clients, CloseDeal, CustomFieldTarget, CustomFields, DealStatus, Deals, Exports, Filter, Format, ImportKind,
    ImportStatus, Imports, NewDeal, NewImport, NewPipeline, OnDuplicate, Pipelines,
};
use guildhall_kernel::idempotency::{IdempotencyKey, Idempotent};
use sea_orm::DbBackend;

use super::{import, table, text};
use crate::harness::{code, created, deal, deals, invalid_fields, page, person};

#[tokio::test]
async fn exports_contain_no_formulas_and_can_be_imported_unchanged() {
    let harness = deals().await;
    let (org, other) = (harness.org().await, harness.org_of(1, "Other").await);
    let client = harness.client_of(1, org, "=HYPERLINK(\"x\")").await.id;
    for org in [org, other] {
        harness.join(org, 2, "salesperson", None).await;
        let new = NewPipeline { name: "Second".into(), is_default: false, stages: Vec::new() };
        harness.pipelines.create_pipeline(&person(1), org, new).await.unwrap();
    }
    let elsewhere = NewDeal {
        pipeline_id: Some(harness.pipelines.pipelines(&person(1), org, page()).await.unwrap().results[1].id),
        owner_id: Some(guildhall_kernel::UserId(2)),
        description: "  Two\nlines \n".into(),
        ..deal(client, "elsewhere", "7")
    };
    harness.sales.create_deal(&person(1), org, None, elsewhere, None).await.unwrap();
    let lost = harness.sales.create_deal(&person(1), org, None, deal(client, "lost", "7"), None).await;
    let closing = CloseDeal { reason: "too expensive".into() };
    let at = created(lost.unwrap()).id.into();
    harness.sales.close_deal(&person(1), org, at, DealStatus::Lost, closing).await.unwrap();
    for (title, value) in
        [("+1 more", "10"), ("@home", "20.50"), ("-5.00", "1"), ("'=quoted", "2"), ("two, \"three\"", "3")]
    {
        harness.sales.create_deal(&person(1), org, None, deal(client, title, value), None).await.unwrap();
    }
    let exported =
        text(harness.exchange.export_deals(&person(1), org, Filter::default(), Format::Csv).await.unwrap()).await;
    assert!(exported.starts_with("number,title,client,value,currency,"), "{exported}");
    for line in exported.lines().skip(1) {
        for cell in line.split(',') {
            assert!(!cell.trim_start_matches('"').starts_with(['=', '+', '@']), "{line}");
        }
    }
    assert!(exported.contains(",-5.00,"), "numbers are not escaped: {exported}");
    let done = import(&harness, other, table(ImportKind::Deals, exported.clone())).await;
    assert_eq!((done.status, done.created), (ImportStatus::Done, 7), "{:?}", done.errors);
    let again =
        text(harness.exchange.export_deals(&person(1), other, Filter::default(), Format::Csv).await.unwrap()).await;
    let lines = |table: &str| {
        let without_created_at = |line: &str| line.rsplit_once(',').map(|(line, _)| line.to_owned());
        table.lines().map(|line| without_created_at(line).unwrap_or(line.to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(lines(&again), lines(&exported), "deals without payments are exported unchanged");
    let filtered = Filter::new([("currency", "USD"), ("value__gte", "10")]);
    let exported = text(harness.exchange.export_deals(&person(1), org, filtered, Format::Csv).await.unwrap()).await;
    assert_eq!(exported.lines().count(), 3);
    let clients =
        text(harness.exchange.export_clients(&person(1), org, Filter::default(), Format::Csv).await.unwrap()).await;
    assert!(clients.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{clients}");
    assert_eq!(
        code(harness.exchange.export_deals(&person(2), org, Filter::default(), Format::Csv).await.map(|_| ())),
        "not_granted"
    );
    let unknown_filter = Filter::new([("mood", "good")]);
    assert_eq!(
        invalid_fields(harness.exchange.export_deals(&person(1), org, unknown_filter, Format::Csv).await.map(|_| ())),
        ["mood"]
    );
}

#[tokio::test]
async fn large_tables_are_complete_and_repeated_imports_are_replayed() {
    let harness = deals().await;
    let org = harness.org().await;
    let rows: String = (0..2500).map(|n| format!("deal {n},client\n")).collect();
    let key = || Some(IdempotencyKey::new("k", &[b"same"]).unwrap());
    let new = || table(ImportKind::Deals, format!("title,client\n{rows}"));
    let first = created(harness.exchange.import(&person(1), org, new(), key()).await.unwrap());
    let Idempotent::Replayed(again) = harness.exchange.import(&person(1), org, new(), key()).await.unwrap() else {
        panic!("imported twice")
    };
    assert_eq!((again["id"].as_i64(), harness.db.count_rows("deals_deal").await), (Some(first.id.0), 2500));
    let exported =
        text(harness.exchange.export_deals(&person(1), org, Filter::default(), Format::Csv).await.unwrap()).await;
    let numbers: Vec<&str> = exported.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let expected: Vec<String> = (1..=2500).map(|number| format!("DLID{number:04}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn custom_fields_are_imported_and_exported() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let field = |entity, key: &str| guildhall_deals::NewCustomField {
        entity,
        key: key.to_owned(),
        name: key.to_owned(),
        kind: guildhall_deals::CustomFieldType::Number,
        options: Vec::new(),
        is_required: false,
    };
    for new in [field(CustomFieldTarget::Deal, "size"), field(CustomFieldTarget::Client, "staff")] {
        harness.custom.create_custom_field(me, org, new).await.unwrap();
    }
    let refused = import(&harness, org, table(ImportKind::Deals, "title,client,cf_size\na,b,many\n")).await;
    assert_eq!((refused.status, refused.errors[0].column.as_str()), (ImportStatus::Refused, "cf_size"));
    let file = "title,client,cf_size\na,b,1.50\nc,b,\n";
    assert_eq!(import(&harness, org, table(ImportKind::Deals, file)).await.created, 2);
    assert_eq!(harness.titles(1, org, &[("cf_size", "1.5")]).await, ["a"]);
    let written = text(harness.exchange.export_deals(me, org, Filter::default(), Format::Csv).await.unwrap()).await;
    let lines: Vec<&str> = written.lines().collect();
    assert!(lines[0].ends_with(",cf_size") && lines[1].ends_with(",1.5") && lines[2].ends_with(','), "{written}");

    let first = import(&harness, org, table(ImportKind::Clients, "name,email,cf_staff\nx,x@y,3\ny,,\n")).await;
    assert_eq!((first.created, first.updated), (2, 0), "{:?}", first.errors);
    let update =
        NewImport { on_duplicate: OnDuplicate::Update, ..table(ImportKind::Clients, "name,email,cf_staff\nx,x@y,4\n") };
    assert_eq!(import(&harness, org, update).await.updated, 1);
    let found = harness.clients.clients(me, org, Filter::new([("cf_staff", "4")]), page()).await.unwrap().results;
    assert_eq!(found.iter().map(|client| client.name.as_str()).collect::<Vec<_>>(), ["x"]);
}

#[tokio::test]
async fn exported_workbooks_can_be_imported_unchanged() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "=Müller & Co").await.id;
    for title in ["-1+1", "+49 30", "@me", "Plain, \"quoted\""] {
        harness.sales.create_deal(me, org, None, deal(client, title, "1200.50"), None).await.unwrap();
    }
    let table = harness.exchange.export_deals(me, org, Filter::default(), Format::Xlsx).await.unwrap();
    let chunks: Vec<Bytes> = table.try_collect().await.unwrap();
    let book = NewImport { file_name: "deals.xlsx".into(), ..self::table(ImportKind::Deals, chunks.concat()) };
    let other = harness.org_of(1, "Other").await;
    let done = import(&harness, other, book.clone()).await;
    assert_eq!((done.status, done.created), (ImportStatus::Done, 4), "{:?}", done.errors);
    let rows = async |org| {
        let all = harness.deals.sales.deals(me, org, None, Filter::default(), page().ordered("number")).await.unwrap();
        all.results.into_iter().map(|deal| (deal.title, deal.client.name, deal.value)).collect::<Vec<_>>()
    };
    assert_eq!(rows(other).await, rows(org).await);
    let clients = harness.exchange.export_clients(me, other, Filter::default(), Format::Xlsx).await.unwrap();
    let chunks: Vec<Bytes> = clients.try_collect().await.unwrap();
    let book = NewImport { dry_run: true, ..self::table(ImportKind::Clients, chunks.concat()) };
    assert_eq!(import(&harness, org, book).await.status, ImportStatus::Checked);
    let invalid = self::table(ImportKind::Deals, "PK\u{3}\u{4} is no workbook");
    assert_eq!(invalid_fields(harness.exchange.import(me, org, invalid, None).await), ["file"]);
}

#[tokio::test]
async fn fault_15_an_export_that_fails_at_the_start_is_an_error() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    harness.deal_of(1, org, client, "1").await;
    // Breaks the query of the rows, but no query before it.
    let sql = match harness.db.backend() {
        DbBackend::Sqlite => "ALTER TABLE deals_custom_value RENAME TO gone; ALTER TABLE deals_client RENAME TO away",
        _ => "ALTER TABLE deals_client RENAME TO away",
    };
    harness.db.sql(sql).await.unwrap();
    assert!(harness.exchange.export_deals(&person(1), org, Filter::default(), Format::Csv).await.is_err());
}

#[tokio::test]
async fn fault_4_the_number_and_length_of_filters_are_limited() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let errors =
        async |filter: Filter| invalid_fields(harness.clients.clients(me, org, filter, page()).await.map(|_| ()));
    let many = |n: usize| Filter::new((0..n).map(|n| (format!("cf_{n}"), "x".to_owned())));
    assert_eq!(errors(many(51)).await, ["filter"]);
    assert_eq!(errors(Filter::new([("id__gte", "1"), ("id__gte", "1")])).await, ["id__gte"]);
    for name in ["q", "search"] {
        assert_eq!(errors(Filter::new([(name, "a".repeat(201))])).await, ["q"]);
        let longest = Filter::new([(name, "a".repeat(200))]);
        harness.clients.clients(me, org, longest.clone(), page()).await.unwrap();
        harness.deals.sales.deals(me, org, None, longest, page()).await.unwrap();
    }
    let long = Filter::new([("q", "a".repeat(60_000))]);
    assert_eq!(invalid_fields(harness.deals.sales.deals(me, org, None, long.clone(), page()).await.map(|_| ())), ["q"]);
    assert_eq!(invalid_fields(harness.exchange.export_clients(me, org, long, Format::Csv).await.map(|_| ())), ["q"]);
}

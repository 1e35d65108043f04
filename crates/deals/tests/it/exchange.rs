use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::TryStreamExt;
use guildhall_deals::{
    Amount, Clients, CloseDeal, CustomFieldTarget, CustomFields, DealPatch, DealStatus, Deals, Exports, Filter, Format,
    Import, ImportKind, ImportMode, ImportStatus, Imports, NewClient, NewDeal, NewImport, NewPipeline, OnDuplicate,
    OrganizationId, Pipelines, Table,
};
use guildhall_kernel::{
    IfMatch,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::harness::{Harness, code, created, deal, deals, invalid_fields, page, person};

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

#[tokio::test]
async fn imported_deals_are_numbered_in_file_order_and_create_missing_clients() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.client_of(1, org, "Müller").await;
    let file = "title,client,value,currency,stage,expected_close_date\n\
        Alpha,MÜLLER,1200.50,EUR,qualified,2025-09-01\n\
        \"Beta, \"\"new\"\"\",Meier,7,,,\n\
        Gamma,meier,,JPY,Won,\n";
    let done = import(&harness, org, table(ImportKind::Deals, file)).await;
    assert_eq!(
        (done.status, done.total, done.created, done.failed),
        (ImportStatus::Done, 3, 3, 0),
        "{:?}",
        done.errors
    );
    let me = &person(1);
    let listed = harness.deals.sales.deals(me, org, None, Filter::default(), page().ordered("number")).await;
    let listed = listed.unwrap().results;
    let seen: Vec<_> = listed
        .iter()
        .map(|deal| {
            (
                deal.number.as_str(),
                deal.title.as_str(),
                deal.client.name.as_str(),
                deal.value.as_str(),
                deal.stage.as_str(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("DLID0001", "Alpha", "Müller", "1200.50", "qualified"),
            ("DLID0002", "Beta, \"new\"", "Meier", "7.00", "lead"),
            ("DLID0003", "Gamma", "Meier", "0", "won"),
        ]
    );
    assert_eq!(harness.rows("deals_client").await, 2);
    assert_eq!(harness.rows("deals_stage_change").await, 3);
    let client = listed[0].client_id;
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0004");
    harness.assert_consistent().await;
}

#[tokio::test]
async fn errors_are_reported_by_line_and_column_and_nothing_is_imported() {
    let harness = deals().await;
    let org = harness.org().await;
    let file = "title,client,value,stage,probability\n\
        ok,x,1,lead,5\n\
        \"two\nlines\",x,1,lead,5\n\
        ,x,1.001,nowhere,101\n\
        ok,,NaN,lead,x\n";
    for dry_run in [true, false] {
        let new = NewImport { dry_run, ..table(ImportKind::Deals, file) };
        let checked = import(&harness, org, new).await;
        let status = if dry_run { ImportStatus::Checked } else { ImportStatus::Refused };
        assert_eq!((checked.status, checked.total, checked.created, checked.failed), (status, 4, 0, 3));
        let errors: Vec<_> = checked.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
        let expected = [
            (3, "title"),
            (5, "title"),
            (5, "value"),
            (5, "stage"),
            (5, "probability"),
            (6, "client"),
            (6, "value"),
            (6, "probability"),
        ];
        assert_eq!(errors, expected);
        assert_eq!((checked.errors[2].value.as_str(), checked.errors[2].column.as_str()), ("1.001", "value"));
        assert_eq!((harness.rows("deals_deal").await, harness.rows("deals_client").await), (0, 0));
        let csv = text(harness.exchange.import_errors(&person(1), org, checked.id).await.unwrap()).await;
        assert_eq!(csv.lines().count(), 10, "{csv}");
    }
    let partial = NewImport { mode: ImportMode::Partial, ..table(ImportKind::Deals, file) };
    let done = import(&harness, org, partial).await;
    assert_eq!((done.status, done.created, done.failed), (ImportStatus::Done, 1, 3));
    for (file, field) in [
        ("", "file"),
        ("title,client\n", "file"),
        ("title\nx\n", "mapping"),
        ("title,client,title\nx,y,z\n", "mapping"),
    ] {
        let refused = harness.exchange.import(&person(1), org, table(ImportKind::Deals, file), None).await;
        assert_eq!(invalid_fields(refused), [field], "{file:?}");
    }
}

#[tokio::test]
async fn encodings_delimiters_and_mappings_are_supported() {
    let harness = deals().await;
    let org = harness.org().await;
    let windows = b"Firma;Name;Wert\nM\xfcller;\"B\xfccher; alle\";1.234,50\n".to_vec();
    let mapping = [("Firma", "client"), ("Name", "title"), ("Wert", "value")]
        .map(|(one, other)| (one.to_owned(), other.to_owned()));
    let new = NewImport { mapping: mapping.clone().into(), decimal_comma: true, ..table(ImportKind::Deals, windows) };
    assert_eq!(import(&harness, org, new).await.created, 1);
    let bom = "\u{feff}client\ttitle\tvalue\r\nMüller\tzwei\t5\r\n\r\n";
    assert_eq!(import(&harness, org, table(ImportKind::Deals, bom)).await.created, 1);
    let not_utf_8 =
        NewImport { is_windows_1252: Some(false), ..table(ImportKind::Deals, b"title,client\n\xff,x\n".to_vec()) };
    assert_eq!(invalid_fields(harness.exchange.import(&person(1), org, not_utf_8, None).await), ["file"]);
    let seen = harness.titles(1, org, &[("q", "müller")]).await;
    assert_eq!(seen, ["zwei", "Bücher; alle"]);
    assert_eq!(harness.titles(1, org, &[("currency", "USD"), ("value", "1234.50")]).await, ["Bücher; alle"]);
    let unknown = NewImport {
        mapping: [("Firma".to_owned(), "mood".to_owned())].into(),
        ..table(ImportKind::Deals, "Firma\nx\n")
    };
    assert_eq!(invalid_fields(harness.exchange.import(&person(1), org, unknown, None).await), ["mapping"]);
}

#[tokio::test]
async fn existing_clients_are_rejected_skipped_or_updated() {
    let harness = deals().await;
    let org = harness.org().await;
    let new = NewClient { name: "Old".into(), email: "A@b.example".into(), ..NewClient::default() };
    let id = harness.sales.create_client(&person(1), org, new).await.unwrap().id;
    let file = "name,email,phone\nNew,a@B.example,030 1\nOther,c@d.example,\n";
    let run = async |on_duplicate| {
        import(&harness, org, NewImport { on_duplicate, ..table(ImportKind::Clients, file) }).await
    };
    let refused = run(OnDuplicate::Error).await;
    assert_eq!(
        (refused.status, refused.errors[0].code.as_str(), refused.errors[0].line),
        (ImportStatus::Refused, "duplicate", 2)
    );
    let skipped = run(OnDuplicate::Skip).await;
    assert_eq!((skipped.created, skipped.skipped), (1, 1));
    let updated = run(OnDuplicate::Update).await;
    assert_eq!((updated.created, updated.updated), (0, 2));
    let found = Clients::client(&harness.deals.sales, &person(1), org, id).await.unwrap();
    assert_eq!((found.name.as_str(), found.phone.as_str()), ("New", "030 1"));
    let repeated = import(&harness, org, table(ImportKind::Clients, "name,email\nx,e@f.g\ny,E@F.g\nz,nobody\n")).await;
    assert_eq!(repeated.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test]
async fn reverting_an_import_keeps_rows_changed_since() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let rows: String = (0..1200).map(|n| format!("deal {n},client {}\n", n % 600)).collect();
    let done = import(&harness, org, table(ImportKind::Deals, format!("title,client\n{rows}"))).await;
    assert_eq!((done.created, harness.rows("deals_client").await), (1200, 600));
    let first = harness.number("SELECT MIN(id) FROM deals_deal").await;
    let patch = DealPatch { value: Some(Amount::new("5")), ..DealPatch::default() };
    let at = guildhall_deals::DealId(first).into();
    harness.sales.change_deal(&person(1), org, at, patch, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.exchange.revert_import(&person(2), org, done.id).await), "not_granted");
    let reverted = harness.exchange.revert_import(&person(1), org, done.id).await.unwrap();
    assert_eq!((reverted.status, reverted.kept), (ImportStatus::Reverted, 2), "the deal and its client");
    let kept: Vec<_> = reverted.kept_rows.iter().map(|row| (row.model, row.label.as_str())).collect();
    assert_eq!(kept, [("deal", "DLID0001 - deal 0"), ("client", "client 0")]);
    assert_eq!((harness.rows("deals_deal").await, harness.rows("deals_client").await), (1, 1));
    assert_eq!(code(harness.exchange.revert_import(&person(1), org, done.id).await), "illegal_transition");
    let client = harness.client_of(1, org, "x").await.id;
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID1201", "numbers are not reused");
}

#[tokio::test]
async fn exports_contain_no_formulas_and_can_be_imported_unchanged() {
    let harness = deals().await;
    let (org, other) = (harness.org().await, harness.org_of(1, "Other").await);
    let client = harness.client_of(1, org, "=HYPERLINK(\"x\")").await.id;
    for org in [org, other] {
        harness.join(org, 2, "salesperson", None).await;
        let new = NewPipeline { name: "Second".into(), is_default: false, stages: Vec::new() };
        harness.sales.create_pipeline(&person(1), org, new).await.unwrap();
    }
    let elsewhere = NewDeal {
        pipeline_id: Some(harness.sales.pipelines(&person(1), org, page()).await.unwrap().results[1].id),
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
    assert_eq!((again["id"].as_i64(), harness.rows("deals_deal").await), (Some(first.id.0), 2500));
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
    let found = harness.sales.clients(me, org, Filter::new([("cf_staff", "4")]), page()).await.unwrap().results;
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
async fn importing_won_deals_requires_the_permission_to_close() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let permissions = ["import.run", "deal.create", "client.create", "client.read", "deal.read"];
    let new = guildhall_deals::NewRole { name: "Clerk".into(), permissions: permissions.map(str::to_owned).to_vec() };
    let role_id = guildhall_deals::Roles::create_role(&harness.deals.tenancy, me, org, new).await.unwrap().id;
    let user_id = guildhall_kernel::UserId(2);
    let new = guildhall_deals::NewMember { user_id, role_id, team_id: None, leads_team: false };
    harness.add_active_member(org, new).await;
    let file = || table(ImportKind::Deals, "title,client,stage\na,x,won\n");
    let refused = created(harness.exchange.import(&person(2), org, file(), None).await.unwrap());
    assert_eq!((refused.status, refused.errors[0].code.as_str()), (ImportStatus::Refused, "not_granted"));
    assert_eq!(import(&harness, org, file()).await.status, ImportStatus::Done);
}

#[tokio::test]
async fn an_interrupted_import_is_aborted_and_can_be_repeated() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let key = || Some(IdempotencyKey::new("k", &[b"same"]).unwrap());
    let new = || table(ImportKind::Deals, "title,client\na,x\nb,x\n");
    let done = created(harness.exchange.import(me, org, new(), key()).await.unwrap());
    // The state while its chunks are stored.
    harness.sql("UPDATE deals_import SET status = 'running'").await.unwrap();
    assert_eq!(code(harness.exchange.import(me, org, new(), key()).await), "idempotency_in_progress");
    guildhall_kernel::job::Job::run(&harness.deals.exchange).await.unwrap();
    assert_eq!(harness.rows("deals_deal").await, 2, "it may still be running");
    harness.advance(std::time::Duration::from_secs(301));
    guildhall_kernel::job::Job::run(&harness.deals.exchange).await.unwrap();
    let failed = harness.exchange.find_import(me, org, done.id).await.unwrap();
    assert_eq!((failed.status, failed.created), (ImportStatus::Failed, 0));
    assert_eq!((harness.rows("deals_deal").await, harness.rows("deals_client").await), (0, 0));
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
    assert_eq!((harness.rows("deals_deal").await, harness.rows("deals_client").await), (0, 0));
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
    assert_eq!(harness.rows("deals_deal").await, 1500);
}

#[tokio::test]
async fn imports_are_visible_to_those_who_see_their_rows() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    harness.join(org, 2, "sales_manager", None).await;
    let theirs = import(&harness, org, table(ImportKind::Deals, "title,client\na,x\n")).await;
    assert_eq!(harness.exchange.imports(&person(2), org, page()).await.unwrap().count, 0);
    assert_eq!(code(harness.exchange.find_import(&person(2), org, theirs.id).await), "not_found");
    assert_eq!(code(harness.exchange.import_errors(&person(2), org, theirs.id).await.map(|_| ())), "not_found");
    assert_eq!(code(harness.exchange.revert_import(&person(2), org, theirs.id).await), "not_found");
    let own = harness.exchange.import(&person(2), org, table(ImportKind::Deals, "title,client\nb,y\n"), None).await;
    let own = created(own.unwrap()).id;
    assert_eq!(harness.exchange.imports(&person(2), org, page()).await.unwrap().count, 1);
    assert_eq!(harness.exchange.imports(me, org, page()).await.unwrap().count, 2);
    assert_eq!(harness.exchange.revert_import(me, org, own).await.unwrap().status, ImportStatus::Reverted);
}

#[tokio::test]
async fn owners_are_assigned_by_username_and_columns_can_be_ignored() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let name = "PERSON-2";
    let file = format!("title,client,owner\na,x,{name}\nb,x,nobody\n");
    let refused = import(&harness, org, table(ImportKind::Deals, file.clone())).await;
    let errors: Vec<_> = refused.errors.iter().map(|error| (error.line, error.field.as_str())).collect();
    assert_eq!(errors, [(3, "owner")]);
    let mapping = [("owner".to_owned(), String::new())].into();
    let without_owners = NewImport { mapping, ..table(ImportKind::Deals, file) };
    assert_eq!(import(&harness, org, without_owners).await.created, 2);
    let file = format!("title,client,owner\nc,x,{name}\n");
    assert_eq!(import(&harness, org, table(ImportKind::Deals, file)).await.created, 1);
    assert_eq!(harness.titles(2, org, &[]).await, ["c"]);
    let clients = table(ImportKind::Clients, format!("name,owner\nz,{name}\n"));
    assert_eq!(import(&harness, org, clients.clone()).await.created, 1);
    let seen = harness.sales.clients(&person(2), org, Filter::default(), page()).await.unwrap().results;
    assert_eq!(seen.iter().map(|client| client.name.as_str()).collect::<Vec<_>>(), ["z"]);
    harness.join(org, 3, "sales_manager", None).await;
    let refused = created(harness.exchange.import(&person(3), org, clients, None).await.unwrap());
    assert_eq!((refused.status, refused.errors[0].code.as_str()), (ImportStatus::Refused, "not_granted"));
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

#[tokio::test]
async fn fault_r01_points_only_separate_groups_of_three_digits() {
    let harness = deals().await;
    let org = harness.org().await;
    let with = |value: &str| NewImport {
        decimal_comma: true,
        ..table(ImportKind::Deals, format!("title;client;value\nA;Acme;{value}\n"))
    };
    for invalid in ["1200.50", "12.5", "24.12.2025", "1.2.3", ".500", "1,200.50", "1.200,5,0", "1.2000"] {
        let errors = errors(&harness, org, with(invalid)).await;
        assert_eq!(errors, [(2, "value".to_owned(), "invalid".to_owned())], "{invalid}");
    }
    for valid in ["1.200,50", "1200,5", "1.234.567,89", "12", "1.200"] {
        assert_eq!(import(&harness, org, with(valid)).await.created, 1, "{valid}");
    }
    assert_eq!(values(&harness, org).await, ["1200.50", "1200.50", "1234567.89", "12.00", "1200.00"]);
}

#[tokio::test]
async fn fault_r02_the_decimal_comma_does_not_apply_to_workbook_numbers() {
    let harness = deals().await;
    let org = harness.org().await;
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, heading) in ["title", "client", "value"].into_iter().enumerate() {
        sheet.write_string(0, u16::try_from(column).unwrap(), heading).unwrap();
    }
    for (row, value) in [1200.5, 43.55, 57.699_999_999_999_996].into_iter().enumerate() {
        let row = u32::try_from(row).unwrap() + 1;
        sheet.write_string(row, 0, "x").unwrap();
        sheet.write_string(row, 1, "Acme").unwrap();
        sheet.write_number(row, 2, value).unwrap();
    }
    let file = book.save_to_buffer().unwrap();
    for decimal_comma in [false, true] {
        let done = import(&harness, org, NewImport { decimal_comma, ..table(ImportKind::Deals, file.clone()) }).await;
        assert_eq!((done.status, done.created), (ImportStatus::Done, 3), "{:?}", done.errors);
    }
    assert_eq!(values(&harness, org).await, ["1200.50", "43.55", "57.70", "1200.50", "43.55", "57.70"]);
}

#[tokio::test]
async fn fault_r03_cells_after_the_last_column_are_errors() {
    let harness = deals().await;
    let org = harness.org().await;
    let file = "client,title,value\nAcme,Website,1200,50\nAcme,Shop,7,,\n";
    let errors = errors(&harness, org, table(ImportKind::Deals, file)).await;
    assert_eq!(errors, [(2, String::new(), "extra_cells".to_owned())]);
}

#[tokio::test]
async fn fault_r09_a_formula_without_a_value_is_an_error() {
    let harness = deals().await;
    let org = harness.org().await;
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (column, heading) in ["title", "client", "value", "elsewhere"].into_iter().enumerate() {
        sheet.write_string(0, u16::try_from(column).unwrap(), heading).unwrap();
    }
    for (row, error) in ["#DIV/0!", "#N/A", "#VALUE!"].into_iter().enumerate() {
        let row = u32::try_from(row).unwrap() + 1;
        sheet.write_string(row, 0, "x").unwrap();
        sheet.write_string(row, 1, "Acme").unwrap();
        sheet.write_formula(row, 2, rust_xlsxwriter::Formula::new("=1/0").set_result(error)).unwrap();
        // Columns that are not imported are not checked.
        sheet.write_formula(row, 3, rust_xlsxwriter::Formula::new("=1/0").set_result(error)).unwrap();
    }
    let errors = errors(&harness, org, table(ImportKind::Deals, book.save_to_buffer().unwrap())).await;
    let expected = |line| (line, "value".to_owned(), "invalid".to_owned());
    assert_eq!(errors, [expected(2), expected(3), expected(4)]);
}

#[tokio::test]
async fn fault_r13_an_update_changes_the_owner_if_the_role_allows_it() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "sales_manager", None).await;
    let new = NewClient { name: "x".into(), email: "a@b.example".into(), ..NewClient::default() };
    let id = harness.sales.create_client(&person(1), org, new).await.unwrap().id;
    let owner = async || Clients::client(&harness.deals.sales, &person(1), org, id).await.unwrap().owner.unwrap().id.0;
    let update =
        |file: &str| NewImport { on_duplicate: OnDuplicate::Update, ..table(ImportKind::Clients, file.to_owned()) };
    assert_eq!(import(&harness, org, update("name,email\nx,a@b.example\n")).await.updated, 1);
    assert_eq!(owner().await, 1, "the table has no owner");
    let done = import(&harness, org, update("name,email,owner\nx,a@b.example,person-2\n")).await;
    assert_eq!((done.status, done.updated), (ImportStatus::Done, 1), "{:?}", done.errors);
    assert_eq!(owner().await, 2);
    let errors = errors(&harness, org, update("name,email,owner\nx,a@b.example,nobody\n")).await;
    assert_eq!(errors, [(2, "owner".to_owned(), "invalid".to_owned())]);
}

#[tokio::test]
async fn fault_r14_an_ambiguous_client_name_is_an_error() {
    let harness = deals().await;
    let org = harness.org().await;
    for name in ["Twin", "TWIN", "Single"] {
        harness.client_of(1, org, name).await;
    }
    let errors = errors(&harness, org, table(ImportKind::Deals, "title,client\nX,twin\nY,Single\nZ,New\n")).await;
    assert_eq!(errors, [(2, "client".to_owned(), "ambiguous".to_owned())]);
}

#[tokio::test]
async fn fault_15_an_export_that_fails_at_the_start_is_an_error() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    harness.deal_of(1, org, client, "1").await;
    // Breaks the query of the rows, but no query before it.
    let sql = match harness.db.backend() {
        sea_orm::DbBackend::Sqlite => {
            "ALTER TABLE deals_custom_value RENAME TO gone; ALTER TABLE deals_client RENAME TO away"
        }
        _ => "ALTER TABLE deals_client RENAME TO away",
    };
    harness.sql(sql).await.unwrap();
    assert!(harness.exchange.export_deals(&person(1), org, Filter::default(), Format::Csv).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_an_import_continues_after_its_client_disconnects() {
    let harness = crate::harness::with_connections(4).await;
    let org = harness.org().await;
    let rows: String = (0..3000).map(|n| format!("deal {n},client\n")).collect();
    let new = table(ImportKind::Deals, format!("title,client\n{rows}"));
    let caller = person(1);
    // Dropped after the first chunk, like a request whose client disconnects.
    let mut import = Box::pin(harness.exchange.import(&caller, org, new, None));
    while harness.rows("deals_deal").await == 0 {
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
    assert_eq!(harness.rows("deals_deal").await, 3000);
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
    assert_eq!(harness.rows("deals_deal").await, 0);
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0001", "no later number was assigned");
    // A finished import keeps its numbers; its revert logs them.
    let done = import(&harness, org, table(ImportKind::Deals, "title,client\na,x\nb,x\n")).await;
    harness.exchange.revert_import(&person(1), org, done.id).await.unwrap();
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0004");
    let logged = harness
        .number("SELECT COUNT(*) FROM kernel_audit_event WHERE action = 'deals.revert_import' AND detail LIKE '%2-3%'")
        .await;
    assert_eq!(logged, 1);
}

#[tokio::test]
async fn fault_4_the_number_and_length_of_filters_are_limited() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let errors =
        async |filter: Filter| invalid_fields(harness.sales.clients(me, org, filter, page()).await.map(|_| ()));
    let many = |n: usize| Filter::new((0..n).map(|n| (format!("cf_{n}"), "x".to_owned())));
    assert_eq!(errors(many(51)).await, ["filter"]);
    assert_eq!(errors(Filter::new([("id__gte", "1"), ("id__gte", "1")])).await, ["id__gte"]);
    for name in ["q", "search"] {
        assert_eq!(errors(Filter::new([(name, "a".repeat(201))])).await, ["q"]);
        let longest = Filter::new([(name, "a".repeat(200))]);
        harness.sales.clients(me, org, longest.clone(), page()).await.unwrap();
        harness.deals.sales.deals(me, org, None, longest, page()).await.unwrap();
    }
    let long = Filter::new([("q", "a".repeat(60_000))]);
    assert_eq!(invalid_fields(harness.deals.sales.deals(me, org, None, long.clone(), page()).await.map(|_| ())), ["q"]);
    assert_eq!(invalid_fields(harness.exchange.export_clients(me, org, long, Format::Csv).await.map(|_| ())), ["q"]);
}

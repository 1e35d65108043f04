//! What imports accept and create.

use guildhall_deals::{
    Clients, CustomFieldTarget, CustomFields, DealStatus, Deals, Filter, ImportKind, ImportMode, ImportStatus, Imports,
    NewClient, NewImport, OnDuplicate,
};

use super::{audit_entries, errors, import, table, text, values};
use crate::harness::{code, created, deals, invalid_fields, page, person};

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
    assert_eq!(harness.db.count_rows("deals_client").await, 2);
    assert_eq!(harness.db.count_rows("deals_stage_change").await, 3);
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
        assert_eq!((harness.db.count_rows("deals_deal").await, harness.db.count_rows("deals_client").await), (0, 0));
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
    let id = harness.clients.create_client(&person(1), org, new).await.unwrap().id;
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
    let found = Clients::client(&harness.deals.clients, &person(1), org, id).await.unwrap();
    assert_eq!((found.name.as_str(), found.phone.as_str()), ("New", "030 1"));
    let repeated = import(&harness, org, table(ImportKind::Clients, "name,email\nx,e@f.g\ny,E@F.g\nz,nobody\n")).await;
    assert_eq!(repeated.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3, 4]);
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
    let seen = harness.clients.clients(&person(2), org, Filter::default(), page()).await.unwrap().results;
    assert_eq!(seen.iter().map(|client| client.name.as_str()).collect::<Vec<_>>(), ["z"]);
    harness.join(org, 3, "sales_manager", None).await;
    let refused = created(harness.exchange.import(&person(3), org, clients, None).await.unwrap());
    assert_eq!((refused.status, refused.errors[0].code.as_str()), (ImportStatus::Refused, "not_granted"));
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
    let id = harness.clients.create_client(&person(1), org, new).await.unwrap().id;
    let owner =
        async || Clients::client(&harness.deals.clients, &person(1), org, id).await.unwrap().owner.unwrap().id.0;
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
async fn imported_deals_are_created_and_closed_at_one_time() {
    let harness = deals().await;
    let org = harness.org().await;
    let file = "title,client,stage,lost_reason\na,x,won,no\nb,x,lost,too expensive\nc,x,lead,no\n";
    assert_eq!(import(&harness, org, table(ImportKind::Deals, file)).await.created, 3);
    let all = harness.deals.sales.deals(&person(1), org, None, Filter::default(), page().ordered("number")).await;
    let all = all.unwrap().results;
    for deal in &all {
        let is_closed = deal.status != DealStatus::Open;
        assert_eq!(deal.closed_at, is_closed.then_some(deal.created_at), "{}", deal.title);
        assert_eq!(deal.stage_entered_at, deal.created_at, "{}", deal.title);
    }
    let reasons: Vec<&str> = all.iter().map(|deal| deal.lost_reason.as_str()).collect();
    assert_eq!(reasons, ["", "too expensive", ""]);
}

#[tokio::test]
async fn a_deal_of_a_new_client_is_rejected_if_clients_need_custom_fields() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.client_of(1, org, "Known").await;
    let file = "title,client\na,known\nb,New\nc,new\nd,\n";
    let field = guildhall_deals::NewCustomField {
        entity: CustomFieldTarget::Client,
        key: "region".to_owned(),
        name: "Region".to_owned(),
        kind: guildhall_deals::CustomFieldType::Text,
        options: Vec::new(),
        is_required: true,
    };
    harness.custom.create_custom_field(&person(1), org, field).await.unwrap();
    let error = |line| (line, "client".to_owned(), "required".to_owned());
    let expected = [error(3), error(4), error(5)];
    assert_eq!(errors(&harness, org, table(ImportKind::Deals, file)).await, expected);
    let partial = NewImport { mode: ImportMode::Partial, ..table(ImportKind::Deals, file) };
    let done = import(&harness, org, partial).await;
    assert_eq!((done.status, done.created, done.failed), (ImportStatus::Done, 1, 3));
    assert!(done.errors[0].message.contains("region"), "{}", done.errors[0].message);
    assert_eq!(harness.db.count_rows("deals_client").await, 1);
}

#[tokio::test]
async fn an_update_that_changes_nothing_leaves_the_client_as_it_is() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = NewClient {
        name: "Acme".into(),
        email: "a@b.example".into(),
        notes: " two\nlines ".into(),
        ..NewClient::default()
    };
    let before = harness.clients.create_client(me, org, new).await.unwrap();
    let update =
        |file: &str| NewImport { on_duplicate: OnDuplicate::Update, ..table(ImportKind::Clients, file.to_owned()) };
    let same = "name,email,phone,notes,owner\nAcme,A@b.example,,\" two\nlines \",person-1\n";
    let done = import(&harness, org, update(same)).await;
    assert_eq!((done.status, done.updated), (ImportStatus::Done, 1), "{:?}", done.errors);
    let client = async || Clients::client(&harness.deals.clients, me, org, before.id).await.unwrap();
    assert_eq!(client().await, before);
    assert_eq!(audit_entries(&harness, "deals.import_client").await, 0);
    import(&harness, org, update("name,email,phone\nAcme,a@b.example,030 1\n")).await;
    let after = client().await;
    assert_eq!((after.phone.as_str(), after.notes.as_str()), ("030 1", " two\nlines "));
    assert!(after.updated_at > before.updated_at);
    assert_eq!(audit_entries(&harness, "deals.import_client").await, 1);
}

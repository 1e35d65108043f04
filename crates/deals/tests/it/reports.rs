use std::time::Duration;

use guildhall_deals::{
    Amount, Board, BoardQuery, Boards, Clients, CloseDeal, Currency, Day, DealId, DealPatch, DealStatus, Deals,
    MemberPatch, Members, NewMember, NewPayment, NewRefund, NewReversal, NewRole, OrganizationPatch, Organizations,
    Payments, Period, Pipelines, Reports, Roles as _, Verdict, Verification,
};
use guildhall_kernel::{IfMatch, UserId};

use crate::harness::{Harness, code, created, deal, deals, invalid_fields, page, payment, person};

fn period(from: &str, to: &str) -> Period {
    Period { from: Day::parse(from), to: Day::parse(to) }
}

async fn verify(harness: &Harness, org: guildhall_deals::OrganizationId, deal: DealId, id: guildhall_deals::PaymentId) {
    harness
        .ledger
        .decide_payment(&person(1), org, deal.into(), id, Verification::Verified, Verdict::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn revenue_is_verified_payments_less_refunds_by_month() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "1000").await.id;
    let pay = async |amount: &str, day: &str| {
        let new = NewPayment { received_on: Day::parse(day), ..payment(amount) };
        created(harness.ledger.record_payment(&person(1), org, id.into(), new, None).await.unwrap()).id
    };
    let (july, august, pending, unverified) = (
        pay("100.10", "2025-07-31").await,
        pay("200.20", "2025-08-01").await,
        pay("50", "2025-08-02").await,
        pay("60", "2025-08-03").await,
    );
    for payment in [july, august] {
        verify(&harness, org, id, payment).await;
    }
    // The reversal of a payment that was never verified does not count.
    harness.ledger.reverse_payment(&person(1), org, id.into(), unverified, NewReversal::default(), None).await.unwrap();
    let refund = NewRefund { amount: Amount::new("0.20"), reason: String::new() };
    harness.ledger.refund_payment(&person(1), org, id.into(), august, refund, None).await.unwrap();
    let revenue = harness.reports.revenue(&person(1), org, period("2025-07-01", "2025-12-31")).await.unwrap();
    let months: Vec<_> =
        revenue.iter().map(|month| (month.month.as_deref().unwrap(), month.amount.as_str(), month.count)).collect();
    assert_eq!(months, [("2025-07", "100.10", 1), ("2025-08", "200.20", 1)]);
    // The refund counts on its own day, today.
    let today = harness.reports.revenue(&person(1), org, Period::default()).await.unwrap();
    assert_eq!(today.last().unwrap().amount, "-0.20");
    assert_eq!(harness.read(1, org, id).await.verified_total, "300.10");
    assert_eq!(
        invalid_fields(harness.reports.revenue(&person(1), org, period("2025-02-01", "2025-01-01")).await),
        ["from"]
    );
    let dashboard = harness.reports.dashboard(&person(1), org, Period::default()).await.unwrap();
    assert_eq!(dashboard.payments_pending, 1);
    verify(&harness, org, id, pending).await;
    let august = harness.reports.revenue(&person(1), org, period("2025-08-01", "2025-08-31")).await.unwrap();
    assert_eq!(august[0].amount, "250.20");
}

#[tokio::test]
async fn reports_match_the_lists_and_separate_currencies() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    for (value, currency, day) in [
        ("9999999999999999.99", "USD", Some("2025-09-30")),
        ("9999999999999999.99", "USD", Some("2025-09-01")),
        ("15", "JPY", None),
    ] {
        let mut new = deal(client, "x", value);
        new.currency = Currency::from_code(currency);
        new.expected_close_date = day.and_then(Day::parse);
        harness.sales.create_deal(&person(1), org, None, new, None).await.unwrap();
    }
    let pipeline = harness.reports.pipeline_report(&person(1), org, None).await.unwrap();
    assert_eq!((pipeline.stages.len(), pipeline.stages[0].count), (6, 3));
    let open: Vec<_> =
        pipeline.open.iter().map(|total| (total.currency.code(), total.value.as_str(), total.count)).collect();
    assert_eq!(open, [("JPY", "15", 1), ("USD", "19999999999999999.98", 2)]);
    let forecast = harness.reports.forecast(&person(1), org).await.unwrap();
    let months: Vec<_> =
        forecast.iter().map(|month| (month.month.as_deref(), month.amount.as_str(), month.weighted.as_str())).collect();
    assert_eq!(months, [(Some("2025-09"), "19999999999999999.98", "2000000000000000.00"), (None, "15", "2")]);
}

#[tokio::test]
async fn won_deals_are_in_the_leaderboard_and_their_balance_in_receivables() {
    let harness = deals().await;
    let org = harness.org().await;
    for user in [2, 3] {
        harness.join(org, user, "salesperson", None).await;
    }
    let mut ids = Vec::new();
    for (user, value) in [(2, "100"), (3, "300"), (3, "50")] {
        let client = harness.client_of(user, org, "x").await.id;
        let id = harness.deal_of(user, org, client, value).await.id;
        harness.sales.close_deal(&person(user), org, id.into(), DealStatus::Won, CloseDeal::default()).await.unwrap();
        ids.push(id);
    }
    let client = harness.client_of(2, org, "x").await.id;
    let lost = harness.deal_of(2, org, client, "1").await.id;
    harness.sales.close_deal(&person(2), org, lost.into(), DealStatus::Lost, CloseDeal::default()).await.unwrap();
    harness.pay(1, org, ids[1], "120").await;
    let board = harness.reports.leaderboard(&person(1), org, Period::default()).await.unwrap();
    let won: Vec<_> =
        board.iter().map(|row| (row.member.as_ref().unwrap().id.0, row.won, row.value.as_str())).collect();
    assert_eq!(won, [(3, 2, "350.00"), (2, 1, "100.00")]);
    let conversion = harness.reports.conversion(&person(1), org, Period::default()).await.unwrap();
    assert_eq!(
        (conversion.created, conversion.won, conversion.lost, conversion.win_rate.as_deref()),
        (4, 3, 1, Some("75.0"))
    );
    assert_eq!((conversion.stages[0].name.as_str(), conversion.stages[0].count), ("lead", 4));
    harness.clock.advance(Duration::from_secs(45 * 86_400));
    let receivables = harness.reports.receivables(&person(1), org).await.unwrap();
    assert_eq!(
        (
            receivables[0].count,
            receivables[0].balance.as_str(),
            receivables[0].days_31_60.as_str(),
            receivables[0].days_0_30.as_str(),
        ),
        (3, "330.00", "330.00", "0.00")
    );
    // Reports include what the caller may see.
    let own = harness.reports.leaderboard(&person(2), org, Period::default()).await.unwrap();
    assert_eq!((own.len(), own[0].value.as_str()), (1, "100.00"));
    assert_eq!(harness.reports.receivables(&person(2), org).await.unwrap()[0].balance, "100.00");
    harness.join(org, 4, "viewer", None).await;
    assert_eq!(code(harness.reports.forecast(&person(4), org).await), "not_granted");
    // Deals in the trash do not count.
    let client = harness.read(3, org, ids[1]).await.client_id;
    harness.clients.delete_client(&person(3), org, client, false, None, IfMatch::default()).await.unwrap();
    assert_eq!(harness.reports.receivables(&person(1), org).await.unwrap()[0].balance, "150.00");
}

#[tokio::test]
async fn commissions_follow_verified_payments_exactly() {
    let harness = deals().await;
    let org = harness.org().await;
    let member = harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let rate = MemberPatch { commission_bp: Some(333), ..MemberPatch::default() };
    assert_eq!(
        code(harness.tenancy.change_member(&person(2), org, member.id, rate.clone(), IfMatch::default()).await),
        "not_granted"
    );
    harness.tenancy.change_member(&person(1), org, member.id, rate, IfMatch::default()).await.unwrap();
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "100").await.id;
    let commission = async |user| {
        let rows = harness.reports.commission(&person(user), org, Period::default()).await.unwrap();
        rows.first().map(|row| row.amount.clone())
    };
    let first = harness.pay(2, org, id, "10.01").await.id;
    let second = harness.pay(2, org, id, "20").await.id;
    assert_eq!(commission(2).await, None, "no payment is verified");
    verify(&harness, org, id, first).await;
    assert_eq!(commission(2).await.as_deref(), Some("0.33"));
    verify(&harness, org, id, second).await;
    assert_eq!(commission(1).await.as_deref(), Some("1.00"));
    for (amount, remaining) in [("0.15", "1.00"), ("0.15", "0.99"), ("9.71", "0.67")] {
        let refund = NewRefund { amount: Amount::new(amount), reason: String::new() };
        harness.ledger.refund_payment(&person(1), org, id.into(), first, refund, None).await.unwrap();
        assert_eq!(commission(1).await.as_deref(), Some(remaining), "{amount}");
    }
    harness.ledger.reverse_payment(&person(1), org, id.into(), second, NewReversal::default(), None).await.unwrap();
    assert_eq!(commission(1).await.as_deref(), Some("0.00"));
    assert_eq!(commission(3).await, None, "the commissions of others are not visible");
    harness.assert_consistent().await;
}

#[tokio::test]
async fn days_begin_in_the_time_zone_of_the_organization() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let zone = |name: &str| OrganizationPatch { time_zone: Some(name.to_owned()), ..OrganizationPatch::default() };
    assert_eq!(
        invalid_fields(harness.tenancy.change_organization(me, org, zone("Mars/Olympus"), IfMatch::default()).await),
        ["time_zone"]
    );
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "1000").await.id;
    // These time zones are a day apart, so no moment is on the same day in both.
    let mut days = Vec::new();
    for name in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let changed = harness.tenancy.change_organization(me, org, zone(name), IfMatch::default()).await.unwrap();
        assert_eq!(changed.time_zone, name);
        let paid = harness.pay(1, org, id, "1").await;
        verify(&harness, org, id, paid.id).await;
        days.push(paid.received_on);
    }
    assert!(days[0] > days[1], "{days:?}");
    harness.sales.close_deal(me, org, id.into(), DealStatus::Won, CloseDeal::default()).await.unwrap();
    // The deal was won in the second zone, where it is the earlier day.
    let on = |day: &Day| Period { from: Some(day.clone()), to: Some(day.clone()) };
    let won = async |day: &Day| {
        harness.reports.leaderboard(me, org, on(day)).await.unwrap().iter().map(|row| row.won).sum::<u64>()
    };
    assert_eq!((won(&days[0]).await, won(&days[1]).await), (0, 1));
    for day in &days {
        let revenue = harness.reports.revenue(me, org, on(day)).await.unwrap();
        assert_eq!((revenue.len(), revenue[0].amount.as_str()), (1, "1.00"));
    }
}

#[tokio::test]
async fn rollups_match_the_rows_after_every_change() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let one = harness.client_of(1, org, "one").await.id;
    let other = harness.client_of(1, org, "other").await.id;
    let any = IfMatch::default;
    let mut ids = Vec::new();
    for (client, value, day) in
        [(one, "10", None), (one, "999999999.99", Some("2025-09-01")), (other, "30", Some("2025-09-30"))]
    {
        let new =
            guildhall_deals::NewDeal { expected_close_date: day.and_then(Day::parse), ..deal(client, "x", value) };
        ids.push(created(harness.sales.create_deal(me, org, None, new, None).await.unwrap()).id);
    }
    let file = "title,client,value,currency,stage\na,one,5,EUR,won\nb,new,7,JPY,\n";
    let import = guildhall_deals::NewImport {
        kind: guildhall_deals::ImportKind::Deals,
        file_name: "t.csv".into(),
        bytes: file.into(),
        delimiter: None,
        is_windows_1252: None,
        decimal_comma: false,
        mapping: std::collections::BTreeMap::default(),
        on_duplicate: guildhall_deals::OnDuplicate::Error,
        mode: guildhall_deals::ImportMode::Atomic,
        dry_run: false,
    };
    let import =
        created(guildhall_deals::Imports::import(&harness.deals.exchange, me, org, import, None).await.unwrap());
    harness.assert_consistent().await;
    for patch in [
        DealPatch { value: Some(Amount::new("12.34")), ..DealPatch::default() },
        DealPatch { probability: Some(77), ..DealPatch::default() },
        DealPatch { expected_close_date: Some(Day::parse("2026-01-01")), ..DealPatch::default() },
        DealPatch { currency: Currency::from_code("KWD"), ..DealPatch::default() },
        DealPatch { stage: Some(guildhall_deals::StageRef::Name("proposal".into())), ..DealPatch::default() },
    ] {
        harness.sales.change_deal(me, org, ids[0].into(), patch, any()).await.unwrap();
        harness.assert_consistent().await;
    }
    harness.sales.archive_deal(me, org, ids[0].into(), true).await.unwrap();
    harness.sales.close_deal(me, org, ids[2].into(), DealStatus::Won, CloseDeal::default()).await.unwrap();
    let paid = [harness.pay(1, org, ids[2], "20").await.id, harness.pay(1, org, ids[2], "5").await.id];
    for id in paid {
        verify(&harness, org, ids[2], id).await;
    }
    let refund = NewRefund { amount: Amount::new("0.50"), reason: String::new() };
    harness.ledger.refund_payment(me, org, ids[2].into(), paid[0], refund, None).await.unwrap();
    harness.ledger.reverse_payment(me, org, ids[2].into(), paid[1], NewReversal::default(), None).await.unwrap();
    let rejected = harness.pay(1, org, ids[2], "1").await.id;
    harness
        .ledger
        .decide_payment(me, org, ids[2].into(), rejected, Verification::Rejected, Verdict::default())
        .await
        .unwrap();
    harness.assert_consistent().await;
    let revenue = async || harness.reports.revenue(me, org, Period::default()).await.unwrap();
    assert_eq!(revenue().await[0].amount, "19.50");
    let forecast = harness.reports.forecast(me, org).await.unwrap();
    let months: Vec<_> =
        forecast.iter().map(|row| (row.month.as_deref(), row.currency.code(), row.amount.as_str())).collect();
    assert_eq!(
        months,
        [(Some("2025-09"), "USD", "999999999.99"), (Some("2026-01"), "KWD", "12.340"), (None, "JPY", "7"),]
    );

    // Deleting, restoring and purging.
    Clients::delete_client(&harness.deals.clients, me, org, other, false, None, any()).await.unwrap();
    harness.assert_consistent().await;
    assert!(revenue().await.is_empty());
    let trashed =
        guildhall_deals::Trash::trash(&harness.deals.sales, me, org, crate::harness::page()).await.unwrap().results[0]
            .id;
    guildhall_deals::Trash::restore(&harness.deals.sales, me, org, trashed).await.unwrap();
    harness.assert_consistent().await;
    assert_eq!(revenue().await[0].amount, "19.50");
    guildhall_deals::Imports::revert_import(&harness.deals.exchange, me, org, import.id).await.unwrap();
    Clients::delete_client(&harness.deals.clients, me, org, other, true, None, any()).await.unwrap();
    Deals::delete_deal(&harness.deals.sales, me, org, ids[1].into(), true, any()).await.unwrap();
    harness.assert_consistent().await;
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM deals_rollup WHERE n <> 0").await, 1);
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM deals_revenue WHERE n <> 0 OR hi <> 0 OR lo <> 0").await, 0);

    // Inconsistent totals are found and repaired.
    harness.db.sql("UPDATE deals_rollup SET lo = lo + 1 WHERE n > 0").await.unwrap();
    let findings = harness.examine(false).await.unwrap();
    assert_eq!(findings.iter().filter(|finding| finding.is_error()).count(), 1);
    harness.examine(true).await.unwrap();
    harness.assert_consistent().await;
}

#[tokio::test]
async fn rollups_and_sums_of_rows_are_equal() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let permissions = ["deal.read:own", "client.read:own", "payment.read:own", "report.read:own"];
    let new = NewRole { name: "Own".into(), permissions: permissions.map(str::to_owned).to_vec() };
    let role_id = harness.tenancy.create_role(me, org, new).await.unwrap().id;
    let new = NewMember { user_id: UserId(2), role_id, team_id: None, leads_team: false };
    harness.add_active_member(org, new).await;
    let client = harness.client_of(1, org, "x").await.id;
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results[0].id;
    for (value, currency, stage) in [
        ("9999999999999999.99", "USD", "lead"),
        ("9999999999999999.99", "USD", "lead"),
        ("15", "JPY", "proposal"),
        ("0.05", "USD", "proposal"),
        ("7", "EUR", "won"),
    ] {
        let mut new = deal(client, "x", value);
        new.currency = Currency::from_code(currency);
        new.stage = Some(guildhall_deals::StageRef::Name(stage.into()));
        new.owner_id = Some(UserId(2));
        new.expected_close_date = Day::parse("2025-09-30");
        let id = created(harness.sales.create_deal(me, org, None, new, None).await.unwrap()).id;
        let paid = harness.pay(1, org, id, if currency == "JPY" { "1" } else { "0.05" }).await.id;
        verify(&harness, org, id, paid).await;
        if currency == "EUR" {
            // A refund counts; the reversal of a payment that was not verified does not.
            let refund = NewRefund { amount: Amount::new("0.02"), reason: String::new() };
            harness.ledger.refund_payment(me, org, id.into(), paid, refund, None).await.unwrap();
            let pending = harness.pay(1, org, id, "1").await.id;
            harness.ledger.reverse_payment(me, org, id.into(), pending, NewReversal::default(), None).await.unwrap();
        }
    }
    let member = &person(2);
    let own = harness.titles(2, org, &[]).await.len();
    assert_eq!(own, 5);
    let year = || Period::default();
    let board = async |caller| harness.pipelines.board(caller, org, pipeline, BoardQuery::default()).await.unwrap();
    let totals =
        |board: Board| board.columns.into_iter().map(|column| (column.count, column.totals)).collect::<Vec<_>>();
    assert_eq!(totals(board(member).await), totals(board(me).await));
    assert_eq!(totals(board(me).await)[0].1[0].value, "19999999999999999.98");
    let reported = harness.reports.pipeline_report(me, org, None).await.unwrap();
    assert_eq!(harness.reports.pipeline_report(member, org, None).await.unwrap(), reported);
    let forecast = harness.reports.forecast(me, org).await.unwrap();
    assert_eq!((harness.reports.forecast(member, org).await.unwrap(), forecast.len()), (forecast.clone(), 2));
    let revenue = harness.reports.revenue(me, org, year()).await.unwrap();
    assert_eq!((harness.reports.revenue(member, org, year()).await.unwrap(), revenue.len()), (revenue.clone(), 3));
    let dashboard = harness.reports.dashboard(me, org, year()).await.unwrap();
    assert_eq!(harness.reports.dashboard(member, org, year()).await.unwrap(), dashboard);
    // Deals of others do not count.
    harness.deal_of(1, org, client, "1").await;
    assert_eq!(harness.reports.pipeline_report(member, org, None).await.unwrap(), reported);
    assert_ne!(harness.reports.pipeline_report(me, org, None).await.unwrap(), reported);
}

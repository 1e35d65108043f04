//! Query plans: every table that grows is read by an index.

use guildhall_deals::{
    Activities, BoardQuery, Boards, Clients, CustomFieldTarget, CustomFieldType, CustomFields, DealFiles, Deals,
    Filter, LineItems, Members, Merges, NewCustomField, Organizations, Payments, Period, Pipelines, Reports,
    SavedViews, Search, Tasks, Trash,
};
use guildhall_kernel::{CursorQuery, PageQuery, testing::assert_plans};

use crate::harness::{deals, page, payment, person};

const TABLES: &str = "deals_";

#[tokio::test]
async fn lists_and_operations_use_indexes() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let team = harness.team_of(org, "North", None).await;
    harness.join(org, 3, "sales_manager", Some(team)).await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let deal = harness.deal_of(1, org, client, "10").await.id;
    harness.pay(1, org, deal, "1").await;
    let db = &harness.db;
    for user in [1, 2, 3] {
        let me = &person(user);
        assert_plans(db, TABLES, "organizations", harness.tenancy.organizations(me, page())).await.unwrap();
        for filter in [
            vec![],
            vec![("q", "global")],
            vec![("owner", "me")],
            vec![("stage", "lead")],
            vec![("currency", "USD"), ("value__gte", "1")],
            vec![("client_id", "1")],
            vec![("expected_close_date__lte", "2030-01-01")],
        ] {
            let query = format!("deals of {user} by {filter:?}");
            let filter = Filter::new(filter);
            assert_plans(db, TABLES, &query, harness.deals.sales.deals(me, org, None, filter, page())).await.unwrap();
        }
        for order in ["number", "-number", "-updated_at", "expected_close_date", "-id"] {
            let page = PageQuery::new(1, 20).ordered(order);
            let list = harness.deals.sales.deals(me, org, None, Filter::default(), page);
            assert_plans(db, TABLES, order, list).await.unwrap();
        }
        for order in ["-id", "name", "-created_at", "updated_at"] {
            let page = PageQuery::new(1, 20).ordered(order);
            assert_plans(db, TABLES, order, harness.clients.clients(me, org, Filter::default(), page)).await.unwrap();
        }
        let payments = harness.ledger.payments(me, org, None, Filter::default(), page());
        assert_plans(db, TABLES, "payments", payments).await.unwrap();
        assert_plans(db, TABLES, "trash", harness.sales.trash(me, org, page())).await.unwrap();
        let deals = &[deal];
        assert_plans(db, TABLES, "visible", harness.deals.visible_deals(me.user, deals)).await.unwrap();
        assert_plans(db, TABLES, "paid", harness.deals.deals_with_visible_payments(me.user, deals)).await.unwrap();
        assert_plans(db, TABLES, "own", harness.deals.organizations_of(me.user, &[org])).await.unwrap();
        assert_plans(db, TABLES, "tasks", harness.tasks.tasks(me, org, Filter::default(), page())).await.unwrap();
        let period = Period::default;
        assert_plans(db, TABLES, "pipeline", harness.reports.pipeline_report(me, org, None)).await.unwrap();
        assert_plans(db, TABLES, "revenue", harness.reports.revenue(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "forecast", harness.reports.forecast(me, org)).await.unwrap();
        assert_plans(db, TABLES, "conversion", harness.reports.conversion(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "receivables", harness.reports.receivables(me, org)).await.unwrap();
        assert_plans(db, TABLES, "leaderboard", harness.reports.leaderboard(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "commission", harness.reports.commission(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "dashboard", harness.reports.dashboard(me, org, period())).await.unwrap();
    }
    let me = &person(1);
    let new = NewCustomField {
        entity: CustomFieldTarget::Deal,
        key: "size".to_owned(),
        name: "Size".to_owned(),
        kind: CustomFieldType::Number,
        options: Vec::new(),
        is_required: false,
    };
    harness.custom.create_custom_field(me, org, new).await.unwrap();
    for filter in [("cf_size", "1"), ("cf_size__gte", "1"), ("cf_size__isnull", "false")] {
        let list = harness.deals.sales.deals(me, org, None, Filter::new([filter]), page());
        assert_plans(db, TABLES, filter.0, list).await.unwrap();
    }
    assert_plans(db, TABLES, "search", harness.sales.search(me, org, "global".to_owned())).await.unwrap();
    assert_plans(db, TABLES, "remind", harness.tasks.remind()).await.unwrap();
    assert_plans(db, TABLES, "due tasks", harness.tasks.announce_due_tasks()).await.unwrap();
    assert_plans(db, TABLES, "lines", harness.sales.lines(me, org, deal.into())).await.unwrap();
    assert_plans(db, TABLES, "files", harness.sales.files(me, org, deal.into())).await.unwrap();
    assert_plans(db, TABLES, "views", harness.views.views(me, org, None, page())).await.unwrap();
    let filter = Filter::new([("q", "global")]);
    assert_plans(db, TABLES, "clients", harness.clients.clients(me, org, filter, page())).await.unwrap();
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results[0].id;
    assert_plans(db, TABLES, "board", harness.pipelines.board(me, org, pipeline, BoardQuery::default())).await.unwrap();
    assert_plans(db, TABLES, "members", harness.tenancy.members(me, org, page())).await.unwrap();
    let new = crate::harness::deal(client, "x", "1");
    assert_plans(db, TABLES, "create", harness.sales.create_deal(me, org, None, new, None)).await.unwrap();
    let (deals, clients) = (CursorQuery::newest(5), CursorQuery::newest(5));
    assert_plans(db, TABLES, "activities", harness.tasks.activities(me, org, deal.into(), deals)).await.unwrap();
    assert_plans(db, TABLES, "timeline", harness.tasks.timeline(me, org, client, clients)).await.unwrap();
    assert_plans(db, TABLES, "duplicates", harness.clients.duplicates(me, org, client)).await.unwrap();
    let new = payment("1");
    assert_plans(db, TABLES, "pay", harness.ledger.record_payment(me, org, deal.into(), new, None)).await.unwrap();
    assert_plans(db, TABLES, "preview", harness.clients.preview_client(me, org, client, true)).await.unwrap();
    let member = harness.tenancy.members(me, org, page()).await.unwrap().results[1].id;
    assert_plans(
        db,
        TABLES,
        "remove",
        harness.tenancy.remove_member(me, org, member, guildhall_kernel::IfMatch::default()),
    )
    .await
    .unwrap();
    let log = harness.sales.deal_changes(me, org, deal.into(), CursorQuery::newest(20));
    assert_plans(db, "kernel_audit_event", "log", log).await.unwrap();
    let log = harness.tenancy.changes(me, org, CursorQuery::newest(20));
    assert_plans(db, "kernel_audit_event", "organization log", log).await.unwrap();
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_length_of_a_page() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let statements = async || {
        let before = harness.db.statements();
        harness.titles(1, org, &[]).await;
        harness.db.statements() - before
    };
    harness.deal_of(1, org, client, "1").await;
    let of_one_deal = statements().await;
    for _ in 0..20 {
        harness.deal_of(1, org, client, "1").await;
    }
    assert_eq!(statements().await, of_one_deal);
}

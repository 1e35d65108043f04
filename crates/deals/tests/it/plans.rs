//! How the databases run what grows: nothing reads a table but by an index.

use guildhall_deals::{
    Clients, CustomFields, CustomKind, Customized, DealFiles, Deals, Filter, Lane, Lines, Members, NewCustomField,
    Organizations, Payments, Period, Pipelines, Reports, Trash, Views, Work,
};
use guildhall_kernel::{PageQuery, SliceQuery, testing::assert_plans};

use crate::harness::{deals, page, payment, person};

const TABLES: &str = "deals_";

#[tokio::test]
async fn lists_and_acts_read_by_indexes() {
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
        assert_plans(db, TABLES, "organizations", harness.organizations(me, page())).await.unwrap();
        for filter in [
            vec![],
            vec![("q", "global")],
            vec![("owner", "me")],
            vec![("stage", "lead")],
            vec![("currency", "USD"), ("value__gte", "1")],
            vec![("client_id", "1")],
            vec![("expected_close_date__lte", "2030-01-01")],
        ] {
            let what = format!("deals of {user} by {filter:?}");
            let filter = Filter::new(filter);
            assert_plans(db, TABLES, &what, harness.deals.deals(me, org, None, filter, page())).await.unwrap();
        }
        for order in ["number", "-number", "-updated_at", "expected_close_date", "-id"] {
            let page = PageQuery::new(1, 20).ordered(order);
            let list = harness.deals.deals(me, org, None, Filter::default(), page);
            assert_plans(db, TABLES, order, list).await.unwrap();
        }
        for order in ["-id", "name", "-created_at", "updated_at"] {
            let page = PageQuery::new(1, 20).ordered(order);
            assert_plans(db, TABLES, order, harness.clients(me, org, Filter::default(), page)).await.unwrap();
        }
        let payments = harness.payments(me, org, None, Filter::default(), page());
        assert_plans(db, TABLES, "payments", payments).await.unwrap();
        assert_plans(db, TABLES, "trash", harness.trash(me, org, page())).await.unwrap();
        assert_plans(db, TABLES, "tasks", harness.tasks(me, org, Filter::default(), page())).await.unwrap();
        let period = Period::default;
        assert_plans(db, TABLES, "pipeline", harness.pipeline_report(me, org, None)).await.unwrap();
        assert_plans(db, TABLES, "revenue", harness.revenue(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "forecast", harness.forecast(me, org)).await.unwrap();
        assert_plans(db, TABLES, "conversion", harness.conversion(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "receivables", harness.receivables(me, org)).await.unwrap();
        assert_plans(db, TABLES, "leaderboard", harness.leaderboard(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "commission", harness.commission(me, org, period())).await.unwrap();
        assert_plans(db, TABLES, "dashboard", harness.dashboard(me, org, period())).await.unwrap();
    }
    let me = &person(1);
    let new = NewCustomField {
        entity: Customized::Deal,
        key: "size".to_owned(),
        name: "Size".to_owned(),
        kind: CustomKind::Number,
        options: Vec::new(),
        is_required: false,
    };
    harness.create_custom_field(me, org, new).await.unwrap();
    for filter in [("cf_size", "1"), ("cf_size__gte", "1"), ("cf_size__isnull", "false")] {
        let list = harness.deals.deals(me, org, None, Filter::new([filter]), page());
        assert_plans(db, TABLES, filter.0, list).await.unwrap();
    }
    assert_plans(db, TABLES, "search", harness.search(me, org, "global".to_owned())).await.unwrap();
    assert_plans(db, TABLES, "remind", harness.remind()).await.unwrap();
    assert_plans(db, TABLES, "lines", harness.lines(me, org, deal.into())).await.unwrap();
    assert_plans(db, TABLES, "files", harness.files(me, org, deal.into())).await.unwrap();
    assert_plans(db, TABLES, "views", harness.views(me, org, None, page())).await.unwrap();
    let found = Filter::new([("q", "global")]);
    assert_plans(db, TABLES, "clients", harness.clients(me, org, found, page())).await.unwrap();
    let pipeline = harness.pipelines(me, org, page()).await.unwrap().results[0].id;
    assert_plans(db, TABLES, "board", harness.board(me, org, pipeline, Lane::default())).await.unwrap();
    assert_plans(db, TABLES, "members", harness.members(me, org, page())).await.unwrap();
    let new = crate::harness::deal(client, "x", "1");
    assert_plans(db, TABLES, "create", harness.create_deal(me, org, None, new, None)).await.unwrap();
    let (deals, clients) = (SliceQuery::newest(5), SliceQuery::newest(5));
    assert_plans(db, TABLES, "activities", harness.activities(me, org, deal.into(), deals)).await.unwrap();
    assert_plans(db, TABLES, "timeline", harness.timeline(me, org, client, clients)).await.unwrap();
    assert_plans(db, TABLES, "duplicates", harness.duplicates(me, org, client)).await.unwrap();
    let new = payment("1");
    assert_plans(db, TABLES, "pay", harness.record_payment(me, org, deal.into(), new, None)).await.unwrap();
    assert_plans(db, TABLES, "preview", harness.preview_client(me, org, client, true)).await.unwrap();
    let member = harness.members(me, org, page()).await.unwrap().results[1].id;
    assert_plans(db, TABLES, "remove", harness.remove_member(me, org, member, guildhall_kernel::IfMatch::default()))
        .await
        .unwrap();
    let log = harness.deal_changes(me, org, deal.into(), SliceQuery::newest(20));
    assert_plans(db, "kernel_audit_event", "log", log).await.unwrap();
    let log = harness.changes(me, org, SliceQuery::newest(20));
    assert_plans(db, "kernel_audit_event", "log of the organization", log).await.unwrap();
}

#[tokio::test]
async fn a_page_costs_as_many_statements_however_long_it_is() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let cost = async || {
        let before = harness.db.statements();
        harness.titles(1, org, &[]).await;
        harness.db.statements() - before
    };
    harness.deal_of(1, org, client, "1").await;
    let one = cost().await;
    for _ in 0..20 {
        harness.deal_of(1, org, client, "1").await;
    }
    assert_eq!(cost().await, one);
}

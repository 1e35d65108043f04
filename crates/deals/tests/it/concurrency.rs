//! Conflicting operations that run concurrently: one of them succeeds, and nothing is lost that was reported as
//! created.

use guildhall_deals::{
    Activities, Clients, DealId, Deals, Members, Merges, NewActivity, NewClient, Organizations, Pipelines, SqlDeals,
    StageRef, Stages, Trash,
};
use guildhall_kernel::{IfMatch, idempotency::Idempotent};

use crate::harness::{Harness, code, deal, page, person, with_connections};

fn any() -> IfMatch {
    IfMatch::default()
}

/// The errors that the losing operation may return.
const CONFLICTS: [&str; 8] = [
    "client_not_found",
    "deal_not_found",
    "organization_not_found",
    "not_found",
    "invalid",
    "conflict",
    "unavailable",
    "protected",
];

/// Starts tasks that create deals of a client; each returns the id, or `None` after a conflict.
async fn create_deals(
    deals: &SqlDeals,
    user: i64,
    org: guildhall_deals::OrganizationId,
    client: guildhall_deals::ClientId,
) -> tokio::task::JoinSet<Option<DealId>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let deals = deals.clone();
        tasks.spawn(async move {
            match deals.sales.create_deal(&person(user), org, None, deal(client, "x", "1"), None).await {
                Ok(Idempotent::Created(deal)) => Some(deal.id),
                Ok(Idempotent::Replayed(_)) => None,
                Err(error) => {
                    let code = code::<()>(Err(error));
                    assert!(CONFLICTS.contains(&code.as_str()), "{code}");
                    None
                }
            }
        });
    }
    tokio::task::yield_now().await;
    tasks
}

async fn assert_exist(harness: &Harness, created: &[Option<DealId>]) {
    for id in created.iter().flatten() {
        assert_eq!(harness.db.query_i64(&format!("SELECT COUNT(*) FROM deals_deal WHERE id = {id}")).await, 1, "{id}");
    }
}

#[tokio::test]
async fn merging_includes_deals_created_concurrently() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    for _ in 0..5 {
        let kept = harness.client_of(1, org, "Kept").await.id;
        let merged = harness.client_of(1, org, "Gone").await.id;
        let tasks = create_deals(&harness.deals, 1, org, merged).await;
        harness
            .tasks
            .log_with_client(&person(1), org, merged, NewActivity { content: "x".into(), ..NewActivity::default() })
            .await
            .ok();
        harness.clients.merge_clients(&person(1), org, kept, merged).await.unwrap();
        let created = tasks.join_all().await;
        assert_exist(&harness, &created).await;
        let count = created.iter().flatten().count();
        let sql = format!("SELECT COUNT(*) FROM deals_deal WHERE client_id = {kept}");
        assert_eq!(usize::try_from(harness.db.query_i64(&sql).await).unwrap(), count);
    }
}

#[tokio::test]
async fn no_deal_is_created_for_a_client_in_the_trash() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    for _ in 0..5 {
        let client = harness.client_of(1, org, "x").await.id;
        let trashed = harness.deal_of(1, org, client, "1").await.id;
        harness.sales.delete_deal(&person(1), org, trashed.into(), false, any()).await.unwrap();
        let deletion = harness.sales.trash(&person(1), org, page()).await.unwrap().results[0].id;
        let tasks = create_deals(&harness.deals, 1, org, client).await;
        let deals = harness.deals.clone();
        let restoring = tokio::spawn(async move { code(deals.sales.restore(&person(1), org, deletion).await) });
        harness.clients.delete_client(&person(1), org, client, false, None, any()).await.unwrap();
        assert_exist(&harness, &tasks.join_all().await).await;
        let restored = restoring.await.unwrap();
        assert!(["ok", "illegal_transition"].contains(&restored.as_str()), "{restored}");
        let live = "SELECT COUNT(*) FROM deals_deal d JOIN deals_client c ON c.id = d.client_id \
                    WHERE d.deleted_at IS NULL AND c.deleted_at IS NOT NULL";
        assert_eq!(harness.db.query_i64(live).await, 0);
    }
}

#[tokio::test]
async fn a_member_who_creates_deals_concurrently_is_not_removed() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    for user in 2..7 {
        let member = harness.join(org, user, "admin", None).await.id;
        let tasks = create_deals(&harness.deals, user, org, client).await;
        let removed = code(harness.tenancy.remove_member(&person(1), org, member, any()).await);
        assert!(["ok", "protected"].contains(&removed.as_str()), "{removed}");
        let created = tasks.join_all().await;
        assert_exist(&harness, &created).await;
        assert_eq!(removed == "protected", created.iter().any(Option::is_some));
        let orphans =
            "SELECT COUNT(*) FROM deals_deal d JOIN deals_member m ON m.id = d.owner_id WHERE m.status = 'gone'";
        assert_eq!(harness.db.query_i64(orphans).await, 0);
    }
}

#[tokio::test]
async fn an_organization_with_concurrently_created_clients_is_not_deleted() {
    let harness = with_connections(8).await;
    for _ in 0..5 {
        let org = harness.org().await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..8 {
            let deals = harness.deals.clone();
            let new = NewClient { name: format!("client {n}"), ..NewClient::default() };
            tasks.spawn(async move { code(deals.clients.create_client(&person(1), org, new).await) });
        }
        tokio::task::yield_now().await;
        let deleted = code(harness.tenancy.delete_organization(&person(1), org, any()).await);
        let outcomes = tasks.join_all().await;
        let count = outcomes.iter().filter(|code| *code == "ok").count();
        assert!(outcomes.iter().all(|code| code == "ok" || CONFLICTS.contains(&code.as_str())), "{outcomes:?}");
        assert_eq!(deleted == "ok", count == 0, "{deleted} {outcomes:?}");
        let sql = format!("SELECT COUNT(*) FROM deals_client WHERE org_id = {org}");
        assert_eq!(usize::try_from(harness.db.query_i64(&sql).await).unwrap(), count);
    }
}

#[tokio::test]
async fn deleting_a_stage_moves_deals_created_concurrently() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let pipeline = harness.pipelines.pipelines(&person(1), org, page()).await.unwrap().results[0].clone();
    let (first, second) = (pipeline.stages[0].id, pipeline.stages[1].id);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let deals = harness.deals.clone();
        let mut new = deal(client, "x", "1");
        new.stage = Some(StageRef::Id(first));
        tasks.spawn(async move { code(deals.sales.create_deal(&person(1), org, None, new, None).await) });
    }
    tokio::task::yield_now().await;
    harness.pipelines.delete_stage(&person(1), org, pipeline.id, first, Some(second), any()).await.unwrap();
    let outcomes = tasks.join_all().await;
    assert!(outcomes.iter().all(|code| code == "ok" || CONFLICTS.contains(&code.as_str())), "{outcomes:?}");
    let count = outcomes.iter().filter(|code| *code == "ok").count();
    let sql = format!("SELECT COUNT(*) FROM deals_deal WHERE stage_id = {second}");
    assert_eq!(usize::try_from(harness.db.query_i64(&sql).await).unwrap(), count);
}

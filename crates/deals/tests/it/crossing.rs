//! What happens when two do something at once that does not go together: one of them wins, and nothing is lost
//! that somebody was told is there.

use guildhall_deals::{
    Clients, DealId, Deals, Members, NewActivity, NewClient, Organizations, Pipelines, SqlDeals, StageRef, Trash, Work,
};
use guildhall_kernel::{IfMatch, idempotency::Made};

use crate::harness::{Harness, code, deal, page, person, with_connections};

fn any() -> IfMatch {
    IfMatch::default()
}

/// Answers that somebody may get who comes too late.
const LATE: [&str; 8] = [
    "client_not_found",
    "deal_not_found",
    "organization_not_found",
    "not_found",
    "invalid",
    "conflict",
    "unavailable",
    "protected",
];

/// Adds deals of a client, all at once; gives those that somebody was told are there.
async fn adding(
    deals: &SqlDeals,
    who: i64,
    org: guildhall_deals::OrganizationId,
    client: guildhall_deals::ClientId,
) -> tokio::task::JoinSet<Option<DealId>> {
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let deals = deals.clone();
        at_work.spawn(async move {
            match deals.create_deal(&person(who), org, None, deal(client, "x", "1"), None).await {
                Ok(Made::New(deal)) => Some(deal.id),
                Ok(Made::Before(_)) => None,
                Err(error) => {
                    let code = code::<()>(Err(error));
                    assert!(LATE.contains(&code.as_str()), "{code}");
                    None
                }
            }
        });
    }
    tokio::task::yield_now().await;
    at_work
}

async fn assert_there(harness: &Harness, told: &[Option<DealId>]) {
    for id in told.iter().flatten() {
        assert_eq!(harness.number(&format!("SELECT COUNT(*) FROM deals_deal WHERE id = {id}")).await, 1, "{id}");
    }
}

#[tokio::test]
async fn merging_takes_along_what_is_added_meanwhile() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    for _ in 0..5 {
        let kept = harness.client_of(1, org, "Kept").await.id;
        let gone = harness.client_of(1, org, "Gone").await.id;
        let at_work = adding(&harness.deals, 1, org, gone).await;
        harness
            .log_with_client(&person(1), org, gone, NewActivity { content: "x".into(), ..NewActivity::default() })
            .await
            .ok();
        harness.merge_clients(&person(1), org, kept, gone).await.unwrap();
        let told = at_work.join_all().await;
        assert_there(&harness, &told).await;
        let there = told.iter().flatten().count();
        let sql = format!("SELECT COUNT(*) FROM deals_deal WHERE client_id = {kept}");
        assert_eq!(usize::try_from(harness.number(&sql).await).unwrap(), there);
    }
}

#[tokio::test]
async fn nothing_is_added_to_a_client_that_is_in_the_trash() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    for _ in 0..5 {
        let client = harness.client_of(1, org, "x").await.id;
        let early = harness.deal_of(1, org, client, "1").await.id;
        harness.delete_deal(&person(1), org, early.into(), false, any()).await.unwrap();
        let deletion = harness.trash(&person(1), org, page()).await.unwrap().results[0].id;
        let at_work = adding(&harness.deals, 1, org, client).await;
        let deals = harness.deals.clone();
        let restoring = tokio::spawn(async move { code(deals.restore(&person(1), org, deletion).await) });
        harness.delete_client(&person(1), org, client, false, None, any()).await.unwrap();
        assert_there(&harness, &at_work.join_all().await).await;
        let restored = restoring.await.unwrap();
        assert!(["ok", "illegal_transition"].contains(&restored.as_str()), "{restored}");
        let live = "SELECT COUNT(*) FROM deals_deal d JOIN deals_client c ON c.id = d.client_id \
                    WHERE d.deleted_at IS NULL AND c.deleted_at IS NOT NULL";
        assert_eq!(harness.number(live).await, 0);
    }
}

#[tokio::test]
async fn whoever_adds_something_is_not_removed_meanwhile() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    for user in 2..7 {
        let member = harness.join(org, user, "admin", None).await.id;
        let at_work = adding(&harness.deals, user, org, client).await;
        let removed = code(harness.remove_member(&person(1), org, member, any()).await);
        assert!(["ok", "protected"].contains(&removed.as_str()), "{removed}");
        let told = at_work.join_all().await;
        assert_there(&harness, &told).await;
        assert_eq!(removed == "protected", told.iter().any(Option::is_some));
        let orphans =
            "SELECT COUNT(*) FROM deals_deal d JOIN deals_member m ON m.id = d.owner_id WHERE m.status = 'gone'";
        assert_eq!(harness.number(orphans).await, 0);
    }
}

#[tokio::test]
async fn an_organization_is_not_removed_with_clients_that_are_added_meanwhile() {
    let harness = with_connections(8).await;
    for _ in 0..5 {
        let org = harness.org().await;
        let mut at_work = tokio::task::JoinSet::new();
        for n in 0..8 {
            let deals = harness.deals.clone();
            let new = NewClient { name: format!("client {n}"), ..NewClient::default() };
            at_work.spawn(async move { code(deals.create_client(&person(1), org, new).await) });
        }
        tokio::task::yield_now().await;
        let removed = code(harness.delete_organization(&person(1), org, any()).await);
        let told = at_work.join_all().await;
        let there = told.iter().filter(|code| *code == "ok").count();
        assert!(told.iter().all(|code| code == "ok" || LATE.contains(&code.as_str())), "{told:?}");
        assert_eq!((removed == "ok", there == 0), (there == 0, removed == "ok"), "{removed} {told:?}");
        let sql = format!("SELECT COUNT(*) FROM deals_client WHERE org_id = {org}");
        assert_eq!(usize::try_from(harness.number(&sql).await).unwrap(), there);
    }
}

#[tokio::test]
async fn a_stage_that_is_removed_lets_nothing_fall() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let pipeline = harness.pipelines(&person(1), org, page()).await.unwrap().results[0].clone();
    let (first, second) = (pipeline.stages[0].id, pipeline.stages[1].id);
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let deals = harness.deals.clone();
        let mut new = deal(client, "x", "1");
        new.stage = Some(StageRef::Id(first));
        at_work.spawn(async move { code(deals.create_deal(&person(1), org, None, new, None).await) });
    }
    tokio::task::yield_now().await;
    harness.delete_stage(&person(1), org, pipeline.id, first, Some(second), any()).await.unwrap();
    let told = at_work.join_all().await;
    assert!(told.iter().all(|code| code == "ok" || LATE.contains(&code.as_str())), "{told:?}");
    let there = told.iter().filter(|code| *code == "ok").count();
    let sql = format!("SELECT COUNT(*) FROM deals_deal WHERE stage_id = {second}");
    assert_eq!(usize::try_from(harness.number(&sql).await).unwrap(), there);
}

//! Lists check in SQL what a member may see, and operations on one object in Rust: both must agree.

use guildhall_deals::{
    ClientId, ClientPatch, Clients, DealId, DealPatch, Deals, Filter, NewTask, OrganizationId, TaskId, Tasks,
};
use guildhall_kernel::{IfMatch, UserId};

use crate::harness::{Harness, deals, page, person};

const MEMBERS: [i64; 5] = [1, 2, 3, 4, 5];

/// Adds a client with a deal and a task that belong to `owner`.
async fn add(harness: &Harness, org: OrganizationId, creator: i64, owner: i64) -> (ClientId, DealId, TaskId) {
    let (admin, owner_id) = (&person(1), Some(UserId(owner)));
    let client = harness.client_of(creator, org, "x").await.id;
    let deal = harness.deal_of(creator, org, client, "1").await.id;
    let patch = ClientPatch { owner_id, ..ClientPatch::default() };
    harness.clients.change_client(admin, org, client, patch, IfMatch::default()).await.unwrap();
    let patch = DealPatch { owner_id, ..DealPatch::default() };
    harness.sales.change_deal(admin, org, deal.into(), patch, IfMatch::default()).await.unwrap();
    let new = NewTask { title: "x".into(), deal_id: Some(deal), assignee_id: owner_id, ..NewTask::default() };
    let task = harness.tasks.create_task(admin, org, new).await.unwrap().id;
    (client, deal, task)
}

#[tokio::test]
async fn members_can_read_exactly_what_their_lists_contain() {
    let harness = deals().await;
    let org = harness.org().await;
    let team = harness.team_of(org, "North", None).await;
    harness.join(org, 2, "salesperson", Some(team)).await;
    harness.join(org, 3, "sales_manager", Some(team)).await;
    harness.join(org, 4, "salesperson", None).await;
    harness.join(org, 5, "sales_manager", None).await;
    let mut added = Vec::new();
    for (creator, owner) in [(1, 1), (2, 2), (2, 4), (3, 3), (4, 2), (4, 4), (5, 1)] {
        added.push(add(&harness, org, creator, owner).await);
    }
    let (_, trashed, _) = added[1];
    harness.sales.delete_deal(&person(1), org, trashed.into(), false, IfMatch::default()).await.unwrap();
    let (trashed, ..) = added[2];
    harness.clients.delete_client(&person(1), org, trashed, false, None, IfMatch::default()).await.unwrap();
    let mut readable = Vec::new();
    for keeps_access in [true, false] {
        harness.db.sql(&format!("UPDATE deals_organization SET creator_keeps_access = {keeps_access}")).await.unwrap();
        for member in MEMBERS {
            let me = &person(member);
            let clients = harness.clients.clients(me, org, Filter::default(), page()).await.unwrap().results;
            let deals = harness.sales.deals(me, org, None, Filter::default(), page()).await.unwrap().results;
            let tasks = harness.tasks.tasks(me, org, Filter::default(), page()).await.unwrap().results;
            let mut count = 0;
            let ids: Vec<DealId> = added.iter().map(|(_, deal, _)| *deal).collect();
            let visible = harness.deals.visible_deals(UserId(member), &ids).await.unwrap();
            assert_eq!(visible, deals.iter().map(|deal| deal.id).collect(), "deals for {member}");
            assert_eq!(harness.deals.deals_with_visible_payments(UserId(member), &ids).await.unwrap(), visible);
            for (client, deal, task) in &added {
                let is_listed = clients.iter().any(|listed| listed.id == *client);
                let found = Clients::client(&harness.deals.clients, me, org, *client).await;
                assert_eq!(found.is_ok(), is_listed, "{client} for {member}: {found:?}");
                count += usize::from(is_listed);
                let is_listed = deals.iter().any(|listed| listed.id == *deal);
                let found = Deals::deal(&harness.deals.sales, me, org, (*deal).into(), None).await;
                assert_eq!(found.is_ok(), is_listed, "{deal} for {member}: {found:?}");
                let is_listed = tasks.iter().any(|listed| listed.id == *task);
                let found = harness.tasks.task(me, org, *task).await;
                assert_eq!(found.is_ok(), is_listed, "{task} for {member}: {found:?}");
            }
            readable.push(count);
        }
    }
    assert_eq!(readable, [6, 2, 3, 2, 1, 6, 2, 3, 1, 0]);
}

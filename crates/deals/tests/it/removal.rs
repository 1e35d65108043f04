use guildhall_deals::{Deals, Filter, Members, Organizations, Payments, Removal};
use guildhall_kernel::{Clock, IfMatch, UserId, UserRemoval};
use sea_orm::ConnectionTrait;

use crate::harness::{Harness, code, deals, page, person};

/// Deletes an account like a host: checks the blockers, releases its objects, deletes the row.
async fn remove(
    harness: &Harness,
    user: i64,
    successor: Option<i64>,
) -> Result<Vec<guildhall_kernel::Blocker>, String> {
    let removal = &Removal::new(Clock::system());
    let (user, successor) = (UserId(user), successor.map(UserId));
    harness
        .db
        .write(|tx| async move {
            let blockers = removal.blockers(&tx, user, successor).await?;
            if !blockers.is_empty() {
                return Ok(blockers);
            }
            removal.release(&tx, user, successor).await?;
            tx.execute_unprepared(&format!("DELETE FROM people WHERE id = {user}")).await?;
            Ok::<_, guildhall_deals::Error>(Vec::new())
        })
        .await
        .map_err(|error| format!("{error}"))
}

#[tokio::test]
async fn an_account_with_deals_is_only_deleted_with_a_successor() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(2, org, "Global Corp").await.id;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(harness.deal_of(2, org, client, "10").await.id);
    }
    harness.pay(2, org, ids[0], "5").await;
    assert!(harness.db.sql("DELETE FROM people WHERE id = 2").await.is_err(), "the database enforces it too");
    let blockers = remove(&harness, 2, None).await.unwrap();
    assert_eq!(
        (blockers[0].model, blockers[0].count, blockers[0].examples[0].as_str()),
        ("deal", 3, "DLID0001 - Global Corp")
    );
    assert_eq!((blockers[1].model, blockers[1].count), ("payment", 1));
    assert!(remove(&harness, 2, Some(40)).await.unwrap_err().contains("reassign_to"));
    assert_eq!(remove(&harness, 2, Some(3)).await.unwrap(), []);
    let seen = harness.read(3, org, ids[0]).await;
    assert_eq!((seen.owner.unwrap().id, seen.created_by.unwrap().id), (UserId(3), UserId(3)));
    // The ledger keeps the payment without the name.
    let payments = harness.ledger.payments(&person(1), org, None, Filter::default(), page()).await.unwrap().results;
    assert_eq!((payments.len(), payments[0].recorded_by.is_none()), (1, true));
    assert_eq!(harness.tenancy.members(&person(1), org, page()).await.unwrap().count, 2);
    harness.assert_consistent().await;
}

#[tokio::test]
async fn objects_in_the_trash_do_not_block_the_deletion_of_an_account() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "1").await.id;
    harness.sales.delete_deal(&person(2), org, id.into(), false, IfMatch::default()).await.unwrap();
    assert_eq!(remove(&harness, 2, None).await.unwrap(), []);
    let own = harness.tenancy.own_membership(&person(1), org).await.unwrap().member.id;
    assert_eq!(
        harness
            .db
            .query_i64(&format!("SELECT COUNT(*) FROM deals_deal WHERE owner_id = {own} AND created_by = {own}"))
            .await,
        1
    );
    assert_eq!(harness.db.query_i64(&format!("SELECT COUNT(*) FROM deals_client WHERE owner_id = {own}")).await, 1);
}

#[tokio::test]
async fn the_last_owner_is_only_deleted_with_a_successor() {
    let harness = deals().await;
    let org = harness.org().await;
    let blockers = remove(&harness, 1, None).await.unwrap();
    assert_eq!((blockers[0].model, blockers[0].examples.as_slice()), ("organization", &["Acme".to_owned()][..]));
    harness.join(org, 2, "viewer", None).await;
    assert_eq!(remove(&harness, 1, Some(2)).await.unwrap(), []);
    assert_eq!(harness.tenancy.organization(&person(2), org).await.unwrap().role, "Owner");
    assert_eq!(code(harness.tenancy.organization(&person(1), org).await), "organization_not_found");
    // A member without objects leaves no row.
    harness.join(org, 3, "viewer", None).await;
    assert_eq!(remove(&harness, 3, None).await.unwrap(), []);
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM deals_member WHERE status = 'gone'").await, 0);
}

#[tokio::test]
async fn fault_t5_a_payment_in_the_trash_does_not_block_the_deletion_of_an_account() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "10").await.id;
    harness.pay(2, org, deal, "5").await;
    let blockers = remove(&harness, 2, None).await.unwrap();
    assert_eq!(blockers.iter().map(|blocker| blocker.model).collect::<Vec<_>>(), ["payment"]);
    harness.sales.delete_deal(&person(1), org, deal.into(), false, IfMatch::default()).await.unwrap();
    assert!(remove(&harness, 2, None).await.unwrap().is_empty());
}

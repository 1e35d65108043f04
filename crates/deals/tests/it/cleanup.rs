use async_trait::async_trait;
use guildhall_deals::{
    CleanupRefusal, Clients, Contacts, Deals, NewContact, NewOrganization, NewReversal, OrganizationId,
    OrganizationSelector, Organizations, Payments, Removal,
};
use guildhall_kernel::{AccountCleanup, Clock, IfMatch, UserId, UserRemoval, db::Tx};
use sea_orm::ConnectionTrait;

use crate::harness::{Harness, code, deals, page, person};

/// Deletes accounts without a membership, as the accounts crate does with the answers of `Removal`.
struct WithoutMembership;

#[async_trait]
impl AccountCleanup for WithoutMembership {
    async fn remove_unused(&self, tx: &Tx, user: UserId) -> guildhall_kernel::Result<bool> {
        let is_used = Removal::new(Clock::system()).is_used(tx, user).await?;
        if !is_used {
            tx.execute_unprepared(&format!("DELETE FROM people WHERE id = {user}")).await?;
        }
        Ok(!is_used)
    }
}

/// Creates an organization with teams, members, clients, deals and payments.
async fn populated_org(harness: &Harness, name: &str, is_test: bool) -> OrganizationId {
    let new = NewOrganization { name: name.into(), is_test, ..NewOrganization::default() };
    let org = harness.tenancy.create_organization(&person(1), new).await.unwrap().id;
    let north = harness.team_of(org, "North", None).await;
    let harbour = harness.team_of(org, "Harbour", Some(north)).await;
    harness.join(org, 2, "salesperson", Some(harbour)).await;
    let client = harness.client_of(2, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.clients.create_contact(&person(2), org, client, contact).await.unwrap();
    let deal = harness.deal_of(2, org, client, "10").await.id;
    let paid = harness.pay(2, org, deal, "5").await.id;
    harness.ledger.reverse_payment(&person(1), org, deal.into(), paid, NewReversal::default(), None).await.unwrap();
    let trashed = harness.deal_of(2, org, client, "20").await.id;
    harness.sales.delete_deal(&person(2), org, trashed.into(), false, IfMatch::default()).await.unwrap();
    org
}

/// How many rows each table of the crate holds.
async fn all_rows(harness: &Harness) -> Vec<(String, i64)> {
    let mut counts = Vec::new();
    for model in guildhall_deals::admin() {
        counts.push((model.table.clone(), harness.db.count_rows(&model.table).await));
    }
    counts
}

#[tokio::test]
async fn repeated_clean_ups_leave_no_rows() {
    let harness = deals().await;
    let kept = populated_org(&harness, "Kept", false).await;
    let before = all_rows(&harness).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        populated_org(&harness, "Test", true).await;
        let dry = harness.tenancy.clean_up(&OrganizationSelector::Tests, None, true, false).await.unwrap().unwrap();
        let refused = harness.tenancy.clean_up(&OrganizationSelector::Tests, None, false, false).await.unwrap();
        assert_eq!(refused, Err(CleanupRefusal::HasDeals(2)));
        let cleaned = harness.tenancy.clean_up(&OrganizationSelector::Tests, None, false, true).await.unwrap().unwrap();
        assert_eq!(cleaned[0].rows, dry[0].rows, "the dry run counts the same rows");
        assert_eq!(all_rows(&harness).await, before);
        seen.push(cleaned.into_iter().map(|cleaned| cleaned.rows).collect::<Vec<_>>());
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
    assert_eq!(seen[0].len(), 1);
    assert!(
        harness.tenancy.clean_up(&OrganizationSelector::Tests, None, false, true).await.unwrap().unwrap().is_empty()
    );
    assert!(harness.tenancy.organization(&person(1), kept).await.is_ok());
}

#[tokio::test]
async fn an_ambiguous_name_deletes_nothing() {
    let harness = deals().await;
    let one = populated_org(&harness, "Twin", false).await;
    let two = populated_org(&harness, "TWIN", false).await;
    let clean_up =
        async |selector: OrganizationSelector| harness.tenancy.clean_up(&selector, None, false, true).await.unwrap();
    assert_eq!(
        clean_up(OrganizationSelector::Named("twin".into())).await,
        Err(CleanupRefusal::Ambiguous(vec![one, two]))
    );
    assert_eq!(clean_up(OrganizationSelector::Named("nobody".into())).await, Ok(Vec::new()));
    assert_eq!(clean_up(OrganizationSelector::Id(two)).await.unwrap()[0].id, two);
    assert!(harness.tenancy.organization(&person(1), one).await.is_ok());
    assert_eq!(clean_up(OrganizationSelector::Named("twin".into())).await.unwrap()[0].id, one);
    assert!(all_rows(&harness).await.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn unused_accounts_are_deleted_with_their_organization() {
    let harness = deals().await;
    let org = populated_org(&harness, "Test", true).await;
    let elsewhere = harness.org_of(3, "Elsewhere").await;
    harness.join(org, 3, "viewer", None).await;
    harness.join(elsewhere, 1, "viewer", None).await;
    let clean_up = async |dry_run| {
        let cleaned =
            harness.tenancy.clean_up(&OrganizationSelector::Id(org), Some(&WithoutMembership), dry_run, true).await;
        cleaned.unwrap().unwrap().remove(0).users
    };
    assert_eq!(clean_up(true).await, [UserId(2)], "the others are members elsewhere");
    assert_eq!(harness.db.count_rows("people").await, 60, "a dry run changes nothing");
    assert_eq!((clean_up(false).await, harness.db.count_rows("people").await), (vec![UserId(2)], 59));
}

#[tokio::test]
async fn an_organization_without_clients_can_be_deleted() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.team_of(org, "North", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let delete = async || harness.tenancy.delete_organization(&person(1), org, IfMatch::default()).await;
    assert_eq!(code(delete().await), "protected");
    harness.clients.delete_client(&person(1), org, client, false, None, IfMatch::default()).await.unwrap();
    assert_eq!(code(delete().await), "protected", "clients in the trash count");
    let deletion =
        guildhall_deals::Trash::trash(&harness.deals.sales, &person(1), org, page()).await.unwrap().results[0].id;
    guildhall_deals::Trash::purge(&harness.deals.sales, &person(1), org, deletion).await.unwrap();
    harness.join(org, 2, "admin", None).await;
    assert_eq!(code(harness.tenancy.delete_organization(&person(2), org, IfMatch::default()).await), "not_granted");
    delete().await.unwrap();
    assert!(all_rows(&harness).await.iter().all(|(_, count)| *count == 0));
}

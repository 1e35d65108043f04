use guildhall_deals::{
    Accounts, Clients, Deals, NewContact, NewOrganization, NewReversal, OrganizationId, Organizations, Payments,
    Refusal, Which,
};
use guildhall_kernel::{IfMatch, UserId};

use crate::harness::{Harness, code, deals, page, person};

/// Everything that an organization can hold.
async fn furnished(harness: &Harness, name: &str, is_test: bool) -> OrganizationId {
    let new = NewOrganization { name: name.into(), is_test, ..NewOrganization::default() };
    let org = harness.create_organization(&person(1), new).await.unwrap().id;
    let north = harness.team_of(org, "North", None).await;
    let harbour = harness.team_of(org, "Harbour", Some(north)).await;
    harness.join(org, 2, "salesperson", Some(harbour)).await;
    let client = harness.client_of(2, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.create_contact(&person(2), org, client, contact).await.unwrap();
    let deal = harness.deal_of(2, org, client, "10").await.id;
    let paid = harness.pay(2, org, deal, "5").await.id;
    harness.reverse_payment(&person(1), org, deal.into(), paid, NewReversal::default(), None).await.unwrap();
    let trashed = harness.deal_of(2, org, client, "20").await.id;
    harness.delete_deal(&person(2), org, trashed.into(), false, IfMatch::default()).await.unwrap();
    org
}

/// How many rows each table of the crate holds.
async fn all_rows(harness: &Harness) -> Vec<(String, i64)> {
    let mut counts = Vec::new();
    for model in guildhall_deals::admin() {
        counts.push((model.table.clone(), harness.rows(&model.table).await));
    }
    counts
}

#[tokio::test]
async fn setting_up_and_cleaning_away_three_times_comes_to_the_same() {
    let harness = deals().await;
    let kept = furnished(&harness, "Kept", false).await;
    let before = all_rows(&harness).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        furnished(&harness, "Test", true).await;
        let dry = harness.clean_up(&Which::Tests, Accounts::Stay, true, false).await.unwrap().unwrap();
        let refused = harness.clean_up(&Which::Tests, Accounts::Stay, false, false).await.unwrap();
        assert_eq!(refused, Err(Refusal::HasDeals(2)));
        let cleaned = harness.clean_up(&Which::Tests, Accounts::Stay, false, true).await.unwrap().unwrap();
        assert_eq!(cleaned[0].rows, dry[0].rows, "what was told is what went");
        assert_eq!(all_rows(&harness).await, before);
        seen.push(cleaned.into_iter().map(|cleaned| cleaned.rows).collect::<Vec<_>>());
    }
    assert_eq!((seen[0] == seen[1], seen[1] == seen[2]), (true, true));
    assert_eq!(seen[0].len(), 1);
    assert!(harness.clean_up(&Which::Tests, Accounts::Stay, false, true).await.unwrap().unwrap().is_empty());
    assert!(harness.organization(&person(1), kept).await.is_ok());
}

#[tokio::test]
async fn an_organization_is_named_without_doubt_or_nothing_happens() {
    let harness = deals().await;
    let one = furnished(&harness, "Twin", false).await;
    let two = furnished(&harness, "TWIN", false).await;
    let clean = async |which: Which| harness.clean_up(&which, Accounts::Stay, false, true).await.unwrap();
    assert_eq!(clean(Which::Named("twin".into())).await, Err(Refusal::Ambiguous(vec![one, two])));
    assert_eq!(clean(Which::Named("nobody".into())).await, Ok(Vec::new()));
    assert_eq!(clean(Which::Id(two)).await.unwrap()[0].id, two);
    assert!(harness.organization(&person(1), one).await.is_ok());
    assert_eq!(clean(Which::Named("twin".into())).await.unwrap()[0].id, one);
    assert!(all_rows(&harness).await.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn accounts_go_along_that_nothing_else_needs() {
    let harness = deals().await;
    let org = furnished(&harness, "Test", true).await;
    let elsewhere = harness.org_of(3, "Elsewhere").await;
    harness.join(org, 3, "viewer", None).await;
    harness.join(elsewhere, 1, "viewer", None).await;
    let dry = harness.clean_up(&Which::Id(org), Accounts::All, true, true).await.unwrap().unwrap();
    assert_eq!(dry[0].users, [UserId(2)]);
    assert_eq!(harness.rows("people").await, 60);
    let these = [UserId(2), UserId(3)];
    let gone = harness.clean_up(&Which::Id(org), Accounts::These(&these), false, true).await.unwrap().unwrap();
    assert_eq!((gone[0].users.as_slice(), harness.rows("people").await), (&[UserId(2)][..], 59));
}

#[tokio::test]
async fn an_organization_is_removed_once_it_has_no_clients() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.team_of(org, "North", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let remove = async || harness.delete_organization(&person(1), org, IfMatch::default()).await;
    assert_eq!(code(remove().await), "protected");
    harness.delete_client(&person(1), org, client, false, None, IfMatch::default()).await.unwrap();
    assert_eq!(code(remove().await), "protected", "what is in the trash counts");
    let deletion = guildhall_deals::Trash::trash(&harness.deals, &person(1), org, page()).await.unwrap().results[0].id;
    guildhall_deals::Trash::purge(&harness.deals, &person(1), org, deletion).await.unwrap();
    harness.join(org, 2, "admin", None).await;
    assert_eq!(code(harness.delete_organization(&person(2), org, IfMatch::default()).await), "not_granted");
    remove().await.unwrap();
    assert!(all_rows(&harness).await.iter().all(|(_, count)| *count == 0));
}

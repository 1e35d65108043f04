use guildhall_deals::{
    Activities, Clients, Contacts, DealStatus, Deals, Filter, Merges, NewActivity, NewClient, NewContact, Payments,
};
use guildhall_kernel::CursorQuery;

use crate::harness::{code, deals, invalid_fields, page, person};

#[tokio::test]
async fn merging_moves_everything_to_one_client() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    let new = |name: &str, phone: &str, email: &str| NewClient {
        name: name.into(),
        phone: phone.into(),
        email: email.into(),
        ..NewClient::default()
    };
    let one = harness.clients.create_client(&person(1), org, new("Müller", "030 12345", "")).await.unwrap().id;
    let other =
        harness.clients.create_client(&person(1), org, new("MÜLLER", "+30-12345", "a@b.example")).await.unwrap().id;
    let third = harness.clients.create_client(&person(1), org, new("Meier", "030-12345", "")).await.unwrap().id;
    let duplicates = harness.clients.duplicates(&person(1), org, one).await.unwrap();
    let duplicates: Vec<_> = duplicates.into_iter().map(|found| (found.client.id, found.same)).collect();
    assert_eq!(duplicates, [(other, vec!["name"]), (third, vec!["phone"])]);
    for (client, name) in [(one, "Ann"), (other, "Bob")] {
        let contact = NewContact { first_name: name.into(), is_primary: true, ..NewContact::default() };
        harness.clients.create_contact(&person(1), org, client, contact).await.unwrap();
    }
    let deal = harness.deal_of(1, org, other, "10").await.id;
    harness.pay(1, org, deal, "5").await;
    harness
        .tasks
        .log_activity(&person(1), org, deal.into(), NewActivity { content: "x".into(), ..NewActivity::default() })
        .await
        .unwrap();
    harness
        .sales
        .close_deal(&person(1), org, deal.into(), DealStatus::Won, guildhall_deals::CloseDeal::default())
        .await
        .unwrap();
    assert_eq!(invalid_fields(harness.clients.merge_clients(&person(1), org, one, one).await), ["client_id"]);
    assert_eq!(code(harness.clients.merge_clients(&person(2), org, one, other).await), "client_not_found");
    let merged = harness.clients.merge_clients(&person(1), org, one, other).await.unwrap();
    assert_eq!((merged.id, merged.name.as_str(), merged.email.as_str()), (one, "Müller", "a@b.example"));
    let found = harness.read(1, org, deal).await;
    assert_eq!((found.client_id, found.client.name.as_str(), found.paid_total.as_str()), (one, "Müller", "5.00"));
    let people = harness.clients.contacts(&person(1), org, one, page()).await.unwrap().results;
    assert_eq!(people.iter().map(|contact| contact.is_primary).collect::<Vec<_>>(), [true, false]);
    assert_eq!(harness.tasks.timeline(&person(1), org, one, CursorQuery::newest(5)).await.unwrap().results.len(), 1);
    let error = guildhall_kernel::Error::from(
        Clients::client(&harness.deals.clients, &person(1), org, other).await.unwrap_err(),
    );
    assert_eq!((error.code(), error.extension("merged_into")), ("client_merged", Some(&one.0.into())));
    assert_eq!(code(Clients::client(&harness.deals.clients, &person(2), org, other).await), "client_not_found");
    // The id follows a second merge.
    harness.clients.merge_clients(&person(1), org, third, one).await.unwrap();
    let error = guildhall_kernel::Error::from(
        Clients::client(&harness.deals.clients, &person(1), org, other).await.unwrap_err(),
    );
    assert_eq!(error.extension("merged_into"), Some(&third.0.into()));
    let payments = harness.ledger.payments(&person(1), org, None, Filter::default(), page()).await.unwrap();
    assert_eq!(payments.count, 1);
    harness.assert_consistent().await;
}

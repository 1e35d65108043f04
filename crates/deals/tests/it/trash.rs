use std::collections::BTreeMap;

use guildhall_deals::{
    Activities, Amount, Clients, ContactPatch, Contacts, CustomFieldTarget, CustomFieldType, CustomFields, DealPatch,
    Deals, DeletedKind, Filter, LineItems, Merges, NewActivity, NewClient, NewContact, NewCustomField, NewDeal,
    NewLine, NewTask, Payments, Period, Reports, Tasks, Trash,
};
use guildhall_kernel::{IfMatch, Timestamp};

use crate::harness::{code, created, deal, deals, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

#[tokio::test]
async fn a_client_is_deleted_and_restored_with_its_dependents() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.clients.create_contact(&person(1), org, client, contact).await.unwrap();
    let (live, trashed) =
        (harness.deal_of(1, org, client, "10").await.id, harness.deal_of(1, org, client, "20").await.id);
    harness.pay(1, org, live, "5").await;
    harness.sales.delete_deal(&person(1), org, trashed.into(), false, any()).await.unwrap();
    let preview = harness.clients.preview_client(&person(1), org, client, false).await.unwrap();
    let counts: Vec<(&str, u64)> = preview.will_delete.iter().map(|(name, count)| (*name, *count)).collect();
    assert_eq!(counts, [("client", 1), ("contact", 1), ("deal", 1), ("payment", 1), ("stage_change", 1)]);
    assert!(preview.will_keep["audit"] > 0 && preview.root.label == "Global Corp");
    // The preview is stale after a change.
    let patch = DealPatch { title: Some("Shop".into()), ..DealPatch::default() };
    harness.sales.change_deal(&person(1), org, live.into(), patch, any()).await.unwrap();
    let delete = async |token: &str| {
        harness.clients.delete_client(&person(1), org, client, false, Some(token.into()), any()).await
    };
    assert_eq!(code(delete(&preview.token).await), "preview_stale");
    let preview = harness.clients.preview_client(&person(1), org, client, false).await.unwrap();
    delete(&preview.token).await.unwrap();
    assert_eq!(code(Clients::client(&harness.deals.clients, &person(1), org, client).await), "client_not_found");
    assert_eq!(code(Deals::deal(&harness.deals.sales, &person(1), org, live.into(), None).await), "deal_not_found");
    assert!(harness.titles(1, org, &[]).await.is_empty());
    assert!(harness.titles(1, org, &[("q", "shop")]).await.is_empty());
    let payments = harness.ledger.payments(&person(1), org, None, Filter::default(), page()).await.unwrap();
    assert_eq!(payments.count, 0);
    let trash = harness.sales.trash(&person(1), org, page()).await.unwrap().results;
    assert_eq!((trash.len(), trash[0].kind, trash[0].label.as_str()), (2, DeletedKind::Client, "Global Corp"));
    // A deal cannot be restored before its client.
    assert_eq!(code(harness.sales.restore(&person(1), org, trash[1].id).await), "illegal_transition");
    harness.sales.restore(&person(1), org, trash[0].id).await.unwrap();
    assert_eq!(harness.titles(1, org, &[]).await, ["Shop"], "the deal deleted earlier stays in the trash");
    assert_eq!(harness.clients.contacts(&person(1), org, client, page()).await.unwrap().count, 1);
    harness.sales.restore(&person(1), org, trash[1].id).await.unwrap();
    assert_eq!(harness.titles(1, org, &[]).await.len(), 2);
    assert_eq!(code(harness.sales.restore(&person(1), org, trash[1].id).await), "not_found");
    harness.assert_consistent().await;
}

#[tokio::test]
async fn the_email_of_a_client_in_the_trash_can_be_reused() {
    let harness = deals().await;
    let org = harness.org().await;
    let new = || NewClient { name: "x".into(), email: "a@example.org".into(), ..NewClient::default() };
    let first = harness.clients.create_client(&person(1), org, new()).await.unwrap().id;
    assert_eq!(code(harness.clients.create_client(&person(1), org, new()).await), "duplicate");
    harness.clients.delete_client(&person(1), org, first, false, None, any()).await.unwrap();
    harness.clients.create_client(&person(1), org, new()).await.unwrap();
    let deletion = harness.sales.trash(&person(1), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.sales.restore(&person(1), org, deletion).await), "duplicate");
    assert_eq!(harness.sales.trash(&person(1), org, page()).await.unwrap().count, 1);
}

#[tokio::test]
async fn purging_deletes_a_client_with_its_payments() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    let contact = harness.clients.create_contact(&person(1), org, client, contact).await.unwrap().id;
    let patch = DealPatch { contact_id: Some(Some(contact)), ..DealPatch::default() };
    let deal = harness.deal_of(1, org, client, "10").await.id;
    harness.sales.change_deal(&person(1), org, deal.into(), patch, any()).await.unwrap();
    let paid = harness.pay(1, org, deal, "5").await.id;
    let reversal = guildhall_deals::NewReversal::default();
    harness.ledger.reverse_payment(&person(1), org, deal.into(), paid, reversal, None).await.unwrap();
    let trashed = harness.deal_of(1, org, client, "20").await.id;
    harness.sales.delete_deal(&person(1), org, trashed.into(), false, any()).await.unwrap();
    // Purging a contact clears it from the deal.
    harness.clients.change_contact(&person(1), org, client, contact, ContactPatch::default(), any()).await.unwrap();
    harness.clients.delete_contact(&person(1), org, client, contact, any()).await.unwrap();
    let deletion = harness.sales.trash(&person(1), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.sales.purge(&person(2), org, deletion).await), "not_granted");
    harness.sales.purge(&person(1), org, deletion).await.unwrap();
    assert_eq!(harness.read(1, org, deal).await.contact_id, None);
    assert_eq!(code(harness.clients.delete_client(&person(2), org, client, true, None, any()).await), "not_granted");
    harness.clients.delete_client(&person(1), org, client, true, None, any()).await.unwrap();
    for table in
        ["deals_client", "deals_contact", "deals_deal", "deals_payment", "deals_stage_change", "deals_deletion"]
    {
        assert_eq!(harness.db.count_rows(table).await, 0, "{table}");
    }
    let client = harness.client_of(1, org, "x").await.id;
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0003");
}

#[tokio::test]
async fn members_see_their_own_deletions_in_the_trash() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    harness.clients.delete_client(&person(2), org, client, false, None, any()).await.unwrap();
    let own = harness.sales.trash(&person(2), org, page()).await.unwrap();
    assert_eq!((own.count, harness.sales.trash(&person(3), org, page()).await.unwrap().count), (1, 0));
    assert_eq!(code(harness.sales.restore(&person(3), org, own.results[0].id).await), "not_found");
    harness.sales.restore(&person(2), org, own.results[0].id).await.unwrap();
}

#[tokio::test]
async fn a_preview_counts_every_row_that_a_purge_deletes() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let field = NewCustomField {
        entity: CustomFieldTarget::Deal,
        key: "size".into(),
        name: "Size".into(),
        kind: CustomFieldType::Number,
        options: Vec::new(),
        is_required: false,
    };
    harness.custom.create_custom_field(me, org, field).await.unwrap();
    let client = harness.client_of(1, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.clients.create_contact(me, org, client, contact).await.unwrap();
    let custom = BTreeMap::from([("size".to_owned(), serde_json::json!(3))]);
    let new = NewDeal { custom, ..deal(client, "x", "10") };
    let id = created(harness.sales.create_deal(me, org, None, new, None).await.unwrap()).id;
    harness.pay(1, org, id, "5").await;
    let line = NewLine { name: "x".into(), quantity: None, unit_price: Amount::new("10"), discount: None, tax: None };
    harness.sales.add_line(me, org, id.into(), line).await.unwrap();
    let note = NewActivity { content: "Called".into(), ..NewActivity::default() };
    harness.tasks.log_activity(me, org, id.into(), note.clone()).await.unwrap();
    harness.tasks.log_with_client(me, org, client, note).await.unwrap();
    let task = NewTask { title: "Call".into(), client_id: Some(client), ..NewTask::default() };
    harness.tasks.create_task(me, org, task).await.unwrap();
    let earlier = harness.deal_of(1, org, client, "20").await.id;
    harness.pay(1, org, earlier, "20").await;
    harness.sales.delete_deal(me, org, earlier.into(), false, any()).await.unwrap();

    let to_trash = harness.clients.preview_client(me, org, client, false).await.unwrap();
    assert_eq!((to_trash.will_delete["deal"], to_trash.will_delete["payment"]), (1, 1));
    let preview = harness.clients.preview_client(me, org, client, true).await.unwrap();
    assert_eq!(preview.will_delete.len(), 9, "{:?}", preview.will_delete);
    let mut before = BTreeMap::new();
    for model in preview.will_delete.keys() {
        before.insert(*model, harness.db.count_rows(&format!("deals_{model}")).await);
    }
    let stale = harness.clients.delete_client(me, org, client, true, Some(to_trash.token), any()).await;
    assert_eq!(code(stale), "preview_stale", "the token is of a preview of another operation");
    harness.clients.delete_client(me, org, client, true, Some(preview.token), any()).await.unwrap();
    for (model, count) in preview.will_delete {
        let deleted = before[model] - harness.db.count_rows(&format!("deals_{model}")).await;
        assert_eq!(deleted, i64::try_from(count).unwrap(), "{model}");
    }
}

#[tokio::test]
async fn a_preview_is_stale_after_another_deal_was_deleted() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let (one, other) = (harness.deal_of(1, org, client, "1").await.id, harness.deal_of(1, org, client, "1").await.id);
    harness.sales.delete_deal(me, org, one.into(), false, any()).await.unwrap();
    let deletion = harness.sales.trash(me, org, page()).await.unwrap().results[0].id;
    let preview = harness.clients.preview_client(me, org, client, false).await.unwrap();
    harness.sales.delete_deal(me, org, other.into(), false, any()).await.unwrap();
    harness.sales.restore(me, org, deletion).await.unwrap();
    let deleted = harness.clients.delete_client(me, org, client, false, Some(preview.token), any()).await;
    assert_eq!(code(deleted), "preview_stale", "the number of deals is the same, but not the deals");
}

#[tokio::test]
async fn tasks_of_objects_in_the_trash_are_hidden() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "1").await.id;
    let long_ago = Some(Timestamp::from_unix_seconds(1));
    let task = NewTask {
        title: "Call".into(),
        deal_id: Some(id),
        due_at: long_ago,
        remind_at: long_ago,
        ..NewTask::default()
    };
    let task = harness.tasks.create_task(me, org, task).await.unwrap().id;
    let counts = async || {
        let shown = harness.tasks.tasks(me, org, Filter::default(), page()).await.unwrap().count;
        (shown, harness.reports.dashboard(me, org, Period::default()).await.unwrap().tasks_late)
    };
    assert_eq!(counts().await, (1, 1));
    harness.clients.delete_client(me, org, client, false, None, any()).await.unwrap();
    assert_eq!((counts().await, harness.tasks.remind().await.unwrap()), ((0, 0), 0));
    assert_eq!(code(harness.tasks.task(me, org, task).await), "not_found");
    let deletion = harness.sales.trash(me, org, page()).await.unwrap().results[0].id;
    harness.sales.restore(me, org, deletion).await.unwrap();
    assert_eq!((counts().await, harness.tasks.remind().await.unwrap()), ((1, 1), 1));
}

#[tokio::test]
async fn a_client_with_inaccessible_deals_is_not_deleted() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    harness.join(org, 2, "salesperson", None).await;
    let (theirs, other) = (harness.client_of(2, org, "x").await.id, harness.client_of(2, org, "y").await.id);
    let id = harness.deal_of(1, org, theirs, "1").await.id;
    let delete = async || harness.clients.delete_client(&person(2), org, theirs, false, None, any()).await;
    assert_eq!(code(delete().await), "not_granted");
    assert_eq!(code(harness.clients.merge_clients(&person(2), org, other, theirs).await), "not_granted");
    assert_eq!(harness.read(1, org, id).await.client_id, theirs);
    harness.sales.delete_deal(me, org, id.into(), false, any()).await.unwrap();
    delete().await.unwrap();
}

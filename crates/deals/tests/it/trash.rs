use std::collections::BTreeMap;

use guildhall_deals::{
    Amount, Clients, ContactPatch, CustomFields, CustomKind, Customized, DealPatch, Deals, DeletedKind, Filter, Lines,
    NewActivity, NewClient, NewContact, NewCustomField, NewDeal, NewLine, NewTask, Payments, Period, Reports, Trash,
    Work,
};
use guildhall_kernel::{IfMatch, Timestamp};

use crate::harness::{code, deal, deals, made, page, person};

fn any() -> IfMatch {
    IfMatch::default()
}

#[tokio::test]
async fn a_client_goes_with_what_hangs_on_it_and_comes_back_with_just_that() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.create_contact(&person(1), org, client, contact).await.unwrap();
    let (kept, earlier) =
        (harness.deal_of(1, org, client, "10").await.id, harness.deal_of(1, org, client, "20").await.id);
    harness.pay(1, org, kept, "5").await;
    harness.delete_deal(&person(1), org, earlier.into(), false, any()).await.unwrap();
    let preview = harness.preview_client(&person(1), org, client, false).await.unwrap();
    let counts: Vec<(&str, u64)> = preview.will_delete.iter().map(|(name, count)| (*name, *count)).collect();
    assert_eq!(counts, [("client", 1), ("contact", 1), ("deal", 1), ("payment", 1), ("stage_change", 1)]);
    assert!(preview.will_keep["audit"] > 0 && preview.root.label == "Global Corp");
    // What was shown is no longer what would go.
    let patch = DealPatch { title: Some("Shop".into()), ..DealPatch::default() };
    harness.change_deal(&person(1), org, kept.into(), patch, any()).await.unwrap();
    let delete =
        async |token: &str| harness.delete_client(&person(1), org, client, false, Some(token.into()), any()).await;
    assert_eq!(code(delete(&preview.token).await), "preview_stale");
    let preview = harness.preview_client(&person(1), org, client, false).await.unwrap();
    delete(&preview.token).await.unwrap();
    assert_eq!(code(Clients::client(&harness.deals, &person(1), org, client).await), "client_not_found");
    assert_eq!(code(Deals::deal(&harness.deals, &person(1), org, kept.into(), None).await), "deal_not_found");
    assert!(harness.titles(1, org, &[]).await.is_empty());
    assert!(harness.titles(1, org, &[("q", "shop")]).await.is_empty());
    let payments = harness.payments(&person(1), org, None, Filter::default(), page()).await.unwrap();
    assert_eq!(payments.count, 0);
    let trash = harness.trash(&person(1), org, page()).await.unwrap().results;
    assert_eq!((trash.len(), trash[0].kind, trash[0].label.as_str()), (2, DeletedKind::Client, "Global Corp"));
    // A deal does not come back without its client.
    assert_eq!(code(harness.restore(&person(1), org, trash[1].id).await), "illegal_transition");
    harness.restore(&person(1), org, trash[0].id).await.unwrap();
    assert_eq!(harness.titles(1, org, &[]).await, ["Shop"], "what went before stays where it is");
    assert_eq!(harness.contacts(&person(1), org, client, page()).await.unwrap().count, 1);
    harness.restore(&person(1), org, trash[1].id).await.unwrap();
    assert_eq!(harness.titles(1, org, &[]).await.len(), 2);
    assert_eq!(code(harness.restore(&person(1), org, trash[1].id).await), "not_found");
    harness.assert_counted().await;
}

#[tokio::test]
async fn an_address_is_free_again_once_its_client_is_in_the_trash() {
    let harness = deals().await;
    let org = harness.org().await;
    let new = || NewClient { name: "x".into(), email: "a@example.org".into(), ..NewClient::default() };
    let first = harness.create_client(&person(1), org, new()).await.unwrap().id;
    assert_eq!(code(harness.create_client(&person(1), org, new()).await), "duplicate");
    harness.delete_client(&person(1), org, first, false, None, any()).await.unwrap();
    harness.create_client(&person(1), org, new()).await.unwrap();
    let deletion = harness.trash(&person(1), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.restore(&person(1), org, deletion).await), "duplicate");
    assert_eq!(harness.trash(&person(1), org, page()).await.unwrap().count, 1);
}

#[tokio::test]
async fn what_is_purged_is_gone_for_good_with_its_ledger() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    let contact = harness.create_contact(&person(1), org, client, contact).await.unwrap().id;
    let patch = DealPatch { contact_id: Some(Some(contact)), ..DealPatch::default() };
    let deal = harness.deal_of(1, org, client, "10").await.id;
    harness.change_deal(&person(1), org, deal.into(), patch, any()).await.unwrap();
    let paid = harness.pay(1, org, deal, "5").await.id;
    let back = guildhall_deals::NewReversal::default();
    harness.reverse_payment(&person(1), org, deal.into(), paid, back, None).await.unwrap();
    let trashed = harness.deal_of(1, org, client, "20").await.id;
    harness.delete_deal(&person(1), org, trashed.into(), false, any()).await.unwrap();
    // A person at a client goes alone; the deal stays, without them.
    harness.change_contact(&person(1), org, client, contact, ContactPatch::default(), any()).await.unwrap();
    harness.delete_contact(&person(1), org, client, contact, any()).await.unwrap();
    let deletion = harness.trash(&person(1), org, page()).await.unwrap().results[0].id;
    assert_eq!(code(harness.purge(&person(2), org, deletion).await), "not_granted");
    harness.purge(&person(1), org, deletion).await.unwrap();
    assert_eq!(harness.read(1, org, deal).await.contact_id, None);
    assert_eq!(code(harness.delete_client(&person(2), org, client, true, None, any()).await), "not_granted");
    harness.delete_client(&person(1), org, client, true, None, any()).await.unwrap();
    for table in
        ["deals_client", "deals_contact", "deals_deal", "deals_payment", "deals_stage_change", "deals_deletion"]
    {
        assert_eq!(harness.rows(table).await, 0, "{table}");
    }
    let client = harness.client_of(1, org, "x").await.id;
    assert_eq!(harness.deal_of(1, org, client, "1").await.number, "DLID0003");
}

#[tokio::test]
async fn a_salesperson_finds_in_the_trash_what_they_threw_away() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    harness.delete_client(&person(2), org, client, false, None, any()).await.unwrap();
    let own = harness.trash(&person(2), org, page()).await.unwrap();
    assert_eq!((own.count, harness.trash(&person(3), org, page()).await.unwrap().count), (1, 0));
    assert_eq!(code(harness.restore(&person(3), org, own.results[0].id).await), "not_found");
    harness.restore(&person(2), org, own.results[0].id).await.unwrap();
}

#[tokio::test]
async fn a_preview_counts_all_that_goes_for_good() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let field = NewCustomField {
        entity: Customized::Deal,
        key: "size".into(),
        name: "Size".into(),
        kind: CustomKind::Number,
        options: Vec::new(),
        is_required: false,
    };
    harness.create_custom_field(me, org, field).await.unwrap();
    let client = harness.client_of(1, org, "x").await.id;
    let contact = NewContact { first_name: "Ann".into(), ..NewContact::default() };
    harness.create_contact(me, org, client, contact).await.unwrap();
    let custom = BTreeMap::from([("size".to_owned(), serde_json::json!(3))]);
    let new = NewDeal { custom, ..deal(client, "x", "10") };
    let id = made(harness.create_deal(me, org, None, new, None).await.unwrap()).id;
    harness.pay(1, org, id, "5").await;
    let line = NewLine { name: "x".into(), quantity: None, unit_price: Amount::new("10"), discount: None, tax: None };
    harness.add_line(me, org, id.into(), line).await.unwrap();
    let note = NewActivity { content: "Called".into(), ..NewActivity::default() };
    harness.log_activity(me, org, id.into(), note.clone()).await.unwrap();
    harness.log_with_client(me, org, client, note).await.unwrap();
    let task = NewTask { title: "Call".into(), client_id: Some(client), ..NewTask::default() };
    harness.create_task(me, org, task).await.unwrap();
    let earlier = harness.deal_of(1, org, client, "20").await.id;
    harness.pay(1, org, earlier, "20").await;
    harness.delete_deal(me, org, earlier.into(), false, any()).await.unwrap();

    let into_trash = harness.preview_client(me, org, client, false).await.unwrap();
    assert_eq!((into_trash.will_delete["deal"], into_trash.will_delete["payment"]), (1, 1));
    let preview = harness.preview_client(me, org, client, true).await.unwrap();
    assert_eq!(preview.will_delete.len(), 9, "{:?}", preview.will_delete);
    let mut before = BTreeMap::new();
    for model in preview.will_delete.keys() {
        before.insert(*model, harness.rows(&format!("deals_{model}")).await);
    }
    let stale = harness.delete_client(me, org, client, true, Some(into_trash.token), any()).await;
    assert_eq!(code(stale), "preview_stale", "that one was about the trash");
    harness.delete_client(me, org, client, true, Some(preview.token), any()).await.unwrap();
    for (model, count) in preview.will_delete {
        let gone = before[model] - harness.rows(&format!("deals_{model}")).await;
        assert_eq!(gone, i64::try_from(count).unwrap(), "{model}");
    }
}

#[tokio::test]
async fn a_preview_is_stale_once_another_deal_lies_in_the_trash() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let (one, other) = (harness.deal_of(1, org, client, "1").await.id, harness.deal_of(1, org, client, "1").await.id);
    harness.delete_deal(me, org, one.into(), false, any()).await.unwrap();
    let deletion = harness.trash(me, org, page()).await.unwrap().results[0].id;
    let preview = harness.preview_client(me, org, client, false).await.unwrap();
    harness.delete_deal(me, org, other.into(), false, any()).await.unwrap();
    harness.restore(me, org, deletion).await.unwrap();
    let deleted = harness.delete_client(me, org, client, false, Some(preview.token), any()).await;
    assert_eq!(code(deleted), "preview_stale", "as many, but not the same");
}

#[tokio::test]
async fn what_lies_in_the_trash_gives_nobody_work() {
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
    let task = harness.create_task(me, org, task).await.unwrap().id;
    let late = async || {
        let shown = harness.tasks(me, org, Filter::default(), page()).await.unwrap().count;
        (shown, harness.dashboard(me, org, Period::default()).await.unwrap().tasks_late)
    };
    assert_eq!(late().await, (1, 1));
    harness.delete_client(me, org, client, false, None, any()).await.unwrap();
    assert_eq!((late().await, harness.remind().await.unwrap()), ((0, 0), 0));
    assert_eq!(code(harness.task(me, org, task).await), "not_found");
    let deletion = harness.trash(me, org, page()).await.unwrap().results[0].id;
    harness.restore(me, org, deletion).await.unwrap();
    assert_eq!((late().await, harness.remind().await.unwrap()), ((1, 1), 1));
}

#[tokio::test]
async fn a_client_takes_no_deals_along_that_are_out_of_reach() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    harness.join(org, 2, "salesperson", None).await;
    let (theirs, other) = (harness.client_of(2, org, "x").await.id, harness.client_of(2, org, "y").await.id);
    let id = harness.deal_of(1, org, theirs, "1").await.id;
    let delete = async || harness.delete_client(&person(2), org, theirs, false, None, any()).await;
    assert_eq!(code(delete().await), "not_granted");
    assert_eq!(code(harness.merge_clients(&person(2), org, other, theirs).await), "not_granted");
    assert_eq!(harness.read(1, org, id).await.client_id, theirs);
    harness.delete_deal(me, org, id.into(), false, any()).await.unwrap();
    delete().await.unwrap();
}

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use guildhall_deals::{
    Activities, Amount, CloseDeal, Contacts, Currency, DealPatch, DealStatus, Deals, Filter, LineItems, Members,
    Merges, NewActivity, NewContact, NewDeal, NewLine, NewReversal, NewView, OrganizationPatch, Organizations,
    PaymentStatus, Payments, Pipelines, Reassign, SavedViews, Sharing, StagePatch, StageRef, Stages, Verdict,
    Verification, ViewPatch, Viewed,
};
use guildhall_kernel::{
    CursorQuery, IfMatch, PageQuery, UserId,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::harness::{code, created, deal, deals, invalid_fields, page, payment, person, with_connections};

#[tokio::test]
async fn deals_are_numbered_from_one_in_each_organization() {
    let harness = deals().await;
    let (here, there) = (harness.org().await, harness.org_of(2, "Other").await);
    let client = harness.client_of(1, here, "Global Corp").await.id;
    let first = harness.deal_of(1, here, client, "1200.50").await;
    assert_eq!((first.number.as_str(), first.deal_id.as_str()), ("DLID0001", "DLID0001"));
    assert_eq!(
        (first.value.as_str(), first.paid_total.as_str(), first.balance.as_str()),
        ("1200.50", "0.00", "1200.50")
    );
    assert_eq!((first.stage.as_str(), first.status, first.probability), ("lead", DealStatus::Open, 10));
    assert_eq!(first.payment_status, PaymentStatus::Unpaid);
    assert_eq!(first.client.name, "Global Corp");
    assert_eq!(first.owner.as_ref().map(|owner| owner.id), Some(UserId(1)));
    assert_eq!(first, harness.read(1, here, first.id).await);
    assert_eq!(harness.deal_of(1, here, client, "0").await.number, "DLID0002");
    let other = harness.client_of(2, there, "X").await.id;
    assert_eq!(harness.deal_of(2, there, other, "1").await.number, "DLID0001");
    // A failed request takes no number, and a purged deal does not release its number.
    assert_eq!(
        invalid_fields(harness.sales.create_deal(&person(1), here, None, deal(client, "x", "1.001"), None).await),
        ["value"]
    );
    harness.sales.delete_deal(&person(1), here, first.id.into(), true, IfMatch::default()).await.unwrap();
    harness.reject_rows("deals_stage_change", "to_name = 'won'").await;
    let new = NewDeal { stage: Some(StageRef::Name("won".into())), ..deal(client, "x", "1") };
    assert!(
        harness.sales.create_deal(&person(1), here, None, new, None).await.is_err(),
        "fails after it was assigned a number"
    );
    assert_eq!(harness.deal_of(1, here, client, "1").await.number, "DLID0003");
    // Numbers are sorted as numbers, not as text.
    harness.db.sql("UPDATE deals_counter SET next = 9999 WHERE kind = 'deal'").await.unwrap();
    for number in ["DLID9999", "DLID10000", "DLID10001"] {
        assert_eq!(harness.deal_of(1, here, client, "1").await.number, number);
    }
    let listed =
        Deals::deals(&harness.deals.sales, &person(1), here, None, Filter::default(), page().ordered("number")).await;
    let numbers: Vec<String> = listed.unwrap().results.into_iter().map(|deal| deal.number).collect();
    assert_eq!(numbers, ["DLID0002", "DLID0003", "DLID9999", "DLID10000", "DLID10001"]);
    let patch =
        OrganizationPatch { number_prefix: Some("AB-".into()), number_pad: Some(6), ..OrganizationPatch::default() };
    harness.tenancy.change_organization(&person(1), here, patch, IfMatch::default()).await.unwrap();
    assert_eq!(harness.deal_of(1, here, client, "1").await.number, "AB-010002");
    assert_eq!(harness.titles(1, here, &[("q", "dlid10001")]).await.len(), 1, "existing numbers do not change");
    for prefix in ["", "A1", "ab", "ABCDEFGHIJK"] {
        let patch = OrganizationPatch { number_prefix: Some(prefix.into()), ..OrganizationPatch::default() };
        let refused = harness.tenancy.change_organization(&person(1), here, patch, IfMatch::default()).await;
        assert_eq!(invalid_fields(refused), ["number_prefix"], "{prefix}");
    }
    harness.assert_consistent().await;
}

#[tokio::test]
async fn two_hundred_concurrent_deals_get_consecutive_numbers() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let deals = harness.deals.clone();
        tasks.spawn(async move {
            // Retries like a client when the server is overloaded.
            loop {
                match deals.sales.create_deal(&person(1), org, None, deal(client, "x", "1"), None).await {
                    Ok(deal) => return created(deal).number,
                    Err(error) => assert_eq!(code::<()>(Err(error)), "unavailable"),
                }
            }
        });
    }
    let numbers: BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    let expected: BTreeSet<String> = (1..=200).map(|number| format!("DLID{number:04}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn money_has_the_digits_of_its_currency() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let create = async |value: &str, currency: &str| {
        let new = NewDeal { currency: Currency::from_code(currency), ..deal(client, "x", value) };
        harness.sales.create_deal(&person(1), org, None, new, None).await
    };
    for (value, currency, shown) in
        [("100", "JPY", "100"), ("1.234", "KWD", "1.234"), ("1.2", "KWD", "1.200"), ("0.1", "USD", "0.10")]
    {
        assert_eq!(created(create(value, currency).await.unwrap()).value, shown);
    }
    for value in ["-1", "NaN", "1e3", "1,000", "Infinity", "10000000000000000.00"] {
        assert_eq!(invalid_fields(create(value, "USD").await), ["value"], "{value}");
    }
    assert_eq!(invalid_fields(create("100.5", "JPY").await), ["value"]);
}

#[tokio::test]
async fn a_deal_is_moved_closed_and_reopened() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    let to = |stage: &str| DealPatch { stage: Some(StageRef::Name(stage.into())), ..DealPatch::default() };
    let change = async |patch| harness.sales.change_deal(&person(1), org, id.into(), patch, IfMatch::default()).await;
    let moved = change(to("Proposal")).await.unwrap();
    assert_eq!((moved.stage.as_str(), moved.probability), ("proposal", 50));
    assert!(moved.stage_entered_at > moved.created_at);
    let won =
        harness.sales.close_deal(&person(1), org, id.into(), DealStatus::Won, CloseDeal::default()).await.unwrap();
    assert_eq!((won.status, won.probability, won.closed_at.is_some()), (DealStatus::Won, 100, true));
    assert_eq!(code(change(to("lost")).await), "illegal_transition");
    let again = harness.sales.close_deal(&person(1), org, id.into(), DealStatus::Won, CloseDeal::default()).await;
    assert_eq!(code(again), "illegal_transition");
    let open =
        harness.sales.close_deal(&person(1), org, id.into(), DealStatus::Open, CloseDeal::default()).await.unwrap();
    assert_eq!((open.status, open.stage.as_str(), open.closed_at), (DealStatus::Open, "proposal", None));
    assert!((open.probability, open.stage_entered_at > won.stage_entered_at) == (50, true), "{open:?}");
    let why = CloseDeal { reason: "too expensive".into() };
    let lost = harness.sales.close_deal(&person(1), org, id.into(), DealStatus::Lost, why).await.unwrap();
    assert_eq!((lost.status, lost.lost_reason.as_str()), (DealStatus::Lost, "too expensive"));
    assert_eq!((lost.closed_at.is_some(), lost.probability), (true, 0));
    assert_eq!(invalid_fields(change(to("nowhere")).await), ["stage"]);
    let history =
        harness.sales.stage_changes(&person(1), org, id.into(), CursorQuery::newest(10)).await.unwrap().results;
    let stages: Vec<&str> = history.iter().rev().map(|change| change.to_stage.as_str()).collect();
    assert_eq!(stages, ["lead", "proposal", "won", "proposal", "lost"]);
    assert_eq!((history[4].from_stage.as_deref(), history[0].from_stage.as_deref()), (None, Some("proposal")));
}

#[tokio::test]
async fn changes_are_conditional_audited_and_readable_as_of_a_moment() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let before = harness.deal_of(1, org, client, "10").await;
    let moment = before.updated_at;
    harness.clock.advance(Duration::from_secs(60));
    let patch = DealPatch { title: Some("Shop".into()), value: Some(Amount::new("12.50")), ..DealPatch::default() };
    let at = before.id.into();
    let known = IfMatch::only(before.updated_at.into());
    let after = harness.sales.change_deal(&person(1), org, at, patch.clone(), known.clone()).await.unwrap();
    assert_eq!(
        (after.title.as_str(), after.value.as_str(), after.description),
        ("Shop", "12.50", before.description.clone())
    );
    assert_eq!(code(harness.sales.change_deal(&person(1), org, at, patch, known).await), "stale");
    let log = harness.sales.deal_changes(&person(1), org, at, CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].actor.as_ref().map(|actor| actor.id), Some(UserId(1)));
    assert_eq!(log[0].changes["title"], ("Website".into(), "Shop".into()));
    assert_eq!(log[0].changes["value"], ("10.00".into(), "12.50".into()));
    let then = Deals::deal(&harness.deals.sales, &person(1), org, at, Some(moment)).await.unwrap();
    assert_eq!((then.title.as_str(), then.value.as_str()), ("Website", "10.00"));
    let earlier = moment - Duration::from_secs(1);
    assert_eq!(code(Deals::deal(&harness.deals.sales, &person(1), org, at, Some(earlier)).await), "deal_not_found");
    let strict = OrganizationPatch { requires_if_match: Some(true), ..OrganizationPatch::default() };
    harness.tenancy.change_organization(&person(1), org, strict, IfMatch::default()).await.unwrap();
    let refused = harness.sales.change_deal(&person(1), org, at, DealPatch::default(), IfMatch::default()).await;
    assert_eq!(code(refused), "if_match_required");
}

#[tokio::test]
async fn the_currency_is_locked_after_the_first_payment() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    let change = async |code: &str, value: Option<&str>| {
        let currency = Currency::from_code(code);
        let patch = DealPatch { currency, value: value.map(Amount::new), ..DealPatch::default() };
        harness.sales.change_deal(&person(1), org, id.into(), patch, IfMatch::default()).await
    };
    assert_eq!(change("EUR", None).await.unwrap().value, "10.00");
    assert_eq!(invalid_fields(change("JPY", None).await), ["value"]);
    assert_eq!(change("JPY", Some("1500")).await.unwrap().value, "1500");
    harness.pay(1, org, id, "1000").await;
    assert_eq!(code(change("EUR", Some("1")).await), "currency_locked");
    let lower = DealPatch { value: Some(Amount::new("999")), ..DealPatch::default() };
    assert_eq!(
        invalid_fields(harness.sales.change_deal(&person(1), org, id.into(), lower, IfMatch::default()).await),
        ["value"]
    );
}

#[tokio::test]
async fn verification_requires_a_permission_and_is_reset_by_a_new_value() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "verifier", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "10").await.id;
    let verify = async |user, verdict| {
        let why = Verdict { reason: "seen".into() };
        harness.sales.verify_deal(&person(user), org, id.into(), verdict, why, IfMatch::default()).await
    };
    assert_eq!(code(verify(2, Verification::Verified).await), "not_granted");
    assert_eq!(verify(3, Verification::Rejected).await.unwrap().verification_status, Verification::Rejected);
    assert_eq!(verify(3, Verification::Verified).await.unwrap().verification_note, "seen");
    assert_eq!(code(verify(3, Verification::Rejected).await), "illegal_transition");
    let patch = DealPatch { value: Some(Amount::new("11")), ..DealPatch::default() };
    let changed = harness.sales.change_deal(&person(2), org, id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(changed.verification_status, Verification::Pending);
}

#[tokio::test]
async fn lists_are_filtered_and_sorted_and_reject_invalid_parameters() {
    let harness = deals().await;
    let org = harness.org().await;
    let (one, two) = (harness.client_of(1, org, "Müller").await.id, harness.client_of(1, org, "Straße 100%").await.id);
    for (client, title, value) in [(one, "Alpha", "10"), (one, "Beta", "20"), (two, "Gamma_x", "30")] {
        harness.sales.create_deal(&person(1), org, None, deal(client, title, value), None).await.unwrap();
    }
    let titles = async |filter: &[(&str, &str)]| harness.titles(1, org, filter).await;
    assert_eq!(titles(&[]).await, ["Gamma_x", "Beta", "Alpha"]);
    assert_eq!(titles(&[("q", "ALPH")]).await, ["Alpha"]);
    assert_eq!(titles(&[("q", "müll")]).await, ["Beta", "Alpha"]);
    assert_eq!(titles(&[("q", "strasse")]).await, ["Gamma_x"]);
    assert_eq!(titles(&[("q", "dlid0002")]).await, ["Beta"]);
    assert_eq!(titles(&[("q", "mm")]).await, ["Gamma_x"]);
    for query in ["a_p", "%", "_", "\"", "alpha OR beta", "NOT", "*", "100%"] {
        let found = titles(&[("q", query)]).await;
        let expected: &[&str] = match query {
            "%" | "100%" | "_" => &["Gamma_x"],
            _ => &[],
        };
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(titles(&[("currency", "USD"), ("value__gte", "20.00")]).await, ["Gamma_x", "Beta"]);
    assert_eq!(titles(&[("client_id__in", &format!("{one}"))]).await, ["Beta", "Alpha"]);
    assert_eq!(titles(&[("stage", "lead"), ("status", "open"), ("owner", "me")]).await.len(), 3);
    assert_eq!(titles(&[("stage", "won")]).await.len(), 0);
    assert_eq!(titles(&[("expected_close_date__isnull", "true")]).await.len(), 3);
    let errors = async |filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        invalid_fields(Deals::deals(&harness.deals.sales, &person(1), org, None, filter, page()).await)
    };
    for (name, value) in [
        ("titel", "x"),
        ("status", "closed"),
        ("status__gte", "open"),
        ("value__gte", "1"),
        ("client_id", "x"),
        ("id__between", "1,2"),
        ("expected_close_date", "soon"),
        ("archived", "maybe"),
        ("created_at__lt", "yesterday"),
    ] {
        assert_eq!(errors(&[(name, value)]).await, [name], "{value}");
    }
    let sorted = async |order: &str, filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        Deals::deals(&harness.deals.sales, &person(1), org, None, filter, PageQuery::new(1, 2).ordered(order)).await
    };
    assert_eq!(invalid_fields(sorted("-value", &[]).await), ["ordering"]);
    let highest = sorted("-value", &[("currency", "USD")]).await.unwrap();
    assert_eq!((highest.count, highest.results[0].title.as_str()), (3, "Gamma_x"));
    // Archived deals are not listed by default.
    let id = harness.deal_of(1, org, one, "1").await.id;
    harness.sales.archive_deal(&person(1), org, id.into(), true).await.unwrap();
    assert_eq!((titles(&[]).await.len(), titles(&[("archived", "true")]).await.len()), (3, 1));
    harness.sales.archive_deal(&person(1), org, id.into(), false).await.unwrap();
    assert_eq!(titles(&[]).await.len(), 4);
}

#[tokio::test]
async fn a_repeated_request_with_the_same_idempotency_key_is_replayed() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let key = |body: &str| Some(IdempotencyKey::new("key", &[body.as_bytes()]).unwrap());
    let create =
        async |user, body| harness.sales.create_deal(&person(user), org, None, deal(client, "x", "1"), key(body)).await;
    let first = created(create(1, "a").await.unwrap());
    let Idempotent::Replayed(response) = create(1, "a").await.unwrap() else { panic!("created twice") };
    assert_eq!(response, serde_json::to_value(&first).unwrap());
    assert_eq!(code(create(1, "b").await), "idempotency_key_reused");
    assert_eq!(created(create(2, "b").await.unwrap()).number, "DLID0002");
    harness.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(created(create(1, "b").await.unwrap()).number, "DLID0003");
    // Rejected requests are not stored.
    let pay = async || {
        let key = Some(IdempotencyKey::new("other", &[b"c"]).unwrap());
        harness.ledger.record_payment(&person(1), org, first.id.into(), payment("5"), key).await
    };
    assert_eq!(code(pay().await), "overpayment");
    let patch = DealPatch { value: Some(Amount::new("5")), ..DealPatch::default() };
    harness.sales.change_deal(&person(1), org, first.id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(created(pay().await.unwrap()).amount, "5.00");
    // Keys are separate in each organization.
    let there = harness.org_of(1, "Other").await;
    let elsewhere = harness.client_of(1, there, "x").await.id;
    let new = deal(elsewhere, "x", "1");
    let in_other = harness.sales.create_deal(&person(1), there, None, new, key("b")).await;
    assert_eq!(created(in_other.unwrap()).number, "DLID0001");
    for key in ["", "ä", "a\nb", &"x".repeat(256)] {
        assert!(IdempotencyKey::new(key, &[]).is_err(), "{key}");
    }
}

#[tokio::test]
async fn bulk_operations_are_audited_per_row() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let other = harness.join(org, 2, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "1").await.id;
    let before = harness.read(1, org, id).await.updated_at;
    harness.clock.advance(std::time::Duration::from_secs(1));
    let reassign = Reassign { to_user_id: UserId(1), include_creator: true };
    harness.tenancy.reassign(me, org, other.id, reassign).await.unwrap();
    harness.clock.advance(std::time::Duration::from_secs(1));
    let kept = harness.client_of(1, org, "y").await.id;
    harness.clients.merge_clients(me, org, kept, client).await.unwrap();
    harness.clock.advance(std::time::Duration::from_secs(1));
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results.remove(0);
    let (lead, next) = (pipeline.stages[0].id, pipeline.stages[1].id);
    harness.pipelines.delete_stage(me, org, pipeline.id, lead, Some(next), IfMatch::default()).await.unwrap();

    let now = harness.read(1, org, id).await;
    assert_eq!((now.owner.unwrap().id, now.client_id, now.stage_id), (UserId(1), kept, next));
    assert_eq!(now.probability, pipeline.stages[1].probability);
    let then = Deals::deal(&harness.deals.sales, me, org, id.into(), Some(before)).await.unwrap();
    assert_eq!((then.stage.as_str(), then.client.name.as_str(), then.probability), ("lead", "y", 10));
    assert_eq!((then.owner.unwrap().id, then.client_id, then.stage_id), (UserId(2), client, lead));
    let log = harness.sales.deal_changes(me, org, id.into(), CursorQuery::newest(10)).await.unwrap().results;
    let actions: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.actor.as_ref().map(|a| a.id))).collect();
    assert_eq!(
        actions,
        [
            ("deals.empty_stage", Some(UserId(1))),
            ("deals.merge_clients", Some(UserId(1))),
            ("deals.reassign", Some(UserId(1))),
            ("deals.reassign", Some(UserId(1))),
            ("deals.create_deal", Some(UserId(2))),
        ]
    );
    let stages = harness.sales.stage_changes(me, org, id.into(), CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!((stages.len(), stages[0].from_stage.as_deref()), (2, Some(pipeline.stages[0].name.as_str())));
}

#[tokio::test]
async fn a_change_rolls_back_if_it_cannot_be_audited() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    harness.reject_rows("kernel_audit_event", "action = 'deals.change_deal'").await;
    let patch = DealPatch { title: Some("Shop".into()), ..DealPatch::default() };
    assert!(harness.sales.change_deal(me, org, id.into(), patch, IfMatch::default()).await.is_err());
    assert_eq!(harness.read(1, org, id).await.title, "Website");
    let log = harness.db.count_rows("kernel_audit_event").await;
    assert_eq!(code(harness.ledger.record_payment(me, org, id.into(), payment("11"), None).await), "overpayment");
    assert_eq!(harness.db.count_rows("kernel_audit_event").await, log, "a rejected request is not audited");
}

#[tokio::test]
async fn every_change_is_audited() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let first = NewContact { first_name: "Ann".into(), is_primary: true, ..NewContact::default() };
    let ann = harness.clients.create_contact(me, org, client, first.clone()).await.unwrap().id;
    harness.clients.create_contact(me, org, client, NewContact { first_name: "Bob".into(), ..first }).await.unwrap();
    let id = harness.deal_of(1, org, client, "10").await.id;
    let paid = harness.pay(1, org, id, "5").await.id;
    harness.ledger.reverse_payment(me, org, id.into(), paid, NewReversal::default(), None).await.unwrap();
    let note = NewActivity { content: "Called".into(), ..NewActivity::default() };
    harness.tasks.log_activity(me, org, id.into(), note).await.unwrap();
    let view = NewView {
        entity: Viewed::Deals,
        name: "Mine".into(),
        filters: BTreeMap::new(),
        ordering: String::new(),
        columns: Vec::new(),
        shared: Sharing::Private,
    };
    let view = harness.views.create_view(me, org, view).await.unwrap();
    let patch = ViewPatch { name: Some("Ours".into()), ..ViewPatch::default() };
    harness.views.change_view(me, org, view.id, patch, IfMatch::default()).await.unwrap();
    harness.views.delete_view(me, org, view.id, IfMatch::default()).await.unwrap();
    let log = harness.tenancy.changes(me, org, CursorQuery::newest(100)).await.unwrap().results;
    let entries: Vec<(String, String)> = log.iter().map(|entry| (entry.action.clone(), entry.object.clone())).collect();
    for (action, object) in [
        ("deals.change_contact", format!("contact/{ann}")),
        ("deals.give_back_payment", format!("payment/{paid}")),
        ("deals.create_view", format!("view/{}", view.id)),
        ("deals.change_view", format!("view/{}", view.id)),
        ("deals.delete_view", format!("view/{}", view.id)),
    ] {
        assert!(entries.contains(&(action.to_owned(), object.clone())), "{action} {object}: {entries:?}");
    }
    assert!(entries.iter().any(|(action, _)| action == "deals.log_activity"), "{entries:?}");
    let demoted = log.iter().find(|entry| entry.action == "deals.change_contact").unwrap();
    assert_eq!(demoted.changes["is_primary"], (true.into(), false.into()));
}

#[tokio::test]
async fn fault_r19_a_view_shows_the_same_deals_after_a_stage_was_renamed() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    harness.deal_of(1, org, client, "10").await;
    let view = |stage: &str| NewView {
        entity: Viewed::Deals,
        name: stage.into(),
        filters: [("stage".to_owned(), stage.to_owned())].into(),
        ordering: String::new(),
        columns: Vec::new(),
        shared: Sharing::Private,
    };
    let created = harness.views.create_view(me, org, view("lead")).await.unwrap();
    let patched = harness.views.create_view(me, org, view("won")).await.unwrap();
    let patch = ViewPatch { filters: Some([("stage".to_owned(), "LEAD".to_owned())].into()), ..ViewPatch::default() };
    harness.views.change_view(me, org, patched.id, patch, IfMatch::default()).await.unwrap();
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results.remove(0);
    let stage = pipeline.stages.iter().find(|stage| stage.name == "lead").unwrap().id;
    let rename = StagePatch { name: Some("Fresh".into()), ..StagePatch::default() };
    harness.pipelines.change_stage(me, org, pipeline.id, stage, rename, IfMatch::default()).await.unwrap();
    for id in [created.id, patched.id] {
        assert_eq!(harness.titles(1, org, &[("view", &id.to_string())]).await.len(), 1);
    }
    assert_eq!(invalid_fields(harness.views.create_view(me, org, view("nowhere")).await), ["stage"]);
    let unknown = harness.deals.sales.deals(me, org, None, Filter::new([("stage", "lead")]), page()).await;
    assert_eq!(invalid_fields(unknown), ["stage"], "an unknown name is an error, not an empty list");
}

#[tokio::test]
async fn a_large_deal_is_only_won_after_its_verification() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let patch = OrganizationPatch { approval_above: Some(Some(Amount::new("1000"))), ..OrganizationPatch::default() };
    let changed = harness.tenancy.change_organization(me, org, patch, IfMatch::default());
    assert_eq!(changed.await.unwrap().approval_above.as_deref(), Some("1000.00"));
    let won = Some(StageRef::Name("won".to_owned()));
    let large = NewDeal { stage: won, ..deal(client, "x", "1000.01") };
    assert_eq!(code(harness.sales.create_deal(me, org, None, large, None).await), "approval_required");
    let small = harness.deal_of(1, org, client, "1000").await.id;
    harness.sales.close_deal(me, org, small.into(), DealStatus::Won, CloseDeal::default()).await.unwrap();
    let large = harness.deal_of(1, org, client, "1000.01").await.id;
    let in_euros = NewDeal { currency: Currency::from_code("EUR"), ..deal(client, "x", "1") };
    let in_euros = created(harness.sales.create_deal(me, org, None, in_euros, None).await.unwrap()).id;
    for id in [large, in_euros] {
        let close = || harness.sales.close_deal(me, org, id.into(), DealStatus::Won, CloseDeal::default());
        assert_eq!(code(close().await), "approval_required");
        let why = Verdict::default();
        harness.sales.verify_deal(me, org, id.into(), Verification::Verified, why, IfMatch::default()).await.unwrap();
        close().await.unwrap();
    }
    assert_eq!(harness.titles(1, org, &[("status", "won")]).await.len(), 3);
    // A won deal cannot grow above the limit.
    let raised = DealPatch { value: Some(Amount::new("1000.01")), ..DealPatch::default() };
    let refused = harness.sales.change_deal(me, org, small.into(), raised, IfMatch::default()).await;
    assert_eq!(code(refused), "approval_required");
    let line =
        NewLine { name: "x".to_owned(), quantity: None, unit_price: Amount::new("5000"), discount: None, tax: None };
    assert_eq!(code(harness.sales.add_line(me, org, small.into(), line).await), "approval_required");
    assert_eq!(harness.read(1, org, small).await.value, "1000.00");
    // An approval applies to the version that was read.
    let open = harness.deal_of(1, org, client, "2000").await;
    let patch = DealPatch { value: Some(Amount::new("9000")), ..DealPatch::default() };
    harness.sales.change_deal(me, org, open.id.into(), patch, IfMatch::default()).await.unwrap();
    let (why, read) = (Verdict::default(), IfMatch::only(open.updated_at.into()));
    let outdated = harness.sales.verify_deal(me, org, open.id.into(), Verification::Verified, why, read).await;
    assert_eq!(code(outdated), "stale");
}

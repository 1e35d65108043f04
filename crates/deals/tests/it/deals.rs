use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use guildhall_deals::{
    Amount, Clients, Closing, Currency, DealPatch, DealStatus, Deals, Filter, Handover, Members, NewActivity,
    NewContact, NewDeal, NewReversal, NewView, OrganizationPatch, Organizations, PaymentStatus, Payments, Pipelines,
    Sharing, StagePatch, StageRef, Verdict, Verification, ViewPatch, Viewed, Views, Work,
};
use guildhall_kernel::{IfMatch, PageQuery, SliceQuery, UserId, idempotency::Made, idempotency::Once};

use crate::harness::{code, deal, deals, faults, made, page, payment, person, with_connections};

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
    // What fails takes no number, and what is gone gives none back.
    assert_eq!(faults(harness.create_deal(&person(1), here, None, deal(client, "x", "1.001"), None).await), ["value"]);
    harness.delete_deal(&person(1), here, first.id.into(), true, IfMatch::default()).await.unwrap();
    harness.refuse("deals_stage_change", "to_name = 'won'").await;
    let new = NewDeal { stage: Some(StageRef::Name("won".into())), ..deal(client, "x", "1") };
    assert!(harness.create_deal(&person(1), here, None, new, None).await.is_err(), "after it had its number");
    assert_eq!(harness.deal_of(1, here, client, "1").await.number, "DLID0003");
    // Ten thousand does not stand before two.
    harness.sql("UPDATE deals_counter SET next = 9999 WHERE kind = 'deal'").await.unwrap();
    for number in ["DLID9999", "DLID10000", "DLID10001"] {
        assert_eq!(harness.deal_of(1, here, client, "1").await.number, number);
    }
    let listed =
        Deals::deals(&harness.deals, &person(1), here, None, Filter::default(), page().ordered("number")).await;
    let numbers: Vec<String> = listed.unwrap().results.into_iter().map(|deal| deal.number).collect();
    assert_eq!(numbers, ["DLID0002", "DLID0003", "DLID9999", "DLID10000", "DLID10001"]);
    let patch =
        OrganizationPatch { number_prefix: Some("AB-".into()), number_pad: Some(6), ..OrganizationPatch::default() };
    harness.change_organization(&person(1), here, patch, IfMatch::default()).await.unwrap();
    assert_eq!(harness.deal_of(1, here, client, "1").await.number, "AB-010002");
    assert_eq!(harness.titles(1, here, &[("q", "dlid10001")]).await.len(), 1, "what has a number keeps it");
    for prefix in ["", "A1", "ab", "ABCDEFGHIJK"] {
        let patch = OrganizationPatch { number_prefix: Some(prefix.into()), ..OrganizationPatch::default() };
        let refused = harness.change_organization(&person(1), here, patch, IfMatch::default()).await;
        assert_eq!(faults(refused), ["number_prefix"], "{prefix}");
    }
    harness.assert_counted().await;
}

#[tokio::test]
async fn two_hundred_deals_at_once_have_two_hundred_numbers() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let deals = harness.deals.clone();
        at_work.spawn(async move {
            // A node that is out of connections is asked again, as clients do.
            loop {
                match deals.create_deal(&person(1), org, None, deal(client, "x", "1"), None).await {
                    Ok(deal) => return made(deal).number,
                    Err(error) => assert_eq!(code::<()>(Err(error)), "unavailable"),
                }
            }
        });
    }
    let numbers: BTreeSet<String> = at_work.join_all().await.into_iter().collect();
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
        harness.create_deal(&person(1), org, None, new, None).await
    };
    for (value, currency, shown) in
        [("100", "JPY", "100"), ("1.234", "KWD", "1.234"), ("1.2", "KWD", "1.200"), ("0.1", "USD", "0.10")]
    {
        assert_eq!(made(create(value, currency).await.unwrap()).value, shown);
    }
    for value in ["-1", "NaN", "1e3", "1,000", "Infinity", "10000000000000000.00"] {
        assert_eq!(faults(create(value, "USD").await), ["value"], "{value}");
    }
    assert_eq!(faults(create("100.5", "JPY").await), ["value"]);
}

#[tokio::test]
async fn a_deal_goes_through_its_stages() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    let to = |stage: &str| DealPatch { stage: Some(StageRef::Name(stage.into())), ..DealPatch::default() };
    let change = async |patch| harness.change_deal(&person(1), org, id.into(), patch, IfMatch::default()).await;
    let moved = change(to("Proposal")).await.unwrap();
    assert_eq!((moved.stage.as_str(), moved.probability), ("proposal", 50));
    assert!(moved.stage_entered_at > moved.created_at);
    let won = harness.close_deal(&person(1), org, id.into(), DealStatus::Won, Closing::default()).await.unwrap();
    assert_eq!((won.status, won.probability, won.closed_at.is_some()), (DealStatus::Won, 100, true));
    assert_eq!(code(change(to("lost")).await), "illegal_transition");
    let again = harness.close_deal(&person(1), org, id.into(), DealStatus::Won, Closing::default()).await;
    assert_eq!(code(again), "illegal_transition");
    let open = harness.close_deal(&person(1), org, id.into(), DealStatus::Open, Closing::default()).await.unwrap();
    assert_eq!((open.status, open.stage.as_str(), open.closed_at), (DealStatus::Open, "proposal", None));
    assert!((open.probability, open.stage_entered_at > won.stage_entered_at) == (50, true), "{open:?}");
    let why = Closing { reason: "too dear".into() };
    let lost = harness.close_deal(&person(1), org, id.into(), DealStatus::Lost, why).await.unwrap();
    assert_eq!((lost.status, lost.lost_reason.as_str()), (DealStatus::Lost, "too dear"));
    assert_eq!((lost.closed_at.is_some(), lost.probability), (true, 0));
    assert_eq!(faults(change(to("nowhere")).await), ["stage"]);
    let history = harness.stage_changes(&person(1), org, id.into(), SliceQuery::newest(10)).await.unwrap().results;
    let stages: Vec<&str> = history.iter().rev().map(|change| change.to_stage.as_str()).collect();
    assert_eq!(stages, ["lead", "proposal", "won", "proposal", "lost"]);
    assert_eq!((history[4].from_stage.as_deref(), history[0].from_stage.as_deref()), (None, Some("proposal")));
}

#[tokio::test]
async fn a_change_is_checked_noted_and_can_be_read_back() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let before = harness.deal_of(1, org, client, "10").await;
    let moment = before.updated_at;
    harness.pass(Duration::from_secs(60));
    let patch = DealPatch { title: Some("Shop".into()), value: Some(Amount::new("12.50")), ..DealPatch::default() };
    let at = before.id.into();
    let known = IfMatch::only(before.updated_at.into());
    let after = harness.change_deal(&person(1), org, at, patch.clone(), known.clone()).await.unwrap();
    assert_eq!(
        (after.title.as_str(), after.value.as_str(), after.description),
        ("Shop", "12.50", before.description.clone())
    );
    assert_eq!(code(harness.change_deal(&person(1), org, at, patch, known).await), "stale");
    let log = harness.deal_changes(&person(1), org, at, SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].actor.as_ref().map(|actor| actor.id), Some(UserId(1)));
    assert_eq!(log[0].changes["title"], ("Website".into(), "Shop".into()));
    assert_eq!(log[0].changes["value"], ("10.00".into(), "12.50".into()));
    let then = Deals::deal(&harness.deals, &person(1), org, at, Some(moment)).await.unwrap();
    assert_eq!((then.title.as_str(), then.value.as_str()), ("Website", "10.00"));
    let earlier = moment - Duration::from_secs(1);
    assert_eq!(code(Deals::deal(&harness.deals, &person(1), org, at, Some(earlier)).await), "deal_not_found");
    let wants = OrganizationPatch { requires_if_match: Some(true), ..OrganizationPatch::default() };
    harness.change_organization(&person(1), org, wants, IfMatch::default()).await.unwrap();
    let refused = harness.change_deal(&person(1), org, at, DealPatch::default(), IfMatch::default()).await;
    assert_eq!(code(refused), "if_match_required");
}

#[tokio::test]
async fn a_currency_changes_only_while_nothing_was_paid() {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    let change = async |code: &str, value: Option<&str>| {
        let currency = Currency::from_code(code);
        let patch = DealPatch { currency, value: value.map(Amount::new), ..DealPatch::default() };
        harness.change_deal(&person(1), org, id.into(), patch, IfMatch::default()).await
    };
    assert_eq!(change("EUR", None).await.unwrap().value, "10.00");
    assert_eq!(faults(change("JPY", None).await), ["value"]);
    assert_eq!(change("JPY", Some("1500")).await.unwrap().value, "1500");
    harness.pay(1, org, id, "1000").await;
    assert_eq!(code(change("EUR", Some("1")).await), "currency_locked");
    let less = DealPatch { value: Some(Amount::new("999")), ..DealPatch::default() };
    assert_eq!(faults(harness.change_deal(&person(1), org, id.into(), less, IfMatch::default()).await), ["value"]);
}

#[tokio::test]
async fn a_deal_is_verified_by_those_who_may_and_again_after_its_value_changes() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "salesperson", None).await;
    harness.join(org, 3, "verifier", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "10").await.id;
    let verify = async |who, verdict| {
        let why = Verdict { reason: "seen".into() };
        harness.verify_deal(&person(who), org, id.into(), verdict, why, IfMatch::default()).await
    };
    assert_eq!(code(verify(2, Verification::Verified).await), "not_granted");
    assert_eq!(verify(3, Verification::Rejected).await.unwrap().verification_status, Verification::Rejected);
    assert_eq!(verify(3, Verification::Verified).await.unwrap().verification_note, "seen");
    assert_eq!(code(verify(3, Verification::Rejected).await), "illegal_transition");
    let patch = DealPatch { value: Some(Amount::new("11")), ..DealPatch::default() };
    let changed = harness.change_deal(&person(2), org, id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(changed.verification_status, Verification::Pending);
}

#[tokio::test]
async fn a_list_is_narrowed_and_sorted_or_refused() {
    let harness = deals().await;
    let org = harness.org().await;
    let (one, two) = (harness.client_of(1, org, "Müller").await.id, harness.client_of(1, org, "Straße 100%").await.id);
    for (client, title, value) in [(one, "Alpha", "10"), (one, "Beta", "20"), (two, "Gamma_x", "30")] {
        harness.create_deal(&person(1), org, None, deal(client, title, value), None).await.unwrap();
    }
    let titles = async |filter: &[(&str, &str)]| harness.titles(1, org, filter).await;
    assert_eq!(titles(&[]).await, ["Gamma_x", "Beta", "Alpha"]);
    assert_eq!(titles(&[("q", "ALPH")]).await, ["Alpha"]);
    assert_eq!(titles(&[("q", "müll")]).await, ["Beta", "Alpha"]);
    assert_eq!(titles(&[("q", "strasse")]).await, ["Gamma_x"]);
    assert_eq!(titles(&[("q", "dlid0002")]).await, ["Beta"]);
    assert_eq!(titles(&[("q", "mm")]).await, ["Gamma_x"]);
    for nothing in ["a_p", "%", "_", "\"", "alpha OR beta", "NOT", "*", "100%"] {
        let found = titles(&[("q", nothing)]).await;
        let expected: &[&str] = match nothing {
            "%" | "100%" | "_" => &["Gamma_x"],
            _ => &[],
        };
        assert_eq!(found, expected, "{nothing}");
    }
    assert_eq!(titles(&[("currency", "USD"), ("value__gte", "20.00")]).await, ["Gamma_x", "Beta"]);
    assert_eq!(titles(&[("client_id__in", &format!("{one}"))]).await, ["Beta", "Alpha"]);
    assert_eq!(titles(&[("stage", "lead"), ("status", "open"), ("owner", "me")]).await.len(), 3);
    assert_eq!(titles(&[("stage", "won")]).await.len(), 0);
    assert_eq!(titles(&[("expected_close_date__isnull", "true")]).await.len(), 3);
    let refused = async |filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        faults(Deals::deals(&harness.deals, &person(1), org, None, filter, page()).await)
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
        assert_eq!(refused(&[(name, value)]).await, [name], "{value}");
    }
    let sorted = async |order: &str, filter: &[(&str, &str)]| {
        let filter = Filter::new(filter.iter().copied());
        Deals::deals(&harness.deals, &person(1), org, None, filter, PageQuery::new(1, 2).ordered(order)).await
    };
    assert_eq!(faults(sorted("-value", &[]).await), ["ordering"]);
    let dearest = sorted("-value", &[("currency", "USD")]).await.unwrap();
    assert_eq!((dearest.count, dearest.results[0].title.as_str()), (3, "Gamma_x"));
    // Put aside, it is not listed, and still there.
    let id = harness.deal_of(1, org, one, "1").await.id;
    harness.archive_deal(&person(1), org, id.into(), true).await.unwrap();
    assert_eq!((titles(&[]).await.len(), titles(&[("archived", "true")]).await.len()), (3, 1));
    harness.archive_deal(&person(1), org, id.into(), false).await.unwrap();
    assert_eq!(titles(&[]).await.len(), 4);
}

#[tokio::test]
async fn what_is_sent_twice_with_one_key_is_done_once() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let once = |body: &str| Some(Once::new("key", &[body.as_bytes()]).unwrap());
    let create =
        async |who, body| harness.create_deal(&person(who), org, None, deal(client, "x", "1"), once(body)).await;
    let first = made(create(1, "a").await.unwrap());
    let Made::Before(answer) = create(1, "a").await.unwrap() else { panic!("made twice") };
    assert_eq!(answer, serde_json::to_value(&first).unwrap());
    assert_eq!(code(create(1, "b").await), "idempotency_key_reused");
    assert_eq!(made(create(2, "b").await.unwrap()).number, "DLID0002");
    harness.pass(Duration::from_secs(25 * 3600));
    assert_eq!(made(create(1, "b").await.unwrap()).number, "DLID0003");
    // What is refused is not kept.
    let pay = async || {
        let once = Some(Once::new("other", &[b"c"]).unwrap());
        harness.record_payment(&person(1), org, first.id.into(), payment("5"), once).await
    };
    assert_eq!(code(pay().await), "overpayment");
    let patch = DealPatch { value: Some(Amount::new("5")), ..DealPatch::default() };
    harness.change_deal(&person(1), org, first.id.into(), patch, IfMatch::default()).await.unwrap();
    assert_eq!(made(pay().await.unwrap()).amount, "5.00");
    // In another organization it is another key.
    let there = harness.org_of(1, "Other").await;
    let elsewhere = harness.client_of(1, there, "x").await.id;
    let new = deal(elsewhere, "x", "1");
    let made_there = harness.create_deal(&person(1), there, None, new, once("b")).await;
    assert_eq!(made(made_there.unwrap()).number, "DLID0001");
    for key in ["", "ä", "a\nb", &"x".repeat(256)] {
        assert!(Once::new(key, &[]).is_err(), "{key}");
    }
}

#[tokio::test]
async fn what_many_rows_became_at_once_is_told_of_each() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let other = harness.join(org, 2, "salesperson", None).await;
    let client = harness.client_of(2, org, "x").await.id;
    let id = harness.deal_of(2, org, client, "1").await.id;
    let before = harness.read(1, org, id).await.updated_at;
    harness.pass(std::time::Duration::from_secs(1));
    let handover = Handover { to_user_id: UserId(1), include_creator: true };
    harness.reassign(me, org, other.id, handover).await.unwrap();
    harness.pass(std::time::Duration::from_secs(1));
    let kept = harness.client_of(1, org, "y").await.id;
    harness.merge_clients(me, org, kept, client).await.unwrap();
    harness.pass(std::time::Duration::from_secs(1));
    let pipeline = harness.pipelines(me, org, page()).await.unwrap().results.remove(0);
    let (lead, next) = (pipeline.stages[0].id, pipeline.stages[1].id);
    harness.delete_stage(me, org, pipeline.id, lead, Some(next), IfMatch::default()).await.unwrap();

    let now = harness.read(1, org, id).await;
    assert_eq!((now.owner.unwrap().id, now.client_id, now.stage_id), (UserId(1), kept, next));
    assert_eq!(now.probability, pipeline.stages[1].probability);
    let then = Deals::deal(&harness.deals, me, org, id.into(), Some(before)).await.unwrap();
    assert_eq!((then.stage.as_str(), then.client.name.as_str(), then.probability), ("lead", "y", 10));
    assert_eq!((then.owner.unwrap().id, then.client_id, then.stage_id), (UserId(2), client, lead));
    let log = harness.deal_changes(me, org, id.into(), SliceQuery::newest(10)).await.unwrap().results;
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
    let stages = harness.stage_changes(me, org, id.into(), SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!((stages.len(), stages[0].from_stage.as_deref()), (2, Some(pipeline.stages[0].name.as_str())));
}

#[tokio::test]
async fn nothing_happens_that_the_log_cannot_take() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let id = harness.deal_of(1, org, client, "10").await.id;
    harness.refuse("kernel_audit_event", "action = 'deals.change_deal'").await;
    let patch = DealPatch { title: Some("Shop".into()), ..DealPatch::default() };
    assert!(harness.change_deal(me, org, id.into(), patch, IfMatch::default()).await.is_err());
    assert_eq!(harness.read(1, org, id).await.title, "Website");
    let log = harness.rows("kernel_audit_event").await;
    assert_eq!(code(harness.record_payment(me, org, id.into(), payment("11"), None).await), "overpayment");
    assert_eq!(harness.rows("kernel_audit_event").await, log, "and nothing is in it that did not happen");
}

#[tokio::test]
async fn every_change_is_in_the_log() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let first = NewContact { first_name: "Ann".into(), is_primary: true, ..NewContact::default() };
    let ann = harness.create_contact(me, org, client, first.clone()).await.unwrap().id;
    harness.create_contact(me, org, client, NewContact { first_name: "Bob".into(), ..first }).await.unwrap();
    let id = harness.deal_of(1, org, client, "10").await.id;
    let paid = harness.pay(1, org, id, "5").await.id;
    harness.reverse_payment(me, org, id.into(), paid, NewReversal::default(), None).await.unwrap();
    let note = NewActivity { content: "Called".into(), ..NewActivity::default() };
    harness.log_activity(me, org, id.into(), note).await.unwrap();
    let view = NewView {
        entity: Viewed::Deals,
        name: "Mine".into(),
        filters: BTreeMap::new(),
        ordering: String::new(),
        columns: Vec::new(),
        shared: Sharing::Private,
    };
    let view = harness.create_view(me, org, view).await.unwrap();
    let patch = ViewPatch { name: Some("Ours".into()), ..ViewPatch::default() };
    harness.change_view(me, org, view.id, patch, IfMatch::default()).await.unwrap();
    harness.delete_view(me, org, view.id, IfMatch::default()).await.unwrap();
    let log = harness.changes(me, org, SliceQuery::newest(100)).await.unwrap().results;
    let told: Vec<(String, String)> = log.iter().map(|entry| (entry.action.clone(), entry.object.clone())).collect();
    for (action, object) in [
        ("deals.change_contact", format!("contact/{ann}")),
        ("deals.give_back_payment", format!("payment/{paid}")),
        ("deals.create_view", format!("view/{}", view.id)),
        ("deals.change_view", format!("view/{}", view.id)),
        ("deals.delete_view", format!("view/{}", view.id)),
    ] {
        assert!(told.contains(&(action.to_owned(), object.clone())), "{action} {object}: {told:?}");
    }
    assert!(told.iter().any(|(action, _)| action == "deals.log_activity"), "{told:?}");
    let demoted = log.iter().find(|entry| entry.action == "deals.change_contact").unwrap();
    assert_eq!(demoted.changes["is_primary"], (true.into(), false.into()));
}

#[tokio::test]
async fn fault_r19_a_view_shows_the_same_deals_when_a_stage_gets_another_name() {
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
    let made = harness.create_view(me, org, view("lead")).await.unwrap();
    let patched = harness.create_view(me, org, view("won")).await.unwrap();
    let patch = ViewPatch { filters: Some([("stage".to_owned(), "LEAD".to_owned())].into()), ..ViewPatch::default() };
    harness.change_view(me, org, patched.id, patch, IfMatch::default()).await.unwrap();
    let pipeline = harness.pipelines(me, org, page()).await.unwrap().results.remove(0);
    let stage = pipeline.stages.iter().find(|stage| stage.name == "lead").unwrap().id;
    let rename = StagePatch { name: Some("Fresh".into()), ..StagePatch::default() };
    harness.change_stage(me, org, pipeline.id, stage, rename, IfMatch::default()).await.unwrap();
    for id in [made.id, patched.id] {
        assert_eq!(harness.titles(1, org, &[("view", &id.to_string())]).await.len(), 1);
    }
    assert_eq!(faults(harness.create_view(me, org, view("nowhere")).await), ["stage"]);
    let unknown = harness.deals.deals(me, org, None, Filter::new([("stage", "lead")]), page()).await;
    assert_eq!(faults(unknown), ["stage"], "a name that is not known is no empty list");
}

use guildhall_deals::{
    Amount, Currency, Day, DealId, Filter, NewPayment, NewRefund, NewReversal, OrganizationPatch, Organizations,
    Overpayment, PaymentId, PaymentKind, PaymentMethod, PaymentStatus, Payments, Verdict, Verification,
};
use guildhall_kernel::{
    Error, IfMatch,
    idempotency::{Made, Once},
};

use crate::harness::{Harness, code, deals, faults, made, page, payment, person, with_connections};

async fn with_deal(value: &str) -> (Harness, guildhall_deals::OrganizationId, DealId) {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let deal = harness.deal_of(1, org, client, value).await.id;
    (harness, org, deal)
}

#[tokio::test]
async fn payments_are_counted_and_never_more_than_a_deal_is_worth() {
    let (harness, org, deal) = with_deal("0.30").await;
    let first = harness.pay(1, org, deal, "0.1").await;
    assert_eq!(
        (first.transaction_id.as_str(), first.amount.as_str(), first.state),
        ("TXN-0001", "0.10", Verification::Pending)
    );
    assert_eq!(first.received_on, Day::of(first.created_at));
    harness.pay(1, org, deal, "0.2").await;
    let paid = harness.read(1, org, deal).await;
    assert_eq!(
        (paid.paid_total.as_str(), paid.balance.as_str(), paid.verified_total.as_str()),
        ("0.30", "0.00", "0.00")
    );
    assert_eq!(paid.payment_status, PaymentStatus::Unpaid, "nothing of it is verified");
    let record = async |new| harness.record_payment(&person(1), org, deal.into(), new, None).await;
    let refused = Error::from(record(payment("0.01")).await.unwrap_err());
    assert_eq!((refused.code(), refused.extension("max_allowed")), ("overpayment", Some(&"0.00".into())));
    for amount in ["0", "0.00", "-1", "NaN", "1e2", "0.001", ""] {
        assert_eq!(faults(record(payment(amount)).await), ["amount"], "{amount}");
    }
    let other = NewPayment { currency: Currency::from_code("EUR"), ..payment("1") };
    assert_eq!(code(record(other).await), "currency_mismatch");
    assert_eq!(harness.rows("deals_payment").await, 2);
    let credit = OrganizationPatch { overpayment: Some(Overpayment::Credit), ..OrganizationPatch::default() };
    harness.change_organization(&person(1), org, credit, IfMatch::default()).await.unwrap();
    harness.pay(1, org, deal, "5").await;
    assert_eq!(harness.read(1, org, deal).await.balance, "-5.00");
    harness.assert_counted().await;
}

#[tokio::test]
async fn of_payments_at_once_only_those_are_taken_that_fit() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "500").await.id;
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let deals = harness.deals.clone();
        at_work
            .spawn(async move { code(deals.record_payment(&person(1), org, deal.into(), payment("100"), None).await) });
    }
    let mut outcomes = at_work.join_all().await;
    outcomes.sort();
    assert_eq!(outcomes.iter().filter(|code| *code == "ok").count(), 5, "{outcomes:?}");
    assert!(outcomes.iter().all(|code| code == "ok" || code == "overpayment"), "{outcomes:?}");
    assert_eq!(harness.read(1, org, deal).await.balance, "0.00");
    harness.assert_counted().await;
}

#[tokio::test]
async fn a_payment_is_decided_about_once_and_not_by_whoever_recorded_it() {
    let (harness, org, deal) = with_deal("100").await;
    harness.join(org, 2, "verifier", None).await;
    let two_eyes = harness.pay(1, org, deal, "40").await.id;
    let four = OrganizationPatch { four_eyes: Some(true), ..OrganizationPatch::default() };
    harness.change_organization(&person(1), org, four, IfMatch::default()).await.unwrap();
    let decide = async |who, id: PaymentId, verdict| {
        let why = Verdict { reason: "bank statement".into() };
        harness.decide_payment(&person(who), org, deal.into(), id, verdict, why).await
    };
    assert_eq!(code(decide(1, two_eyes, Verification::Verified).await), "escalation");
    let verified = decide(2, two_eyes, Verification::Verified).await.unwrap();
    assert_eq!(
        (verified.state, verified.reason.as_str(), verified.decided_by.is_some()),
        (Verification::Verified, "bank statement", true)
    );
    assert_eq!(code(decide(2, two_eyes, Verification::Rejected).await), "illegal_transition");
    let bounced = harness.pay(1, org, deal, "60").await.id;
    decide(2, bounced, Verification::Rejected).await.unwrap();
    let seen = harness.read(1, org, deal).await;
    assert_eq!(
        (seen.paid_total.as_str(), seen.verified_total.as_str(), seen.balance.as_str()),
        ("40.00", "40.00", "60.00")
    );
    assert_eq!(seen.payment_status, PaymentStatus::Partial);
    let queue = Filter::new([("state", "pending")]);
    harness.pay(1, org, deal, "1").await;
    assert_eq!(harness.payments(&person(2), org, None, queue, page()).await.unwrap().count, 1);
    harness.assert_counted().await;
}

#[tokio::test]
async fn what_was_recorded_stays_and_is_taken_back_by_an_entry_of_its_own() {
    let (harness, org, deal) = with_deal("100").await;
    let id = harness.pay(1, org, deal, "60").await.id;
    let reverse = async |id| {
        let why = NewReversal { reason: "typed twice".into() };
        harness.reverse_payment(&person(1), org, deal.into(), id, why, None).await
    };
    let back = made(reverse(id).await.unwrap());
    assert_eq!((back.kind, back.of_payment_id, back.amount.as_str()), (PaymentKind::Reversal, Some(id), "60.00"));
    assert_eq!((back.transaction_id.as_str(), back.reason.as_str()), ("TXN-0002", "typed twice"));
    assert_eq!(code(reverse(id).await), "illegal_transition");
    assert_eq!(code(reverse(back.id).await), "illegal_transition");
    assert_eq!(harness.read(1, org, deal).await.balance, "100.00");
    let verify = async |id| {
        harness.decide_payment(&person(1), org, deal.into(), id, Verification::Verified, Verdict::default()).await
    };
    assert_eq!(code(verify(id).await), "illegal_transition", "what is reversed is not verified");
    // Refunds: of what is verified, up to what is left of it.
    let id = harness.pay(1, org, deal, "50").await.id;
    let refund = async |amount: &str| {
        let new = NewRefund { amount: Amount::new(amount), reason: String::new() };
        harness.refund_payment(&person(1), org, deal.into(), id, new, None).await
    };
    assert_eq!(code(refund("10").await), "illegal_transition");
    verify(id).await.unwrap();
    assert_eq!(made(refund("20").await.unwrap()).kind, PaymentKind::Refund);
    assert_eq!(faults(refund("30.01").await), ["amount"]);
    refund("30").await.unwrap();
    assert_eq!(faults(refund("0.01").await), ["amount"]);
    assert_eq!(code(reverse(id).await), "illegal_transition", "what went back in parts is not taken back whole");
    let seen = harness.read(1, org, deal).await;
    assert_eq!((seen.paid_total.as_str(), seen.verified_total.as_str()), ("0.00", "0.00"));
    harness.assert_counted().await;
    // The database itself keeps the ledger.
    for sql in [
        "UPDATE deals_payment SET amount_minor = 1",
        "UPDATE deals_payment SET deal_id = deal_id",
        "DELETE FROM deals_deal",
        "DELETE FROM deals_client",
        "DELETE FROM deals_member",
        "DELETE FROM people WHERE id = 1",
        "UPDATE deals_deal SET received_minor = -1",
        "UPDATE deals_deal SET verified_minor = received_minor + 1",
    ] {
        assert!(harness.sql(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_cheque_pays_once() {
    let (harness, org, deal) = with_deal("100").await;
    let cheque = |number: &str, amount: &str| NewPayment {
        method: PaymentMethod::Cheque,
        cheque_number: Some(number.into()),
        ..payment(amount)
    };
    let record = async |new| harness.record_payment(&person(1), org, deal.into(), new, None).await;
    let first = made(record(cheque("CHQ1", "10")).await.unwrap()).id;
    assert_eq!(code(record(cheque("CHQ1", "20")).await), "duplicate");
    assert_eq!(harness.read(1, org, deal).await.paid_total, "10.00", "what is refused leaves nothing");
    let wrong = NewPayment { method: PaymentMethod::Cash, ..cheque("CHQ2", "1") };
    assert_eq!(faults(record(wrong).await), ["cheque_number"]);
    harness
        .decide_payment(&person(1), org, deal.into(), first, Verification::Rejected, Verdict::default())
        .await
        .unwrap();
    assert_eq!(made(record(cheque("CHQ1", "20")).await.unwrap()).transaction_id, "TXN-0002");
}

#[tokio::test]
async fn a_payment_that_is_sent_twice_with_one_key_is_recorded_once() {
    let harness = with_connections(4).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "500").await.id;
    let mut at_work = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let deals = harness.deals.clone();
        at_work.spawn(async move {
            let once = Once::new("k", &[b"same"]).unwrap();
            match deals.record_payment(&person(1), org, deal.into(), payment("100"), Some(once)).await {
                Ok(Made::New(_)) => "new".to_owned(),
                Ok(Made::Before(_)) => "before".to_owned(),
                Err(error) => code::<()>(Err(error)),
            }
        });
    }
    let outcomes = at_work.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "new").count(), 1, "{outcomes:?}");
    let others = ["new", "before", "idempotency_in_progress"];
    assert!(outcomes.iter().all(|outcome| others.contains(&outcome.as_str())), "{outcomes:?}");
    assert_eq!(harness.rows("deals_payment").await, 1);
}

#[tokio::test]
async fn payments_are_seen_with_their_deals() {
    let (harness, org, deal) = with_deal("100").await;
    for (user, role) in [(2, "salesperson"), (3, "viewer"), (4, "verifier")] {
        harness.join(org, user, role, None).await;
    }
    let id = harness.pay(1, org, deal, "1").await.id;
    let seen = async |user| code(harness.payment(&person(user), org, deal.into(), id).await);
    assert_eq!(seen(2).await, "deal_not_found");
    assert_eq!((seen(3).await.as_str(), seen(4).await.as_str()), ("not_granted", "ok"));
    let all = async |user| harness.payments(&person(user), org, None, Filter::default(), page()).await;
    assert_eq!(all(2).await.unwrap().count, 0);
    assert_eq!(code(all(3).await), "not_granted");
    let refused = harness.record_payment(&person(4), org, deal.into(), payment("1"), None).await;
    assert_eq!(code(refused), "not_granted");
    let unknown = Filter::new([("amount__gte", "1")]);
    assert_eq!(faults(harness.payments(&person(1), org, None, unknown, page()).await), ["amount__gte"]);
}

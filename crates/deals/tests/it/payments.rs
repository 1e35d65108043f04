use guildhall_deals::{
    Amount, Currency, Day, DealId, Deals, Filter, NewDeal, NewPayment, NewRefund, NewReversal, OrganizationPatch,
    Organizations, Overpayment, PaymentId, PaymentKind, PaymentMethod, PaymentStatus, Payments, Period, Reports,
    Verdict, Verification,
};
use guildhall_kernel::{
    Error, IfMatch,
    idempotency::{IdempotencyKey, Idempotent},
};

use crate::harness::{Harness, code, created, deal, deals, invalid_fields, page, payment, person, with_connections};

async fn with_deal(value: &str) -> (Harness, guildhall_deals::OrganizationId, DealId) {
    let harness = deals().await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let deal = harness.deal_of(1, org, client, value).await.id;
    (harness, org, deal)
}

#[tokio::test]
async fn payments_do_not_exceed_the_value_of_their_deal() {
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
    assert_eq!(paid.payment_status, PaymentStatus::Unpaid, "no payment is verified");
    let record = async |new| harness.ledger.record_payment(&person(1), org, deal.into(), new, None).await;
    let refused = Error::from(record(payment("0.01")).await.unwrap_err());
    assert_eq!((refused.code(), refused.extension("max_allowed")), ("overpayment", Some(&"0.00".into())));
    for amount in ["0", "0.00", "-1", "NaN", "1e2", "0.001", ""] {
        assert_eq!(invalid_fields(record(payment(amount)).await), ["amount"], "{amount}");
    }
    let other = NewPayment { currency: Currency::from_code("EUR"), ..payment("1") };
    assert_eq!(code(record(other).await), "currency_mismatch");
    assert_eq!(harness.db.count_rows("deals_payment").await, 2);
    let credit = OrganizationPatch { overpayment: Some(Overpayment::Credit), ..OrganizationPatch::default() };
    harness.tenancy.change_organization(&person(1), org, credit, IfMatch::default()).await.unwrap();
    harness.pay(1, org, deal, "5").await;
    assert_eq!(harness.read(1, org, deal).await.balance, "-5.00");
    harness.assert_consistent().await;
}

#[tokio::test]
async fn concurrent_payments_do_not_exceed_the_value_of_their_deal() {
    let harness = with_connections(8).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "500").await.id;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let deals = harness.deals.clone();
        tasks.spawn(async move {
            code(deals.ledger.record_payment(&person(1), org, deal.into(), payment("100"), None).await)
        });
    }
    let mut outcomes = tasks.join_all().await;
    outcomes.sort();
    assert_eq!(outcomes.iter().filter(|code| *code == "ok").count(), 5, "{outcomes:?}");
    assert!(outcomes.iter().all(|code| code == "ok" || code == "overpayment"), "{outcomes:?}");
    assert_eq!(harness.read(1, org, deal).await.balance, "0.00");
    harness.assert_consistent().await;
}

#[tokio::test]
async fn a_payment_is_decided_once_and_not_by_its_recorder() {
    let (harness, org, deal) = with_deal("100").await;
    harness.join(org, 2, "verifier", None).await;
    let first = harness.pay(1, org, deal, "40").await.id;
    let four_eyes = OrganizationPatch { four_eyes: Some(true), ..OrganizationPatch::default() };
    harness.tenancy.change_organization(&person(1), org, four_eyes, IfMatch::default()).await.unwrap();
    let decide = async |user, id: PaymentId, verdict| {
        let why = Verdict { reason: "bank statement".into() };
        harness.ledger.decide_payment(&person(user), org, deal.into(), id, verdict, why).await
    };
    assert_eq!(code(decide(1, first, Verification::Verified).await), "escalation");
    let verified = decide(2, first, Verification::Verified).await.unwrap();
    assert_eq!(
        (verified.state, verified.reason.as_str(), verified.decided_by.is_some()),
        (Verification::Verified, "bank statement", true)
    );
    assert_eq!(code(decide(2, first, Verification::Rejected).await), "illegal_transition");
    let second = harness.pay(1, org, deal, "60").await.id;
    decide(2, second, Verification::Rejected).await.unwrap();
    let seen = harness.read(1, org, deal).await;
    assert_eq!(
        (seen.paid_total.as_str(), seen.verified_total.as_str(), seen.balance.as_str()),
        ("40.00", "40.00", "60.00")
    );
    assert_eq!(seen.payment_status, PaymentStatus::Partial);
    let pending = Filter::new([("state", "pending")]);
    harness.pay(1, org, deal, "1").await;
    assert_eq!(harness.ledger.payments(&person(2), org, None, pending, page()).await.unwrap().count, 1);
    harness.assert_consistent().await;
}

#[tokio::test]
async fn payments_are_only_undone_by_reversals_and_refunds() {
    let (harness, org, deal) = with_deal("100").await;
    let id = harness.pay(1, org, deal, "60").await.id;
    let reverse = async |id| {
        let why = NewReversal { reason: "typed twice".into() };
        harness.ledger.reverse_payment(&person(1), org, deal.into(), id, why, None).await
    };
    let reversal = created(reverse(id).await.unwrap());
    assert_eq!(
        (reversal.kind, reversal.of_payment_id, reversal.amount.as_str()),
        (PaymentKind::Reversal, Some(id), "60.00")
    );
    assert_eq!((reversal.transaction_id.as_str(), reversal.reason.as_str()), ("TXN-0002", "typed twice"));
    assert_eq!(code(reverse(id).await), "illegal_transition");
    assert_eq!(code(reverse(reversal.id).await), "illegal_transition");
    assert_eq!(harness.read(1, org, deal).await.balance, "100.00");
    let verify = async |id| {
        harness
            .ledger
            .decide_payment(&person(1), org, deal.into(), id, Verification::Verified, Verdict::default())
            .await
    };
    assert_eq!(code(verify(id).await), "illegal_transition", "a reversed payment cannot be verified");
    // Only verified payments are refunded, up to their remaining amount.
    let id = harness.pay(1, org, deal, "50").await.id;
    let refund = async |amount: &str| {
        let new = NewRefund { amount: Amount::new(amount), reason: String::new() };
        harness.ledger.refund_payment(&person(1), org, deal.into(), id, new, None).await
    };
    assert_eq!(code(refund("10").await), "illegal_transition");
    verify(id).await.unwrap();
    assert_eq!(created(refund("20").await.unwrap()).kind, PaymentKind::Refund);
    assert_eq!(invalid_fields(refund("30.01").await), ["amount"]);
    refund("30").await.unwrap();
    assert_eq!(invalid_fields(refund("0.01").await), ["amount"]);
    assert_eq!(code(reverse(id).await), "illegal_transition", "a refunded payment cannot be reversed");
    let seen = harness.read(1, org, deal).await;
    assert_eq!((seen.paid_total.as_str(), seen.verified_total.as_str()), ("0.00", "0.00"));
    harness.assert_consistent().await;
    // The database enforces the ledger.
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
        assert!(harness.db.sql(sql).await.is_err(), "{sql}");
    }
}

/// The totals that the program stores, the revenue that triggers store, and the SQL of the checks follow one rule.
#[tokio::test]
async fn every_kind_of_entry_counts_alike_in_totals_and_revenue() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    for currency in ["USD", "JPY"] {
        let new = NewDeal { currency: Currency::from_code(currency), ..deal(client, "x", "100") };
        let deal = created(harness.sales.create_deal(me, org, None, new, None).await.unwrap()).id;
        let decide = async |id, verification| {
            let verdict = Verdict::default();
            harness.ledger.decide_payment(me, org, deal.into(), id, verification, verdict).await.unwrap();
            harness.assert_consistent().await;
        };
        let reverse = async |id| {
            harness.ledger.reverse_payment(me, org, deal.into(), id, NewReversal::default(), None).await.unwrap();
            harness.assert_consistent().await;
        };
        let mut paid = Vec::new();
        for amount in ["1", "2", "4", "8", "16"] {
            paid.push(harness.pay(1, org, deal, amount).await.id);
            harness.assert_consistent().await;
        }
        decide(paid[0], Verification::Rejected).await;
        reverse(paid[1]).await;
        decide(paid[2], Verification::Verified).await;
        reverse(paid[2]).await;
        decide(paid[3], Verification::Verified).await;
        let refund = NewRefund { amount: Amount::new("3"), reason: String::new() };
        harness.ledger.refund_payment(me, org, deal.into(), paid[3], refund, None).await.unwrap();
        harness.assert_consistent().await;
        let seen = harness.read(1, org, deal).await;
        let [verified, received] = if currency == "JPY" { ["5", "21"] } else { ["5.00", "21.00"] };
        assert_eq!((seen.verified_total.as_str(), seen.paid_total.as_str()), (verified, received));
        let revenue = harness.reports.revenue(me, org, Period::default()).await.unwrap();
        let revenue = revenue.iter().find(|row| row.currency.code() == currency).unwrap();
        assert_eq!(revenue.amount, verified);
    }
    // Differences are found and repaired.
    for (sql, errors) in [
        ("UPDATE deals_revenue SET lo = lo + 1", 1),
        ("UPDATE deals_deal SET received_minor = received_minor + 1", 1),
        ("UPDATE deals_deal SET verified_minor = verified_minor - 1", 1),
        ("UPDATE deals_counter SET next = 1", 2),
    ] {
        harness.db.sql(sql).await.unwrap();
        let findings = harness.examine(false).await.unwrap();
        assert_eq!(findings.iter().filter(|finding| finding.is_error()).count(), errors, "{sql}");
        harness.examine(true).await.unwrap();
        harness.assert_consistent().await;
    }
    assert_eq!(harness.pay(1, org, DealId(1), "1").await.transaction_id, "TXN-0017");
}

#[tokio::test]
async fn a_cheque_is_accepted_once() {
    let (harness, org, deal) = with_deal("100").await;
    let cheque = |number: &str, amount: &str| NewPayment {
        method: PaymentMethod::Cheque,
        cheque_number: Some(number.into()),
        ..payment(amount)
    };
    let record = async |new| harness.ledger.record_payment(&person(1), org, deal.into(), new, None).await;
    let first = created(record(cheque("CHQ1", "10")).await.unwrap()).id;
    assert_eq!(code(record(cheque("CHQ1", "20")).await), "duplicate");
    assert_eq!(harness.read(1, org, deal).await.paid_total, "10.00", "a rejected payment has no effect");
    let invalid = NewPayment { method: PaymentMethod::Cash, ..cheque("CHQ2", "1") };
    assert_eq!(invalid_fields(record(invalid).await), ["cheque_number"]);
    harness
        .ledger
        .decide_payment(&person(1), org, deal.into(), first, Verification::Rejected, Verdict::default())
        .await
        .unwrap();
    assert_eq!(created(record(cheque("CHQ1", "20")).await.unwrap()).transaction_id, "TXN-0002");
}

#[tokio::test]
async fn concurrent_requests_with_one_idempotency_key_record_one_payment() {
    let harness = with_connections(4).await;
    let org = harness.org().await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "500").await.id;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let deals = harness.deals.clone();
        tasks.spawn(async move {
            let key = IdempotencyKey::new("k", &[b"same"]).unwrap();
            match deals.ledger.record_payment(&person(1), org, deal.into(), payment("100"), Some(key)).await {
                Ok(Idempotent::Created(_)) => "new".to_owned(),
                Ok(Idempotent::Replayed(_)) => "replayed".to_owned(),
                Err(error) => code::<()>(Err(error)),
            }
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "new").count(), 1, "{outcomes:?}");
    let expected = ["new", "replayed", "idempotency_in_progress"];
    assert!(outcomes.iter().all(|outcome| expected.contains(&outcome.as_str())), "{outcomes:?}");
    assert_eq!(harness.db.count_rows("deals_payment").await, 1);
}

#[tokio::test]
async fn payments_are_visible_with_their_deals() {
    let (harness, org, deal) = with_deal("100").await;
    for (user, role) in [(2, "salesperson"), (3, "viewer"), (4, "verifier")] {
        harness.join(org, user, role, None).await;
    }
    let id = harness.pay(1, org, deal, "1").await.id;
    let seen = async |user| code(harness.ledger.payment(&person(user), org, deal.into(), id).await);
    assert_eq!(seen(2).await, "deal_not_found");
    assert_eq!((seen(3).await.as_str(), seen(4).await.as_str()), ("not_granted", "ok"));
    let all = async |user| harness.ledger.payments(&person(user), org, None, Filter::default(), page()).await;
    assert_eq!(all(2).await.unwrap().count, 0);
    assert_eq!(code(all(3).await), "not_granted");
    let refused = harness.ledger.record_payment(&person(4), org, deal.into(), payment("1"), None).await;
    assert_eq!(code(refused), "not_granted");
    let unknown = Filter::new([("amount__gte", "1")]);
    assert_eq!(invalid_fields(harness.ledger.payments(&person(1), org, None, unknown, page()).await), ["amount__gte"]);
}

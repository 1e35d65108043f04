use guildhall_deals::{
    Amount, DealFiles, DealId, DealPatch, Deals, Line, LineItems, LinePatch, NewLine, OrganizationId, Payments,
    Verdict, Verification,
};
use guildhall_files::Upload;
use guildhall_kernel::{IfMatch, Timestamp};

use crate::harness::{Harness, code, deals, invalid_fields, person};

fn line(name: &str, quantity: &str, price: &str) -> NewLine {
    NewLine {
        name: name.to_owned(),
        quantity: Some(Amount::new(quantity)),
        unit_price: Amount::new(price),
        discount: None,
        tax: None,
    }
}

async fn add(harness: &Harness, org: OrganizationId, deal: DealId, new: NewLine) -> Line {
    harness.sales.add_line(&person(1), org, deal.into(), new).await.unwrap()
}

#[tokio::test]
async fn the_value_of_a_deal_is_the_sum_of_its_line_items() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "7").await.id;
    harness
        .sales
        .verify_deal(me, org, deal.into(), Verification::Verified, Verdict::default(), IfMatch::default())
        .await
        .unwrap();
    let taxed = NewLine { tax: Some(Amount::new("19")), ..line("Desk", "2", "100") };
    let desk = add(&harness, org, deal, taxed).await;
    assert_eq!((desk.quantity.as_str(), desk.total.as_str()), ("2", "238.00"));
    let chair = add(&harness, org, deal, line("Chair", "1.5", "10")).await;
    let read = harness.read(1, org, deal).await;
    assert_eq!((read.value.as_str(), read.verification_status), ("253.00", Verification::Pending));

    let manual = DealPatch { value: Some(Amount::new("1")), ..DealPatch::default() };
    assert_eq!(
        invalid_fields(harness.sales.change_deal(me, org, deal.into(), manual, IfMatch::default()).await),
        ["value"]
    );
    harness.pay(1, org, deal, "250").await;
    let lower = LinePatch { quantity: Some(Amount::new("1")), ..LinePatch::default() };
    let refused = harness.sales.change_line(me, org, deal.into(), chair.id, lower, IfMatch::default()).await;
    assert_eq!(invalid_fields(refused), ["value"]);
    let quantities: Vec<_> =
        harness.sales.lines(me, org, deal.into()).await.unwrap().into_iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, ["2", "1.5"], "a rejected change has no effect");

    let discounted = LinePatch { discount: Some(Amount::new("50")), ..LinePatch::default() };
    let stale = IfMatch::only(Timestamp::EPOCH.into());
    let outdated = harness.sales.change_line(me, org, deal.into(), chair.id, discounted.clone(), stale).await;
    assert_eq!(code(outdated), "stale");
    let known = IfMatch::only(desk.updated_at.into());
    let patch = LinePatch { unit_price: Some(Amount::new("200")), ..LinePatch::default() };
    let changed = harness.sales.change_line(me, org, deal.into(), desk.id, patch, known).await.unwrap();
    assert_eq!(changed.total, "476.00");
    harness.sales.change_line(me, org, deal.into(), chair.id, discounted, IfMatch::default()).await.unwrap();
    assert_eq!(harness.read(1, org, deal).await.value, "483.50");
    harness.sales.remove_line(me, org, deal.into(), chair.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.read(1, org, deal).await.value, "476.00");
    harness.sales.remove_line(me, org, deal.into(), desk.id, IfMatch::default()).await.unwrap();
    assert_eq!(harness.read(1, org, deal).await.value, "476.00");
}

#[tokio::test]
async fn line_items_require_the_permissions_of_their_deal() {
    let harness = deals().await;
    let org = harness.org().await;
    harness.join(org, 2, "verifier", None).await;
    harness.join(org, 3, "salesperson", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "7").await.id;
    let other = harness.deal_of(1, org, client, "7").await.id;
    let of_deal = add(&harness, org, deal, line("Desk", "1", "1")).await;
    assert_eq!(code(harness.sales.add_line(&person(2), org, deal.into(), line("x", "1", "1")).await), "not_granted");
    assert_eq!(code(harness.sales.add_line(&person(3), org, deal.into(), line("x", "1", "1")).await), "deal_not_found");
    assert_eq!(code(harness.sales.lines(&person(3), org, deal.into()).await), "deal_not_found");
    assert_eq!(harness.sales.lines(&person(2), org, deal.into()).await.unwrap().len(), 1);
    let elsewhere = harness.sales.remove_line(&person(1), org, other.into(), of_deal.id, IfMatch::default()).await;
    assert_eq!(code(elsewhere), "not_found");
    for (quantity, price, field) in [("0", "1", "quantity"), ("1", "0.001", "unit_price"), ("1", "-1", "unit_price")] {
        let refused = harness.sales.add_line(&person(1), org, deal.into(), line("x", quantity, price)).await;
        assert_eq!(invalid_fields(refused), [field]);
    }
    assert_eq!(harness.db.count_rows("deals_line").await, 1);
}

fn upload(name: &str, bytes: &'static [u8]) -> Upload {
    Upload {
        name: name.to_owned(),
        content_type: "application/octet-stream".to_owned(),
        bytes: bytes.into(),
        fields: std::collections::BTreeMap::default(),
    }
}

#[tokio::test]
async fn files_belong_to_deals_and_receipts_to_payments() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    harness.join(org, 2, "viewer", None).await;
    let client = harness.client_of(1, org, "x").await.id;
    let deal = harness.deal_of(1, org, client, "7").await.id;
    let payment = harness.pay(1, org, deal, "1").await.id;
    let offer = harness.sales.add_file(me, org, deal.into(), upload("offer.txt", b"hello")).await.unwrap();
    let receipt =
        harness.sales.add_receipt(me, org, deal.into(), payment, upload("r.html", b"%PDF-1.7")).await.unwrap();
    assert_eq!((receipt.content_type.as_str(), receipt.size), ("application/pdf", 8));
    assert!(offer.url.starts_with("https://example.org/api/files/") && offer.url.contains("/offer.txt?"));
    let html = upload("r.pdf", b"<html><script>");
    assert_eq!(invalid_fields(harness.sales.add_receipt(me, org, deal.into(), payment, html).await), ["file"]);
    let names = |found: Vec<guildhall_deals::DealFile>| found.into_iter().map(|file| file.name).collect::<Vec<_>>();
    assert_eq!(names(harness.sales.files(me, org, deal.into()).await.unwrap()), ["offer.txt"]);
    assert_eq!(names(harness.sales.receipts(me, org, deal.into(), payment).await.unwrap()), ["r.html"]);
    // Receipts cannot be removed as files of the deal.
    assert_eq!(code(harness.sales.remove_file(me, org, deal.into(), receipt.id).await), "not_found");

    let viewer = &person(2);
    assert_eq!(names(harness.sales.files(viewer, org, deal.into()).await.unwrap()), ["offer.txt"]);
    assert_eq!(code(harness.sales.receipts(viewer, org, deal.into(), payment).await), "not_granted");
    assert_eq!(code(harness.sales.add_file(viewer, org, deal.into(), upload("x", b"x")).await), "not_granted");
    let other = harness.deal_of(1, org, client, "7").await.id;
    assert_eq!(code(harness.sales.receipts(me, org, other.into(), payment).await), "not_found");

    assert_eq!(harness.db.count_rows("files_file").await, 2);
    harness.sales.remove_file(me, org, deal.into(), offer.id).await.unwrap();
    assert_eq!(harness.db.count_rows("files_file").await, 1);
    // Purging the deal deletes its files.
    Deals::delete_deal(&harness.deals.sales, me, org, deal.into(), true, IfMatch::default()).await.unwrap();
    assert_eq!((harness.db.count_rows("deals_file").await, harness.db.count_rows("files_file").await), (0, 0));
    assert_eq!(
        harness
            .ledger
            .payments(me, org, None, guildhall_deals::Filter::default(), crate::harness::page())
            .await
            .unwrap()
            .count,
        0
    );
}

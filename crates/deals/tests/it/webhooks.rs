use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use guildhall_deals::{
    Amount, Closing, DealPatch, DealStatus, Deals, DeliveryStatus, FACTS, IssuedWebhook, Move, NewRole, NewWebhook,
    OrganizationId, Payments, StageRef, WebhookId, WebhookPatch, Webhooks,
};
use guildhall_kernel::{IfMatch, SliceQuery, job::Job};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Harness, Sent, code, deal, deals, faults, payment, person};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn hook(harness: &Harness, org: OrganizationId, events: &[&str]) -> IssuedWebhook {
    let events = events.iter().map(|&event| event.to_owned()).collect();
    let new = NewWebhook { url: "https://example.org/hook".to_owned(), events };
    harness.create_webhook(&person(1), org, new).await.unwrap()
}

/// Delivers what is due; gives what was sent.
async fn sent(harness: &Harness) -> Vec<Sent> {
    harness.outbox.carry(&harness.deals).await.unwrap();
    std::mem::take(&mut *harness.wire.sent.lock().unwrap())
}

fn types(sent: &[Sent]) -> Vec<String> {
    let body = |sent: &Sent| serde_json::from_str::<Value>(&sent.body).unwrap();
    sent.iter().map(|sent| body(sent)["type"].as_str().unwrap().to_owned()).collect()
}

/// Has this secret signed it? As a receiver finds out who has read the standard and not our code.
fn is_signed(sent: &Sent, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut code = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    code.update(
        format!("{}.{}.{}", sent.headers["webhook-id"], sent.headers["webhook-timestamp"], sent.body).as_bytes(),
    );
    let expected = format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()));
    sent.headers["webhook-signature"].split(' ').any(|signature| signature == expected)
}

#[tokio::test]
async fn what_happens_is_told_signed_and_only_if_it_happens() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let issued = hook(&harness, org, &[]).await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let made = harness.deal_of(1, org, client, "10.50").await;
    let told = sent(&harness).await;
    assert_eq!(types(&told), ["client.created", "deal.created"]);
    let last = &told[1];
    assert_eq!(last.url, "https://example.org/hook");
    assert!(is_signed(last, &issued.secret) && !is_signed(last, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let body: Value = serde_json::from_str(&last.body).unwrap();
    let data = &body["data"];
    assert_eq!(
        json!([data["object"], data["id"], data["organization_id"], data["code"], data["value"], data["status"]]),
        json!(["deal", made.id, org, "DLID0001", "10.50", "open"])
    );
    assert!(data.get("search_text").is_none() && data.get("deletion_id").is_none(), "{data}");
    assert!(sent(&harness).await.is_empty(), "once is enough");

    // Refused is not happened.
    let much = harness.record_payment(me, org, made.id.into(), payment("11"), None).await;
    assert_eq!(code(much), "overpayment");
    harness.record_payment(me, org, made.id.into(), payment("1"), None).await.unwrap();
    assert_eq!(types(&sent(&harness).await), ["payment.recorded"]);
    let to = Move { stage: StageRef::Name("won".to_owned()), after: None, before: None, lost_reason: String::new() };
    harness.move_deal(me, org, made.id.into(), to).await.unwrap();
    let won = sent(&harness).await;
    let body: Value = serde_json::from_str(&won[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["changes"]["status"]), (&json!("deal.won"), &json!(["open", "won"])));
    harness.close_deal(me, org, made.id.into(), DealStatus::Open, Closing::default()).await.unwrap();
    Deals::delete_deal(&harness.deals, me, org, made.id.into(), false, IfMatch::default()).await.unwrap();
    assert_eq!(types(&sent(&harness).await), ["deal.reopened", "deal.deleted"]);

    let other = harness.org_of(2, "Other").await;
    harness.client_of(2, other, "x").await;
    assert!(sent(&harness).await.is_empty(), "another organization's affairs");
}

#[tokio::test]
async fn what_does_not_arrive_is_sent_again_under_its_name() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let id = hook(&harness, org, &["client.created"]).await.webhook.id;
    *harness.wire.answers.lock().unwrap() = vec![302, 500];
    let client = harness.client_of(1, org, "x").await.id;
    harness.deal_of(1, org, client, "1").await;
    let first = sent(&harness).await;
    assert_eq!(types(&first), ["client.created"]);
    let told = harness.deliveries(me, org, id, SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!((told[0].status, told[0].attempts, told[0].response_status), (DeliveryStatus::Pending, 1, Some(500)));
    assert!(sent(&harness).await.is_empty(), "not at once");
    harness.pass(Duration::from_secs(20));
    let second = sent(&harness).await;
    harness.pass(Duration::from_secs(60));
    let third = sent(&harness).await;
    for again in [&second[0], &third[0]] {
        assert_eq!((&again.headers["webhook-id"], &again.body), (&first[0].headers["webhook-id"], &first[0].body));
        assert_ne!(again.headers["webhook-timestamp"], first[0].headers["webhook-timestamp"]);
    }
    let told = harness.deliveries(me, org, id, SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!((told[0].status, told[0].attempts), (DeliveryStatus::Delivered, 3));
    harness.redeliver(me, org, id, told[0].id).await.unwrap();
    assert_eq!(code(harness.redeliver(me, org, id, told[0].id).await), "illegal_transition");
    assert_eq!(sent(&harness).await[0].headers["webhook-id"], first[0].headers["webhook-id"]);
    let pinged = harness.test_webhook(me, org, id).await.unwrap();
    assert_eq!((pinged.event.as_str(), types(&sent(&harness).await)), ("ping", vec!["ping".to_owned()]));
}

#[tokio::test]
async fn two_secrets_sign_for_a_day() {
    let harness = deals().await;
    let org = harness.org().await;
    let old = hook(&harness, org, &[]).await;
    let new = harness.rotate_secret(&person(1), org, old.webhook.id).await.unwrap();
    harness.client_of(1, org, "x").await;
    let told = sent(&harness).await;
    assert!(is_signed(&told[0], &old.secret) && is_signed(&told[0], &new.secret));
    harness.pass(DAY + Duration::from_secs(1));
    harness.client_of(1, org, "y").await;
    let told = sent(&harness).await;
    assert!(!is_signed(&told[0], &old.secret) && is_signed(&told[0], &new.secret));
}

#[tokio::test]
async fn a_webhook_is_made_by_those_who_see_everything_and_for_the_public_internet() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = |url: &str| NewWebhook { url: url.to_owned(), events: Vec::new() };
    assert_eq!(faults(harness.create_webhook(me, org, new("http://192.168.0.1/hook")).await), ["url"]);
    let strange = NewWebhook { events: vec!["deal.exploded".to_owned()], ..new("https://example.org/") };
    assert_eq!(faults(harness.create_webhook(me, org, strange).await), ["events"]);
    let words = ["webhook.manage", "deal.read:team", "client.read", "payment.read", "task.read"];
    let role = NewRole { name: "Half".to_owned(), permissions: words.map(str::to_owned).to_vec() };
    let role = guildhall_deals::Members::create_role(&harness.deals, me, org, role).await.unwrap().id;
    let member = guildhall_deals::NewMember {
        user_id: guildhall_kernel::UserId(2),
        role_id: role,
        team_id: None,
        leads_team: false,
    };
    harness.take_in(org, member).await;
    harness.join(org, 3, "salesperson", None).await;
    assert_eq!(code(harness.create_webhook(&person(2), org, new("https://example.org/")).await), "escalation");
    assert_eq!(code(harness.create_webhook(&person(3), org, new("https://example.org/")).await), "not_granted");
    let issued = hook(&harness, org, &[FACTS[0].0]).await;
    let wrong = WebhookPatch { url: Some("http://192.168.0.1/".to_owned()), ..WebhookPatch::default() };
    assert_eq!(faults(harness.change_webhook(me, org, issued.webhook.id, wrong, IfMatch::default()).await), ["url"]);
    let off = WebhookPatch { is_active: Some(false), ..WebhookPatch::default() };
    harness.change_webhook(me, org, issued.webhook.id, off, IfMatch::default()).await.unwrap();
    harness.client_of(1, org, "x").await;
    assert_eq!(harness.rows("deals_delivery").await, 0);
    // Who sees less by now, or nothing, is told nothing any more.
    harness.join(org, 4, "admin", None).await;
    let new = NewWebhook { url: "https://example.org/".to_owned(), events: Vec::new() };
    harness.create_webhook(&person(4), org, new).await.unwrap();
    harness.client_of(1, org, "y").await;
    assert_eq!(harness.rows("deals_delivery").await, 1);
    harness.sql("UPDATE deals_member SET status = 'deactivated' WHERE user_id = 4").await.unwrap();
    harness.client_of(1, org, "z").await;
    assert_eq!(harness.rows("deals_delivery").await, 1);
    harness.delete_webhook(me, org, issued.webhook.id, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.webhook(me, org, WebhookId(1)).await), "not_found");
}

#[tokio::test]
async fn a_webhook_that_is_gone_or_silent_is_switched_off() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let gone = hook(&harness, org, &[]).await.webhook.id;
    *harness.wire.answers.lock().unwrap() = vec![410];
    harness.client_of(1, org, "x").await;
    sent(&harness).await;
    assert!(!harness.webhook(me, org, gone).await.unwrap().is_active);
    let told = harness.deliveries(me, org, gone, SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!(told[0].status, DeliveryStatus::Failed);

    let silent = hook(&harness, org, &[]).await.webhook.id;
    *harness.wire.answers.lock().unwrap() = vec![500];
    harness.client_of(1, org, "y").await;
    sent(&harness).await;
    harness.pass(4 * DAY);
    harness.deals.run().await.unwrap();
    assert!(harness.webhook(me, org, silent).await.unwrap().is_active);
    let told = harness.deliveries(me, org, silent, SliceQuery::newest(10)).await.unwrap().results;
    assert_eq!(told[0].status, DeliveryStatus::Failed, "nobody tries it any more");
    harness.pass(2 * DAY);
    harness.deals.run().await.unwrap();
    assert!(!harness.webhook(me, org, silent).await.unwrap().is_active);
    harness.pass(30 * DAY);
    harness.deals.run().await.unwrap();
    assert_eq!(harness.rows("deals_delivery").await, 0);
    // Nobody is told anything any more, and acts need not look.
    assert_eq!(harness.number("SELECT COUNT(*) FROM deals_organization WHERE has_webhooks").await, 0);
}

#[tokio::test]
async fn a_large_deal_is_won_once_it_is_verified() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let client = harness.client_of(1, org, "x").await.id;
    let patch = guildhall_deals::OrganizationPatch {
        approval_above: Some(Some(Amount::new("1000"))),
        ..guildhall_deals::OrganizationPatch::default()
    };
    let changed =
        guildhall_deals::Organizations::change_organization(&harness.deals, me, org, patch, IfMatch::default());
    assert_eq!(changed.await.unwrap().approval_above.as_deref(), Some("1000.00"));
    let won = Some(StageRef::Name("won".to_owned()));
    let at_once = guildhall_deals::NewDeal { stage: won, ..deal(client, "x", "1000.01") };
    assert_eq!(code(harness.create_deal(me, org, None, at_once, None).await), "approval_required");
    let small = harness.deal_of(1, org, client, "1000").await.id;
    harness.close_deal(me, org, small.into(), DealStatus::Won, Closing::default()).await.unwrap();
    let large = harness.deal_of(1, org, client, "1000.01").await.id;
    let foreign =
        guildhall_deals::NewDeal { currency: guildhall_deals::Currency::from_code("EUR"), ..deal(client, "x", "1") };
    let foreign = crate::harness::made(harness.create_deal(me, org, None, foreign, None).await.unwrap()).id;
    for id in [large, foreign] {
        let close = || harness.close_deal(me, org, id.into(), DealStatus::Won, Closing::default());
        assert_eq!(code(close().await), "approval_required");
        let why = guildhall_deals::Verdict::default();
        harness
            .verify_deal(me, org, id.into(), guildhall_deals::Verification::Verified, why, IfMatch::default())
            .await
            .unwrap();
        close().await.unwrap();
    }
    assert_eq!(harness.titles(1, org, &[("status", "won")]).await.len(), 3);
    // Nor is it won small and made large.
    let more = DealPatch { value: Some(Amount::new("1000.01")), ..DealPatch::default() };
    let grown = harness.change_deal(me, org, small.into(), more, IfMatch::default()).await;
    assert_eq!(code(grown), "approval_required");
    let line = guildhall_deals::NewLine {
        name: "x".to_owned(),
        quantity: None,
        unit_price: Amount::new("5000"),
        discount: None,
        tax: None,
    };
    assert_eq!(
        code(guildhall_deals::Lines::add_line(&harness.deals, me, org, small.into(), line).await),
        "approval_required"
    );
    assert_eq!(harness.read(1, org, small).await.value, "1000.00");
    // Whoever approves means what they have read.
    let open = harness.deal_of(1, org, client, "2000").await;
    let patch = DealPatch { value: Some(Amount::new("9000")), ..DealPatch::default() };
    harness.change_deal(me, org, open.id.into(), patch, IfMatch::default()).await.unwrap();
    let (why, read) = (guildhall_deals::Verdict::default(), IfMatch::only(open.updated_at.into()));
    let late = harness.verify_deal(me, org, open.id.into(), guildhall_deals::Verification::Verified, why, read).await;
    assert_eq!(code(late), "stale");
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_keeps_nobody_else_waiting() {
    let harness = deals().await;
    let org = harness.org().await;
    hook(&harness, org, &[]).await;
    *harness.wire.answers.lock().unwrap() = vec![500; 3];
    for name in ["a", "b", "c"] {
        harness.client_of(1, org, name).await;
        sent(&harness).await;
    }
    // After the first failure the others were not even tried.
    assert_eq!(harness.wire.answers.lock().unwrap().len(), 2);
    harness.wire.answers.lock().unwrap().clear();
    harness.pass(Duration::from_secs(120));
    assert_eq!(sent(&harness).await.len(), 3);
}

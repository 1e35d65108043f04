use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use guildhall_deals::{
    CloseDeal, DealStatus, Deals, DeliveryStatus, ImportKind, ImportMode, Imports, IssuedWebhook, Members, MoveDeal,
    NewImport, NewRole, NewTask, NewWebhook, OnDuplicate, OrganizationId, Payments, Pipelines, Reassign, StageRef,
    Stages, Tasks, WebhookId, WebhookPatch, Webhooks, event::EVENTS,
};
use guildhall_kernel::{CursorQuery, IfMatch, UserId, job::Job};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Harness, Sent, code, created, deals, invalid_fields, page, payment, person};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn hook(harness: &Harness, org: OrganizationId, events: &[&str]) -> IssuedWebhook {
    let events = events.iter().map(|&event| event.to_owned()).collect();
    let new = NewWebhook { url: "https://example.org/hook".to_owned(), events };
    harness.webhooks.create_webhook(&person(1), org, new).await.unwrap()
}

/// Delivers all due messages and returns the requests.
async fn deliver(harness: &Harness) -> Vec<Sent> {
    harness.dispatcher.dispatch().await.unwrap();
    harness.outbox.deliver(&harness.deals.webhooks).await.unwrap();
    std::mem::take(&mut *harness.webhook_sender.sent.lock().unwrap())
}

fn types(sent: &[Sent]) -> Vec<String> {
    let body = |sent: &Sent| serde_json::from_str::<Value>(&sent.body).unwrap();
    sent.iter().map(|sent| body(sent)["type"].as_str().unwrap().to_owned()).collect()
}

/// Whether a message is signed with this secret, computed independently of the crate.
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
async fn events_are_signed_and_only_sent_after_a_commit() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let issued = hook(&harness, org, &[]).await;
    let client = harness.client_of(1, org, "Global Corp").await.id;
    let deal = harness.deal_of(1, org, client, "10.50").await;
    let deliveries = deliver(&harness).await;
    assert_eq!(types(&deliveries), ["client.created", "deal.created"]);
    let last = &deliveries[1];
    assert_eq!(last.url, "https://example.org/hook");
    assert!(is_signed(last, &issued.secret) && !is_signed(last, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let body: Value = serde_json::from_str(&last.body).unwrap();
    let data = &body["data"];
    assert_eq!(
        json!([data["object"], data["id"], data["organization_id"], data["code"], data["value"], data["status"]]),
        json!(["deal", deal.id, org, "DLID0001", "10.50", "open"])
    );
    assert!(data.get("search_text").is_none() && data.get("deletion_id").is_none(), "{data}");
    assert!(deliver(&harness).await.is_empty(), "delivered once");

    // A rejected operation emits nothing.
    let excessive = harness.ledger.record_payment(me, org, deal.id.into(), payment("11"), None).await;
    assert_eq!(code(excessive), "overpayment");
    harness.ledger.record_payment(me, org, deal.id.into(), payment("1"), None).await.unwrap();
    assert_eq!(types(&deliver(&harness).await), ["payment.recorded"]);
    let to =
        MoveDeal { stage: StageRef::Name("won".to_owned()), after: None, before: None, lost_reason: String::new() };
    harness.sales.move_deal(me, org, deal.id.into(), to).await.unwrap();
    let won = deliver(&harness).await;
    let body: Value = serde_json::from_str(&won[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["changes"]["status"]), (&json!("deal.won"), &json!(["open", "won"])));
    harness.sales.close_deal(me, org, deal.id.into(), DealStatus::Open, CloseDeal::default()).await.unwrap();
    Deals::delete_deal(&harness.deals.sales, me, org, deal.id.into(), false, IfMatch::default()).await.unwrap();
    assert_eq!(types(&deliver(&harness).await), ["deal.reopened", "deal.deleted"]);

    let other = harness.org_of(2, "Other").await;
    harness.client_of(2, other, "x").await;
    assert!(deliver(&harness).await.is_empty(), "an event of another organization");
}

#[tokio::test]
async fn failed_deliveries_are_retried_with_the_same_id() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let id = hook(&harness, org, &["client.created"]).await.webhook.id;
    *harness.webhook_sender.responses.lock().unwrap() = vec![302, 500];
    let client = harness.client_of(1, org, "x").await.id;
    harness.deal_of(1, org, client, "1").await;
    let first = deliver(&harness).await;
    assert_eq!(types(&first), ["client.created"]);
    let deliveries = harness.webhooks.deliveries(me, org, id, CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!(
        (deliveries[0].status, deliveries[0].attempts, deliveries[0].response_status),
        (DeliveryStatus::Pending, 1, Some(500))
    );
    assert!(deliver(&harness).await.is_empty(), "not before the pause has ended");
    harness.clock.advance(Duration::from_secs(20));
    let second = deliver(&harness).await;
    harness.clock.advance(Duration::from_secs(60));
    let third = deliver(&harness).await;
    for retry in [&second[0], &third[0]] {
        assert_eq!((&retry.headers["webhook-id"], &retry.body), (&first[0].headers["webhook-id"], &first[0].body));
        assert_ne!(retry.headers["webhook-timestamp"], first[0].headers["webhook-timestamp"]);
    }
    let deliveries = harness.webhooks.deliveries(me, org, id, CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!((deliveries[0].status, deliveries[0].attempts), (DeliveryStatus::Delivered, 3));
    harness.webhooks.redeliver(me, org, id, deliveries[0].id).await.unwrap();
    assert_eq!(code(harness.webhooks.redeliver(me, org, id, deliveries[0].id).await), "illegal_transition");
    assert_eq!(deliver(&harness).await[0].headers["webhook-id"], first[0].headers["webhook-id"]);
    let pinged = harness.webhooks.test_webhook(me, org, id).await.unwrap();
    assert_eq!((pinged.event.as_str(), types(&deliver(&harness).await)), ("ping", vec!["ping".to_owned()]));
}

#[tokio::test]
async fn messages_are_signed_with_both_secrets_for_a_day() {
    let harness = deals().await;
    let org = harness.org().await;
    let old = hook(&harness, org, &[]).await;
    let new = harness.webhooks.rotate_secret(&person(1), org, old.webhook.id).await.unwrap();
    harness.client_of(1, org, "x").await;
    let deliveries = deliver(&harness).await;
    assert!(is_signed(&deliveries[0], &old.secret) && is_signed(&deliveries[0], &new.secret));
    harness.clock.advance(DAY + Duration::from_secs(1));
    harness.client_of(1, org, "y").await;
    let deliveries = deliver(&harness).await;
    assert!(!is_signed(&deliveries[0], &old.secret) && is_signed(&deliveries[0], &new.secret));
}

#[tokio::test]
async fn a_webhook_requires_full_access_and_a_public_url() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let new = |url: &str| NewWebhook { url: url.to_owned(), events: Vec::new() };
    assert_eq!(invalid_fields(harness.webhooks.create_webhook(me, org, new("http://192.168.0.1/hook")).await), ["url"]);
    let unknown = NewWebhook { events: vec!["deal.exploded".to_owned()], ..new("https://example.org/") };
    assert_eq!(invalid_fields(harness.webhooks.create_webhook(me, org, unknown).await), ["events"]);
    let permissions = ["webhook.manage", "deal.read:team", "client.read", "payment.read", "task.read"];
    let role = NewRole { name: "Half".to_owned(), permissions: permissions.map(str::to_owned).to_vec() };
    let role = guildhall_deals::Roles::create_role(&harness.deals.tenancy, me, org, role).await.unwrap().id;
    let member = guildhall_deals::NewMember {
        user_id: guildhall_kernel::UserId(2),
        role_id: role,
        team_id: None,
        leads_team: false,
    };
    harness.add_active_member(org, member).await;
    harness.join(org, 3, "salesperson", None).await;
    assert_eq!(code(harness.webhooks.create_webhook(&person(2), org, new("https://example.org/")).await), "escalation");
    assert_eq!(
        code(harness.webhooks.create_webhook(&person(3), org, new("https://example.org/")).await),
        "not_granted"
    );
    let issued = hook(&harness, org, &[EVENTS[0].name]).await;
    let invalid = WebhookPatch { url: Some("http://192.168.0.1/".to_owned()), ..WebhookPatch::default() };
    assert_eq!(
        invalid_fields(harness.webhooks.change_webhook(me, org, issued.webhook.id, invalid, IfMatch::default()).await),
        ["url"]
    );
    let inactive = WebhookPatch { is_active: Some(false), ..WebhookPatch::default() };
    harness.webhooks.change_webhook(me, org, issued.webhook.id, inactive, IfMatch::default()).await.unwrap();
    harness.client_of(1, org, "x").await;
    harness.dispatcher.dispatch().await.unwrap();
    assert_eq!(harness.db.count_rows("deals_delivery").await, 0);
    // The webhook of a deactivated member receives no events.
    harness.join(org, 4, "admin", None).await;
    let new = NewWebhook { url: "https://example.org/".to_owned(), events: Vec::new() };
    harness.webhooks.create_webhook(&person(4), org, new).await.unwrap();
    harness.client_of(1, org, "y").await;
    harness.dispatcher.dispatch().await.unwrap();
    assert_eq!(harness.db.count_rows("deals_delivery").await, 1);
    harness.db.sql("UPDATE deals_member SET status = 'deactivated' WHERE user_id = 4").await.unwrap();
    harness.client_of(1, org, "z").await;
    harness.dispatcher.dispatch().await.unwrap();
    assert_eq!(harness.db.count_rows("deals_delivery").await, 1);
    harness.webhooks.delete_webhook(me, org, issued.webhook.id, IfMatch::default()).await.unwrap();
    assert_eq!(code(harness.webhooks.webhook(me, org, WebhookId(1)).await), "not_found");
}

#[tokio::test]
async fn a_gone_or_failing_webhook_is_deactivated() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let gone = hook(&harness, org, &[]).await.webhook.id;
    *harness.webhook_sender.responses.lock().unwrap() = vec![410];
    harness.client_of(1, org, "x").await;
    deliver(&harness).await;
    assert!(!harness.webhooks.webhook(me, org, gone).await.unwrap().is_active);
    let deliveries = harness.webhooks.deliveries(me, org, gone, CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!(deliveries[0].status, DeliveryStatus::Failed);

    let failing = hook(&harness, org, &[]).await.webhook.id;
    *harness.webhook_sender.responses.lock().unwrap() = vec![500];
    harness.client_of(1, org, "y").await;
    deliver(&harness).await;
    harness.clock.advance(4 * DAY);
    harness.deals.webhooks.run().await.unwrap();
    assert!(harness.webhooks.webhook(me, org, failing).await.unwrap().is_active);
    let deliveries = harness.webhooks.deliveries(me, org, failing, CursorQuery::newest(10)).await.unwrap().results;
    assert_eq!(deliveries[0].status, DeliveryStatus::Failed, "the outbox has given up");
    harness.clock.advance(2 * DAY);
    harness.deals.webhooks.run().await.unwrap();
    assert!(!harness.webhooks.webhook(me, org, failing).await.unwrap().is_active);
    harness.clock.advance(30 * DAY);
    harness.deals.webhooks.run().await.unwrap();
    assert_eq!(harness.db.count_rows("deals_delivery").await, 0);
    // Without active webhooks, events are not stored.
    assert_eq!(harness.db.query_i64("SELECT COUNT(*) FROM deals_organization WHERE has_webhooks").await, 0);
}

#[tokio::test]
async fn a_failing_webhook_is_paused() {
    let harness = deals().await;
    let org = harness.org().await;
    hook(&harness, org, &[]).await;
    *harness.webhook_sender.responses.lock().unwrap() = vec![500; 3];
    for name in ["a", "b", "c"] {
        harness.client_of(1, org, name).await;
        deliver(&harness).await;
    }
    // After the first failure the others were not attempted.
    assert_eq!(harness.webhook_sender.responses.lock().unwrap().len(), 2);
    harness.webhook_sender.responses.lock().unwrap().clear();
    harness.clock.advance(Duration::from_secs(120));
    assert_eq!(deliver(&harness).await.len(), 3);
}

#[tokio::test]
async fn a_bulk_operation_sends_one_event() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    let colleague = harness.join(org, 2, "admin", None).await;
    let client = harness.client_of(2, org, "Global Corp").await.id;
    for _ in 0..3 {
        harness.deal_of(2, org, client, "1").await;
    }
    let pipeline = harness.pipelines.pipelines(me, org, page()).await.unwrap().results.remove(0);
    hook(&harness, org, &[]).await;

    let to_me = Reassign { to_user_id: UserId(1), include_creator: false };
    harness.tenancy.reassign(me, org, colleague.id, to_me).await.unwrap();
    let stages = &pipeline.stages;
    let (first, second) = (stages[0].id, stages[1].id);
    harness.pipelines.delete_stage(me, org, pipeline.id, first, Some(second), IfMatch::default()).await.unwrap();
    let mut sent = deliver(&harness).await;
    sent.sort_by_key(|sent| types(std::slice::from_ref(sent)));
    assert_eq!(types(&sent), ["member.reassigned", "stage.emptied"]);
    let data = |sent: &Sent| serde_json::from_str::<Value>(&sent.body).unwrap()["data"].clone();
    let reassigned = data(&sent[0]);
    assert_eq!(
        (&reassigned["object"], &reassigned["id"], &reassigned["clients"], &reassigned["deals"]),
        (&json!("member"), &json!(colleague.id), &json!(1), &json!(3))
    );
    let emptied = data(&sent[1]);
    assert_eq!((&emptied["id"], &emptied["to"], &emptied["deals"]), (&json!(first), &json!(second), &json!(3)));
}

#[tokio::test]
async fn a_deleted_task_and_a_reverted_import_are_sent() {
    let harness = deals().await;
    let (org, me) = (harness.org().await, &person(1));
    hook(&harness, org, &["task.deleted", "import.finished", "import.reverted"]).await;
    let task = NewTask { title: "Call back".to_owned(), ..NewTask::default() };
    let task = harness.tasks.create_task(me, org, task).await.unwrap().id;
    harness.tasks.delete_task(me, org, task, IfMatch::default()).await.unwrap();
    let import = NewImport {
        kind: ImportKind::Clients,
        file_name: "clients.csv".to_owned(),
        bytes: "name\na\nb\n".into(),
        delimiter: None,
        is_windows_1252: None,
        decimal_comma: false,
        mapping: BTreeMap::new(),
        on_duplicate: OnDuplicate::Error,
        mode: ImportMode::Atomic,
        dry_run: false,
    };
    let import = created(harness.exchange.import(me, org, import, None).await.unwrap()).id;
    harness.exchange.revert_import(me, org, import).await.unwrap();
    // Deliveries about different objects have no order.
    let mut types = types(&deliver(&harness).await);
    types.sort_unstable();
    assert_eq!(types, ["import.finished", "import.reverted", "task.deleted"]);
}

#[tokio::test]
async fn an_event_contains_chosen_fields_only() {
    let harness = deals().await;
    let org = harness.org().await;
    hook(&harness, org, &["client.created"]).await;
    harness.client_of(1, org, "Global Corp").await;
    let sent = deliver(&harness).await;
    let body: Value = serde_json::from_str(&sent[0].body).unwrap();
    let fields: Vec<&str> = body["data"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec![
        "object",
        "organization_id",
        "id",
        "name",
        "email",
        "phone",
        "website",
        "address",
        "tax_id",
        "notes",
        "owner_member_id",
        "created_by_member_id",
        "archived_at",
        "created_at",
        "updated_at",
    ];
    let mut fields = fields;
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

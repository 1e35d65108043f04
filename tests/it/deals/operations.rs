//! The path and the statuses of every operation.

use reqwest::Method;
use serde_json::{Value, json};

use super::fixture;

#[tokio::test]
async fn every_operation_has_its_path_and_error_status() {
    let fixture = fixture().await;
    let (server, anna, ben, org) = (&fixture.server, &fixture.anna, &fixture.ben, &fixture.org);
    fixture.add_ben("Owner").await;
    let post = async |who: &str, path: &str, body: Value| {
        let response = server.post(&format!("{org}{path}"), who, body).await;
        let result = if response.status.is_success() { response.json() } else { json!(response.code()) };
        (response.status.as_u16(), result)
    };
    let client = fixture.create("clients/", anna, json!({"name": "Global Corp"})).await["id"].clone();
    let deal = async |value: &str| {
        let new = json!({"client_id": client, "title": "x", "value": value});
        fixture.create("deals/", anna, new).await["id"].as_i64().unwrap()
    };
    let id = deal("100").await;
    // Deals.
    for (path, body, field, value) in [
        ("move", json!({"stage": "proposal"}), "stage", json!("proposal")),
        ("win", json!({}), "status", json!("won")),
        ("reopen", json!({}), "status", json!("open")),
        ("lose", json!({"reason": "too expensive"}), "lost_reason", json!("too expensive")),
        ("reopen", json!({}), "stage", json!("proposal")),
        ("reject", json!({"reason": "no"}), "verification_status", json!("rejected")),
        ("verify", json!({}), "verification_status", json!("verified")),
    ] {
        let (status, deal) = post(anna, &format!("deals/{id}/{path}/"), body).await;
        assert_eq!((status, &deal[field]), (200, &value), "{path}: {deal}");
    }
    let (status, archived) = post(anna, &format!("deals/{id}/archive/"), json!({})).await;
    assert!(status == 200 && archived["archived_at"].is_string(), "{archived}");
    let (status, unarchived) = post(anna, &format!("deals/{id}/unarchive/"), json!({})).await;
    assert!(status == 200 && unarchived["archived_at"].is_null(), "{unarchived}");
    for (path, body, code) in [
        ("reopen", json!({}), "illegal_transition"),
        ("verify", json!({}), "illegal_transition"),
        ("payments", json!({"amount": "100.01", "method": "cash"}), "overpayment"),
    ] {
        assert_eq!(post(anna, &format!("deals/{id}/{path}/"), body).await, (409, json!(code)), "{path}");
    }
    // Payments, on every path.
    let nested = format!("clients/{client}/deals/{id}/payments/");
    let flat = format!("deals/{id}/payments/");
    for (payments_path, amount) in [(&flat, "10"), (&nested, "20")] {
        let record = async || {
            fixture.create(payments_path, ben, json!({"amount": amount, "method": "bank"})).await["id"].clone()
        };
        let (one, other, third) = (record().await, record().await, record().await);
        let queue = server.get(&format!("{org}verification-queue/"), anna).await.json();
        let waiting: Vec<Value> = queue["results"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
        assert_eq!(waiting, [one.clone(), other.clone(), third.clone()], "the oldest first");
        assert_eq!(post(anna, &format!("{payments_path}{one}/verify/"), json!({})).await.1["state"], "verified");
        assert_eq!(
            post(anna, &format!("{payments_path}{one}/verify/"), json!({})).await,
            (409, json!("illegal_transition"))
        );
        let rejected = post(anna, &format!("{payments_path}{other}/reject/"), json!({"reason": "bounced"})).await.1;
        assert_eq!((&rejected["state"], &rejected["reason"]), (&json!("rejected"), &json!("bounced")));
        let (status, refund) = post(anna, &format!("{payments_path}{one}/refund/"), json!({"amount": "1"})).await;
        assert_eq!((status, &refund["kind"], &refund["amount"]), (201, &json!("refund"), &json!("1.00")));
        let (status, reversal) = post(anna, &format!("{payments_path}{third}/reverse/"), json!({})).await;
        assert_eq!((status, &reversal["of_payment_id"]), (201, &third));
        let again = post(anna, &format!("{payments_path}{third}/reverse/"), json!({})).await;
        assert_eq!(again, (409, json!("illegal_transition")));
        let queue = server.get(&format!("{org}verification-queue/"), anna).await.json();
        assert_eq!(queue["count"], 0, "reversed payments are not in the queue");
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            let request = server.request(method, &format!("{org}{payments_path}{one}/")).header("authorization", anna);
            assert_eq!(server.send(request.json(&json!({}))).await.status, 405);
        }
    }
    let compat_path = format!("/api/crm/clients/{client}/deals/{id}/");
    let listed = server.get(&format!("{compat_path}payments/"), anna).await.json();
    let first = listed["results"][0]["id"].clone();
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request = server.request(method, &format!("{compat_path}payments/{first}/")).header("authorization", anna);
        assert_eq!(server.send(request.json(&json!({}))).await.status, 405);
    }
    let change = json!({"currency": "EUR"});
    let request = server.request(Method::PATCH, &format!("{org}deals/{id}/")).header("authorization", anna);
    assert_eq!(server.send(request.json(&change)).await.code(), "currency_locked");
}

#[tokio::test]
async fn activities_stages_tasks_and_previews_have_their_paths() {
    let fixture = fixture().await;
    let (server, anna, org) = (&fixture.server, &fixture.anna, &fixture.org);
    let post = async |path: &str, body: Value| {
        let response = server.post(&format!("{org}{path}"), anna, body).await;
        (response.status.as_u16(), response.json())
    };
    let client = fixture.create("clients/", anna, json!({"name": "Global Corp"})).await["id"].clone();
    let new = json!({"client_id": client, "title": "x", "value": "1"});
    let id = fixture.create("deals/", anna, new.clone()).await["id"].clone();
    let compat_path = format!("/api/crm/clients/{client}/deals/{id}/");
    // Activities, on every path.
    for path in [
        format!("{org}deals/{id}/activity/"),
        format!("{org}clients/{client}/deals/{id}/activity/"),
        format!("{compat_path}activity/"),
    ] {
        assert_eq!(server.post(&path, anna, json!({"content": "Called"})).await.status, 201, "{path}");
    }
    let activities = server.get(&format!("{compat_path}activity/"), anna).await.json();
    assert_eq!(activities["results"].as_array().unwrap().len(), 3);
    // Stages and tasks.
    let pipeline = server.get(&format!("{org}pipelines/"), anna).await.json()["results"][0].clone();
    let mut stages: Vec<Value> =
        pipeline["stages"].as_array().unwrap().iter().map(|stage| stage["id"].clone()).collect();
    stages.reverse();
    let (status, ordered) =
        post(&format!("pipelines/{}/stages/reorder/", pipeline["id"]), json!({"stages": stages})).await;
    assert_eq!((status, &ordered["stages"][0]["id"]), (200, &stages[0]));
    let task = fixture.create("tasks/", anna, json!({"title": "Call"})).await["id"].clone();
    let (status, done) = post(&format!("tasks/{task}/complete/"), json!({})).await;
    assert!(status == 200 && done["done_at"].is_string(), "{done}");
    // A preview's token is valid only for what it showed.
    let preview = server.get(&format!("{org}clients/{client}/deletion-preview/"), anna).await.json();
    assert_eq!(preview["will_delete"]["deal"], 1);
    fixture.create("deals/", anna, new).await;
    let token = preview["token"].as_str().unwrap();
    let stale = server.delete(&format!("{org}clients/{client}/?token={token}"), anna).await;
    assert_eq!((stale.status.as_u16(), stale.code()), (409, "preview_stale".into()));
    let preview = server.get(&format!("{org}clients/{client}/deletion-preview/?purge=true"), anna).await.json();
    let token = preview["token"].as_str().unwrap();
    let path = format!("{org}clients/{client}/?purge=true&token={token}");
    assert_eq!(server.delete(&path, anna).await.status, 204);
}

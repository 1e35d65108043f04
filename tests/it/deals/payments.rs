//! Deals and their payments.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ORGS, fixture};

#[tokio::test]
async fn deals_and_payments_have_the_expected_responses() {
    let fixture = fixture().await;
    let (server, anna, org) = (&fixture.server, &fixture.anna, &fixture.org);
    let client = fixture.create("clients/", anna, json!({"name": "Global Corp", "email": "a@b.example"})).await;
    let contact = json!({"first_name": "Ann", "title": "Buyer"});
    let contact = fixture.create(&format!("clients/{}/contacts/", client["id"]), anna, contact).await;
    let new = json!({
        "client_id": client["id"], "title": "Website", "value": "1200.50", "currency": "EUR", "stage": "qualified",
        "expected_close_date": "2025-09-01", "contact_id": contact["id"],
    });
    let deal = fixture.create("deals/", anna, new).await;
    assert_eq!(
        (&deal["number"], &deal["deal_id"], &deal["stage"]),
        (&json!("DLID0001"), &json!("DLID0001"), &json!("qualified"))
    );
    assert_eq!(
        (&deal["paid_total"], &deal["balance"], &deal["created_by"]["username"]),
        (&json!("0.00"), &json!("1200.50"), &json!("anna"))
    );
    let second =
        fixture.create(&format!("clients/{}/deals/", client["id"]), anna, json!({"title": "x", "value": 7})).await;
    assert_eq!(
        (&second["number"], &second["value"], &second["currency"]),
        (&json!("DLID0002"), &json!("7.00"), &json!("USD"))
    );

    let payments_path = format!("deals/{}/payments/", deal["id"]);
    let body = json!({
        "amount": "200.50", "currency": "EUR", "method": "bank", "received_on": "2025-08-01", "reference": "R1",
    });
    let paid = fixture.create(&payments_path, anna, body.clone()).await;
    assert_eq!(
        (&paid["transaction_id"], &paid["state"], &paid["received_on"]),
        (&json!("TXN-0001"), &json!("pending"), &json!("2025-08-01"))
    );
    let post = async |path: &str, body: Value| server.post(&format!("{org}{path}"), anna, body).await;
    let over = post(&payments_path, json!({"amount": "1000.01", "method": "cash"})).await;
    assert_eq!(
        (over.status.as_u16(), over.code(), over.json()["max_allowed"].clone()),
        (409, "overpayment".into(), json!("1000.00"))
    );
    let mut other = body.clone();
    other["currency"] = json!("USD");
    assert_eq!(post(&payments_path, other).await.code(), "currency_mismatch");
    let reverse = server.request(Method::POST, &format!("{org}{payments_path}{}/reverse/", paid["id"]));
    let reversed = server.send(reverse.header("authorization", anna)).await;
    assert_eq!((reversed.status.as_u16(), &reversed.json()["kind"]), (201, &json!("reversal")), "{}", reversed.text);
    let keyed_request = || {
        let request = server.request(Method::POST, &format!("{org}{payments_path}")).header("authorization", anna);
        request.header("idempotency-key", "k-1").json(&body)
    };
    let (first, again) = (server.send(keyed_request()).await, server.send(keyed_request()).await);
    assert_eq!((first.status.as_u16(), again.status.as_u16(), first.json() == again.json()), (201, 201, true));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let reused = server.send(keyed_request().json(&json!({"amount": "1", "method": "cash"}))).await;
    assert_eq!((reused.status.as_u16(), reused.code()), (422, "idempotency_key_reused".into()));
    let read = server.get(&format!("{org}deals/{}/", deal["id"]), anna).await;
    assert_eq!((&read.json()["paid_total"], &read.json()["balance"]), (&json!("200.50"), &json!("1000.00")));
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request =
            server.request(method, &format!("{org}{payments_path}{}/", paid["id"])).header("authorization", anna);
        assert_eq!(server.send(request.json(&json!({}))).await.status, 405);
    }
    // The compatibility routes reach the same resources.
    let compat_path = format!("/api/crm/clients/{}/deals/{}/payments/", client["id"], deal["id"]);
    assert_eq!(server.get(&compat_path, anna).await.json()["count"], 3);
    assert_eq!(server.post(&compat_path, anna, json!({"amount": "1", "method": "card"})).await.status, 201);
    let elsewhere = format!("/api/crm/clients/{}/deals/{}/payments/", 999, deal["id"]);
    assert_eq!(server.get(&elsewhere, anna).await.code(), "deal_not_found");

    let path = format!("{org}deals/{}/", deal["id"]);
    let patch = |tag: &str| {
        let request = server.request(Method::PATCH, &path).header("authorization", anna).header("if-match", tag);
        request.json(&json!({"title": "Shop"}))
    };
    assert_eq!(server.send(patch("\"1\"")).await.status, 412);
    let etag = server.get(&path, anna).await.headers["etag"].to_str().unwrap().to_owned();
    let changed = server.send(patch(&etag)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["title"]), (200, &json!("Shop")));
    assert_ne!(changed.headers["etag"].to_str().unwrap(), etag);

    let list = server.get(&format!("{org}deals/?page_size=1&ordering=number"), anna).await.json();
    assert_eq!((&list["count"], &list["results"][0]["number"]), (&json!(2), &json!("DLID0001")));
    assert!(list["next"].as_str().unwrap().contains("page=2"));
    let typo = server.get(&format!("{org}deals/?stat=open"), anna).await;
    assert!(typo.status == 400 && typo.json()["errors"]["stat"].is_array(), "{}", typo.text);

    // A client is deleted with all its deals, whose numbers are not reused.
    assert_eq!(server.delete(&format!("{org}clients/{}/", client["id"]), anna).await.status, 204);
    assert_eq!(server.get(&path, anna).await.status, 404);
    let removed = server.delete(org, anna).await;
    assert_eq!((removed.status.as_u16(), removed.code()), (409, "protected".into()));
    let trash = server.get(&format!("{org}trash/"), anna).await.json();
    let deletion = trash["results"][0]["id"].as_i64().unwrap();
    assert_eq!(server.post(&format!("{org}trash/{deletion}/restore/"), anna, Value::Null).await.status, 200);
    assert_eq!(server.get(&path, anna).await.status, 200);
    let purge = format!("{org}clients/{}/?purge=true", client["id"]);
    assert_eq!(server.delete(&purge, anna).await.status, 204);
    let client = fixture.create("clients/", anna, json!({"name": "y"})).await;
    let deal = fixture.create(&format!("clients/{}/deals/", client["id"]), anna, json!({"title": "z"})).await;
    assert_eq!(deal["number"], "DLID0003");
    assert_eq!(server.delete(&format!("{org}clients/{}/?purge=true", client["id"]), anna).await.status, 204);
    assert_eq!(server.delete(org, anna).await.status, 204);
    assert_eq!(server.get(org, anna).await.status, 404);
    assert_eq!(server.get(ORGS, anna).await.json()["count"], 0);
}

#[tokio::test]
async fn fifty_concurrent_deals_are_all_created() {
    let fixture = fixture().await;
    let client = fixture.create("clients/", &fixture.anna, json!({"name": "x"})).await["id"].clone();
    let (path, body) = (format!("{}deals/", fixture.org), json!({"client_id": client, "title": "x", "value": "1"}));
    let requests = (0..50).map(|_| fixture.server.post(&path, &fixture.anna, body.clone()));
    let mut numbers = Vec::new();
    for response in futures_util::future::join_all(requests).await {
        assert_eq!(response.status, 201, "{}", response.text);
        numbers.push(response.json()["number"].as_str().unwrap().to_owned());
    }
    numbers.sort();
    assert_eq!(numbers, (1..=50).map(|number| format!("DLID{number:04}")).collect::<Vec<_>>());
}

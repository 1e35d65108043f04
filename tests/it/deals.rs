//! The deals section of the contract, over HTTP.

use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

const ORGS: &str = "/api/crm/organizations/";

struct Story {
    server: TestServer,
    anna: String,
    ben: String,
    ben_id: i64,
    /// The path of Anna's organization.
    org: String,
}

async fn story() -> Story {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    let ben = server.newcomer("ben").await;
    let made = server.post(ORGS, &anna, json!({"name": "Acme"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(
        (&body["slug"], &body["is_test"], &body["default_currency"], &body["role"]),
        (&json!("acme"), &json!(false), &json!("USD"), &json!("Owner"))
    );
    let org = format!("{ORGS}{}/", body["id"]);
    Story { ben_id: ben["user"]["id"].as_i64().unwrap(), ben: bearer(&ben), anna, org, server }
}

impl Story {
    async fn made(&self, path: &str, who: &str, body: Value) -> Value {
        let answer = self.server.post(&format!("{}{path}", self.org), who, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
        answer.json()
    }

    async fn role(&self, name: &str) -> i64 {
        let roles = self.server.get(&format!("{}roles/", self.org), &self.anna).await.json();
        let role = roles["results"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        role["id"].as_i64().unwrap()
    }
}

#[tokio::test]
async fn deals_and_payments_answer_as_front_ends_expect() {
    let story = story().await;
    let (server, anna, org) = (&story.server, &story.anna, &story.org);
    let client = story.made("clients/", anna, json!({"name": "Global Corp", "email": "a@b.example"})).await;
    let contact = json!({"first_name": "Ann", "title": "Buyer"});
    let contact = story.made(&format!("clients/{}/contacts/", client["id"]), anna, contact).await;
    let new = json!({
        "client_id": client["id"], "title": "Website", "value": "1200.50", "currency": "EUR", "stage": "qualified",
        "expected_close_date": "2025-09-01", "contact_id": contact["id"],
    });
    let deal = story.made("deals/", anna, new).await;
    assert_eq!(
        (&deal["number"], &deal["deal_id"], &deal["stage"]),
        (&json!("DLID0001"), &json!("DLID0001"), &json!("qualified"))
    );
    assert_eq!(
        (&deal["paid_total"], &deal["balance"], &deal["created_by"]["username"]),
        (&json!("0.00"), &json!("1200.50"), &json!("anna"))
    );
    let second = story.made(&format!("clients/{}/deals/", client["id"]), anna, json!({"title": "x", "value": 7})).await;
    assert_eq!(
        (&second["number"], &second["value"], &second["currency"]),
        (&json!("DLID0002"), &json!("7.00"), &json!("USD"))
    );

    let at = format!("deals/{}/payments/", deal["id"]);
    let body = json!({"amount": "200.50", "currency": "EUR", "method": "bank", "received_on": "2025-08-01", "reference": "R1"});
    let paid = story.made(&at, anna, body.clone()).await;
    assert_eq!(
        (&paid["transaction_id"], &paid["state"], &paid["received_on"]),
        (&json!("TXN-0001"), &json!("pending"), &json!("2025-08-01"))
    );
    let post = async |path: &str, body: Value| server.post(&format!("{org}{path}"), anna, body).await;
    let over = post(&at, json!({"amount": "1000.01", "method": "cash"})).await;
    assert_eq!(
        (over.status.as_u16(), over.code(), over.json()["max_allowed"].clone()),
        (409, "overpayment".into(), json!("1000.00"))
    );
    let mut other = body.clone();
    other["currency"] = json!("USD");
    assert_eq!(post(&at, other).await.code(), "currency_mismatch");
    let reverse = server.request(Method::POST, &format!("{org}{at}{}/reverse/", paid["id"]));
    let reversed = server.send(reverse.header("authorization", anna)).await;
    assert_eq!((reversed.status.as_u16(), &reversed.json()["kind"]), (201, &json!("reversal")), "{}", reversed.text);
    let keyed = || {
        let request = server.request(Method::POST, &format!("{org}{at}")).header("authorization", anna);
        request.header("idempotency-key", "k-1").json(&body)
    };
    let (first, again) = (server.send(keyed()).await, server.send(keyed()).await);
    assert_eq!((first.status.as_u16(), again.status.as_u16(), first.json() == again.json()), (201, 201, true));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let reused = server.send(keyed().json(&json!({"amount": "1", "method": "cash"}))).await;
    assert_eq!((reused.status.as_u16(), reused.code()), (422, "idempotency_key_reused".into()));
    let read = server.get(&format!("{org}deals/{}/", deal["id"]), anna).await;
    assert_eq!((&read.json()["paid_total"], &read.json()["balance"]), (&json!("200.50"), &json!("1000.00")));
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request = server.request(method, &format!("{org}{at}{}/", paid["id"])).header("authorization", anna);
        assert_eq!(server.send(request.json(&json!({}))).await.status, 405);
    }
    // The short paths reach the same.
    let short = format!("/api/crm/clients/{}/deals/{}/payments/", client["id"], deal["id"]);
    assert_eq!(server.get(&short, anna).await.json()["count"], 3);
    assert_eq!(server.post(&short, anna, json!({"amount": "1", "method": "card"})).await.status, 201);
    let elsewhere = format!("/api/crm/clients/{}/deals/{}/payments/", 999, deal["id"]);
    assert_eq!(server.get(&elsewhere, anna).await.code(), "deal_not_found");

    let path = format!("{org}deals/{}/", deal["id"]);
    let patch = |tag: &str| {
        let request = server.request(Method::PATCH, &path).header("authorization", anna).header("if-match", tag);
        request.json(&json!({"title": "Shop"}))
    };
    assert_eq!(server.send(patch("\"1\"")).await.status, 412);
    let known = server.get(&path, anna).await.headers["etag"].to_str().unwrap().to_owned();
    let changed = server.send(patch(&known)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["title"]), (200, &json!("Shop")));
    assert_ne!(changed.headers["etag"].to_str().unwrap(), known);

    let list = server.get(&format!("{org}deals/?page_size=1&ordering=number"), anna).await.json();
    assert_eq!((&list["count"], &list["results"][0]["number"]), (&json!(2), &json!("DLID0001")));
    assert!(list["next"].as_str().unwrap().contains("page=2"));
    let typo = server.get(&format!("{org}deals/?stat=open"), anna).await;
    assert!(typo.status == 400 && typo.json()["errors"]["stat"].is_array(), "{}", typo.text);

    // A client goes with everything, and its numbers do not come back.
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
    let client = story.made("clients/", anna, json!({"name": "y"})).await;
    let deal = story.made(&format!("clients/{}/deals/", client["id"]), anna, json!({"title": "z"})).await;
    assert_eq!(deal["number"], "DLID0003");
    assert_eq!(server.delete(&format!("{org}clients/{}/?purge=true", client["id"]), anna).await.status, 204);
    assert_eq!(server.delete(org, anna).await.status, 204);
    assert_eq!(server.get(org, anna).await.status, 404);
    assert_eq!(server.get(ORGS, anna).await.json()["count"], 0);
}

#[tokio::test]
async fn whoever_made_deals_is_not_deleted_before_somebody_takes_over() {
    let story = story().await;
    let (server, anna, ben) = (&story.server, &story.anna, &story.ben);
    let staff = bearer(&server.appointed("chief", Roles { superuser: true, ..Roles::default() }).await);
    let member = json!({"user_id": story.ben_id, "role_id": story.role("Salesperson").await});
    story.made("members/", anna, member).await;
    let client = story.made("clients/", ben, json!({"name": "Global Corp"})).await;
    for _ in 0..3 {
        story.made(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    }
    let remove = async |query: &str| server.delete(&format!("/api/users/{}/{query}", story.ben_id), &staff).await;
    let refused = remove("").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "protected".into()));
    let blocker = &refused.json()["blockers"][0];
    assert_eq!(
        (&blocker["model"], &blocker["count"], &blocker["examples"][0]),
        (&json!("deal"), &json!(3), &json!("DLID0001 - Global Corp"))
    );
    assert_eq!(remove("?reassign_to=999").await.status, 400);
    let heir = server.get("/api/auth/me/", anna).await.json()["id"].as_i64().unwrap();
    let gone = remove(&format!("?reassign_to={heir}")).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let deals = server.get(&format!("{}deals/?owner=me", story.org), anna).await.json();
    assert_eq!((&deals["count"], &deals["results"][0]["created_by"]["username"]), (&json!(3), &json!("anna")));
    let own = server
        .send(
            server
                .request(Method::DELETE, "/api/auth/me/")
                .header("authorization", anna)
                .json(&json!({"password": crate::server::PASSWORD})),
        )
        .await;
    assert_eq!(
        (own.status.as_u16(), &own.json()["blockers"][0]["model"]),
        (409, &json!("organization")),
        "{}",
        own.text
    );
}

#[tokio::test]
async fn somebody_erased_is_forgotten_by_name_and_not_by_the_ledger() {
    let story = story().await;
    let (server, anna, ben) = (&story.server, &story.anna, &story.ben);
    let staff = bearer(&server.appointed("chief", Roles { superuser: true, ..Roles::default() }).await);
    story.made("members/", anna, json!({"user_id": story.ben_id, "role_id": story.role("Salesperson").await})).await;
    let client = story.made("clients/", ben, json!({"name": "x"})).await;
    let deal = story.made(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    story.made(&format!("deals/{}/payments/", deal["id"]), ben, json!({"amount": "5", "method": "cash"})).await;
    let erased = server.post(&format!("/api/users/{}/erase/", story.ben_id), &staff, Value::Null).await;
    assert!(erased.status.is_success(), "{} {}", erased.status, erased.text);
    let payments = server.get(&format!("{}payments/", story.org), anna).await.json();
    assert_eq!((&payments["count"], &payments["results"][0]["recorded_by"]), (&json!(1), &Value::Null));
    let deal = server.get(&format!("{}deals/{}/", story.org, deal["id"]), anna).await.json();
    assert_eq!(deal["owner"]["username"], "anna");
}

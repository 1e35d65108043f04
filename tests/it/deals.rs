//! The deals API: paths, fields and statuses that front ends rely on.

use guildhall_kernel::Roles;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

const ORGS: &str = "/api/crm/organizations/";

struct Fixture {
    server: TestServer,
    anna: String,
    ben: String,
    ben_id: i64,
    /// The path of Anna's organization.
    org: String,
}

async fn fixture() -> Fixture {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ben = server.sign_up("ben").await;
    let created = server.post(ORGS, &anna, json!({"name": "Acme"})).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let body = created.json();
    assert_eq!(
        (&body["slug"], &body["is_test"], &body["default_currency"], &body["role"]),
        (&json!("acme"), &json!(false), &json!("USD"), &json!("Owner"))
    );
    let org = format!("{ORGS}{}/", body["id"]);
    Fixture { ben_id: ben["user"]["id"].as_i64().unwrap(), ben: bearer(&ben), anna, org, server }
}

impl Fixture {
    async fn create(&self, path: &str, who: &str, body: Value) -> Value {
        let response = self.server.post(&format!("{}{path}", self.org), who, body).await;
        assert_eq!(response.status, 201, "{path}: {}", response.text);
        response.json()
    }

    /// Invites Ben, who accepts. Returns the member.
    async fn add_ben(&self, role: &str) -> Value {
        let new = json!({"user_id": self.ben_id, "role_id": self.role(role).await});
        let invited = self.create("members/", &self.anna, new).await;
        assert_eq!(invited["status"], "invited");
        let accept = format!("/api/crm/invitations/{}/accept/", invited["id"]);
        let accepted = self.server.post(&accept, &self.ben, Value::Null).await;
        assert_eq!((accepted.status.as_u16(), &accepted.json()["status"]), (200, &json!("active")));
        accepted.json()
    }

    async fn role(&self, name: &str) -> i64 {
        let roles = self.server.get(&format!("{}roles/", self.org), &self.anna).await.json();
        let role = roles["results"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap();
        role["id"].as_i64().unwrap()
    }
}

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
    let body = json!({"amount": "200.50", "currency": "EUR", "method": "bank", "received_on": "2025-08-01", "reference": "R1"});
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
async fn a_user_with_deals_is_deleted_only_with_a_successor() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let staff = bearer(&server.sign_up_with_roles("chief", Roles { superuser: true, ..Roles::default() }).await);
    fixture.add_ben("Salesperson").await;
    let client = fixture.create("clients/", ben, json!({"name": "Global Corp"})).await;
    for _ in 0..3 {
        fixture.create(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    }
    let remove = async |query: &str| server.delete(&format!("/api/users/{}/{query}", fixture.ben_id), &staff).await;
    let refused = remove("").await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "protected".into()));
    let blocker = &refused.json()["blockers"][0];
    assert_eq!(
        (&blocker["model"], &blocker["count"], &blocker["examples"][0]),
        (&json!("deal"), &json!(3), &json!("DLID0001 - Global Corp"))
    );
    assert_eq!(remove("?reassign_to=999").await.status, 400);
    let successor = server.get("/api/auth/me/", anna).await.json()["id"].as_i64().unwrap();
    let removed = remove(&format!("?reassign_to={successor}")).await;
    assert_eq!(removed.status, 204, "{}", removed.text);
    let deals = server.get(&format!("{}deals/?owner=me", fixture.org), anna).await.json();
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
async fn erasing_a_user_keeps_the_ledger() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let staff = bearer(&server.sign_up_with_roles("chief", Roles { superuser: true, ..Roles::default() }).await);
    fixture.add_ben("Salesperson").await;
    let client = fixture.create("clients/", ben, json!({"name": "x"})).await;
    let deal =
        fixture.create(&format!("clients/{}/deals/", client["id"]), ben, json!({"title": "x", "value": "10"})).await;
    fixture.create(&format!("deals/{}/payments/", deal["id"]), ben, json!({"amount": "5", "method": "cash"})).await;
    let erased = server.post(&format!("/api/users/{}/erase/", fixture.ben_id), &staff, Value::Null).await;
    assert!(erased.status.is_success(), "{} {}", erased.status, erased.text);
    let payments = server.get(&format!("{}payments/", fixture.org), anna).await.json();
    assert_eq!((&payments["count"], &payments["results"][0]["recorded_by"]), (&json!(1), &Value::Null));
    let deal = server.get(&format!("{}deals/{}/", fixture.org, deal["id"]), anna).await.json();
    assert_eq!(deal["owner"]["username"], "anna");
}

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

#[tokio::test]
async fn members_are_deactivated_reassigned_and_removed() {
    let fixture = fixture().await;
    let (server, anna, ben, org) = (&fixture.server, &fixture.anna, &fixture.ben, &fixture.org);
    let member = fixture.add_ben("Salesperson").await["id"].clone();
    let client = fixture.create("clients/", ben, json!({"name": "Global Corp"})).await["id"].clone();
    fixture.create(&format!("clients/{client}/deals/"), ben, json!({"title": "x", "value": "10"})).await;
    let member_path = format!("{org}members/{member}/");
    let refused = server.delete(&member_path, anna).await;
    let problem = refused.json();
    assert_eq!((refused.status.as_u16(), &problem["code"]), (409, &json!("protected")));
    assert_eq!(
        (&problem["blockers"][0]["model"], &problem["blockers"][0]["count"]),
        (&json!("deal"), &json!(1)),
        "{problem}"
    );
    assert_eq!(problem["resolutions"], json!(["reassign", "deactivate"]));
    let deactivated = server.post(&format!("{member_path}deactivate/"), anna, json!({})).await;
    assert_eq!(
        (deactivated.status.as_u16(), &deactivated.json()["status"]),
        (200, &json!("deactivated")),
        "{}",
        deactivated.text
    );
    assert_eq!(server.get(&format!("{org}deals/"), ben).await.status, 404, "it takes effect with the next request");
    let successor = server.get("/api/auth/me/", anna).await.json()["id"].clone();
    let body = json!({"to_user_id": successor, "include_creator": true});
    let reassigned = server.post(&format!("{member_path}reassign/"), anna, body).await;
    assert_eq!(
        (reassigned.status.as_u16(), reassigned.json()["deals"].as_u64() > Some(0)),
        (200, true),
        "{}",
        reassigned.text
    );
    assert_eq!(server.delete(&member_path, anna).await.status, 204);
    let own = server.get(&format!("{org}me/"), anna).await.json()["member"]["id"].clone();
    let last = server.post(&format!("{org}members/{own}/deactivate/"), anna, json!({})).await;
    assert_eq!((last.status.as_u16(), last.code()), (409, "last_owner".into()));
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

#[tokio::test]
async fn an_import_follows_the_options_of_its_form() {
    let fixture = fixture().await;
    let (server, anna, org) = (&fixture.server, &fixture.anna, &fixture.org);
    let send = async |fields: &[(&'static str, &'static str)], bytes: &[u8]| {
        let file = Part::bytes(bytes.to_vec()).file_name("table.csv");
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.text(*name, *value));
        let request = server.request(Method::POST, &format!("{org}imports/")).header("authorization", anna);
        let response = server.send(request.multipart(form.part("file", file))).await;
        (response.status.as_u16(), response.json())
    };
    let count = async || server.get(&format!("{org}deals/"), anna).await.json()["count"].clone();
    let table = b"Firma;Name;Wert\nM\xfcller;eins;1.234,50\nM\xfcller;zwei;x\n";
    let mapping = r#"{"Firma": "client", "Name": "title", "Wert": "value"}"#;
    let common =
        [("kind", "deals"), ("mapping", mapping), ("delimiter", ";"), ("encoding", "windows-1252"), ("decimal", ",")];
    let with = |more: &[(&'static str, &'static str)]| [&common[..], more].concat();
    let (status, checked) = send(&with(&[("dry_run", "true"), ("mode", "partial")]), table).await;
    assert_eq!((status, &checked["status"], &checked["failed"]), (201, &json!("checked"), &json!(1)), "{checked}");
    assert_eq!((&checked["errors"][0]["line"], &checked["errors"][0]["column"]), (&json!(3), &json!("Wert")));
    assert_eq!(count().await, 0);
    assert_eq!(send(&with(&[]), table).await.1["status"], "refused");
    assert_eq!(count().await, 0);
    let (_, done) = send(&with(&[("mode", "partial")]), table).await;
    assert_eq!((&done["status"], &done["created"]), (&json!("done"), &json!(1)));
    let deal = server.get(&format!("{org}deals/"), anna).await.json()["results"][0].clone();
    assert_eq!((&deal["value"], &deal["client"]["name"]), (&json!("1234.50"), &json!("Müller")));
    let clients = "name,email\nNew,a@b.example\n".as_bytes();
    assert_eq!(send(&[("kind", "clients")], clients).await.1["created"], 1);
    assert_eq!(send(&[("kind", "clients"), ("on_duplicate", "skip")], clients).await.1["skipped"], 1);
    for (field, value) in [
        ("delimiter", "|"),
        ("encoding", "ebcdic"),
        ("decimal", "'"),
        ("mode", "some"),
        ("dry_run", "maybe"),
        ("on_duplicate", "x"),
        ("mapping", "["),
    ] {
        let (status, refused) = send(&[("kind", "clients"), (field, value)], clients).await;
        assert!(status == 400 && refused["errors"][field].is_array(), "{field}: {refused}");
    }
    let reverted = server.post(&format!("{org}imports/{}/revert/", done["id"]), anna, Value::Null).await;
    assert_eq!((&reverted.json()["status"], count().await), (&json!("reverted"), json!(0)));
}

#[tokio::test]
async fn fault_5_invitations_are_listed_accepted_and_declined_and_members_can_leave() {
    let fixture = fixture().await;
    let (server, anna, ben) = (&fixture.server, &fixture.anna, &fixture.ben);
    let new = json!({"user_id": fixture.ben_id, "role_id": fixture.role("Viewer").await});
    let invitations = "/api/crm/invitations/";
    let invited = fixture.create("members/", anna, new.clone()).await;
    let listed = server.get(invitations, ben).await.json();
    assert_eq!((&listed["count"], &listed["results"][0]["organization"]["name"]), (&json!(1), &json!("Acme")));
    assert_eq!(server.get(&fixture.org, ben).await.status, 404);
    assert_eq!(server.get("/api/crm/clients/", ben).await.status, 404, "Ben is in no organization");
    let route = |id: &Value, verb: &str| format!("{invitations}{id}/{verb}/");
    assert_eq!(server.post(&route(&invited["id"], "accept"), anna, Value::Null).await.status, 404);
    assert_eq!(server.post(&route(&invited["id"], "decline"), ben, Value::Null).await.status, 204);
    let again = fixture.create("members/", anna, new).await;
    assert_eq!(server.post(&route(&again["id"], "accept"), ben, Value::Null).await.status, 200);
    assert_eq!(server.get("/api/crm/clients/", ben).await.status, 200);
    let leave = format!("{}leave/", fixture.org);
    let refused = server.post(&leave, anna, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "last_owner"));
    assert_eq!(server.post(&leave, ben, Value::Null).await.status, 204);
    assert_eq!(server.get(&fixture.org, ben).await.status, 404);
}

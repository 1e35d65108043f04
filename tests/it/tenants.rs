//! What somebody learns of an organization that they are not in, whatever they ask: the routes come from the
//! description of the API, the ids from the database.

use std::collections::BTreeMap;

use guildhall_gateway::document;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{Answer, TestServer, bearer};

const ORGS: &str = "/api/crm/organizations/";
/// Stands in every text of the foreign organization, and nowhere else.
const SECRET: &str = "xylophone";

/// A table of clients.
fn form(word: &str) -> Form {
    let table = Part::text(format!("name\n{word}\n")).file_name("table.csv");
    Form::new().text("kind", "clients").part("file", table)
}

/// An organization with something of every kind; gives its ids by the parameter of a path that takes them.
async fn furnished(server: &TestServer, owner: &str, word: &str) -> BTreeMap<&'static str, i64> {
    let post = async |path: String, body: Value| {
        let answer = server.post(&path, owner, body).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
        answer.json()
    };
    let id = |made: &Value| made["id"].as_i64().unwrap();
    let org = id(&post(ORGS.into(), json!({"name": word})).await);
    let at = format!("{ORGS}{org}/");
    let team = id(&post(format!("{at}teams/"), json!({"name": word})).await);
    let role = id(&post(format!("{at}roles/"), json!({"name": word, "permissions": ["deal.read"]})).await);
    let member = id(&server.get(&format!("{at}me/"), owner).await.json()["member"]);
    let client =
        id(&post(format!("{at}clients/"), json!({"name": word, "email": format!("{word}@example.org")})).await);
    let contact = id(&post(format!("{at}clients/{client}/contacts/"), json!({"first_name": word})).await);
    let new = json!({"title": word, "description": word, "value": "10", "client_id": client});
    let deal = id(&post(format!("{at}deals/"), new.clone()).await);
    let payment = json!({"amount": "5", "method": "bank", "reference": word});
    let payment = id(&post(format!("{at}deals/{deal}/payments/"), payment).await);
    let pipeline = &server.get(&format!("{at}pipelines/"), owner).await.json()["results"][0];
    let (pipeline, stage) = (id(pipeline), id(&pipeline["stages"][0]));
    let task = id(&post(format!("{at}tasks/"), json!({"title": word, "deal_id": deal})).await);
    post(format!("{at}deals/{deal}/activity/"), json!({"content": word})).await;
    let own = json!({"entity": "deal", "key": "own", "name": word, "kind": "text"});
    let field = id(&post(format!("{at}custom-fields/"), own).await);
    let view =
        id(&post(format!("{at}views/"), json!({"entity": "deals", "name": word, "shared": "organization"})).await);
    let hook = json!({"url": format!("https://{word}.example.org/")});
    let webhook = id(&post(format!("{at}webhooks/"), hook).await);
    let delivery = id(&post(format!("{at}webhooks/{webhook}/test/"), json!({})).await);
    let line = id(&post(format!("{at}deals/{deal}/lines/"), json!({"name": word, "unit_price": "10"})).await);
    let file = server.request(Method::POST, &format!("{at}deals/{deal}/files/")).header("authorization", owner);
    let file = id(&server.send(file.multipart(form(word))).await.json());
    let import = server.request(Method::POST, &format!("{at}imports/")).header("authorization", owner);
    let import = id(&server.send(import.multipart(form(word))).await.json());
    let trashed = id(&post(format!("{at}deals/"), new).await);
    assert_eq!(server.delete(&format!("{at}deals/{trashed}/"), owner).await.status, 204);
    let deletion = id(&server.get(&format!("{at}trash/"), owner).await.json()["results"][0]);
    BTreeMap::from([
        ("org", org),
        ("team", team),
        ("role", role),
        ("member", member),
        ("client", client),
        ("contact", contact),
        ("deal", deal),
        ("payment", payment),
        ("pipeline", pipeline),
        ("stage", stage),
        ("task", task),
        ("field", field),
        ("view", view),
        ("webhook", webhook),
        ("delivery", delivery),
        ("line", line),
        ("file", file),
        ("import", import),
        ("deletion", deletion),
    ])
}

/// Something that fits the body of most operations, so that no refusal of the input hides the answer.
fn body(ids: &BTreeMap<&'static str, i64>, path: &str) -> Value {
    let mut body = json!({
        "name": "x", "title": "x", "first_name": "x", "amount": "1", "method": "bank", "user_id": 1, "to_user_id": 1,
        "role_id": ids["role"], "team_id": ids["team"], "stage": ids["stage"], "client_id": ids["client"],
        "content": "x", "contact_id": ids["contact"], "pipeline_id": ids["pipeline"],
        "entity": "deal", "key": "x", "unit_price": "1", "url": "https://example.org/",
    });
    if path.ends_with("/custom-fields/") {
        body["kind"] = json!("text");
    }
    if path.ends_with("/views/") {
        body["entity"] = json!("deals");
    }
    if path.ends_with("/reorder/") {
        body["stages"] = json!([ids["stage"]]);
    }
    body
}

fn filled(path: &str, ids: &BTreeMap<&'static str, i64>) -> String {
    ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), &id.to_string()))
}

/// Asks with a body that the path takes: a form where it wants a file.
async fn ask(server: &TestServer, token: &str, method: &Method, path: &str, body: Value) -> Answer {
    let request = server.request(method.clone(), path).header("authorization", token);
    let at = path.split('?').next().unwrap();
    server
        .send(if method == Method::GET {
            request
        } else if ["/imports/", "/files/", "/receipt/"].iter().any(|end| at.ends_with(end)) {
            request.multipart(form("x"))
        } else {
            request.json(&body)
        })
        .await
}

/// How many rows there are, but for what counts attempts, and what those say that somebody could have changed. What
/// webhooks are told is sent by the server itself.
async fn rows(server: &TestServer) -> (BTreeMap<String, i64>, Vec<Option<String>>) {
    let mut rows = server.rows().await;
    rows.remove("accounts_throttle");
    let by_itself = ["deals_webhook", "deals_delivery"];
    let mut said = Vec::new();
    for table in rows.keys().filter(|table| table.starts_with("deals_") && !by_itself.contains(&table.as_str())) {
        said.push(server.contents(table).await);
    }
    (rows, said)
}

#[tokio::test]
async fn an_organization_does_not_exist_for_others_and_lends_them_nothing() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    let eve = bearer(&server.newcomer("eve").await);
    let theirs = furnished(&server, &anna, SECRET).await;
    let own = furnished(&server, &eve, "ordinary").await;
    let rows = async || rows(&server).await;
    // Their ids throughout; then her own organization with their ids beneath it, which no key may join.
    let crossed: BTreeMap<&'static str, i64> =
        theirs.iter().map(|(name, id)| (*name, if *name == "org" { own["org"] } else { *id })).collect();
    let document = serde_json::to_value(document()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/api/crm/") || !path.contains('{') {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for ids in [&theirs, &crossed] {
                let beneath = path.matches('{').count() > usize::from(path.contains("{org}"));
                if ids == &crossed && !beneath {
                    continue;
                }
                let known = &item[method.as_str().to_lowercase()]["parameters"];
                let takes = |name: &str| known.as_array().unwrap().iter().any(|parameter| parameter["name"] == name);
                let query = match (takes("purge"), takes("filter")) {
                    (true, _) => "?purge=true",
                    (_, true) => "?q=xylo",
                    _ => "?",
                };
                for query in ["", query] {
                    let before = rows().await;
                    let path = filled(path, ids);
                    let answer = ask(&server, &eve, &method, &format!("{path}{query}"), body(&theirs, &path)).await;
                    asked += 1;
                    assert_eq!(answer.status, 404, "{method} {path}{query}: {}", answer.text);
                    assert!(!answer.text.to_lowercase().contains(SECRET), "{method} {path}: {}", answer.text);
                    assert_eq!(rows().await, before, "{method} {path}{query}");
                }
            }
        }
    }
    assert!(asked > 200, "{asked}");
    // Their ids in the bodies of her own acts.
    let at = format!("{ORGS}{}/", own["org"]);
    for (path, body) in [
        ("deals/".to_owned(), json!({"title": "x", "client_id": theirs["client"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "contact_id": theirs["contact"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "stage": theirs["stage"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "pipeline_id": theirs["pipeline"]})),
        (format!("deals/{}/move/", own["deal"]), json!({"stage": theirs["stage"]})),
        (format!("deals/{}/move/", own["deal"]), json!({"stage": "lead", "after": theirs["deal"]})),
        ("members/".to_owned(), json!({"user_id": 1, "role_id": theirs["role"]})),
        ("tasks/".to_owned(), json!({"title": "x", "deal_id": theirs["deal"]})),
        ("tasks/".to_owned(), json!({"title": "x", "client_id": theirs["client"]})),
        (format!("clients/{}/merge/", own["client"]), json!({"client_id": theirs["client"]})),
        ("teams/".to_owned(), json!({"name": "x", "parent_id": theirs["team"]})),
    ] {
        let before = rows().await;
        let answer = server.post(&format!("{at}{path}"), &eve, body).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{path}: {} {}", answer.status, answer.text);
        assert_eq!(rows().await, before, "{path}");
    }
    // Nothing of theirs is in a list of hers.
    for list in [
        "clients/",
        "deals/",
        "payments/",
        "members/",
        "roles/",
        "teams/",
        "pipelines/",
        "trash/",
        "audit/",
        "tasks/",
        "imports/",
        "exports/deals.csv",
        "exports/clients.csv",
        "reports/dashboard/",
    ] {
        let answer = server.get(&format!("{at}{list}"), &eve).await;
        assert!(answer.status == 200 && !answer.text.contains(SECRET), "{list}: {}", answer.text);
    }
    // And the database itself would not hold such a row.
    let wrong = format!("UPDATE deals_deal SET client_id = {} WHERE id = {}", theirs["client"], own["deal"]);
    let wrong = server.db.write(|tx| {
        let wrong = wrong.clone();
        async move { sea_orm::ConnectionTrait::execute_unprepared(tx.conn(), &wrong).await.map(|_| ()) }
    });
    assert!(wrong.await.is_err());
}

/// Somebody new who is in an organization, in a role that it began with.
async fn colleague(server: &TestServer, owner: &str, org: i64, role: &str) -> String {
    let token = bearer(&server.newcomer(role).await);
    let id = server.get("/api/auth/me/", &token).await.json()["id"].clone();
    let roles = server.get(&format!("{ORGS}{org}/roles/"), owner).await.json();
    let role = roles["results"].as_array().unwrap().iter().find(|found| found["key"] == role).unwrap()["id"].clone();
    let joined = server.post(&format!("{ORGS}{org}/members/"), owner, json!({"user_id": id, "role_id": role})).await;
    assert_eq!(joined.status, 201, "{}", joined.text);
    let accept = format!("/api/crm/invitations/{}/accept/", joined.json()["id"]);
    assert_eq!(server.post(&accept, &token, serde_json::Value::Null).await.status, 200);
    token
}

/// What somebody finds who asks each route for what is there; the rows stay as they are where they are refused.
async fn walk(server: &TestServer, token: &str, ids: &BTreeMap<&'static str, i64>) -> Vec<(Method, String, u16)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Whoever has left is not there for the rest of the way.
        if !path.starts_with(ORGS) || !path.contains("{org}") || path.ends_with("/leave/") {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let before = rows(server).await;
            let answer = ask(server, token, &method, &filled(path, ids), body(ids, path)).await;
            let status = answer.status.as_u16();
            if status >= 400 {
                assert_eq!(rows(server).await, before, "{method} {path}: {}", answer.text);
            }
            found.push((method, path.clone(), status));
        }
    }
    found
}

#[tokio::test]
async fn whoever_only_looks_changes_nothing() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    let ids = furnished(&server, &anna, SECRET).await;
    let viewer = colleague(&server, &anna, ids["org"], "viewer").await;
    let mut forbidden = 0;
    for (method, path, status) in walk(&server, &viewer, &ids).await {
        if method == Method::GET {
            continue;
        }
        // A view of one's own is all that whoever looks may keep.
        if path.ends_with("/views/") {
            assert_eq!(status, 201, "{path}");
            continue;
        }
        assert!([403, 404].contains(&status), "{method} {path}: {status}");
        forbidden += usize::from(status == 403);
    }
    assert!(forbidden > 50, "{forbidden}");
}

#[tokio::test]
async fn what_a_colleague_does_not_see_is_not_there_for_them() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    let ids = furnished(&server, &anna, SECRET).await;
    let seller = colleague(&server, &anna, ids["org"], "salesperson").await;
    let mut asked = 0;
    for (method, path, status) in walk(&server, &seller, &ids).await {
        let within = ["client", "deal", "contact", "payment", "task", "line", "file", "import", "deletion"];
        if within.iter().any(|name| path.contains(&format!("{{{name}}}"))) {
            assert!([403, 404].contains(&status), "{method} {path}: {status}");
            assert!(status == 404 || method != Method::GET || path.contains("import"), "{method} {path}: {status}");
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
}

#[tokio::test]
async fn whatever_can_be_changed_has_a_version_and_is_not_changed_by_whoever_knows_another() {
    let server = TestServer::start().await;
    let anna = bearer(&server.newcomer("anna").await);
    let ids = furnished(&server, &anna, SECRET).await;
    let document = serde_json::to_value(document()).unwrap();
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let changes = |method: &str| item.get(method).is_some();
        if !path.starts_with("/api/crm/") || !(changes("patch") || changes("delete")) {
            continue;
        }
        // What is never changed has no version.
        if path.ends_with("/files/{file}/") || path.ends_with("/trash/{deletion}/") {
            continue;
        }
        let at = filled(path, &ids);
        if changes("get") {
            let read = server.get(&at, &anna).await;
            assert!(read.status == 200 && read.headers.contains_key("etag"), "{path}: {}", read.text);
            let tag = read.headers["etag"].to_str().unwrap();
            let again = server.request(Method::GET, &at).header("authorization", &anna).header("if-none-match", tag);
            assert_eq!(server.send(again).await.status, 304, "{path}");
        }
        for method in ["patch", "delete"].into_iter().filter(|method| changes(method)) {
            let before = rows(&server).await;
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = server.request(method.clone(), &at).header("authorization", &anna);
            let answer = server.send(request.header("if-match", "\"1\"").json(&json!({}))).await;
            assert_eq!(answer.status, 412, "{method} {path}: {}", answer.text);
            assert_eq!(rows(&server).await, before, "{method} {path}");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked}");
}

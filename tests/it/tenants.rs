//! A user outside of an organization gets no access to it through any route, and members only what their role allows.
//! The routes come from the OpenAPI document.

use std::collections::BTreeMap;

use guildhall_gateway::document;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{Response, TestServer, bearer};

const ORGS: &str = "/api/crm/organizations/";
/// Appears in every text of the foreign organization and nowhere else.
const SECRET: &str = "xylophone";

/// An upload of a CSV file with a client.
fn form(word: &str) -> Form {
    let table = Part::text(format!("name\n{word}\n")).file_name("table.csv");
    Form::new().text("kind", "clients").part("file", table)
}

/// Creates an organization with one object of every kind. Returns their ids by path parameter.
async fn create_organization(server: &TestServer, owner: &str, word: &str) -> BTreeMap<&'static str, i64> {
    let post = async |path: String, body: Value| {
        let response = server.post(&path, owner, body).await;
        assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
        response.json()
    };
    let id = |object: &Value| object["id"].as_i64().unwrap();
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
    let custom = json!({"entity": "deal", "key": "own", "name": word, "kind": "text"});
    let field = id(&post(format!("{at}custom-fields/"), custom).await);
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

/// A body that is valid for most operations, so that validation errors do not hide other responses.
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

fn fill_path(path: &str, ids: &BTreeMap<&'static str, i64>) -> String {
    ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), &id.to_string()))
}

/// Sends a request with a body that fits the path: a form if it expects a file.
async fn send(server: &TestServer, token: &str, method: &Method, path: &str, body: Value) -> Response {
    let request = server.request(method.clone(), path).header("authorization", token);
    let path = path.split('?').next().unwrap();
    server
        .send(if method == Method::GET {
            request
        } else if ["/imports/", "/files/", "/receipt/"].iter().any(|end| path.ends_with(end)) {
            request.multipart(form("x"))
        } else {
            request.json(&body)
        })
        .await
}

/// The number of rows of each table and the contents of the tables that requests can change, without throttles and
/// webhook deliveries, which the server updates by itself.
async fn rows(server: &TestServer) -> (BTreeMap<String, i64>, Vec<Option<String>>) {
    // Handling an event stores deliveries, whenever it happens in the background.
    server.handle_events().await;
    let mut counts = server.row_counts().await;
    counts.remove("accounts_throttle");
    let excluded = ["deals_webhook", "deals_delivery"];
    let mut contents = Vec::new();
    for table in counts.keys().filter(|table| table.starts_with("deals_") && !excluded.contains(&table.as_str())) {
        contents.push(server.contents(table).await);
    }
    (counts, contents)
}

#[tokio::test]
async fn an_organization_is_invisible_to_outsiders_and_its_ids_are_unusable_elsewhere() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let eve = bearer(&server.sign_up("eve").await);
    let foreign = create_organization(&server, &anna, SECRET).await;
    let own = create_organization(&server, &eve, "ordinary").await;
    let rows = async || rows(&server).await;
    // First only foreign ids; then Eve's own organization combined with foreign ids of its objects.
    let mixed: BTreeMap<&'static str, i64> =
        foreign.iter().map(|(name, id)| (*name, if *name == "org" { own["org"] } else { *id })).collect();
    let document = serde_json::to_value(document()).unwrap();
    let mut requests = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/api/crm/") || !path.contains('{') {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for ids in [&foreign, &mixed] {
                let has_object = path.matches('{').count() > usize::from(path.contains("{org}"));
                if ids == &mixed && !has_object {
                    continue;
                }
                let parameters = &item[method.as_str().to_lowercase()]["parameters"];
                let has_parameter =
                    |name: &str| parameters.as_array().unwrap().iter().any(|parameter| parameter["name"] == name);
                let query = match (has_parameter("purge"), has_parameter("filter")) {
                    (true, _) => "?purge=true",
                    (_, true) => "?q=xylo",
                    _ => "?",
                };
                for query in ["", query] {
                    let before = rows().await;
                    let path = fill_path(path, ids);
                    let response = send(&server, &eve, &method, &format!("{path}{query}"), body(&foreign, &path)).await;
                    requests += 1;
                    assert_eq!(response.status, 404, "{method} {path}{query}: {}", response.text);
                    assert!(!response.text.to_lowercase().contains(SECRET), "{method} {path}: {}", response.text);
                    assert_eq!(rows().await, before, "{method} {path}{query}");
                }
            }
        }
    }
    assert!(requests > 200, "{requests}");
    // Foreign ids in the bodies of Eve's own requests.
    let at = format!("{ORGS}{}/", own["org"]);
    for (path, body) in [
        ("deals/".to_owned(), json!({"title": "x", "client_id": foreign["client"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "contact_id": foreign["contact"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "stage": foreign["stage"]})),
        (format!("clients/{}/deals/", own["client"]), json!({"title": "x", "pipeline_id": foreign["pipeline"]})),
        (format!("deals/{}/move/", own["deal"]), json!({"stage": foreign["stage"]})),
        (format!("deals/{}/move/", own["deal"]), json!({"stage": "lead", "after": foreign["deal"]})),
        ("members/".to_owned(), json!({"user_id": 1, "role_id": foreign["role"]})),
        ("tasks/".to_owned(), json!({"title": "x", "deal_id": foreign["deal"]})),
        ("tasks/".to_owned(), json!({"title": "x", "client_id": foreign["client"]})),
        (format!("clients/{}/merge/", own["client"]), json!({"client_id": foreign["client"]})),
        ("teams/".to_owned(), json!({"name": "x", "parent_id": foreign["team"]})),
    ] {
        let before = rows().await;
        let response = server.post(&format!("{at}{path}"), &eve, body).await;
        assert!([400, 404].contains(&response.status.as_u16()), "{path}: {} {}", response.status, response.text);
        assert_eq!(rows().await, before, "{path}");
    }
    // Eve's lists contain nothing foreign.
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
        let response = server.get(&format!("{at}{list}"), &eve).await;
        assert!(response.status == 200 && !response.text.contains(SECRET), "{list}: {}", response.text);
    }
    // The database enforces it, too.
    let update = format!("UPDATE deals_deal SET client_id = {} WHERE id = {}", foreign["client"], own["deal"]);
    let outcome = server.db.write(|tx| {
        let update = update.clone();
        async move { sea_orm::ConnectionTrait::execute_unprepared(&tx, &update).await.map(|_| ()) }
    });
    assert!(outcome.await.is_err());
}

/// Signs up a user who becomes a member with a built-in role.
async fn member_with_role(server: &TestServer, owner: &str, org: i64, role: &str) -> String {
    let token = bearer(&server.sign_up(role).await);
    let id = server.get("/api/auth/me/", &token).await.json()["id"].clone();
    let roles = server.get(&format!("{ORGS}{org}/roles/"), owner).await.json();
    let role =
        roles["results"].as_array().unwrap().iter().find(|candidate| candidate["key"] == role).unwrap()["id"].clone();
    let invited = server.post(&format!("{ORGS}{org}/members/"), owner, json!({"user_id": id, "role_id": role})).await;
    assert_eq!(invited.status, 201, "{}", invited.text);
    let accept = format!("/api/crm/invitations/{}/accept/", invited.json()["id"]);
    assert_eq!(server.post(&accept, &token, serde_json::Value::Null).await.status, 200);
    token
}

/// Requests every route with the ids. Returns the statuses, and checks that rejected requests change nothing.
async fn request_all_routes(
    server: &TestServer,
    token: &str,
    ids: &BTreeMap<&'static str, i64>,
) -> Vec<(Method, String, u16)> {
    let document = serde_json::to_value(document()).unwrap();
    let mut statuses = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // Leaving would end the membership.
        if !path.starts_with(ORGS) || !path.contains("{org}") || path.ends_with("/leave/") {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let before = rows(server).await;
            let response = send(server, token, &method, &fill_path(path, ids), body(ids, path)).await;
            let status = response.status.as_u16();
            if status >= 400 {
                assert_eq!(rows(server).await, before, "{method} {path}: {}", response.text);
            }
            statuses.push((method, path.clone(), status));
        }
    }
    statuses
}

#[tokio::test]
async fn a_viewer_cannot_change_anything() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ids = create_organization(&server, &anna, SECRET).await;
    let viewer = member_with_role(&server, &anna, ids["org"], "viewer").await;
    let mut forbidden = 0;
    for (method, path, status) in request_all_routes(&server, &viewer, &ids).await {
        if method == Method::GET {
            continue;
        }
        // Viewers may save their own views.
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
async fn objects_outside_of_a_members_scope_do_not_exist_for_them() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ids = create_organization(&server, &anna, SECRET).await;
    let seller = member_with_role(&server, &anna, ids["org"], "salesperson").await;
    let mut requests = 0;
    for (method, path, status) in request_all_routes(&server, &seller, &ids).await {
        let scoped = ["client", "deal", "contact", "payment", "task", "line", "file", "import", "deletion"];
        if scoped.iter().any(|name| path.contains(&format!("{{{name}}}"))) {
            assert!([403, 404].contains(&status), "{method} {path}: {status}");
            assert!(status == 404 || method != Method::GET || path.contains("import"), "{method} {path}: {status}");
            requests += 1;
        }
    }
    assert!(requests > 60, "{requests}");
}

#[tokio::test]
async fn mutable_objects_have_an_etag_and_reject_a_stale_one() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ids = create_organization(&server, &anna, SECRET).await;
    let document = serde_json::to_value(document()).unwrap();
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let supports = |method: &str| item.get(method).is_some();
        if !path.starts_with("/api/crm/") || !(supports("patch") || supports("delete")) {
            continue;
        }
        // Immutable objects have no ETag.
        if path.ends_with("/files/{file}/") || path.ends_with("/trash/{deletion}/") {
            continue;
        }
        let at = fill_path(path, &ids);
        if supports("get") {
            let read = server.get(&at, &anna).await;
            assert!(read.status == 200 && read.headers.contains_key("etag"), "{path}: {}", read.text);
            let tag = read.headers["etag"].to_str().unwrap();
            let again = server.request(Method::GET, &at).header("authorization", &anna).header("if-none-match", tag);
            assert_eq!(server.send(again).await.status, 304, "{path}");
        }
        for method in ["patch", "delete"].into_iter().filter(|method| supports(method)) {
            let before = rows(&server).await;
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = server.request(method.clone(), &at).header("authorization", &anna);
            let response = server.send(request.header("if-match", "\"1\"").json(&json!({}))).await;
            assert_eq!(response.status, 412, "{method} {path}: {}", response.text);
            assert_eq!(rows(&server).await, before, "{method} {path}");
            checked += 1;
        }
    }
    assert!(checked > 25, "{checked}");
}

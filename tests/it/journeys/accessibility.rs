use guildhall_kernel::Roles;
use reqwest::Method;
use serde_json::{Value, json};

use super::browser::Driver;
use crate::server::{TestServer, bearer};

/// Names and texts that would run as scripts if they were not escaped.
const HOSTILE: &str = "<img src=x onerror=\"document.title='hacked'\">é";

async fn post(server: &TestServer, signed_in: &Value, path: &str, body: Value) -> Value {
    let response = server.post(path, &bearer(signed_in), body).await;
    assert!(response.status.is_success(), "{path}: {} {}", response.status, response.text);
    response.json()
}

/// Events, courses, reports and drafts, and the paths of their pages.
async fn fill_group(server: &TestServer, anna: &Value, ben: &Value, group: &Value, post_id: &Value) -> Vec<String> {
    let community = "/api/community";
    let event = json!({
        "title": HOSTILE, "description": HOSTILE, "location": HOSTILE, "is_public": true,
        "starts_at": "2031-03-01T10:00:00Z", "ends_at": "2031-03-01T12:00:00Z",
    });
    let event = post(server, anna, &format!("{community}/groups/{group}/events/"), event).await["id"].clone();
    let course = json!({ "title": HOSTILE, "description": HOSTILE });
    let course = post(server, anna, &format!("{community}/courses/"), course).await["id"].clone();
    let title = json!({ "title": HOSTILE });
    let sections = format!("{community}/courses/{course}/sections/");
    let section = post(server, anna, &sections, title).await["id"].clone();
    let lesson = json!({ "title": HOSTILE, "content": HOSTILE });
    let lesson = post(server, anna, &format!("{community}/sections/{section}/lessons/"), lesson).await["id"].clone();
    let request = server.request(Method::PUT, &format!("{community}/groups/{group}/courses/"));
    let request = request.header("authorization", bearer(anna)).json(&json!({ "course_ids": [course] }));
    assert!(server.send(request).await.status.is_success());
    post(server, ben, &format!("{community}/groups/{group}/join/"), json!({})).await;
    let reports = format!("{community}/posts/{post_id}/reports/");
    post(server, ben, &reports, json!({ "reason": HOSTILE })).await;
    let draft = json!({ "title": HOSTILE, "content": HOSTILE });
    let draft = post(server, anna, &format!("{community}/drafts/"), draft).await["id"].clone();
    let mut paths = vec![format!("/posts/new/?draft={draft}")];
    let pages =
        ["events/", "events/new/", "courses/", "courses/new/", "reports/", "requests/", "invites/", "bans/", "log/"];
    paths.extend(pages.map(|page| format!("/groups/{group}/{page}")));
    paths.extend(["", "people/", "edit/"].map(|page| format!("/events/{event}/{page}")));
    paths.extend(["", "edit/"].map(|page| format!("/courses/{course}/{page}")));
    paths.push(format!("/courses/{course}/sections/{section}/lessons/new/"));
    paths.extend(["", "edit/"].map(|page| format!("/lessons/{lesson}/{page}")));
    paths
}

/// Fills the server, and returns the paths of its pages.
async fn fill(server: &TestServer, anna: &Value) -> Vec<String> {
    let ben = server.sign_up("ben").await;
    let ben_id = &ben["user"]["id"];
    let group = json!({ "name": HOSTILE, "description": HOSTILE });
    let group = post(server, anna, "/api/community/groups/", group).await["id"].clone();
    let new = json!({ "title": HOSTILE, "content": HOSTILE, "group": group });
    let written = post(server, anna, "/api/community/posts/", new).await["id"].clone();
    let message = json!({ "receiver_id": ben_id, "content": HOSTILE });
    post(server, anna, "/messaging/api/send/", message).await;
    let message = json!({ "receiver_id": anna["user"]["id"], "content": HOSTILE });
    post(server, &ben, "/messaging/api/send/", message).await;
    let room = post(server, anna, "/api/chat/create/", json!({ "name": HOSTILE })).await;
    let room = room["room"]["id"].as_i64().or_else(|| room["id"].as_i64()).unwrap();
    let org = post(server, anna, "/api/crm/organizations/", json!({ "name": HOSTILE, "currency": "EUR" })).await["id"]
        .clone();
    let client = post(server, anna, &format!("/api/crm/organizations/{org}/clients/"), json!({ "name": HOSTILE }))
        .await["id"]
        .clone();
    let deal = json!({ "title": HOSTILE, "client_id": client, "value": "100.00" });
    let deal = post(server, anna, &format!("/api/crm/organizations/{org}/deals/"), deal).await["id"].clone();
    let fixed = [
        "/",
        "/?feed=global",
        "/posts/new/",
        "/groups/",
        "/groups/new/",
        "/people/",
        "/search/?q=img",
        "/notifications/",
        "/notifications/settings/",
        "/messaging/",
        "/messaging/new/",
        "/rooms/",
        "/rooms/new/",
        "/menu/",
        "/account/",
        "/account/security/",
        "/account/tokens/",
        "/account/data/",
        "/deals/organizations/",
        "/admin/",
        "/admin/tables/",
        "/admin/find/?q=anna",
        "/admin/jobs/",
        "/admin/outbox/",
        "/admin/audit/",
        "/admin/users/",
        "/admin/community_post/?q=img",
        "/admin/community_event/new/",
        "/admin/community_group_course/new/",
    ];
    let mut paths: Vec<String> = fixed.map(str::to_owned).into();
    paths.extend(fill_group(server, anna, &ben, &group, &written).await);
    paths.extend(["", "members/", "settings/", "delete/"].map(|page| format!("/groups/{group}/{page}")));
    paths.push(format!("/admin/community_group/{group}/"));
    paths.push(format!("/admin/users/{ben_id}/"));
    paths.push(format!("/admin/users/delete/?key={ben_id}"));
    paths.push(format!("/posts/{written}/"));
    paths.push(format!("/people/{ben_id}/"));
    paths.push(format!("/messaging/conversation/{ben_id}/"));
    paths.extend(["", "people/", "settings/", "search/", "close/"].map(|page| format!("/rooms/{room}/{page}")));
    let pages = ["board/", "list/", "clients/", "tasks/", "reports/", "verification/", "import/", "people/", "trash/"];
    paths.extend(pages.map(|page| format!("/deals/{org}/{page}")));
    paths.extend(["", "edit/", "payments/new/"].map(|page| format!("/deals/{org}/deals/{deal}/{page}")));
    paths.push(format!("/deals/{org}/clients/{client}/"));
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_hard_to_use_runs_foreign_scripts_or_logs_an_error() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let roles = Roles { teacher: true, staff: true, superuser: true };
    let anna = server.sign_up_with_roles("anna", roles).await;
    let paths = fill(&server, &anna).await;
    let browser = driver.browser(&server).await;
    let mut findings = Vec::new();
    for path in ["/login/", "/register/", "/password/forgot/"] {
        browser.open(path).await;
        findings.extend(browser.findings("light").await.into_iter().map(|finding| format!("{path}: {finding}")));
    }
    browser.sign_in("anna").await;
    for path in &paths {
        browser.open(path).await;
        browser.find("main h1").await;
        for theme in ["light", "dark"] {
            findings
                .extend(browser.findings(theme).await.into_iter().map(|found| format!("{path} ({theme}): {found}")));
        }
        let title = browser.client.title().await.unwrap();
        assert_ne!(title, "hacked", "{path}");
        browser.check_log().await;
    }
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
    browser.close().await;
}

use guildhall_kernel::Roles;
use serde_json::json;

use super::browser::Driver;
use crate::server::{TestServer, bearer};

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_finds_changes_and_deletes_a_group_and_sees_what_blocks_a_user() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let roles = Roles { staff: true, superuser: true, ..Roles::default() };
    server.sign_up_with_roles("boss", roles).await;
    let anna = server.sign_up("anna").await;
    for name in ["Print shop", "Pottery"] {
        let new = json!({ "name": name, "description": "Seeds", "category": "craft" });
        assert_eq!(server.post("/api/community/groups/", &bearer(&anna), new).await.status, 201);
    }
    let new = json!({ "name": "Benches" });
    assert_eq!(server.post("/api/crm/organizations/", &bearer(&anna), new).await.status, 201);

    let browser = driver.of(&server, "boss").await;
    browser.open("/admin/community_group/").await;
    browser.fill("main input[name=q]", "Pottery").await;
    browser.until("the hit alone", async || !browser.text("#results").await.contains("Print shop")).await;
    browser.click("#results tbody a").await;
    browser.fill("main [name='c.name']", "Clay").await;
    browser.click(".savebar button[type=submit]").await;
    browser.until_shown("h1", "Clay").await;
    browser.click(".head-actions a.danger-text").await;
    browser.until_shown(".graph", "1").await;
    browser.fill("#confirmation", "Clay").await;
    browser.click("main form button.btn-danger").await;
    browser.until("the deletion", async || server.row_counts().await["community_group"] == 1).await;

    let path = format!("/admin/users/delete/?key={}", anna["user"]["id"]);
    browser.open(&path).await;
    browser.fill("#confirmation", "anna").await;
    browser.click("main form button.btn-danger").await;
    browser.find("main [role=alert]").await;
    assert_eq!(server.row_counts().await["users"], 2, "the organization needs its owner");
    browser.close().await;
}

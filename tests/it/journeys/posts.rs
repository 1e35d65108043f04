use serde_json::json;

use super::browser::Driver;
use crate::server::{PASSWORD, TestServer, bearer};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_and_writes_a_first_post() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let browser = driver.browser(&server).await;
    browser.open("/").await;
    browser.until_at("/login/").await;
    browser.click("a[href='/register/']").await;
    browser.fill("#username", "anna").await;
    browser.fill("#email", "anna@example.org").await;
    browser.fill("#password", "1234").await;
    browser.click("main button[type=submit]").await;
    browser.find("main .error").await;
    assert!(browser.runs_scripts().await, "or the next test shows nothing");
    assert_eq!(browser.find("#username").await.prop("value").await.unwrap().unwrap(), "anna", "it is kept");
    browser.fill("#password", PASSWORD).await;
    browser.click("main button[type=submit]").await;
    browser.find("a[href='/posts/new/']").await;
    browser.click("a[href='/posts/new/']").await;
    browser.fill("#title", "Seeds to swap").await;
    browser.fill("#content", "I have **tomatoes** and <script>alert(1)</script>.").await;
    browser.click("main form button[type=submit]").await;
    browser.until_shown("main", "Seeds to swap").await;
    browser.until_shown("main .prose strong", "tomatoes").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_kept_while_its_author_signs_in_again() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    server.sign_up("anna").await;
    server.sign_up("ben").await;
    let browser = driver.of(&server, "anna").await;
    browser.open("/posts/new/").await;
    browser.fill("#title", "Seeds to swap").await;
    browser.fill("#content", "A long text").await;
    // The session ends.
    browser.client.delete_all_cookies().await.unwrap();
    browser.click("main form button[type=submit]").await;
    browser.until_at("/login/").await;
    let sign_in = async |name: &str| {
        browser.fill("#username", name).await;
        browser.fill("#password", PASSWORD).await;
        browser.click("main button[type=submit]").await;
        browser.until_at("/posts/new/").await;
    };
    sign_in("anna").await;
    let text = async |selector: &str| browser.find(selector).await.prop("value").await.unwrap().unwrap();
    browser.until("the text", async || text("#content").await == "A long text").await;
    assert_eq!(text("#title").await, "Seeds to swap");
    // A script that sends the form leads to the page for signing in too. Somebody else does not get the text.
    browser.client.delete_all_cookies().await.unwrap();
    browser
        .click("button[name=preview], button[formaction='/posts/preview/'], button[hx-post='/posts/preview/']")
        .await;
    browser.until_at("/login/").await;
    sign_in("ben").await;
    assert_eq!(text("#content").await, "");
    browser.client.delete_all_cookies().await.unwrap();
    browser.fill("#content", "A long text").await;
    browser
        .click("button[name=preview], button[formaction='/posts/preview/'], button[hx-post='/posts/preview/']")
        .await;
    browser.until_at("/login/").await;
    sign_in("ben").await;
    browser.until("the text", async || text("#content").await == "A long text").await;
    browser.click("main form button[type=submit]").await;
    browser.until_shown("main .prose", "A long text").await;
    browser.open("/posts/new/").await;
    assert_eq!(text("#content").await, "", "it was sent");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_people_sign_in_post_and_write_to_each_other() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let ben = server.sign_up("ben").await;
    server.sign_up("anna").await;
    let browser = driver.without_scripts(&server).await;
    browser.sign_in("anna").await;
    browser.click("a[href='/posts/new/']").await;
    browser.fill("#content", "Written without scripts").await;
    browser.click("main form button[type=submit]").await;
    browser.find("main article .prose").await;
    let path = format!("/messaging/conversation/{}/", ben["user"]["id"]);
    browser.open(&path).await;
    browser.fill("#m", "Hello Ben").await;
    browser.click("#composer button.btn-primary").await;
    browser.find("#log .mine").await;
    assert!(!browser.runs_scripts().await);
    let inbox = server.get("/messaging/api/unread-count/", &bearer(&ben)).await.json();
    assert_eq!(inbox["unread_count"], 1);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_join_a_group_is_approved() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let owner = server.sign_up("anna").await;
    server.sign_up("ben").await;
    let new = json!({ "name": "Garden", "description": "Seeds", "is_private": true, "is_listed": true });
    let group = server.post("/api/community/groups/", &bearer(&owner), new).await;
    assert_eq!(group.status, 201, "{}", group.text);
    let path = format!("/groups/{}/", group.json()["id"]);
    let (anna, ben) = tokio::join!(driver.of(&server, "anna"), driver.of(&server, "ben"));
    ben.open(&path).await;
    ben.click("main form button.btn-primary").await;
    // The page does not change by itself.
    let requests = format!("{path}requests/");
    let is_asked = async || {
        anna.open(&requests).await;
        anna.text("main").await.contains("ben")
    };
    anna.until("the request", is_asked).await;
    anna.click("main form[action*=approve] button").await;
    let is_member = async || {
        ben.open(&path).await;
        ben.has("a[href*='/posts/new/']").await
    };
    ben.until("the membership", is_member).await;
    ben.close().await;
    anna.close().await;
}

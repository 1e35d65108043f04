use std::fs;

use fantoccini::key::Key;
use serde_json::json;

use super::browser::{Browser, Driver};
use crate::server::{TestServer, bearer};

/// Creates a deal; returns the path of the board.
async fn board(server: &TestServer) -> String {
    let owner = server.sign_up("anna").await;
    let post = async |path: &str, body| {
        let response = server.post(path, &bearer(&owner), body).await;
        assert_eq!(response.status, 201, "{path}: {}", response.text);
        response.json()
    };
    let org = post("/api/crm/organizations/", json!({ "name": "Benches", "currency": "EUR" })).await["id"].clone();
    let client =
        post(&format!("/api/crm/organizations/{org}/clients/"), json!({ "name": "School" })).await["id"].clone();
    let deal = json!({ "title": "Ten benches", "client_id": client, "value": "100.00" });
    post(&format!("/api/crm/organizations/{org}/deals/"), deal).await;
    format!("/deals/{org}/board/")
}

/// The number of the column with the deal.
async fn column(browser: &Browser) -> i64 {
    let script = "return [...document.querySelectorAll('.col')].findIndex((column) => column.querySelector('.deal'))";
    browser.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_moved_with_the_keyboard_and_others_see_it() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let board = board(&server).await;
    let (mover, watcher) = tokio::join!(driver.of(&server, "anna"), driver.of(&server, "anna"));
    mover.open(&board).await;
    watcher.open(&board).await;
    assert_eq!((column(&mover).await, column(&watcher).await), (0, 0));
    mover.client.execute("document.querySelector('.deal h3 a').focus()", Vec::new()).await.unwrap();
    for key in ["m".to_owned(), Key::Right.to_string(), Key::Enter.to_string()] {
        mover.press_in_focus(&key).await;
    }
    mover.until("the moved deal", async || column(&mover).await == 1).await;
    watcher.until("the moved deal", async || column(&watcher).await == 1).await;
    mover.close().await;
    watcher.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_moved_with_the_mouse() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let board = board(&server).await;
    let browser = driver.of(&server, "anna").await;
    browser.open(&board).await;
    browser.drag(".deal[draggable=true]", ".col:nth-child(3)").await;
    browser.until("the moved deal", async || column(&browser).await == 2).await;
    browser.open(&board).await;
    assert_eq!(column(&browser).await, 2, "it is stored");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_checked_before_it_is_imported() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let import = board(&server).await.replace("board/", "import/");
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("clients.csv");
    let browser = driver.of(&server, "anna").await;
    let send = async |rows: &str, action: &str| {
        fs::write(&table, format!("name,email\n{rows}")).unwrap();
        browser.open(&import).await;
        browser.press("#file", table.to_str().unwrap()).await;
        browser.click("#kind option[value=clients]").await;
        browser.click(&format!("button[name=action][value={action}]")).await;
    };
    let clients = async || server.row_counts().await["deals_client"];
    send("Harrow,office@harrow.example\nVale,broken\n", "check").await;
    browser.until_shown("main tbody", "broken").await;
    assert_eq!(clients().await, 1, "a check writes nothing");
    send("Harrow,office@harrow.example\nVale,\n", "import").await;
    browser.until("the imported clients", async || clients().await == 3).await;
    browser.until_shown("main", "clients.csv").await;
    browser.close().await;
}

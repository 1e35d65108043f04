use std::{
    io::{self, Write},
    time::Instant,
};

use fantoccini::key::Key;

use super::browser::Driver;
use crate::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_server_restarts_arrives_once() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let id = |signed_in: serde_json::Value| signed_in["user"]["id"].as_i64().unwrap();
    let (anna_id, ben_id) = (id(server.sign_up("anna").await), id(server.sign_up("ben").await));
    let (anna, ben) = tokio::join!(driver.of(&server, "anna"), driver.of(&server, "ben"));
    anna.open(&format!("/messaging/conversation/{ben_id}/")).await;
    ben.open(&format!("/messaging/conversation/{anna_id}/")).await;
    anna.press("#m", &format!("Before{}", Key::Enter)).await;
    ben.until_shown("#log", "Before").await;
    let write = async || {
        anna.press("#m", &format!("Meanwhile{}", Key::Enter)).await;
        anna.until_shown("#log .mine", "Meanwhile").await;
    };
    let server = Box::pin(server.restart(write)).await;
    ben.until_shown("#log", "Meanwhile").await;
    ben.press("#m", &format!("Afterwards{}", Key::Enter)).await;
    anna.until_shown("#log", "Afterwards").await;
    for browser in [&anna, &ben] {
        let text = browser.text("#log").await;
        for message in ["Before", "Meanwhile", "Afterwards"] {
            assert_eq!(text.matches(message).count(), 1, "{message}: {text}");
        }
    }
    // The console has the failed connections.
    anna.client.close().await.unwrap();
    ben.client.close().await.unwrap();
    server.server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_write_to_each_other() {
    let Some(driver) = Driver::start().await else { return };
    let server = TestServer::start().await;
    let id = |signed_in: serde_json::Value| signed_in["user"]["id"].as_i64().unwrap();
    let (anna_id, ben_id) = (id(server.sign_up("anna").await), id(server.sign_up("ben").await));
    let (anna, ben) = tokio::join!(driver.of(&server, "anna"), driver.of(&server, "ben"));
    anna.open(&format!("/messaging/conversation/{ben_id}/")).await;
    anna.press("#m", "Hello Ben").await;
    anna.press("#m", &Key::Enter.to_string()).await;
    anna.until_shown("#log .mine", "Hello Ben").await;
    // Ben is on another page: the count changes there.
    ben.until_shown(".sidebar [data-count=messages] .n", "1").await;
    ben.open(&format!("/messaging/conversation/{anna_id}/")).await;
    ben.until_shown("#log", "Hello Ben").await;
    anna.find("#log .mine [data-read='1']").await;
    ben.press("#m", "Hi").await;
    anna.until_shown("#typing", "ben").await;
    ben.press("#m", &format!(" Anna <b>x</b>{}", Key::Enter)).await;
    anna.until_shown("#log", "Hi Anna <b>x</b>").await;
    anna.until("no longer typing", async || anna.text("#typing").await.is_empty()).await;
    let mut times = Vec::new();
    for number in 0..20 {
        let text = format!("number {number}.");
        ben.press("#m", &text).await;
        let sent = Instant::now();
        ben.press("#m", &Key::Enter.to_string()).await;
        anna.until_shown("#log", &text).await;
        times.push(sent.elapsed());
    }
    times.sort();
    let _ = writeln!(io::stderr(), "from Enter to seen by the other: p50 {:?}, longest {:?}", times[10], times[19]);
    let texts = anna.text("#log").await;
    let at = |number| texts.find(&format!("number {number}.")).unwrap();
    assert!((1..20).all(|number| at(number - 1) < at(number)), "{texts}");
    anna.close().await;
    ben.close().await;
}

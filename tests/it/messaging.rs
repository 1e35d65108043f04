//! Files and links in messages, on a whole server.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::server::{TestServer, bearer};

async fn upload(server: &TestServer, who: &str) -> Value {
    let part = Part::bytes(&b"hello"[..]).file_name("notes.txt").mime_str("text/plain").unwrap();
    let request = server.request(Method::POST, "/messaging/api/attachments/").header("authorization", who);
    let response = server.send(request.multipart(Form::new().part("file", part))).await;
    assert_eq!(response.status, 201, "{}", response.text);
    response.json()["id"].clone()
}

#[tokio::test]
async fn p43_a_file_goes_with_a_message_and_ends_with_the_membership() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ben = server.sign_up("ben").await;
    let (ben_id, ben) = (ben["user"]["id"].clone(), bearer(&ben));
    let group = json!({"name": "Lunch", "user_ids": [ben_id]});
    let group = server.post("/messaging/api/conversations/", &anna, group).await.json();
    let path = format!("/messaging/api/conversations/{}/", group["conversation"]["conversation_id"]);
    let id = upload(&server, &anna).await;
    assert_eq!(server.post(&format!("{path}messages/"), &ben, json!({"attachments": [id]})).await.status, 400);
    assert_eq!(server.post(&format!("{path}messages/"), &anna, json!({"attachments": [id]})).await.status, 201);
    let history = server.get(&format!("{path}messages/?limit=1"), &ben).await.json();
    let url = history["messages"][0]["attachments"][0]["url"].as_str().unwrap().to_owned();
    let signed = url.strip_prefix(server.url.as_str()).unwrap();
    let unsigned = signed.split_once('?').unwrap().0;
    for (path, who, status) in [(signed, "", 200), (unsigned, &ben, 200), (unsigned, "", 401)] {
        assert_eq!(server.get(path, who).await.status, status, "{path}");
    }
    let request = server.request(Method::DELETE, &format!("{path}members/{ben_id}/")).header("authorization", &anna);
    assert_eq!(server.send(request).await.status, 204);
    assert_eq!(server.get(signed, "").await.status, 404);
    assert_eq!(server.get(unsigned, &ben).await.status, 404);
    let export = server.get("/api/auth/me/export/", &anna).await.json();
    assert!(export.to_string().contains("notes.txt"));
}

#[tokio::test]
async fn a_link_to_the_server_itself_is_not_fetched() {
    let server = TestServer::start().await;
    let anna = bearer(&server.sign_up("anna").await);
    let ben = server.sign_up("ben").await;
    let body = json!({"receiver_id": ben["user"]["id"], "content": format!("{}/api/docs/", server.url)});
    let message = server.post("/messaging/api/send/", &anna, body).await.json()["message"].clone();
    while server.row_counts().await["messaging_link_preview"] > 0 {
        server.services().messaging.fetch_previews().await.unwrap();
        tokio::task::yield_now().await;
    }
    let path = format!("/messaging/api/conversations/{}/messages/{}/", message["conversation_id"], message["id"]);
    assert_eq!(server.get(&path, &anna).await.json()["message"]["link_preview"], Value::Null);
}
